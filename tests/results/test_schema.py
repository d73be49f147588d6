"""The tables' columns are those of the design, and wrong rows are refused with their place."""

import doctest
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from results import schema
from tests.helpers.paths import ROOT

RUN = {"study": "digits", "run_id": "vit_tiny8-digits-n100-s0-0123456789ab", "state": "done"}


def test_every_table_has_unique_columns_with_a_meaning() -> None:
    for table in schema.TABLES:
        columns = schema.columns(table)
        assert len({column.name for column in columns}) == len(columns)
        assert all(column.meaning for column in columns)
        if table in schema.STUDY_TABLES:
            assert [c.name for c in columns[:2]] == ["study", "run_id"]


def test_every_number_with_a_unit_in_its_name_has_that_unit() -> None:
    endings = {"_seconds": "seconds", "_joules": "joules", "_bytes": "bytes", "_days": "days"}
    for table in schema.TABLES:
        for column in schema.columns(table):
            for ending, unit in endings.items():
                if column.name.endswith(ending):
                    assert column.unit == unit
            if column.name.endswith("accuracy"):
                assert column.unit == "fraction"


def test_what_adds_up_over_attempts_is_in_both_tables() -> None:
    attempts = {column.name for column in schema.columns("attempts")}
    added = {column.name for column in schema.RUNS if column.total}
    assert added <= attempts
    assert {column.name for column in schema.of_role("cost") if column.total} <= added


def test_columns_of_a_role_come_by_role_and_rank() -> None:
    assert doctest.testmod(schema) == (0, 2)
    costs = [column.name for column in schema.of_role("cost", shown="report")]
    assert costs == ["train_flops", "accelerator_days", "energy_joules"]
    assert schema.of_role("cost", "size")[-1].role == "size"
    assert schema.of_role("cost")[-1].name == "train_seconds"  # a rank of its own


def test_units_for_people_come_largest_first() -> None:
    for table in schema.TABLES:
        for column in schema.columns(table):
            sizes = [size for size, _ in column.display]
            assert sizes == sorted(sizes, reverse=True), column.name


def test_a_column_is_found_by_name_that_of_runs_first() -> None:
    found = schema.column("image_size")
    assert found is not None and found.role == "scale"
    assert schema.column("shots") in schema.columns("evals")
    assert schema.column("nonsense") is None


def test_missing_columns_become_none_and_order_is_the_schemas() -> None:
    (row,) = schema.check("runs", [RUN])
    assert list(row) == [column.name for column in schema.RUNS]
    assert row["study"] == "digits"
    assert row["top1_accuracy"] is None


def test_numbers_of_numpy_become_plain_ones() -> None:
    given = RUN | {"steps": np.int64(3), "loss": np.float32(0.5), "git_dirty": np.bool_(True)}
    (row,) = schema.check("runs", [given | {"epochs": 7}])
    assert [type(row[name]) for name in ("steps", "loss", "git_dirty", "epochs")] == [
        int,
        float,
        bool,
        float,
    ]


def test_times_become_utc() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    (row,) = schema.check("runs", [RUN | {"created_at": noon}])
    assert row["created_at"] == noon
    assert row["created_at"].tzinfo is UTC
    assert row["created_at"].hour == 10


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("steps", 1.5, "a whole number"),
        ("steps", True, "a whole number"),
        ("steps", 2**63, "a whole number"),
        ("loss", "0.5", "a number"),
        ("loss", False, "a number"),
        ("git_dirty", 1, "True or False"),
        ("label", 16, "text"),
        ("label", "\udcff", "text"),
        ("created_at", datetime(2026, 1, 1), "a time zone"),
        ("created_at", "2026-01-01", "a datetime"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(column: str, value: Any, expected: Any) -> None:
    with pytest.raises(schema.SchemaError) as error:
        schema.check("runs", [RUN, RUN | {column: value}])
    for part in ("table runs", "row 1", f"column {column}", repr(value), expected):
        assert part in str(error.value)


def test_a_misspelt_column_comes_with_the_near_match() -> None:
    with pytest.raises(schema.SchemaError, match=r"'train_flop' is unknown.*train_flops"):
        schema.check("runs", [RUN | {"train_flop": 1.0}])


def test_what_identifies_a_row_has_no_null() -> None:
    with pytest.raises(schema.SchemaError, match="row 0: column run_id is missing"):
        schema.check("curve", [{"study": "digits", "attempt": 1, "step": 1}])


def test_an_unknown_table_comes_with_the_choices() -> None:
    with pytest.raises(schema.SchemaError, match=r"'losses' is unknown.*runs, evals, curve"):
        schema.check("losses", [])


def test_the_writers_version_is_the_distributions() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["version"] == schema.WRITER_VERSION


def test_reading_and_writing_import_neither_pandas_nor_scipy_nor_matplotlib() -> None:
    code = "import sys; import results.ledger.parquet; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pandas", "scipy", "matplotlib", "torch", "pyarrow.dataset"}
    assert not heavy & set(done.stdout.split())
