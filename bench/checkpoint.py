"""Checkpoints that exist whole or not at all, and the pointer to the newest.

DeepSpeed writes its shards straight to their final names and publishes `latest` before all of
them exist. So every process saves into a temporary folder; when all have, the main process syncs
and renames it, and only then moves the project's own pointer.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import safetensors.torch

from bench.config import BenchError
from bench.engine import Engine, World
from results.files import write_whole

POINTER = "latest.json"


class CheckpointError(BenchError):
    """A checkpoint that should be there is not, or is not whole."""


def save(run_dir: Path, engine: Engine, world: World, step: int) -> None:
    """Saves `step` for all processes, which must all enter; the one before is then removed."""
    root = run_dir / "checkpoint"
    name = f"step-{step:08d}"
    temporary, final = root / f".{name}.tmp", root / name
    if world.is_main:
        shutil.rmtree(temporary, ignore_errors=True)
        root.mkdir(exist_ok=True)
    world.barrier()
    engine.save(temporary, {"scalebench": {"step": step}})
    world.barrier()
    if world.is_main:
        files = _sync(temporary)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        _sync_folder(root)
        pointer = json.dumps({"name": name, "step": step, "files": files})
        write_whole(root / POINTER, lambda file: file.write(pointer.encode()))
        _remove_all_but(root, name)
    world.barrier()


def resume(run_dir: Path, engine: Engine, world: World) -> int:
    """The step to go on from: 0 without a checkpoint, else the newest one's, which is loaded.

    Raises CheckpointError where the pointer names a folder that is not whole.
    """
    root = run_dir / "checkpoint"
    pointer = world.share(_read_pointer(root) if world.is_main else None)
    if pointer is None:
        return 0
    folder = root / pointer["name"]
    for file, size in pointer["files"].items():
        path = folder / file
        if not path.exists() or path.stat().st_size != size:
            raise CheckpointError(f"{path}: expected a file of {size} bytes, as {POINTER} says")
    state = engine.load(folder)["scalebench"]
    assert state["step"] == pointer["step"], "the pointer and the checkpoint disagree"
    return state["step"]


def write_weights(run_dir: Path, engine: Engine, world: World, metadata: dict[str, str]) -> None:
    """The trained network as `checkpoint/weights.safetensors`; then no shards are needed more."""
    weights = engine.weights()
    if not world.is_main:
        return
    root = run_dir / "checkpoint"
    content = safetensors.torch.save(weights, metadata=metadata)
    write_whole(root / "weights.safetensors", lambda file: file.write(content))
    (root / POINTER).unlink(missing_ok=True)
    _remove_all_but(root, None)


def _remove_all_but(root: Path, name: str | None) -> None:
    """Removes older checkpoints, and what saves left behind whose processes were killed."""
    for old in (*root.glob("step-*"), *root.glob(".*.tmp")):
        if old.is_file():
            old.unlink()
        elif old.name != name:
            shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> dict[str, int]:
    """Flushes every file of `folder` to the disk; their names and sizes."""
    sizes = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        sizes[path.name] = path.stat().st_size
    _sync_folder(folder)
    return sizes


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_pointer(root: Path) -> dict[str, Any] | None:
    try:
        return json.loads((root / POINTER).read_text())
    except FileNotFoundError:
        return None
