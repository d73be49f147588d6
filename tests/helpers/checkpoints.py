"""Engines to be saved and resumed."""

from pathlib import Path

from torch import nn

from bench.engine import checkpoint
from bench.engine.engine import Engine
from bench.engine.world import World
from bench.run.config import RunConfig


def build(world: World) -> Engine:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    return Engine(model, RunConfig(model="linear", steps=1, batch_size=4), world)


def fill(engine: Engine, value: float) -> Engine:
    """The engine with all weights set to `value`, so that a checkpoint tells its step."""
    for parameter in engine._engine.module.parameters():
        parameter.data.fill_(value)
    return engine


def values(engine: Engine) -> set[float]:
    return {value for t in engine.weights().values() for value in t.flatten().tolist()}


def save(run_dir: Path, engine: Engine, world: World, step: int, keep: int = 1) -> None:
    checkpoint.save(run_dir / "checkpoint", engine, world, step, f"step-{step:08d}", keep=keep)


def names(run_dir: Path) -> set[str]:
    return {path.name for path in (run_dir / "checkpoint").iterdir()}
