"""Checkpoints that exist whole or not at all, and the pointer to the newest.

DeepSpeed writes its shards straight to their final names, publishes `latest` before all of them
exist, and unpickles what it reads. So every process writes its shard into a temporary folder,
flushes it and reads it back; when all have, the main process renames the folder, and only then
moves the project's own pointer. Any number of processes can go on from it (`shards.py`).
"""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch

from bench.engine import shards
from bench.engine.engine import Engine, World
from bench.run.config import EngineConfig
from bench.run.errors import BenchError
from results.ledger.files import write_bytes, write_json

POINTER, STATE = "latest.json", "state.json"
# Beyond the tensors: headers of shards and the state.
SPARE_BYTES = 1_000_000

T = TypeVar("T")

log = logging.getLogger("scalestudy")


class CheckpointError(BenchError):
    """A checkpoint cannot be written, or one that should be there is not whole."""


class Checkpoints:
    """When a run saves, and what it keeps. The processes must call each method equally often."""

    def __init__(
        self, run_dir: Path, config: EngineConfig, engine: Engine, world: World, step: int = 0
    ) -> None:
        self._root, self._config = run_dir / "checkpoint", config
        self._engine, self._world = engine, world
        self._saved_at = time.monotonic()
        self.save_seconds, self.last_step = 0.0, step

    def is_due(self, step: int, *, may_ask: bool) -> bool:
        """Whether to save after `step`; the time is asked for where `may_ask`, it costs a round."""
        every = self._config.checkpoint_steps
        if self._is_milestone(step) or (every and step % every == 0):
            return True
        passed = time.monotonic() - self._saved_at
        return may_ask and self._world.share(passed > self._config.checkpoint_seconds)

    def save(self, step: int) -> None:
        """Saves `step`; the old ones go when the new one is complete, milestones stay."""
        started = time.monotonic()
        name = f"{'milestone' if self._is_milestone(step) else 'step'}-{step:08d}"
        save(self._root, self._engine, self._world, step, name, keep=self._config.keep_checkpoints)
        self._saved_at = time.monotonic()
        self.save_seconds, self.last_step = self._saved_at - started, step

    def _is_milestone(self, step: int) -> bool:
        asked = self._config.milestones
        if isinstance(asked, int):
            return step % asked == 0
        return step in (asked or ())


def save(root: Path, engine: Engine, world: World, step: int, name: str, *, keep: int = 1) -> None:
    """Saves `step` as the folder `name`, for all processes, which must all enter.

    Raises CheckpointError on all of them where one cannot write; what was there before stays.
    """
    temporary = root / f".{name}.tmp"
    content = engine.shard()
    losses = engine.losses()
    num_bytes = sum(world.gather(sum(tensor.nbytes for tensor in content.values())))

    def prepare() -> None:
        root.mkdir(exist_ok=True)
        _remove_leftovers(root)
        free = shutil.disk_usage(root).free
        if free < num_bytes + SPARE_BYTES:
            raise CheckpointError(f"{num_bytes + SPARE_BYTES} bytes are needed, {free} are free")
        temporary.mkdir()

    def publish() -> None:
        state = {"step": step, "losses": losses, "files": files}
        _write_flushed(temporary / STATE, json.dumps(state).encode())
        _sync_folder(temporary)
        for file, about in files.items():
            _check_size(temporary / file, about["bytes"])
        if (root / name).exists():
            (root / name).rename(root / f".{name}.old.tmp")
        temporary.rename(root / name)
        _sync_folder(root)
        pointer = {"name": name, "step": step, "sha256": _digest(root / name / STATE)}
        write_json(root / POINTER, pointer)
        _remove_old(root, name, keep)

    try:
        _together(world, prepare if world.is_main else None)
        written = _together(world, lambda: _write_shard(temporary, world, content))
        files = {about.pop("file"): about for about in written}
        _together(world, publish if world.is_main else None)
    except CheckpointError as error:
        raise CheckpointError(
            f"{root / name}: not saved, what was before stays: {error}"
        ) from error


def resume(run_dir: Path, engine: Engine, world: World) -> int:
    """The step to go on from: 0 without a checkpoint, else the newest one's, which is loaded.

    That is the pointer's; where it is not whole, or is gone, the newest other one that is. Raises
    CheckpointError, which names all that are not whole, where none is.
    """
    root = run_dir / "checkpoint"
    wanted = world.share(_candidates(root) if world.is_main else None)
    complaints = []
    for folder, sha256 in wanted:
        try:
            return _load(folder, sha256, engine, world)
        except CheckpointError as error:
            complaints.append(str(error))
            log.warning("%s: not whole: %s", folder, error)
    if complaints:
        raise CheckpointError("; ".join(complaints))
    return 0


