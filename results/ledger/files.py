"""Files that appear whole: written beside, flushed to the disk, renamed. Standard library only."""

import json
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def sync_folder(folder: Path) -> None:
    """Fsync a folder, which makes the names in it durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write_whole(path: Path | str, fill: Callable[[BinaryIO], object]) -> Path:
    """Write the file `path` atomically with what `fill` writes to its stream; return `path`.

    A reader sees the old file or the new one, never a part: the bytes go to a hidden `.tmp` file
    in the same folder, which is made if need be. When this returns, a power cut cannot undo it.
    Errors leave `path` as it was and no temporary file; an OSError of the disk names `path`.
    """
    path = Path(path)
    _make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("xb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)
    return path


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write `content` as `write_whole` does: whole, flushed, renamed."""
    return write_whole(path, lambda stream: stream.write(content))


def write_json(path: Path | str, value: object, indent: int | None = None) -> Path:
    """Write `value` as JSON, whole: see `write_whole`."""
    return write_bytes(path, json.dumps(value, indent=indent).encode())


def is_temporary(name: str) -> bool:
    """Whether a reader must pass over this file: hidden, or still being written."""
    return name.startswith(".") or name.endswith(".tmp")


def remove_abandoned(folder: Path, seconds: float = 3600.0) -> int:
    """Remove temporary files of killed writers older than `seconds`; return their number."""
    before, removed = time.time() - seconds, 0
    for path in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):  # its writer has just put it in its place
            if path.stat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed
