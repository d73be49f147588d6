"""Folders of studies: what counts as one, and which a pattern names."""

import glob
from pathlib import Path

from results.schema import ResultsError


class NotAStudy(ResultsError):
    """A path is not the folder of a study."""


def check_study(path: Path) -> Path:
    """Return `path` if it is the folder of a study; raise NotAStudy."""
    expected = "expected the folder of a study, as runs/<study>"
    if not path.is_dir():
        what = "which is a file" if path.exists() else "which does not exist"
        raise NotAStudy(f"given {path}, {what}; {expected}")
    if is_study(path):
        return path
    inside = sorted(found.parent.name for found in path.glob("*/study.json"))
    hint = f" (there are studies in it: {', '.join(inside)})" if inside else ""
    raise NotAStudy(f"given {path}, which has neither study.json nor runs; {expected}{hint}")


def is_study(folder: Path) -> bool:
    """Return whether a folder has a spec or runs."""
    has_spec = (folder / "study.json").is_file()
    return has_spec or any(any(folder.glob(f"*/{name}")) for name in ("config.json", "run.parquet"))


def matching(path: Path | str) -> list[Path]:
    """Return the studies that a pattern such as `runs/vit-*` names; any other path itself."""
    if not glob.has_magic(str(path)) or Path(path).exists():
        return [Path(path)]
    found = sorted(Path(one) for one in glob.glob(str(path)))  # noqa: PTH207 (absolute as well)
    studies = [one for one in found if one.is_dir() and is_study(one)]
    if not studies:
        raise NotAStudy(f"given {path}, which no study matches; expected runs/<study>")
    return studies
