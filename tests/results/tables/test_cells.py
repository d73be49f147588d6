"""Cells: where a score stands, how it is written, which is the best."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from results.tables import cells


def make_scores(
    values: Any = (0.5, 0.7, 0.6),
    std: Any = (0.01, np.nan, 0.02),
    n: Any = (2, 1, 3),
    **columns: Any,
) -> Any:
    base = {
        "label": ["A", "A", "B"],
        "shots": [5, 1, 1],
        "metric": "top1_accuracy",
        "value_mean": values,
        "value_std": std,
        "value_n": n,
    }
    return cells.arrange(pd.DataFrame(base | columns), ["label"], ["shots"], "mean")


def test_numbers_stand_by_size_and_words_as_they_come() -> None:
    made = make_scores()
    assert made.lines["label"].tolist() == ["A", "B"]
    assert made.sides["shots"].tolist() == [1, 5]
    np.testing.assert_equal(made.value, [[0.7, 0.5], [0.6, np.nan]])
    assert cells.titles(made.sides) == ["1-shot", "5-shot"]


def test_a_missing_score_is_an_empty_cell_and_fewer_runs_are_said() -> None:
    made = make_scores()
    assert cells.texts(made, 0) == ["70.00", "60.00 ± 2.00"]
    assert cells.texts(made, 1) == ["50.00 ± 1.00 (n = 2)", ""]
    assert (made.most, made.n_is_same) == (3, False)


def test_without_any_spread_one_run_among_more_is_said_too() -> None:
    made = make_scores(std=(np.nan,) * 3)
    assert cells.texts(made, 0) == ["70.00 (n = 1)", "60.00"]


@pytest.mark.parametrize(
    ("metric", "along_rows", "expected"),
    [
        ("top1_accuracy", False, {(0, 0)}),
        ("top1_accuracy", True, {(0, 0)}),
        ("loss", False, {(1, 0)}),
        ("loss", True, {(0, 1)}),
    ],
)
def test_the_best_is_bold_where_there_is_another(
    metric: str, along_rows: Any, expected: Any
) -> None:
    assert cells.bold(make_scores(metric=metric), along_rows) == expected


def test_ties_are_all_bold_and_different_metrics_are_not_compared() -> None:
    assert cells.bold(make_scores(values=(0.5, 0.7, 0.7)), False) == {(0, 0), (1, 0)}
    mixed = make_scores(metric=["loss", "top1_accuracy", "loss"])
    assert cells.bold(mixed, True) == cells.bold(mixed, False) == set()


def test_keys_are_written_for_people() -> None:
    assert cells.keys(pd.Series(["vit", "mixer"], name="family")) == ["ViT", "mixer"]
    assert cells.keys(pd.Series([1442.0, np.nan, 17.753], name="epochs")) == ["1,442", "", "17.75"]
    assert cells.keys(pd.Series(["top1_accuracy"], name="metric")) == ["top-1 (%)"]


def test_costs_are_means_over_the_cells_at_a_place() -> None:
    frame = pd.DataFrame({"label": ["A", "A", "B"], "params": [1e6, 3e6, 5e6]})
    places = pd.DataFrame({"label": ["B", "A"]})
    assert cells.costs(frame, ["params"], places) == [("params (M)", ["5.00", "2.00"])]
