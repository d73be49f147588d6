"""Images and labels from the data sets that a study can name. Imports no torch."""

from functools import lru_cache, partial
from pathlib import Path

from bench.data.sources.base import (
    DataError,
    Image,
    Images,
    Source,
    Split,
    WrongForm,
    count_held_out,
    hold_out,
)
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
    "with_dev_split",
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
    if info.dev_every is None:
        return SOURCES[info.kind].open(info, split)
    return hold_out(SOURCES[info.kind].open(info, "train"), split, info.dev_every)


def with_dev_split(info: DataInfo, fraction: float) -> DataInfo:
    """Return a data set whose evaluation split is `fraction` of the training images of each class.

    One image in round(1 / fraction) is held out, the same ones whatever the seed. The evaluation
    split proper is not touched. Raises DataError if nothing is left on one side.
    """
    every = max(2, round(1 / fraction))
    num_train, num_eval = count_held_out(load(info, "train").labels, every)
    if not (num_train and num_eval):
        raise DataError(f"data: {info.name} is too small to hold out one image in {every}")
    changes = {"num_train": num_train, "num_eval": num_eval, "dev_every": every}
    fingerprint = f"{info.fingerprint}-dev{every}"
    return info.model_copy(update=changes | {"fingerprint": fingerprint})