def _candidates(root: Path) -> list[tuple[Path, str | None]]:
    """Folders to go on from, the best first, with the SHA-256 of its state where that is known."""
    pointer = _read_pointer(root)
    named = [(root / pointer["name"], pointer["sha256"])] if pointer else []
    others = [path for kind in ("step", "milestone") for path in root.glob(f"{kind}-*")]
    others = [path for path in others if not pointer or path.name != pointer["name"]]
    newest_first = sorted(others, key=lambda path: path.name.partition("-")[2], reverse=True)
    return [*named, *((path, None) for path in newest_first)]


def _load(folder: Path, sha256: str | None, engine: Engine, world: World) -> int:
    """The step of a checkpoint, which all processes check and load; raises CheckpointError."""
    (state, *_) = _together(world, lambda: _read_state(folder / STATE, sha256))
    files = list(state["files"].items())

    def check() -> None:
        for number, (file, about) in enumerate(files):
            _check_size(folder / file, about["bytes"])
            if number % world.size == world.rank:
                _check(folder / file, about)

    _together(world, check)
    engine.load([folder / file for file, _ in files], state["step"], state["losses"])
    return state["step"]


def check_room(run_dir: Path, num_params: int) -> None:
    """Raises CheckpointError where two checkpoints of fp32 weights and moments have no room."""
    needed, free = 2 * 3 * 4 * num_params, shutil.disk_usage(run_dir).free
    if free < needed:
        raise CheckpointError(
            f"{run_dir}: two checkpoints need {needed} bytes, {free} are free on its disk"
        )


def write_weights(run_dir: Path, engine: Engine, world: World, metadata: dict[str, str]) -> None:
    """The trained network as `checkpoint/weights.safetensors`."""
    weights = engine.weights()
    if not world.is_main:
        return
    root = run_dir / "checkpoint"
    content = safetensors.torch.save(weights, metadata=metadata)
    write_bytes(root / "weights.safetensors", content)


def remove(run_dir: Path) -> None:
    """Removes what a finished run needs no more: all checkpoints but milestones and weights."""
    root = run_dir / "checkpoint"
    (root / POINTER).unlink(missing_ok=True)
    _remove_old(root, None, 0)


def _together(world: World, work: Callable[[], T] | None) -> list[T]:
    """What `work` gives on each process; where it fails on one, all raise CheckpointError."""
    found, complaint = None, None
    try:
        found = work() if work else None
    except (BenchError, OSError, safetensors.SafetensorError) as error:
        where = f"process {world.rank}: " if world.size > 1 else ""
        complaint = f"{where}{error}"
    outcomes = world.gather((found, complaint))
    for _, complaint in outcomes:
        if complaint:
            raise CheckpointError(complaint)
    return [found for found, _ in outcomes]


def _write_shard(folder: Path, world: World, content: dict[str, Any]) -> dict[str, Any]:
    """Writes this process's shard, flushed and read back; its name, size and SHA-256."""
    path = folder / f"shard-{world.rank:05d}.safetensors"
    shards.write(path, content)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": _digest(path)}


def _check_size(path: Path, num_bytes: int) -> None:
    if not path.exists() or path.stat().st_size != num_bytes:
        raise CheckpointError(f"{path}: expected a file of {num_bytes} bytes, as {STATE} says")


def _check(path: Path, about: dict[str, Any]) -> None:
    if not path.exists() or _digest(path) != about["sha256"]:
        raise CheckpointError(f"{path}: expected a file with SHA-256 {about['sha256']}")


def _read_state(path: Path, sha256: str | None) -> dict[str, Any]:
    if sha256 is not None:
        _check(path, {"sha256": sha256})
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise CheckpointError(f"{path}: expected the state of a checkpoint") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_leftovers(root: Path) -> None:
    """Removes what saves left behind whose processes were killed."""
    for old in root.glob(".*.tmp"):
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def _remove_old(root: Path, name: str | None, keep: int) -> None:
    """Removes all but the `keep` newest checkpoints, of which `name` is one; no milestone."""
    others = sorted((old for old in root.glob("step-*") if old.name != name), reverse=True)
    for old in others[max(0, keep - 1) :] if name else others:
        # Renamed first, so that no reader takes what is half gone for a checkpoint.
        shutil.rmtree(old.rename(root / f".{old.name}.old.tmp"), ignore_errors=True)
    _remove_leftovers(root)


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
