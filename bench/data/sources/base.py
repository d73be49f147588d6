"""The interface of a data source, and what sources share: splits, labels, fingerprints."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from bench.data.subsets import held_out
from bench.run.config import DataInfo
from bench.run.errors import BenchError

Image = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Split = Literal["train", "eval"]

HOLD_OUT_EVERY = 10
# Folders and files of the evaluation split begin with one of these, the first found is taken.
EVAL_NAMES = ("validation", "valid", "val", "test", "testing")


class DataError(BenchError):
    """A data source is missing, unreadable or not of the expected form."""


class WrongForm(DataError):
    """A data source that no kind of source can read; `describe` adds what is expected."""


@dataclass(frozen=True)
class Images:
    """One split of a source: `labels` (N,) and a reader of images by position.

    `read(indices)` gives RGB images (H, W, 3), uint8, each of its own size.
    """

    labels: Labels
    read: Callable[[Sequence[int]], list[Image]]

    def __len__(self) -> int:
        return len(self.labels)


class Source(Protocol):
    """A kind of data source: finds out what a data set holds, and opens its splits.

    `kind` names it in the registry and in a run's config, `expected` says in help and in errors
    what a person may write to get it, and `names` are data sets that are known by name instead of
    by path.
    """

    kind: str
    expected: str
    names: tuple[str, ...] = ()

    def describe(self, given: str, path: Path) -> DataInfo | None:
        """Return what the data set holds, or None if it is not of this kind.

        `given` is the text of the spec, `path` the absolute path that it stands for, which need
        not exist. Raises DataError if the data set is of this kind but cannot be used.
        """

    def open(self, info: DataInfo, split: Split) -> Images:
        """Return one split of a data set that this source has described; raises DataError."""


def hold_out(images: Images, split: Split, every: int = HOLD_OUT_EVERY) -> Images:
    """Return one split of a data set without an evaluation split: one image in `every` a class."""
    mask = held_out(images.labels, every)
    chosen = np.flatnonzero(mask if split == "eval" else ~mask)
    return Images(images.labels[chosen], lambda at: images.read(chosen[list(at)].tolist()))


def count_held_out(labels: Labels, every: int = HOLD_OUT_EVERY) -> tuple[int, int]:
    """Return the sizes of the training and the evaluation split that `hold_out` makes."""
    num_eval = int(held_out(labels, every).sum())
    return len(labels) - num_eval, num_eval


def check_labels(labels: Labels, num_classes: int, where: str) -> None:
    """Raise DataError where a label is not one of 0 to `num_classes` - 1."""
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"data: {where} has label {wrong}, expected 0 to {num_classes - 1}")


def summarize(
    kind: str,
    path: Path,
    name: str,
    labels: dict[str, Labels],
    num_classes: int,
    parts: list[str],
) -> DataInfo:
    """Return the description of a data set from the labels of its splits.

    Without labels of "eval", one image in ten is held out. The fingerprint is a hash of `parts`,
    one text a file, in any order. Raises DataError where a split is empty.
    """
    if "eval" in labels:
        num_train, num_eval = len(labels["train"]), len(labels["eval"])
    else:
        num_train, num_eval = count_held_out(labels["train"])
    if not (num_train and num_eval):
        raise DataError(f"data: {path} has {num_train} training and {num_eval} evaluation images")
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".-_") or "data"
    return DataInfo(
        name=safe,
        source=str(path),
        kind=kind,
        num_train=num_train,
        num_eval=num_eval,
        num_classes=num_classes,
        fingerprint=hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16],
    )
