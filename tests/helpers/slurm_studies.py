"""Studies on the Slurm of the tests."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.run.attempt import read_disk


def scalestudy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200)


DEADLINE_SECONDS = 600


def wait_for_steps(run_dir: Path, attempt: int) -> dict[str, Any]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        disk = read_disk(run_dir)
        if disk.attempt >= attempt and disk.beat.get("step"):
            return disk.beat
        assert time.monotonic() < deadline, disk
        time.sleep(0.1)
