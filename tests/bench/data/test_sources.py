"""Images and labels from every kind of source, and the errors for sources that are broken."""

import hashlib
import io
import json
import shutil
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.data import sources
from bench.data.sources import DataError, digits
from bench.data.sources.decode import decode

NAMES = ("cat", "dog", "eel")


def encode(value: int, kind: str = "PNG") -> bytes:
    """A file of 5 × 4 pixels of one color."""
    content = io.BytesIO()
    PIL.Image.new("RGB", (5, 4), (value, value, value)).save(content, kind, quality=100)
    return content.getvalue()


def write_parquet(
    path: Path,
    labels: Sequence[int | None],
    *,
    names: Sequence[str] = (),
    images: Sequence[Any] | None = None,
    columns: tuple[str, str] = ("image", "label"),
) -> Path:
    """A file as the Hugging Face hub has them; image i is of grey level i, unless given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if images is None:
        images = [{"bytes": encode(i), "path": f"{i}.png"} for i in range(len(labels))]
    table = pa.table(dict(zip(columns, (images, labels), strict=True)))
    if names:
        feature = {"names": list(names), "_type": "ClassLabel"}
        info = {"info": {"features": {"image": {"_type": "Image"}, "label": feature}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, path)
    return path


def write_folder(root: Path, counts: dict[str, int], first: int = 0) -> Path:
    """A folder of images by class; the images' grey levels count from `first`."""
    level = first
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            (root / name / f"{i}.png").write_bytes(encode(level))
            level += 1
    return root


def levels(images: sources.Images) -> list[int]:
    read = images.read(range(len(images)))
    assert all(image.shape == (4, 5, 3) and image.dtype == np.uint8 for image in read)
    return [int(image[0, 0, 0]) for image in read]


# --- digits


def test_digits_are_1797_images_in_two_disjoint_splits() -> None:
    info = sources.describe("digits")
    train, evaluation = sources.load(info, "train"), sources.load(info, "eval")
    assert (len(train), len(evaluation)) == (info.num_train, info.num_eval)
    assert len(train) + len(evaluation) == 1797
    # The test set of optdigits.names (UCI), which sums to 1797.
    sizes = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert np.bincount(evaluation.labels).tolist() == (sizes // 5).tolist()
    assert (np.bincount(train.labels) + np.bincount(evaluation.labels)).tolist() == sizes.tolist()
    # No image is in both: as multisets they are the whole set together.
    both = np.array(train.read(range(len(train))) + evaluation.read(range(len(evaluation))))
    assert both.shape == (1797, 8, 8, 3)
    everything = digits.read()
    whole = np.array(everything.read(range(1797)))
    assert sorted(map(bytes, both)) == sorted(map(bytes, whole))
    assert set(np.unique(whole)) == {round(level * 255 / 16) for level in range(17)}


# --- Parquet


def test_parquet_with_an_evaluation_file(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write_parquet(root / "data" / "train-00000-of-00002.parquet", [0, 1], names=NAMES)
    write_parquet(root / "data" / "train-00001-of-00002.parquet", [1, 0, 1], names=NAMES)
    write_parquet(root / "data" / "validation-00000-of-00001.parquet", [1, 0], names=NAMES)
    write_parquet(root / "data" / "test-00000-of-00001.parquet", [-1, -1], names=NAMES)
    info = sources.describe("pets", tmp_path)
    assert (info.name, info.kind, info.source) == ("pets", "parquet", str(root))
    # The third class is known by its name, though no image has it.
    assert (info.num_train, info.num_eval, info.num_classes) == (5, 2, 3)
    train = sources.load(info, "train")
    assert train.labels.tolist() == [0, 1, 1, 0, 1]
    assert levels(train) == [0, 1, 0, 1, 2]
    assert sources.load(info, "eval").labels.tolist() == [1, 0]


def test_parquet_without_an_evaluation_file_holds_one_image_in_ten_out(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets.parquet", [0, 1] * 10)
    info = sources.describe(str(path))
    assert (info.name, info.num_train, info.num_eval, info.num_classes) == ("pets", 18, 2, 2)
    # The tenth of each class: images 18 and 19.
    assert levels(sources.load(info, "eval")) == [18, 19]
    train = sources.load(info, "train")
    assert levels(train) == list(range(18))
    assert [int(image[0, 0, 0]) for image in train.read([7, 3])] == [7, 3]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"columns": ("img", "label")}, "column 'image' is missing; it has img, label"),
        ({"columns": ("image", "fine_label")}, "column 'label' is missing"),
        ({"images": ["a.png", "b.png"]}, "column 'image' is string, expected struct<bytes"),
        ({"labels": [0, None]}, "column 'label' has 1 nulls"),
        ({"labels": [0.5, 1.5]}, "column 'label' is double, expected whole numbers"),
        ({"labels": [0, -1]}, "has label -1, expected 0 to 0"),
    ],
)
def test_wrong_columns_are_refused(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    path = write_parquet(tmp_path / "pets.parquet", **({"labels": [0, 1]} | changes))
    with pytest.raises(DataError, match=r"data: .*pets\.parquet") as caught:
        sources.describe(str(path))
    assert expected in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets.parquet", [0, 1])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"pets\.parquet: expected a whole Parquet file"):
        sources.describe(str(path))


def test_parquet_files_without_a_training_file_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "pets" / "test.parquet", [0, 1])
    with pytest.raises(DataError, match=r"pets has no train\*\.parquet"):
        sources.describe("pets", tmp_path)


