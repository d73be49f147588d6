"""Every second of a run is charged to what it was spent on; only training becomes device-days.

A whole run, preempted and resumed, under a clock that stands still but where a part of the run is
entered: each part then takes an exact number of seconds.
"""

import os
import signal
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from bench.engine import checkpoint
from bench.engine.engine import Engine
from bench.run import seeds
from bench.run.config import read_run
from bench.training import clock, loop, schedule
from bench.training.signals import Stopped
from tests.helpers.runs import BATCH_SIZE, STEPS, read_all, row_of, write_run

# Seconds of a call: powers of two, so that a sum tells what is in it.
LOAD, BUILD, RESUME, STEP, SAVE, EVALUATE, WEIGHTS = (2.0**n for n in (4, 6, 8, 10, 15, 17, 19))
PREEMPTED_AFTER = 5


class Hand:
    """The hand of a clock, moved by what takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def slow(
        self,
        monkeypatch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        seconds: float,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Let each call of a function take so many seconds, `before` called first."""
        function = getattr(owner, name)

        def slowed(*arguments: Any, **options: Any) -> Any:
            before()
            self.now += seconds
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, slowed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """The folder of the run, and the seed that each step's random numbers came from."""
    run_dir = write_run(tmp_path_factory.mktemp("study"), {"milestones": [3], "log_steps": 4})
    hand, step_seeds = Hand(), list[int]()

    def preempt() -> None:
        step_seeds.append(torch.initial_seed())
        if len(step_seeds) == PREEMPTED_AFTER:
            os.kill(os.getpid(), signal.SIGUSR2)

    with pytest.MonkeyPatch.context() as patch:
        born = psutil.Process().create_time()
        still = types.SimpleNamespace(monotonic=lambda: hand.now, time=lambda: born)
        patch.setattr(clock, "time", still)
        hand.slow(patch, loop, "load", LOAD)
        hand.slow(patch, Engine, "__init__", BUILD)
        hand.slow(patch, checkpoint, "resume", RESUME)
        hand.slow(patch, Engine, "train_step", STEP, preempt)
        hand.slow(patch, checkpoint, "save", SAVE)
        hand.slow(patch, loop, "evaluate", EVALUATE)
        hand.slow(patch, checkpoint, "write_weights", WEIGHTS)
        with pytest.raises(Stopped):
            loop.train(run_dir)
        loop.train(run_dir)
    return run_dir, step_seeds


def test_each_part_of_an_attempt_is_charged_to_its_kind(trained: tuple[Path, list[int]]) -> None:
    run_dir, _ = trained
    first, second = read_all(run_dir / "attempts")
    assert [first["ended"], second["ended"]] == ["preempted", "done"]
    charged = [
        {kind: row[f"{kind}_seconds"] for kind in ("startup", "train", "checkpoint", "eval")}
        for row in (first, second)
    ]
    assert charged[0] == {
        "startup": LOAD + BUILD + RESUME,
        "train": PREEMPTED_AFTER * STEP,
        "checkpoint": 2 * SAVE,  # the milestone, and the one that the warning asked for
        "eval": 0.0,
    }
    assert charged[1] == {
        "startup": LOAD + BUILD + RESUME,
        "train": (STEPS - PREEMPTED_AFTER) * STEP,
        "checkpoint": WEIGHTS,
        "eval": LOAD + EVALUATE,
    }


def test_only_training_becomes_device_days_and_speed(trained: tuple[Path, list[int]]) -> None:
    row = row_of(trained[0])
    assert row["train_seconds"] == STEPS * STEP
    assert row["accelerator_days"] == STEPS * STEP / 86_400
    assert row["images_per_second"] == BATCH_SIZE / STEP
    curve = read_all(trained[0] / "curve")
    assert [(point["step"], point["train_seconds"]) for point in curve] == [
        (step, step * STEP) for step in (4, 8, 12)
    ]
    assert {point["images_per_second"] for point in curve} == {BATCH_SIZE / STEP}


def test_each_step_draws_from_a_seed_of_its_own(trained: tuple[Path, list[int]]) -> None:
    run_dir, found = trained
    run_id = read_run(run_dir).run_id
    # Attempts do not matter: the second one goes on after the last step of the first.
    assert found == [seeds.derive(0, run_id, "dropout", step, 0) for step in range(STEPS)]
    assert len(set(found)) == STEPS


def test_the_curve_has_the_rate_of_its_step(trained: tuple[Path, list[int]]) -> None:
    run = read_run(trained[0])
    for point in read_all(trained[0] / "curve"):
        # Of the step that led to the point: the first step is number 0.
        assert point["lr"] == schedule.lr(point["step"] - 1, STEPS, run.config.recipe)
