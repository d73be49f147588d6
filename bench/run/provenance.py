"""Record which code ran, with which libraries."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "bench", "sweeps", "results")
# Beside a copy of the code: the commit and hash it was made from.
ORIGIN = "origin.json"


@lru_cache(maxsize=1)
def software() -> dict[str, Any]:
    """Return `git_commit`, `git_dirty`, `code_hash`, `torch_version` and `deepspeed_version`."""
    return {
        **_origin(),
        "torch_version": _version("torch"),
        "deepspeed_version": _version("deepspeed"),
    }


def read_code(root: Path, names: Iterable[str] = PACKAGES) -> dict[str, bytes]:
    """Return every file of the packages `names` below `root` but caches, by its relative path.

    By default those are the four packages, of which the wheel holds the same files; a name may
    also be that of a single file. Hidden files and folders count as caches.
    """
    found: dict[str, bytes] = {}
    for name in names:
        if (root / name).is_file():
            found[name] = (root / name).read_bytes()
        for folder, inner, files in os.walk(root / name):
            inner[:] = [one for one in inner if not _is_cache(one)]
            paths = [Path(folder, one) for one in files if not _is_cache(one)]
            found |= {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    return dict(sorted(found.items()))


def _is_cache(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__" or name.endswith(".pyc")


def python_path(folder: Path, others: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables with which a Python process imports the packages in `folder`.

    They come before everything else, `others` after them. Without PYTHONSAFEPATH the folder that
    `python -m` is started in would come first.
    """
    return {"PYTHONPATH": os.pathsep.join([str(folder), *others]), "PYTHONSAFEPATH": "1"}


def code_hash(files: Mapping[str, bytes]) -> str:
    """Return 12 hex digits of a SHA-256 over the names and contents of files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]


def changes() -> str:
    """Return the changes since the commit, new files included, as a patch for `git apply`."""
    patch = _git("diff", "HEAD", "--binary") or ""
    new = _git("ls-files", "--others", "--exclude-standard", "--", *PACKAGES) or ""
    for name in new.splitlines():
        patch += _git("diff", "--binary", "--no-index", "--", "/dev/null", name, differs=True) or ""
    return patch


def _origin() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((ROOT / ORIGIN).read_text())
        return found
    except FileNotFoundError:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return {
            "git_commit": None if commit is None else commit.strip(),
            "git_dirty": None if commit is None or changed is None else bool(changed),
            "code_hash": code_hash(read_code(ROOT)),
        }


def _git(*arguments: str, differs: bool = False) -> str | None:
    """Return git's output for the folder of this code; None outside a checkout.

    With `differs`, exit status 1 of `git diff --no-index` counts as success: the files differ.
    """
    if not (ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace") if done.returncode in (0, int(differs)) else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
