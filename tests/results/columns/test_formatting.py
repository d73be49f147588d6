"""Numbers and columns as people read them."""

import doctest
import math
from typing import Any

import pytest

from results.columns import formatting


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(formatting) == (0, 14)


@pytest.mark.parametrize(
    ("value", "text"), [(1437, "1.4k"), (100, "100"), (9e6, "9M"), (1.3e6, "1.3M"), (3e9, "3B")]
)
def test_counts_are_short_on_axes(value: Any, text: str) -> None:
    assert formatting.short_count(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_unknown_number_is_empty(value: Any) -> None:
    assert formatting.number(value) == ""
    assert formatting.score(value, 0.1, "loss") == ""


def test_a_column_stands_in_one_unit_that_suits_its_maximum() -> None:
    assert formatting.scaled("accelerator_days", [0.25, 0.5]) == (
        "accelerator hours",
        ["6.00", "12.0"],
    )
    assert formatting.scaled("train_flops", [5e12, math.nan]) == ("train teraFLOPs", ["5.00", ""])
    assert formatting.scaled("params", [500.0]) == ("params", ["500"])
    assert formatting.scaled("params", []) == ("params", [])


def test_a_laptops_runs_beside_the_papers_stand_in_powers_of_ten() -> None:
    header, cells = formatting.scaled("train_flops", [7.52e10, 4.262e21, math.nan])
    assert (header, cells) == ("train FLOPs", ["7.52e+10", "4.26e+21", ""])


def test_fractions_are_shown_in_per_cent_and_losses_are_not() -> None:
    assert formatting.header("top5_accuracy") == "top-5 (%)"
    assert formatting.scaled("model_flops_utilization", [0.43])[1] == ["43.0"]
    assert formatting.higher_is_better("cifar10_accuracy")
    assert not formatting.higher_is_better("loss")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (12, "12"),
        (999, "999"),
        (1000, "1.00 k"),
        (86_567_656, "86.6 M"),
        (783e18, "783 E"),
        (0.5, "0.5"),
    ],
)
def test_counts_have_three_figures(value: float, expected: str) -> None:
    assert formatting.count(value) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_said_in_two_parts(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("params", 86_567_656, "87M parameters"),
        ("image_size", 224, "224 pixels"),
        ("energy_joules", 7.2e6, "2.00 kWh"),
        ("accelerator_days", 0.5, "12.0 accelerator hours"),
        ("eval_seconds", 61, "1 min 1 s"),
        ("top1_accuracy", 0.5, "50%"),
        ("forward_macs_per_image", 17.5e9, "17.5 forward GMACs"),
    ],
)
def test_an_amount_has_its_unit(column: str, value: float, text: str) -> None:
    assert formatting.amount(column, value) == text
