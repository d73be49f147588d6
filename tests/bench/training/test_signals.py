"""Signals: saved at a step boundary by all processes, and gone on with at the exact sample."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from bench.run.attempt import read_disk
from bench.training.loop import train
from bench.training.recorder import Recorder
from bench.training.signals import TIME_LIMIT, Signals, Stopped
from tests.helpers.processes import Start
from tests.helpers.runs import (
    BATCH_SIZE,
    RANDOM,
    STEPS,
    read_all,
    same_run,
    write_run,
)


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


def test_signals_are_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(0.01)
        assert signals.received == signal.SIGUSR2
    assert signal.getsignal(signal.SIGUSR2) == before


@pytest.mark.parametrize(
    ("signum", "near_end", "ended", "will_resume"),
    [
        (signal.SIGUSR2, False, "preempted", True),
        (signal.SIGUSR2, True, "timeout", True),
        (TIME_LIMIT, True, "timeout", True),
        (signal.SIGTERM, True, "killed", False),
        (signal.SIGINT, False, "killed", False),
    ],
)
def test_what_stopped_a_run_says_whether_it_goes_on(
    signum: int, near_end: bool, ended: str, will_resume: bool
) -> None:
    stopped = Stopped(signum, 7, near_end=near_end)
    assert (stopped.ended, stopped.will_resume) == (ended, will_resume)
    assert str(stopped).endswith("saved at step 7")


def test_a_run_leaves_before_its_time_limit_and_goes_on(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = write_run(tmp_path, **RANDOM)
    monkeypatch.setenv("SCALESTUDY_END_TIME", str(time.time() + 5))
    for step in (1, 2):
        with pytest.raises(Stopped, match=f"time limit: saved at step {step}"):
            train(run_dir)
    monkeypatch.delenv("SCALESTUDY_END_TIME")
    train(run_dir)
    same_run(run_dir, done)
    assert [row["ended"] for row in read_all(run_dir / "attempts")] == ["timeout"] * 2 + ["done"]


def test_the_end_of_a_job_that_was_not_warned_in_time_is_its_time_limit() -> None:
    assert Stopped(signal.SIGTERM, 7, near_end=True, is_over=True).ended == "timeout"
    assert Stopped(signal.SIGINT, 7, near_end=True, is_over=True).ended == "killed"


def test_a_signal_during_the_start_up_of_a_job_counts() -> None:
    with Signals() as outer:
        os.kill(os.getpid(), signal.SIGUSR2)
        with Signals() as inner:
            assert inner.received == signal.SIGUSR2
        assert outer.received == signal.SIGUSR2


WORKER = """
import os, time
from bench.training.signals import Signals
with Signals():
    worker = os.fork()
    if not worker:
        print(os.getpid(), flush=True)
        while True:
            time.sleep(0.2)
            print("still here", flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
"""


def test_a_loaders_worker_stays_for_the_first_sigterm(start_python: Start) -> None:
    process = start_python(WORKER)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    os.kill(worker, signal.SIGTERM)
    assert [process.stdout.readline() for _ in range(4)] == ["still here\n"] * 4
    os.kill(worker, signal.SIGTERM)
    *_, last = process.stdout.read().splitlines()
    assert last == str(128 + signal.SIGTERM)
