"""Save and resume training: atomic checkpoints and a pointer to the newest.

DeepSpeed writes its shards straight to their final names, publishes `latest` before all of them
exist, and unpickles what it reads. Here every rank writes its shard into a temporary folder,
flushes it and reads it back. Then rank 0 renames the folder, and only then moves the project's own
pointer. Training can resume with another world size (`shards.py`).
"""

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import safetensors.torch

from bench.engine.checkpoint_files import (
    POINTER,
    STATE,
    CheckpointState,
    Pointer,
    TrainingCheckpointError,
    check_digest,
    check_size,
    digest,
    read_pointer,
    read_state,
    write_flushed,
    write_shard,
)
from bench.engine.engine import Engine
from bench.engine.world import World
from bench.run.config import EngineConfig
from bench.run.errors import BenchError
from results.ledger.files import sync_folder, write_bytes, write_json

# Headers of shards and the state, beside the tensors.
SPARE_BYTES = 1_000_000

T = TypeVar("T")

log = logging.getLogger("scalestudy")


class Checkpoints:
    """Checkpoint schedule of a run. All ranks must call its methods equally often."""

    def __init__(
        self, run_dir: Path, config: EngineConfig, engine: Engine, world: World, step: int = 0
    ) -> None:
        self._root, self._config = run_dir / "checkpoint", config
        self._engine, self._world = engine, world
        self._saved_at = time.monotonic()
        self.save_seconds, self.last_step = 0.0, step

    def is_due(self, step: int, *, may_ask: bool) -> bool:
        """Return whether to save after `step`.

        The timer check is a broadcast, so it runs only if `may_ask`.
        """
        every = self._config.checkpoint_steps
        if self._is_milestone(step) or (every and step % every == 0):
            return True
        passed = time.monotonic() - self._saved_at
        return may_ask and self._world.broadcast(passed > self._config.checkpoint_seconds)

    def save(self, step: int) -> None:
        """Save `step`, then delete old checkpoints except milestones."""
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
    """Save `step` as the folder `name` (collective).

    Raises TrainingCheckpointError on all ranks if one cannot write; older checkpoints stay.
    """
    temporary = root / f".{name}.tmp"
    content = engine.shard()
    losses = engine.losses()
    num_bytes = sum(world.all_gather(sum(tensor.nbytes for tensor in content.values())))

    def prepare() -> None:
        root.mkdir(exist_ok=True)
        _remove_leftovers(root)
        free = shutil.disk_usage(root).free
        if free < num_bytes + SPARE_BYTES:
            raise TrainingCheckpointError(
                f"{num_bytes + SPARE_BYTES} bytes are needed, {free} are free"
            )
        temporary.mkdir()

    def publish() -> None:
        state = CheckpointState(step, losses, written)
        write_flushed(temporary / STATE, json.dumps(state.as_json()).encode())
        sync_folder(temporary)
        for shard in written:
            check_size(temporary, shard)
        if (root / name).exists():
            (root / name).rename(root / f".{name}.old.tmp")
        temporary.rename(root / name)
        sync_folder(root)
        pointer = Pointer(name, step, digest(root / name / STATE))
        write_json(root / POINTER, asdict(pointer))
        _remove_old(root, name, keep)

    try:
        _together(world, prepare if world.is_main else _nothing)
        written = _together(world, lambda: write_shard(temporary, world, content))
        _together(world, publish if world.is_main else _nothing)
    except TrainingCheckpointError as error:
        raise TrainingCheckpointError(
            f"{root / name}: not saved; older checkpoints are unchanged: {error}"
        ) from error


def resume(run_dir: Path, engine: Engine, world: World) -> int:
    """Load the newest complete checkpoint and return its step; 0 without any checkpoint.

    The checkpoint that the pointer names is tried first, then the rest, newest first. Raises
    TrainingCheckpointError, naming all incomplete ones, if there are only such.
    """
    root = run_dir / "checkpoint"
    wanted = world.broadcast(_candidates(root) if world.is_main else [])
    complaints = []
    for folder, sha256 in wanted:
        try:
            return _load(folder, sha256, engine, world)
        except TrainingCheckpointError as error:
            complaints.append(str(error))
            log.warning("%s: not whole: %s", folder, error)
    if complaints:
        raise TrainingCheckpointError("; ".join(complaints))
    return 0


