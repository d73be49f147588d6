"""Where the initial weights of a run come from: another run, or a weights file. No torch."""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.run.config import Init, Run, read_run
from bench.run.errors import SettingError
from models.cost.macs import train_flops

# Folder of published weights that are named instead of given by their path.
WEIGHTS_FOLDER = "SCALESTUDY_WEIGHTS"
SUFFIXES = (".safetensors", ".npz")
WEIGHTS = Path("checkpoint") / "weights.safetensors"


@dataclass(frozen=True)
class Inits:
    """Finds initial weights: paths start at `base`, ids are those of runs in `study_dir`."""

    base: Path
    study_dir: Path | None = None

    def find(self, given: str) -> Init:
        """Return what `given` stands for; raise SettingError if there is no such run or file.

        It is the id of a run of this study, the folder of a run of another (whose weights need
        not exist yet), the path of a weights file, or the name of one in the folder
        $SCALESTUDY_WEIGHTS (`~/.cache/scalestudy`), without its suffix.
        """
        path = self.base / Path(given).expanduser()
        here = [] if self.study_dir is None or "/" in given else [self.study_dir / given]
        for folder in (path, *here):
            if (folder / "config.json").is_file():
                return self.of_run(read_run(folder), folder.resolve())
        home = Path(os.environ.get(WEIGHTS_FOLDER) or "~/.cache/scalestudy").expanduser()
        for file in (path, *(home / f"{given}{suffix}" for suffix in SUFFIXES)):
            if file.is_file():
                return _of_file(file.resolve())
        raise SettingError(
            f"init: {given} does not exist, expected a run's id or folder, a weights file, or the "
            f"name of one in {home}"
        )

    def of_run(self, run: Run, folder: Path | None = None) -> Init:
        """Return the weights of a run in `folder`, by default in the folder of this study."""
        is_here = folder is None or (
            self.study_dir is not None and folder.parent == self.study_dir.resolve()
        )
        root = Path("..") / run.run_id if is_here else folder
        assert root is not None
        before = run.init
        spent = train_flops(run.cost.forward_macs, run.examples_seen)
        return Init(
            source=str(root / WEIGHTS),
            name=run.name,
            digest=run.run_id,
            run_id=run.run_id,
            data=run.data.fingerprint,
            flops=_with(before, before and before.flops, spent),
            examples_seen=_with(before, before and before.examples_seen, run.examples_seen),
        )


def _of_file(path: Path) -> Init:
    about = path.stat()
    digest = _digest(path, about.st_size, about.st_mtime_ns)
    return Init(source=str(path), name=f"{path.name}-{digest[:8]}", digest=digest)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed_at: int) -> str:
    """Return the SHA-256 of a file; size and date only make the cached value outdated."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with(before: Init | None, already: Any, own: Any) -> Any:
    """Return a run's own amount with that of the weights it started from; None if unknown."""
    if before is None:
        return own
    return None if already is None or own is None else already + own
