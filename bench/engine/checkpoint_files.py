"""Files of a checkpoint: shards, the state that lists them, the pointer to the newest one."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from bench.engine import shards
from bench.engine.engine import Losses
from bench.engine.world import World
from bench.run.errors import BenchError

POINTER, STATE = "latest.json", "state.json"


class TrainingCheckpointError(BenchError):
    """A checkpoint cannot be written, or an expected one is incomplete."""


@dataclass(frozen=True)
class ShardFile:
    """Name, size and SHA-256 of the file that one rank has written."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class CheckpointState:
    """Content of `state.json`: step, losses since the last point of the curve, shards."""

    step: int
    losses: Losses
    shards: list[ShardFile]

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file; `read_state` reads it back."""
        files = {s.file: {"bytes": s.bytes, "sha256": s.sha256} for s in self.shards}
        return {"step": self.step, "losses": asdict(self.losses), "files": files}


@dataclass(frozen=True)
class Pointer:
    """Content of `latest.json`: the folder of the newest checkpoint, the SHA-256 of its state."""

    name: str
    step: int
    sha256: str


def write_shard(folder: Path, world: World, content: dict[str, torch.Tensor]) -> ShardFile:
    """Write and flush this rank's shard; return its name, size and SHA-256."""
    path = folder / f"shard-{world.rank:05d}.safetensors"
    shards.write(path, content)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return ShardFile(path.name, path.stat().st_size, digest(path))


def check_size(folder: Path, shard: ShardFile) -> None:
    """Raise TrainingCheckpointError if a shard is missing or has another size."""
    path = folder / shard.file
    if not path.exists() or path.stat().st_size != shard.bytes:
        expected = f"expected a file of {shard.bytes} bytes, as {STATE} says"
        raise TrainingCheckpointError(f"{path}: {expected}")


def check_digest(path: Path, sha256: str) -> None:
    """Raise TrainingCheckpointError if a file is missing or has another SHA-256."""
    if not path.exists() or digest(path) != sha256:
        raise TrainingCheckpointError(f"{path}: expected a file with SHA-256 {sha256}")


def read_state(path: Path, sha256: str | None) -> CheckpointState:
    """Read `state.json`; raise TrainingCheckpointError if it is missing or damaged."""
    if sha256 is not None:
        check_digest(path, sha256)
    try:
        content = json.loads(path.read_text())
        shards = [ShardFile(file, **about) for file, about in content["files"].items()]
        return CheckpointState(content["step"], Losses(**content["losses"]), shards)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise TrainingCheckpointError(f"{path}: expected the state of a checkpoint") from error


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file and fsync it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_pointer(root: Path) -> Pointer | None:
    """Read `latest.json`; None if there is none."""
    try:
        return Pointer(**json.loads((root / POINTER).read_text()))
    except FileNotFoundError:
        return None
