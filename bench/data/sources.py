"""Images and labels from the sources a study can name. Imports no torch."""

import gzip
import hashlib
import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.data.subsets import held_out
from bench.run.config import DataInfo
from bench.run.errors import BenchError
from results.ledger import parquet
from results.schema import ResultsError

Image = npt.NDArray[np.uint8]
Split = Literal["train", "eval"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000
TRAIN_NAMES = ("train", "training")
EVAL_NAMES = ("validation", "valid", "val", "test", "testing")
EXPECTED = "'digits', a Parquet file or folder (image, label), or a folder of images by class"
HOLD_OUT_EVERY = 10
DIGITS_HOLD_OUT_EVERY = 5


class DataError(BenchError):
    """A data source is missing, unreadable or not of the expected form."""


@dataclass(frozen=True)
class Images:
    """One split of a source: `labels` (N,) and a reader of images by position.

    `read(indices)` gives RGB images (H, W, 3), uint8, each of its own size.
    """

    labels: npt.NDArray[np.int64]
    read: Callable[[Sequence[int]], list[Image]]

    def __len__(self) -> int:
        return len(self.labels)


def describe(source: str, base: Path | None = None) -> DataInfo:
    """What `source` holds: a name of a bundled set, or a path (relative to `base`).

    Raises DataError where it does not exist or has not the expected form.
    """
    if source == "digits":
        return _describe_digits()
    path = (base or Path.cwd()) / Path(source).expanduser()
    if not path.exists():
        raise DataError(f"data: {source} does not exist, expected {EXPECTED}")
    return _describe_path(path.resolve())


def load(info: DataInfo, split: Split) -> Images:
    """The images of one split; where the source has no evaluation split, one is held out.

    Held out is one image in ten of each class (one in five of the digits, which are few).
    Raises DataError.
    """
    if info.kind == "digits":
        return _split(_digits(), split, DIGITS_HOLD_OUT_EVERY)
    readers = _readers(info)
    if "eval" in readers:
        return readers[split]()
    return _split(readers["train"](), split, HOLD_OUT_EVERY)


def _readers(info: DataInfo) -> dict[str, Callable[[], Images]]:
    """What reads each split that the source has as such."""
    root, classes = Path(info.source), info.num_classes
    if info.kind == "parquet":
        files = _parquet_splits(root).items()
        return {split: partial(_read_parquet, members, classes) for split, members in files}
    folders = _folder_splits(root)
    names = _class_folders(folders["train"])
    return {s: partial(_read_folder, folder, names, classes) for s, folder in folders.items()}


def _split(images: Images, split: Split, every: int) -> Images:
    mask = held_out(images.labels, every)
    chosen = np.flatnonzero(mask if split == "eval" else ~mask)
    return Images(images.labels[chosen], lambda at: images.read(chosen[list(at)].tolist()))


def _count_split(labels: npt.NDArray[np.int64], every: int) -> tuple[int, int]:
    num_eval = int(held_out(labels, every).sum())
    return len(labels) - num_eval, num_eval


# --- the handwritten digits inside scikit-learn


@lru_cache(maxsize=1)
def _digits() -> Images:
    """1,797 images of 8 × 8 pixels with 17 grey levels (UCI optical recognition of digits)."""
    # Read as a file of the package: importing scikit-learn costs every job a second.
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("data: digits needs scikit-learn, which is not installed")
    path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    grey = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)  # (N, 8, 8, 3)
    return Images(table[:, -1].astype(np.int64), lambda at: [pixels[i] for i in at])


@lru_cache(maxsize=1)
def _describe_digits() -> DataInfo:
    num_train, num_eval = _count_split(_digits().labels, DIGITS_HOLD_OUT_EVERY)
    return DataInfo(
        name="digits",
        source="digits",
        kind="digits",
        num_train=num_train,
        num_eval=num_eval,
        num_classes=10,
        fingerprint="digits",
    )


# --- Parquet files and folders of images


@lru_cache(maxsize=64)
def _describe_path(path: Path) -> DataInfo:
    try:
        if path.is_file() or any(path.rglob("*.parquet")):
            return _describe_parquet(path)
    except ResultsError as error:
        raise DataError(f"data: {error}") from error
    return _describe_folder(path)


def _describe_parquet(path: Path) -> DataInfo:
    files = _parquet_splits(path)
    counts, classes, parts = {}, 0, []
    for split, members in files.items():
        labels = []
        for file in members:
            labels.append(parquet.image_labels(file))
            parts.append(f"{split}/{file.name}:{file.stat().st_size}:{len(labels[-1])}")
            classes = max(classes, len(parquet.class_names(file) or ()))
        together = np.concatenate(labels)
        counts[split] = together
        classes = max(classes, int(together.max(initial=-1)) + 1)
        _check_labels(together, classes, str(members[0]))
    name = path.stem if path.is_file() else path.name
    return _info(path, name, "parquet", counts, classes, parts)


