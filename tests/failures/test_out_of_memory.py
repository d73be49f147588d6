"""A run that really runs out of memory goes on with half of the micro-batch, down to one image."""

from pathlib import Path
from typing import Any

import pytest

from bench.run.config import read_run
from bench.run.memory import training_memory
from bench.run.micro_batch import clamp_micro_batch
from bench.training.loop import train
from tests.helpers.processes import Start
from tests.helpers.runs import read_all, row_of, write_run

BATCH_SIZE, STEPS = 256, 2

# In its first step, and if that fails after it, the process gets only so much more memory.
LIMITED = """
import resource, sys
from pathlib import Path
import psutil
import bench.training.loop as job
from bench.engine.engine import Engine

run_dir, granted = Path(sys.argv[1]), int(sys.argv[2])
step = Engine.train_step

def train_step(engine, *given, **more):
    Engine.train_step = step
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + granted, resource.RLIM_INFINITY))
    step(engine, *given, **more)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

Engine.train_step = train_step
job.train(run_dir)
"""


def write(study: Path, batch_size: int = BATCH_SIZE) -> Path:
    engine = {"heartbeat_seconds": 0.01, "eval_batch_size": 64, "log_steps": 1}
    return write_run(study, engine, image_size=32, steps=STEPS, batch_size=batch_size)


def needed_bytes(run_dir: Path, micro_batch_size: int) -> int:
    """By the arithmetic of `plan`: what a step takes at its peak."""
    config = clamp_micro_batch(read_run(run_dir).config, 1, micro_batch_size)
    return training_memory(config, image_size=32, num_classes=10, num_devices=1).peak_bytes


def start(start_python: Start, run_dir: Path, granted: int) -> int:
    """Makes an attempt; its exit status."""
    process = start_python(LIMITED, run_dir, granted)
    process.communicate(timeout=240)
    return process.returncode


def attempts(run_dir: Path) -> list[tuple[Any, ...]]:
    rows = read_all(run_dir / "attempts")
    return [(row["ended"], row["micro_batch_size"], row["to_examples"]) for row in rows]


def test_a_run_without_memory_goes_on_with_half_of_its_micro_batch(
    tmp_path: Path, start_python: Start
) -> None:
    whole, run_dir = write(tmp_path / "whole"), write(tmp_path / "limited")
    granted = needed_bytes(run_dir, 256) * 9 // 10
    tries = 1
    while start(start_python, run_dir, granted):
        tries += 1
        assert tries < 6, attempts(run_dir)
    print(f"{granted / 1e6:.0f} MB for a step: {attempts(run_dir)}")
    # How far it must go depends on what the C library wastes; each time it is one half.
    sizes = [BATCH_SIZE >> number for number in range(tries)]
    expected = [("out_of_memory", size, 0) for size in sizes[:-1]]
    assert attempts(run_dir) == [*expected, ("done", sizes[-1], STEPS * BATCH_SIZE)]
    assert tries > 1

    train(whole)
    for a, b in zip(read_all(run_dir / "curve"), read_all(whole / "curve"), strict=True):
        assert (a["step"], a["examples_seen"]) == (b["step"], b["examples_seen"])
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
    assert row_of(run_dir)["loss"] == pytest.approx(row_of(whole)["loss"], rel=1e-4)
