"""Studies on the Slurm of the tests."""

import subprocess
import sys
import time
from pathlib import Path

from bench.run.attempt import read_disk
from bench.run.heartbeat import Heartbeat


def scalestudy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200)


DEADLINE_SECONDS = 600


def wait_for_steps(run_dir: Path, attempt: int) -> Heartbeat:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        disk = read_disk(run_dir)
        if disk.attempt >= attempt and disk.beat and disk.beat.step:
            return disk.beat
        assert time.monotonic() < deadline, disk
        time.sleep(0.1)