def test_labels_that_the_plan_did_not_foresee_are_refused(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "pets.parquet", [0, 2] * 10)
    info = sources.describe(str(path)).model_copy(update={"num_classes": 2})
    with pytest.raises(DataError, match=r"pets\.parquet has label 2, expected 0 to 1"):
        sources.load(info, "train")


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    images = [{"bytes": encode(i), "path": None} for i in range(20)]
    images[3] = {"bytes": encode(3)[:40], "path": None}
    path = write_parquet(tmp_path / "pets.parquet", [0, 1] * 10, images=images)
    train = sources.load(sources.describe(str(path)), "train")
    assert len(train.read([0, 1, 2])) == 3
    with pytest.raises(DataError, match=r"row 3 of .*pets\.parquet is not a readable"):
        train.read([2, 3])


# --- folders of images


def test_a_folder_by_class_without_splits(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", {"dog": 10, "cat": 20, ".cache": 1})
    info = sources.describe("pets", tmp_path)
    assert (info.kind, info.num_train, info.num_eval, info.num_classes) == ("folder", 27, 3, 2)
    evaluation = sources.load(info, "eval")
    assert evaluation.labels.tolist() == [0, 0, 1]  # classes are sorted by name: cat, dog
    assert sorted(levels(sources.load(info, "train")) + levels(evaluation)) == list(range(30))


def test_an_evaluation_folder_has_the_labels_of_the_training_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets" / "train", {"cat": 2, "dog": 3, "eel": 1})
    write_folder(tmp_path / "pets" / "val", {"eel": 1, "dog": 2}, first=100)
    info = sources.describe("pets", tmp_path)
    assert (info.num_train, info.num_eval, info.num_classes) == (6, 3, 3)
    evaluation = sources.load(info, "eval")
    assert evaluation.labels.tolist() == [1, 1, 2]
    assert levels(evaluation) == [101, 102, 100]


def test_an_evaluation_folder_with_a_class_of_its_own_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets" / "train", {"cat": 2, "dog": 3})
    write_folder(tmp_path / "pets" / "test", {"ant": 1, "dog": 2})
    with pytest.raises(DataError, match="test has the class 'ant', which the training set lacks"):
        sources.describe("pets", tmp_path)


def test_a_source_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist, expected 'digits', a Parquet"):
        sources.describe("nowhere", tmp_path)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="empty has no images"):
        sources.describe("empty", tmp_path)
    write_folder(tmp_path / "few", {"cat": 9})
    with pytest.raises(DataError, match="few has 9 training and 0 evaluation images"):
        sources.describe("few", tmp_path)


# --- what tells two sources apart


@pytest.mark.parametrize("kind", ["parquet", "folder"])
def test_the_fingerprint_ignores_where_the_source_lies(tmp_path: Path, kind: str) -> None:
    here = tmp_path / "here" / "pets"
    if kind == "parquet":
        write_parquet(here / "train.parquet", [0, 1])
        write_parquet(here / "test.parquet", [0, 1])
    else:
        write_folder(here, {"cat": 10, "dog": 10})
    shutil.copytree(here, tmp_path / "there" / "pets")
    first, second = (sources.describe(f"{place}/pets", tmp_path) for place in ("here", "there"))
    assert first.source != second.source
    assert first == second.model_copy(update={"source": first.source})


def test_the_fingerprint_changes_with_labels_names_and_counts(tmp_path: Path) -> None:
    folders = [
        {"cat": 10, "dog": 10},
        {"cat": 11, "dog": 9},
        {"cat": 10, "eel": 10},
        {"cat": 10, "dog": 11},
    ]
    for number, counts in enumerate(folders):
        write_folder(tmp_path / str(number) / "pets", counts)
    found = {sources.describe(f"{n}/pets", tmp_path).fingerprint for n in range(len(folders))}
    assert len(found) == len(folders)


