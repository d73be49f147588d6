"""Runs that get signals, one process or more."""

import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.training.loop import train
from tests.helpers.heartbeats import last_beat
from tests.helpers.processes import Start
from tests.helpers.runs import RANDOM, alive, read_all, same_run, write_run

# Sends the signal to the process itself, when it has made its step.
STOPPING = """
import os, sys
from pathlib import Path
import bench.training.loop as job
from bench.engine.engine import Engine
from bench.training.signals import Stopped

run_dir, signum, at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
made, step = [], Engine.train_step

def train_step(engine, *given, **more):
    step(engine, *given, **more)
    made.append(1)
    if len(made) == at:
        os.kill(os.getpid(), signum)

Engine.train_step = train_step
try:
    job.train(run_dir)
except Stopped as stopped:
    print(stopped, len(made))
    sys.exit(5)
"""


TRAIN = "from sys import argv; from pathlib import Path; from bench.training.loop import train; "
TRAIN += "train(Path(argv[1]))"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_says_so(
    done: Path, tmp_path: Path, start_python: Start, signum: int
) -> None:
    run_dir = write_run(tmp_path, {"num_workers": 2, "log_steps": 2}, **RANDOM)
    process = start_python(STOPPING, run_dir, int(signum), 3)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 5, errors
    assert output.split() == [f"{signal.Signals(signum).name}:", "saved", "at", "step", "3", "3"]
    (row,) = read_all(run_dir / "attempts")
    assert (row["ended"], row["state"]) == ("killed", "failed")
    train(run_dir)
    same_run(run_dir, done)


def start_pair(
    start_python: Start, programs: list[str], *given: Any
) -> "tuple[list[subprocess.Popen[str]], int]":
    """Both processes, and the port that they and their workers know."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"OMP_NUM_THREADS": 1}
    pair = [
        start_python(program, *given, RANK=rank, LOCAL_RANK=rank, **shared)
        for rank, program in enumerate(programs)
    ]
    return pair, port


def train_in_pair(start_python: Start, run_dir: Path) -> None:
    for process in start_pair(start_python, [TRAIN, TRAIN], run_dir)[0]:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors


@pytest.mark.parametrize(("rank", "stage"), [(0, 0), (1, 2)])
def test_a_signal_to_one_process_stops_all_within_two_steps(
    tmp_path: Path, start_python: Start, rank: int, stage: int
) -> None:
    engine = {"zero_stage": stage, "num_workers": 1, "log_steps": 2}
    whole, stopped = (write_run(tmp_path / name, engine, **RANDOM) for name in "ab")
    train_in_pair(start_python, whole)

    programs = [TRAIN, TRAIN]
    programs[rank] = STOPPING
    pair, port = start_pair(start_python, programs, stopped, int(signal.SIGUSR2), 4)
    output, errors = pair[rank].communicate(timeout=240)
    assert pair[rank].returncode == 5, errors
    assert 4 <= int(output.split()[-1]) <= 6
    assert psutil.wait_procs(alive(port), timeout=5)[1] == []
    pair[1 - rank].communicate()
    assert last_beat(stopped).ended == "preempted"

    train_in_pair(start_python, stopped)
    same_run(stopped, whole)
