"""Files appear whole, carry their units, and come back as they were written."""

import io
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.ledger import parquet
from results.schema import CURVE, RUNS, SchemaError

NOW = datetime(2026, 7, 1, 10, 30, 0, 123456, tzinfo=UTC)
RUN = {
    "study": "digits",
    "run_id": "vit_tiny8-digits-n100-s0-0123456789ab",
    "state": "failed",
    "failure": 'loss is NaN: "élan", line 1\nline 2 \x18',
    "steps": 2**53 + 1,
    "train_flops": 4.262e21,
    "loss": math.inf,
    "top1_accuracy": 0.1 + 0.2,
    "git_dirty": False,
    "created_at": NOW,
}


def curve_rows(num_rows: int, attempt: int = 1) -> list[dict[str, Any]]:
    ids = {"study": "digits", "run_id": RUN["run_id"], "attempt": attempt}
    return [ids | {"step": step, "loss": 1 / (step + 1)} for step in range(num_rows)]


@pytest.mark.parametrize("num_rows", [0, 1, 2, 1000])
def test_write_then_read_is_identity(tmp_path: Path, num_rows: int) -> None:
    rows = curve_rows(num_rows)
    path = parquet.write(tmp_path / "curve" / "1.parquet", "curve", rows)
    nulls = {column.name: None for column in CURVE}
    assert parquet.read_rows(path) == [nulls | row for row in rows]
    assert parquet.num_rows(path) == num_rows
    assert parquet.columns(path) == list(nulls)


def test_a_lone_row_keeps_every_type_and_null(tmp_path: Path) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    assert parquet.lone_row(path.read_bytes(), pq.read_metadata(path).metadata) is not None
    (row,) = parquet.read_rows(path)
    assert row == {column.name: None for column in RUNS} | RUN
    assert row["created_at"].tzinfo is UTC


def test_the_repeated_row_equals_what_other_tools_read(tmp_path: Path) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    (seen,) = pq.read_table(path).to_pylist()
    assert seen == parquet.read_rows(path)[0]


def test_the_repeated_row_is_not_believed_once_another_tool_changed_the_data(
    tmp_path: Path,
) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    table, pairs = pq.read_table(path), parquet.metadata(path)
    changed = table.set_column(table.column_names.index("steps"), "steps", [[7]])
    with pq.ParquetWriter(path, changed.schema) as writer:
        writer.write_table(changed)
        writer.add_key_value_metadata(pairs)
    assert parquet.metadata(path)[parquet.ROW_KEY] == pairs[parquet.ROW_KEY]
    assert parquet.lone_row(path.read_bytes(), pq.read_metadata(path).metadata) is None
    assert parquet.read_rows(path)[0]["steps"] == 7


def test_a_flipped_bit_in_the_repeated_row_is_noticed(tmp_path: Path) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    content = bytearray(path.read_bytes())
    at = content.rindex(b'"failed"')
    content[at + 1] ^= 1
    pairs = pq.read_metadata(io.BytesIO(content)).metadata
    assert parquet.lone_row(bytes(content), pairs) is None


def test_units_and_versions_stand_in_the_files_metadata(tmp_path: Path) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    pairs = parquet.metadata(path)
    assert pairs["scalestudy.table"] == "runs"
    assert pairs["scalestudy.schema_version"] == "2"
    units = json.loads(pairs["scalestudy.units"])
    assert units["train_flops"] == "FLOPs"
    assert units["top1_accuracy"] == "fraction"


def test_pandas_reads_the_file_directly(tmp_path: Path) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    frame = pd.read_parquet(path)
    assert frame.train_flops.tolist() == [4.262e21]
    assert frame.created_at[0] == pd.Timestamp(NOW)


def test_a_refused_row_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    before = path.read_bytes()
    with pytest.raises(SchemaError):
        parquet.write(path, "runs", [RUN | {"steps": "ten"}])
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.parquet"]


@pytest.mark.parametrize("keep", [0, 4, 100, -1, -8])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    path = parquet.write(tmp_path / "run.parquet", "runs", [RUN])
    path.write_bytes(path.read_bytes()[:keep])
    for read in (parquet.read_rows, parquet.columns, parquet.num_rows):
        with pytest.raises(parquet.NotParquet, match=r"run\.parquet: expected a whole Parquet"):
            read(path)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_text("a,b\n" * 100)
    with pytest.raises(parquet.NotParquet, match=r"table\.parquet"):
        parquet.read_rows(path)


# --- data sets in the layout of the Hugging Face hub

IMAGES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_images(path: Path, labels: Any, kind: Any = IMAGES, names: Any = None) -> Path:
    images = pa.array([{"bytes": b"png", "path": "a.png"}] * len(labels), type=kind)
    table = pa.table({"image": images, "label": labels})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    pq.write_table(table, path)
    return path


def test_labels_and_class_names_of_a_data_set(tmp_path: Path) -> None:
    labels = pa.array([2, 0, 1], type=pa.int32())
    path = write_images(tmp_path / "train.parquet", labels, names=["cat", "dog", "owl"])
    found = parquet.image_labels(path)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]
    assert parquet.class_names(path) == ("cat", "dog", "owl")
    assert parquet.num_rows(path) == 3


def test_a_data_set_without_class_names_has_none(tmp_path: Path) -> None:
    path = write_images(tmp_path / "train.parquet", pa.array([0, 1]))
    assert parquet.class_names(path) is None


@pytest.mark.parametrize(
    ("labels", "kind", "match"),
    [
        (pa.array(["cat"]), IMAGES, "'label' is string, expected whole numbers"),
        (pa.array([1, None]), IMAGES, "'label' has 1 nulls"),
        (pa.array([1]), pa.struct([("path", pa.string())]), "expected struct<bytes: binary"),
    ],
)
def test_a_data_set_of_another_form_is_refused_with_its_column(
    tmp_path: Path, labels: Any, kind: str, match: str
) -> None:
    path = write_images(tmp_path / "train.parquet", labels, kind)
    with pytest.raises(parquet.WrongColumns, match=match):
        parquet.image_labels(path)


def test_a_missing_column_comes_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_images(tmp_path / "train.parquet", pa.array([1]))
    with pytest.raises(parquet.WrongColumns, match="'fine_label' is missing; it has image, label"):
        parquet.image_labels(path, label="fine_label")
    with pytest.raises(parquet.WrongColumns, match="'x' is missing"):
        parquet.read_column(path, "x")
