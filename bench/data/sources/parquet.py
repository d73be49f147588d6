"""Parquet files with the columns `image` and `label`, as the Hugging Face hub has them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.data.sources.base import (
    EVAL_NAMES,
    DataError,
    Image,
    Images,
    Source,
    Split,
    check_labels,
    hold_out,
    summarize,
)
from bench.data.sources.decode import decode
from bench.run.config import DataInfo
from results.ledger import parquet
from results.schema import ResultsError


class Parquet(Source):
    """One file, or a folder of files whose names begin with their split."""

    kind = "parquet"
    expected = "a Parquet file or folder (image, label)"

    def describe(self, given: str, path: Path) -> DataInfo | None:
        if not path.is_file() and not any(path.rglob("*.parquet")):
            return None
        try:
            return _describe(path)
        except ResultsError as error:
            raise DataError(f"data: {error}") from error

    def open(self, info: DataInfo, split: Split) -> Images:
        files = _splits(Path(info.source))
        if "eval" in files:
            return _read(files[split], info.num_classes)
        return hold_out(_read(files["train"], info.num_classes), split)


def _describe(path: Path) -> DataInfo:
    counts, classes, parts = {}, 0, []
    for split, members in _splits(path).items():
        labels = []
        for file in members:
            labels.append(parquet.image_labels(file))
            parts.append(f"{split}/{file.name}:{file.stat().st_size}:{len(labels[-1])}")
            classes = max(classes, len(parquet.class_names(file) or ()))
        together = np.concatenate(labels)
        counts[split] = together
        classes = max(classes, int(together.max(initial=-1)) + 1)
        check_labels(together, classes, str(members[0]))
    name = path.stem if path.is_file() else path.name
    return summarize(Parquet.kind, path, name, counts, classes, parts)


def _splits(path: Path) -> dict[str, list[Path]]:
    """Return the files of each split; a single file is the training set.

    The name of a file, or else of its folder, begins with its split's.
    """
    if path.is_file():
        return {"train": [path]}
    found: dict[str, list[Path]] = {}
    for file in sorted(path.rglob("*.parquet")):
        name = _split_of(file.stem) or _split_of(file.parent.name)
        if name:
            found.setdefault(name, []).append(file)
    if "train" not in found:
        raise DataError(f"data: {path} has no train*.parquet")
    splits = {"train": found["train"]}
    for name in EVAL_NAMES:
        if name in found:
            splits["eval"] = found[name]
            break
    return splits


def _split_of(name: str) -> str | None:
    lower = name.lower()
    if lower.startswith("train"):
        return "train"
    return next((split for split in EVAL_NAMES if lower.startswith(split)), None)


def _read(files: list[Path], num_classes: int) -> Images:
    import datasets

    datasets.disable_progress_bars()
    names = [str(file) for file in files]
    columns = ["image", "label"]
    table = datasets.load_dataset("parquet", data_files=names, split="train", columns=columns)
    table = table.cast_column("image", datasets.Image(decode=False))
    labels = np.asarray(table.with_format("numpy")["label"][:], dtype=np.int64)
    where = str(files[0]) + (f" to {files[-1].name}" if len(files) > 1 else "")
    check_labels(labels, num_classes, where)

    def read(at: Sequence[int]) -> list[Image]:
        rows = zip(at, table[list(at)]["image"], strict=True)
        return [decode((row or {}).get("bytes"), f"row {i} of {where}") for i, row in rows]

    return Images(labels, read)
