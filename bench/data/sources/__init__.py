"""Images and labels from the data sets that a study can name. Imports no torch."""

from functools import lru_cache, partial
from pathlib import Path

from bench.data.sources.base import DataError, Image, Images, Source, Split, WrongForm
from bench.data.sources.digits import Digits
from bench.data.sources.folder import Folder
from bench.data.sources.parquet import Parquet
from bench.run.config import DataInfo, Describe

__all__ = [
    "SOURCES",
    "DataError",
    "Image",
    "Images",
    "Source",
    "describe",
    "describe_from",
    "expected",
    "load",
    "names",
]

# By kind, from the most general to the most particular: the last that knows a data set reads it.
SOURCES: dict[str, Source] = {source.kind: source for source in (Folder(), Parquet(), Digits())}


def names() -> list[str]:
    """Return the data sets that are known by name, which no path takes the place of."""
    return [name for source in SOURCES.values() for name in source.names]


def expected() -> str:
    """Return what a person may write as `data`, one phrase a source."""
    *others, last = [source.expected for source in reversed(SOURCES.values())]
    return f"{', '.join(others)}, or {last}" if others else last


def describe(given: str, base: Path | None = None) -> DataInfo:
    """Return what a data set holds: a name, or a path (relative to `base`).

    Raises DataError if it does not exist or does not have the expected format.
    """
    return _describe(given, base or Path.cwd())


def describe_from(base: Path) -> Describe:
    """Return `describe` for paths relative to `base`."""
    return partial(describe, base=base)


@lru_cache(maxsize=64)
def _describe(given: str, base: Path) -> DataInfo:
    path = (base / Path(given).expanduser()).resolve()
    for source in reversed(SOURCES.values()):
        try:
            info = source.describe(given, path)
        except WrongForm as error:
            raise DataError(f"{error}, expected {expected()}") from error
        if info is not None:
            return info
    complaint = "is not of a form that can be read" if path.exists() else "does not exist"
    raise DataError(f"data: {given} {complaint}, expected {expected()}")


def load(info: DataInfo, split: Split) -> Images:
    """Return the images of one split; raises DataError.

    Where the data set has no evaluation split, one image in ten of each class is held out (one in
    five of the digits, which are few).
    """
    if info.kind not in SOURCES:
        raise DataError(
            f"data: kind {info.kind!r} is unknown, expected one of {', '.join(SOURCES)}"
        )
    return SOURCES[info.kind].open(info, split)
