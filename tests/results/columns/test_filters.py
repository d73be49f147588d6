"""Conditions on columns: lists, inequality, order, null, and what is said of an empty choice."""

import pandas as pd
import pytest

from results.columns.configurations import MissingColumn
from results.columns.filters import Condition, FilterError, keep, parse, select

ROWS = pd.DataFrame(
    {
        "run_id": ["a", "b", "c", "d"],
        "family": ["vit", "bit", "hybrid", None],
        "dataset": ["digits", "digits", "JFT-300M, then ImageNet", "digits"],
        "seed": pd.array([0, 1, 2, None], "Int64"),
        "epochs": [7.0, 14.0, 0.5, float("nan")],
        "git_dirty": pd.array([True, False, None, False], "boolean"),
        "created_at": pd.to_datetime(
            pd.Series(["2026-01-01", "2026-02-01", "2026-03-01", None]), utc=True
        ),
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("family=vit", "a"),
        ("family=vit,bit", "ab"),
        ("family!=vit", "bc"),
        ("family!=vit,bit", "c"),
        ("family=null", "d"),
        ("family!=null", "abc"),
        ("family=vit,null", "ad"),
        ("family!=vit,null", "bc"),
        ("dataset=JFT-300M, then ImageNet", "c"),
        ("dataset!=JFT-300M, then ImageNet", "abd"),
        ("seed=0,2", "ac"),
        ("seed!=0", "bc"),
        ("seed<2", "ab"),
        ("seed>=1", "bc"),
        ("seed=null", "d"),
        ("epochs>5e-1", "ab"),
        ("epochs<=7", "ac"),
        ("epochs=14.0", "b"),
        ("epochs = 7", "a"),
        ("git_dirty=true", "a"),
        ("git_dirty!=true", "bd"),
        ("created_at>=2026-02-01", "bc"),
    ],
)
def test_rows_that_meet_a_condition_are_kept(text: str, expected: str) -> None:
    assert "".join(keep(ROWS, parse(text)).run_id) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("family=resnet", "--where family=resnet: no row is left; family is bit, hybrid, vit"),
        ("seed=7", "no row is left; seed is 0, 1, 2"),
        ("seed>9", "--where seed>9: no row is left"),
        ("seed=x", "--where seed=x: given 'x', expected a number"),
        ("seed<x", "given 'x', expected a number"),
        ("family<vit", "family is not a column of numbers or times, expected = or !="),
        ("git_dirty=maybe", "given 'maybe', expected true, false or null"),
        ("created_at<soon", "given 'soon', expected a date"),
        ("family", "given 'family', expected COLUMN=VALUE"),
        ("family=", "given 'family=', expected COLUMN=VALUE"),
        ("=vit", "given '=vit', expected COLUMN=VALUE"),
    ],
)
def test_what_cannot_be_met_is_one_line(text: str, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        keep(ROWS, parse(text))
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_column_is_refused_with_near_ones() -> None:
    with pytest.raises(MissingColumn, match="did you mean family"):
        keep(ROWS, parse("famly=vit"))


def test_many_values_are_a_range_or_a_beginning() -> None:
    many = pd.DataFrame({"steps": range(100), "run_id": [f"r{n:02d}" for n in range(100)]})
    with pytest.raises(FilterError, match="steps is between 0 and 99"):
        keep(many, parse("steps=100"))
    with pytest.raises(FilterError, match=r"run_id is r00, .*, r07 and 92 more"):
        keep(many, parse("run_id=x"))


def test_no_rows_stay_no_rows() -> None:
    assert keep(ROWS.head(0), parse("family=vit")).empty


def test_with_evaluations_a_shared_column_is_theirs() -> None:
    evals = pd.DataFrame({"run_id": ["a", "b"], "dataset": ["pets", "digits"], "seed": [3, 4]})
    runs, chosen = select(ROWS, evals, ["dataset=pets", "draw=3", "seed<2"])
    assert chosen is not None
    assert list(chosen.run_id) == ["a"] and list(runs.run_id) == ["a", "b"]
    runs, _ = select(ROWS, evals, ["pretrain_dataset=digits"])
    assert list(runs.run_id) == ["a", "b", "d"]


def test_a_condition_reads_as_it_is_typed() -> None:
    assert str(parse("epochs>=7")) == "epochs>=7"
    assert parse("a!=b=c") == Condition("a", "!=", "b=c")
