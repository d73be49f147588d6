"""Signals: saved at a step boundary by all processes, and gone on with at the exact sample."""

import os
import random
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Start
from test_bench_train import BATCH_SIZE, RANDOM, STEPS, read_all, row_of, weights, write_run

from bench.run.attempt import read_disk
from bench.training.loop import train
from bench.training.recorder import Recorder
from bench.training.signals import TIME_IS_UP, Signals, Stopped

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


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = write_run(tmp_path_factory.mktemp("study"), **RANDOM)
    train(run_dir)
    return run_dir


def same_run(run_dir: Path, other: Path) -> None:
    """To the last bit: weights, losses along the way, accuracy."""
    assert weights(run_dir) == weights(other)
    for name in ("loss", "top1_accuracy", "top5_accuracy"):
        assert row_of(run_dir)[name] == row_of(other)[name]
    curves = [read_all(path / "curve") for path in (run_dir, other)]
    for name in ("step", "loss", "lr", "grad_norm", "examples_seen"):
        assert [row[name] for row in curves[0]] == [row[name] for row in curves[1]]


@pytest.mark.parametrize("seed", range(4))
def test_a_run_stopped_at_random_steps_equals_one_that_was_not(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    steps = sorted(random.Random(seed).sample(range(1, STEPS), 3))
    run_dir = write_run(tmp_path, **RANDOM)

    class Signalled(Recorder):
        def beat(self, step: int) -> None:
            super().beat(step)
            if step in steps:
                os.kill(os.getpid(), signal.SIGUSR2)

    monkeypatch.setitem(train.__globals__, "Recorder", Signalled)
    for step in steps:
        with pytest.raises(Stopped, match=f"SIGUSR2: saved at step {step}"):
            train(run_dir)
        assert read_disk(run_dir).state == "missing"
    monkeypatch.undo()
    train(run_dir)
    same_run(run_dir, done)
    rows = read_all(run_dir / "attempts")
    assert [row["ended"] for row in rows] == ["preempted"] * 3 + ["done"]
    assert [row["to_examples"] // BATCH_SIZE for row in rows] == [*steps, STEPS]
    # No image is trained on twice, and none is left out.
    assert sum(row["to_examples"] - row["from_examples"] for row in rows) == STEPS * BATCH_SIZE


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.failures
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


def alive(value: object, variable: str = "MASTER_PORT") -> list[psutil.Process]:
    """Processes of the attempt, its loaders' workers included."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_there = process.status() != psutil.STATUS_ZOMBIE
            if is_there and process.environ().get(variable) == str(value):
                found.append(process)
    return found


def train_in_pair(start_python: Start, run_dir: Path) -> None:
    for process in start_pair(start_python, [TRAIN, TRAIN], run_dir)[0]:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors


@pytest.mark.parametrize(("rank", "stage"), [(0, 0), (1, 2)])
@pytest.mark.failures
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
    assert read_disk(stopped).beat["ended"] == "preempted"

    train_in_pair(start_python, stopped)
    same_run(stopped, whole)


def test_signals_are_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(0.01)
        assert signals.received == signal.SIGUSR2
    assert signal.getsignal(signal.SIGUSR2) == before


@pytest.mark.parametrize(
    ("signum", "near_end", "ended", "comes_back"),
    [
        (signal.SIGUSR2, False, "preempted", True),
        (signal.SIGUSR2, True, "timeout", True),
        (TIME_IS_UP, True, "timeout", True),
        (signal.SIGTERM, True, "killed", False),
        (signal.SIGINT, False, "killed", False),
    ],
)
def test_what_stopped_a_run_says_whether_it_goes_on(
    signum: int, near_end: bool, ended: str, comes_back: bool
) -> None:
    stopped = Stopped(signum, 7, near_end=near_end)
    assert (stopped.ended, stopped.comes_back) == (ended, comes_back)
    assert str(stopped).endswith("saved at step 7")


def test_a_run_leaves_before_its_time_limit_and_goes_on(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = write_run(tmp_path, **RANDOM)
    monkeypatch.setenv("SCALEBENCH_END_TIME", str(time.time() + 5))
    for step in (1, 2):
        with pytest.raises(Stopped, match=f"time limit: saved at step {step}"):
            train(run_dir)
    monkeypatch.delenv("SCALEBENCH_END_TIME")
    train(run_dir)
    same_run(run_dir, done)
    assert [row["ended"] for row in read_all(run_dir / "attempts")] == ["timeout"] * 2 + ["done"]


def test_the_end_of_a_job_that_was_not_warned_in_time_is_its_time_limit() -> None:
    assert Stopped(signal.SIGTERM, 7, near_end=True, is_over=True).ended == "timeout"
    assert Stopped(signal.SIGINT, 7, near_end=True, is_over=True).ended == "killed"