def _candidates(root: Path) -> list[tuple[Path, str | None]]:
    """Return checkpoint folders in order of preference, with the SHA-256 of the state if known."""
    pointer = read_pointer(root)
    named: list[tuple[Path, str | None]] = []
    named += [(root / pointer.name, pointer.sha256)] if pointer else []
    others = [path for kind in ("step", "milestone") for path in root.glob(f"{kind}-*")]
    others = [path for path in others if not pointer or path.name != pointer.name]
    newest_first = sorted(others, key=lambda path: path.name.partition("-")[2], reverse=True)
    return [*named, *((path, None) for path in newest_first)]


def _load(folder: Path, sha256: str | None, engine: Engine, world: World) -> int:
    """Verify and load a checkpoint (collective) and return its step."""
    (state, *_) = _together(world, lambda: read_state(folder / STATE, sha256))

    def check() -> None:
        for number, shard in enumerate(state.shards):
            check_size(folder, shard)
            if number % world.size == world.rank:
                check_digest(folder / shard.file, shard.sha256)

    _together(world, check)
    engine.load([folder / shard.file for shard in state.shards], state.step, state.losses)
    return state.step


def check_room(run_dir: Path, num_params: int) -> None:
    """Raise TrainingCheckpointError unless two checkpoints with Adam's states fit on the disk."""
    needed, free = 2 * 3 * 4 * num_params, shutil.disk_usage(run_dir).free
    if free < needed:
        raise TrainingCheckpointError(
            f"{run_dir}: two checkpoints need {needed} bytes, {free} are free on its disk"
        )


def write_weights(run_dir: Path, engine: Engine, world: World, metadata: dict[str, str]) -> None:
    """Write the trained network to `checkpoint/weights.safetensors` (collective)."""
    weights = engine.weights()
    if not world.is_main:
        return
    root = run_dir / "checkpoint"
    content = safetensors.torch.save(weights, metadata=metadata)
    write_bytes(root / "weights.safetensors", content)


def remove(run_dir: Path) -> None:
    """Delete the checkpoints of a finished run, except milestones and the final weights."""
    root = run_dir / "checkpoint"
    (root / POINTER).unlink(missing_ok=True)
    _remove_old(root, None, 0)


def _together(world: World, work: Callable[[], T]) -> list[T]:
    """Return the results of `work` on all ranks; if it fails on one, raise on all of them."""
    outcome: tuple[list[T], str | None]
    try:
        outcome = [work()], None
    except (BenchError, OSError, safetensors.SafetensorError) as error:
        where = f"process {world.rank}: " if world.size > 1 else ""
        outcome = [], f"{where}{error}"
    outcomes = world.all_gather(outcome)
    for _, complaint in outcomes:
        if complaint:
            raise TrainingCheckpointError(complaint)
    return [result for results, _ in outcomes for result in results]


def _nothing() -> None:
    """Do nothing: the counterpart on other ranks of work done by rank 0."""


def _remove_leftovers(root: Path) -> None:
    """Delete temporary files of saves that were killed."""
    for old in root.glob(".*.tmp"):
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def _remove_old(root: Path, name: str | None, keep: int) -> None:
    """Delete all but the `keep` newest checkpoints, including `name`; milestones stay."""
    others = sorted((old for old in root.glob("step-*") if old.name != name), reverse=True)
    for old in others[max(0, keep - 1) :] if name else others:
        # Renamed first, so that no reader mistakes a half-deleted folder for a checkpoint.
        shutil.rmtree(old.rename(root / f".{old.name}.old.tmp"), ignore_errors=True)
    _remove_leftovers(root)
