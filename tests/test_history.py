"""Speed scripts' figures: kept in Parquet, and a slow-down shows."""

from pathlib import Path

import pandas as pd
import pytest

from tests.speed.history import SLOWER, Figure, compare, record


def write(folder: Path, *seconds: float) -> pd.DataFrame:
    for value in seconds:
        record("load.py", [Figure("load", value, "s", 10.0)], folder)
    return pd.read_parquet(folder / "load.parquet")


def test_every_figure_is_kept_with_where_and_when_it_was_measured(tmp_path: Path) -> None:
    table = write(tmp_path, 2.0, 3.0)
    assert list(table.value) == [2.0, 3.0]
    assert table.measured_at.is_monotonic_increasing
    assert set(table.num_cores) and table.processor.notna().all()


def test_a_figure_above_its_limit_fails_its_script(tmp_path: Path) -> None:
    assert record("a", [Figure("fast", 1.0, "s", 2.0), Figure("free", 9.0)], tmp_path)
    assert not record("a", [Figure("slow", 3.0, "s", 2.0)], tmp_path)


@pytest.mark.parametrize(("newest", "is_slower"), [(2.2, False), (2.6, True)])
def test_the_newest_is_held_against_the_median_of_the_earlier(
    tmp_path: Path, newest: float, is_slower: bool
) -> None:
    (row,) = compare(write(tmp_path, 1.0, 2.0, 9.0, newest)).to_dict("records")
    assert (row["earlier"], row["n"]) == (2.0, 3)
    assert (row["ratio"] > SLOWER) == is_slower


def test_figures_of_another_processor_are_not_compared(tmp_path: Path) -> None:
    table = write(tmp_path, 1.0, 2.0)
    table["processor"] = ["another", table.processor.iloc[1]]
    (row,) = compare(table).to_dict("records")
    assert row["n"] == 0 and pd.isna(row["ratio"])