def _describe_folder(path: Path) -> DataInfo:
    counts, parts = {}, []
    splits = _folder_splits(path)
    classes = _class_folders(splits["train"])
    for split, root in splits.items():
        files, labels = _list_folder(root, classes)
        counts[split] = np.array(labels)
        parts += [f"{split}/{f.relative_to(root)}:{f.stat().st_size}" for f in files]
    return _info(path, path.name, "folder", counts, len(classes), parts)


def _info(
    path: Path,
    name: str,
    kind: Literal["parquet", "folder"],
    labels: dict[str, npt.NDArray[np.int64]],
    num_classes: int,
    parts: list[str],
) -> DataInfo:
    if "eval" in labels:
        num_train, num_eval = len(labels["train"]), len(labels["eval"])
    else:
        num_train, num_eval = _count_split(labels["train"], HOLD_OUT_EVERY)
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


def _split_of(name: str) -> str | None:
    lower = name.lower()
    if lower.startswith("train"):
        return "train"
    return next((split for split in EVAL_NAMES if lower.startswith(split)), None)


def _parquet_splits(path: Path) -> dict[str, list[Path]]:
    """The files of each split, by the start of their names; a lone file is the training set."""
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


def _read_parquet(files: list[Path], num_classes: int) -> Images:
    import datasets

    datasets.disable_progress_bars()
    names = [str(file) for file in files]
    columns = ["image", "label"]
    table = datasets.load_dataset("parquet", data_files=names, split="train", columns=columns)
    table = table.cast_column("image", datasets.Image(decode=False))
    labels = np.asarray(table.with_format("numpy")["label"][:], dtype=np.int64)
    where = str(files[0]) + (f" to {files[-1].name}" if len(files) > 1 else "")
    _check_labels(labels, num_classes, where)

    def read(at: Sequence[int]) -> list[Image]:
        rows = zip(at, table[list(at)]["image"], strict=True)
        return [decode((row or {}).get("bytes"), f"row {i} of {where}") for i, row in rows]

    return Images(labels, read)


def _folder_splits(path: Path) -> dict[str, Path]:
    """The folder of each split; a folder without train/ is itself the training set."""
    folders = {entry.name.lower(): entry for entry in sorted(path.iterdir()) if entry.is_dir()}
    train = next((folders[name] for name in TRAIN_NAMES if name in folders), None)
    if train is None:
        return {"train": path}
    evaluation = next((folders[name] for name in EVAL_NAMES if name in folders), None)
    return {"train": train} | ({"eval": evaluation} if evaluation else {})


def _class_folders(root: Path) -> list[str]:
    """The names of the classes: the sub-folders of `root`, sorted."""
    folders = (entry.name for entry in root.iterdir() if entry.is_dir())
    return sorted(name for name in folders if not name.startswith("."))


def _list_folder(root: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Files and their labels, places in the training set's `classes`; raises DataError."""
    places = {name: label for label, name in enumerate(classes)}
    files, labels = [], []
    for name in _class_folders(root):
        if name not in places:
            raise DataError(f"data: {root} has the class {name!r}, which the training set lacks")
        found = (file for file in (root / name).rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        inside = sorted(f for f in found if f.is_file() and not f.name.startswith("."))
        files += inside
        labels += [places[name]] * len(inside)
    if not files:
        raise DataError(f"data: {root} holds no images, expected {EXPECTED}")
    return files, labels


def _read_folder(root: Path, classes: list[str], num_classes: int) -> Images:
    files, found = _list_folder(root, classes)
    labels = np.array(found)
    _check_labels(labels, num_classes, str(root))
    return Images(labels, lambda at: [decode(files[i].read_bytes(), str(files[i])) for i in at])


def _check_labels(labels: npt.NDArray[np.int64], num_classes: int, where: str) -> None:
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"data: {where} has label {wrong}, expected 0 to {num_classes - 1}")


def decode(content: bytes | None, where: str) -> Image:
    """The RGB pixels (H, W, 3) of a JPEG, PNG or WebP; raises DataError naming `where`."""
    import PIL.Image

    if content is None:
        raise DataError(f"data: {where} has no image, expected the bytes of one")
    try:
        with PIL.Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"data: {where} has {image.width} × {image.height} pixels, "
                    f"expected at most {MAX_PIXELS:,}"
                )
            # A copy, since torch wants arrays that it could write to.
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"data: {where} is no readable {'/'.join(IMAGE_FORMATS)} image") from error
