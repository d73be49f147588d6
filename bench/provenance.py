"""Which code ran, with which libraries."""

import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@lru_cache(maxsize=1)
def software() -> dict[str, Any]:
    """The columns `git_commit`, `git_dirty`, `torch_version`, `deepspeed_version`."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "git_commit": commit,
        "git_dirty": None if commit is None or changes is None else bool(changes),
        "torch_version": _version("torch"),
        "deepspeed_version": _version("deepspeed"),
    }


def _git(*arguments: str) -> str | None:
    """What git says of the folder this code lies in; None where it is no checkout."""
    if not (ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
