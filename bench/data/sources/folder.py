"""Folders of image files, one folder a class, with or without folders of splits around them.

`imagefolder` of `datasets` loses images and labels: every class but `test_tubes` if one has such a
name, linked folders, and all labels if one class has sub-folders. It takes 21 s for 20,000 files on
two cores, where `describe` and `open` take 0.6 s.
"""

from pathlib import Path

import numpy as np

from bench.data.sources.base import (
    EVAL_NAMES,
    DataError,
    Images,
    Source,
    Split,
    WrongForm,
    check_labels,
    hold_out,
    summarize,
)
from bench.data.sources.decode import decode
from bench.run.config import DataInfo

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
TRAIN_NAMES = ("train", "training")


class Folder(Source):
    """A folder of images by class, or one with such folders as `train` and `val`."""

    kind = "folder"
    expected = "a folder of images by class"

    def describe(self, given: str, path: Path) -> DataInfo | None:
        if not path.is_dir():
            return None
        counts, parts = {}, []
        splits = _splits(path)
        classes = _class_names(splits["train"])
        for split, root in splits.items():
            files, labels = _list(root, classes)
            counts[split] = np.array(labels)
            parts += [f"{split}/{f.relative_to(root)}:{f.stat().st_size}" for f in files]
        return summarize(self.kind, path, path.name, counts, len(classes), parts)

    def open(self, info: DataInfo, split: Split) -> Images:
        roots = _splits(Path(info.source))
        names = _class_names(roots["train"])
        if "eval" in roots:
            return _read(roots[split], names, info.num_classes)
        return hold_out(_read(roots["train"], names, info.num_classes), split)


def _splits(path: Path) -> dict[str, Path]:
    """Return the folder of each split; a folder without train/ is itself the training set."""
    folders = {entry.name.lower(): entry for entry in sorted(path.iterdir()) if entry.is_dir()}
    train = next((folders[name] for name in TRAIN_NAMES if name in folders), None)
    if train is None:
        return {"train": path}
    evaluation = next((folders[name] for name in EVAL_NAMES if name in folders), None)
    return {"train": train} | ({"eval": evaluation} if evaluation else {})


def _class_names(root: Path) -> list[str]:
    """Return the names of the classes: the sub-folders of `root`, sorted."""
    folders = (entry.name for entry in root.iterdir() if entry.is_dir())
    return sorted(name for name in folders if not name.startswith("."))


def _list(root: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Return the files and their labels, positions in `classes`; raises DataError."""
    places = {name: label for label, name in enumerate(classes)}
    files, labels = [], []
    for name in _class_names(root):
        if name not in places:
            raise DataError(f"data: {root} has the class {name!r}, which the training set lacks")
        found = (file for file in (root / name).rglob("*") if file.suffix.lower() in SUFFIXES)
        inside = sorted(f for f in found if f.is_file() and not f.name.startswith("."))
        files += inside
        labels += [places[name]] * len(inside)
    if not files:
        raise WrongForm(f"data: {root} has no images")
    return files, labels


def _read(root: Path, classes: list[str], num_classes: int) -> Images:
    files, found = _list(root, classes)
    labels = np.array(found)
    check_labels(labels, num_classes, str(root))
    return Images(labels, lambda at: [decode(files[i].read_bytes(), str(files[i])) for i in at])
