"""What is flushed to the disk, and in which order."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Flush:
    """An fsync of `path`: a file of `size` bytes at that moment, or a folder of these `names`."""

    path: Path
    size: int
    names: frozenset[str]


def record_flushes(monkeypatch: pytest.MonkeyPatch) -> list[Flush]:
    """Return a list to which every later os.fsync of this process is added."""
    found: list[Flush] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        names = frozenset(os.listdir(path)) if path.is_dir() else frozenset[str]()
        found.append(Flush(path, path.stat().st_size, names))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return found