# --- decoding


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_images_are_decoded_to_rgb(kind: str) -> None:
    image = decode(encode(90, kind), "here")
    assert image.shape == (4, 5, 3) and image.flags.writeable
    assert np.abs(image.astype(int) - 90).max() <= 2


def test_grey_and_transparent_images_are_rgb() -> None:
    for mode, color in (("L", 70), ("RGBA", (70, 70, 70, 0))):
        content = io.BytesIO()
        PIL.Image.new(mode, (5, 4), color).save(content, "PNG")
        assert np.all(decode(content.getvalue(), "here") == 70)


def chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png(width: int, height: int, rest: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + rest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no image",
        encode(1, "BMP"),
        encode(1, "GIF"),
        encode(1)[:-30],
        encode(1, "JPEG")[:200],
        png(5, 4, struct.pack(">I", 3) + b"\x00\x01\x02\x03abc" + bytes(4)),  # a name of no text
        png(20_000, 20_000, chunk(b"IDAT", zlib.compress(bytes(100)))),  # 400 million pixels
    ],
)
def test_everything_else_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(DataError, match=r"row 3 of x is not a readable JPEG/PNG/WEBP image"):
        decode(content, "row 3 of x")


def test_an_image_too_large_to_hold_is_refused() -> None:
    with pytest.raises(DataError, match=r"has 8000 × 8000 pixels, expected at most 50,000,000"):
        decode(png(8000, 8000, chunk(b"IDAT", zlib.compress(bytes(100)))), "here")


def test_the_fingerprint_is_a_hash_of_files_sizes_and_row_counts(tmp_path: Path) -> None:
    """Ids of runs depend on it: another way to make it would give every run a new id."""
    folder = tmp_path / "folder"
    write_folder(folder / "train", {"cat": 1, "dog": 1})
    write_folder(folder / "val", {"dog": 1})
    names = ("eval/dog/0.png", "train/cat/0.png", "train/dog/0.png")
    on_disk = [folder / name.replace("eval", "val") for name in names]
    parts = [f"{n}:{path.stat().st_size}" for n, path in zip(names, on_disk, strict=True)]
    assert sources.describe(str(folder)).fingerprint == digest(parts)

    files = tmp_path / "files"
    sizes = {
        name: write_parquet(files / f"{name}.parquet", [0, 1] * count).stat().st_size
        for name, count in (("test", 1), ("train", 2))
    }
    parts = [f"eval/test.parquet:{sizes['test']}:2", f"train/train.parquet:{sizes['train']}:4"]
    assert sources.describe(str(files)).fingerprint == digest(parts)


def digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def test_folders_are_told_apart_by_their_files(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "a", {"cat": 20, "dog": 20})
    assert sources.describe(str(first)) == sources.describe(str(first))
    copy = shutil.copytree(first, tmp_path / "copy" / "a")
    assert sources.describe(str(copy)).fingerprint == sources.describe(str(first)).fingerprint
    (first / "cat" / "0.png").rename(first / "cat" / "other.png")
    renamed = shutil.copytree(first, tmp_path / "renamed")
    assert sources.describe(str(renamed)).fingerprint != sources.describe(str(copy)).fingerprint
    (copy / "cat" / "0.png").write_bytes(encode(0, "JPEG"))
    again = shutil.copytree(copy, tmp_path / "again")
    assert sources.describe(str(again)).fingerprint != sources.describe(str(first)).fingerprint


def test_training_and_testing_are_splits_and_hidden_files_are_no_images(tmp_path: Path) -> None:
    write_folder(tmp_path / "training", {"cat": 3, "dog": 4})
    write_folder(tmp_path / "testing", {"cat": 1, "dog": 1})
    (tmp_path / "training" / "cat" / "._0.png").write_bytes(b"of a file manager")
    (tmp_path / "training" / "cat" / "folder.png").mkdir()
    info = sources.describe(str(tmp_path))
    assert (info.num_train, info.num_eval, info.num_classes) == (7, 2, 2)


def test_shards_may_have_further_columns(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train-0.parquet", [0, 1] * 10)
    path = write_parquet(tmp_path / "train-1.parquet", [0, 1] * 10)
    pq.write_table(pq.read_table(path).append_column("id", pa.array(range(20))), path)
    images = sources.load(sources.describe(str(tmp_path)), "train")
    assert len(images.labels) == 36


def test_a_row_without_an_image_is_named(tmp_path: Path) -> None:
    content: list[Any] = [{"bytes": encode(i), "path": None} for i in range(40)]
    content[1] = None
    path = write_parquet(tmp_path / "train.parquet", [0, 1] * 20, images=content)
    images = sources.load(sources.describe(str(path)), "train")
    with pytest.raises(DataError, match=r"row 1 of .*train\.parquet has no image"):
        images.read(range(len(images.labels)))
