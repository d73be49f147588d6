"""Small runs on random images, and what they leave on disk."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from safetensors.torch import load_file

from bench.data import sources
from bench.run.config import (
    EngineConfig,
    Run,
    RunConfig,
)
from results.ledger import parquet

STEPS, BATCH_SIZE = 12, 32


# Whatever draws random numbers must draw the same after an interruption.
RANDOM: dict[str, Any] = {"augment": "crop_flip", "model_options": {"dropout": 0.2}}


def write_run(study: Path, engine: dict[str, Any] | None = None, **changes: Any) -> Path:
    """The folder of a run of twelve steps on the digits."""
    source = changes.pop("data", "digits")
    config = {"model": "vit_nano2", "data": source, "steps": STEPS, "batch_size": BATCH_SIZE}
    config |= {"engine": EngineConfig(**(engine or {"log_steps": 2}))} | changes
    run = Run(study=study.name, config=RunConfig(**config), data=sources.describe(source, study))
    run_dir = study / run.run_id
    run_dir.mkdir(parents=True)
    (run_dir / "config.json").write_text(run.model_dump_json())
    return run_dir


def weights(run_dir: Path) -> dict[str, bytes]:
    """Each tensor's bytes; the order of the file's metadata is not fixed."""
    found = load_file(run_dir / "checkpoint" / "weights.safetensors")
    return {name: value.numpy().tobytes() for name, value in found.items()}


def row_of(run_dir: Path) -> dict[str, Any]:
    (row,) = parquet.read_rows(run_dir / "run.parquet")
    return row


def read_all(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in parquet.read_rows(path)]


def same_run(run_dir: Path, other: Path) -> None:
    """To the last bit: weights, losses along the way, accuracy."""
    assert weights(run_dir) == weights(other)
    for name in ("loss", "top1_accuracy", "top5_accuracy"):
        assert row_of(run_dir)[name] == row_of(other)[name]
    curves = [read_all(path / "curve") for path in (run_dir, other)]
    for name in ("step", "loss", "lr", "grad_norm", "examples_seen"):
        assert [row[name] for row in curves[0]] == [row[name] for row in curves[1]]


def alive(value: object, variable: str = "MASTER_PORT") -> list[psutil.Process]:
    """Processes of the attempt, its loaders' workers included."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_there = process.status() != psutil.STATUS_ZOMBIE
            if is_there and process.environ().get(variable) == str(value):
                found.append(process)
    return found
