"""Families look alike everywhere, and axes show numbers as people read them."""

import doctest

import pytest
from matplotlib.axis import Axis

from results.columns import families, formatting
from results.figures import style
from tests.helpers.known import known
from tests.helpers.pictures import figure_of


def tick_texts(axis: Axis) -> list[str]:
    low, high = axis.get_view_interval()
    ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [label.get_text() for place, label in ticks if low <= place <= high]


def test_the_examples_hold() -> None:
    assert doctest.testmod(style) == (0, 1)


def test_every_family_has_a_color_and_a_marker_of_its_own() -> None:
    looks = [*map(families.style, families.LOOKS), *families.OTHERS]
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == len(looks)


def test_an_unknown_family_always_looks_the_same() -> None:
    assert style.style("mixer") == style.style("mixer") in families.OTHERS


def test_lighter_goes_from_the_color_to_white() -> None:
    assert style.lighter("#0072b2", 0) == "#0072b2"
    assert style.lighter("#0072b2", 1) == "#ffffff"
    assert style.lighter("#000000", 0.5) == "#808080"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.04, 0.6, ["5%", "7%", "10%", "20%", "30%", "50%"]),
        (0.135, 0.23, ["14%", "16%", "18%", "20%", "22%"]),
        (0.001, 0.9, ["0.1%", "0.2%", "0.5%", "1%", "2%", "5%", "10%", "20%", "50%"]),
    ],
)
def test_log_ticks_stand_at_round_per_cents(low: float, high: float, expected: list[str]) -> None:
    ax = style.new_axes()
    ax.set(yscale="log", ylim=(low, high))
    style.log_ticks(ax.yaxis, low, high, formatting.percent)
    assert tick_texts(ax.yaxis) == expected
    assert ax.get_ylim() == (low, high)


def test_log_limits_leave_a_margin_and_at_least_some_decades() -> None:
    low, high = style.log_limits([10.0, 1000.0], margin=0.5, least=1.0)
    assert (low, high) == pytest.approx((1.0, 10_000.0))
    low, high = style.log_limits([10.0], margin=0.5, least=2.0)
    assert (low, high) == pytest.approx((1.0, 100.0))


def test_counts_are_ticks_as_far_as_they_have_room() -> None:
    ax = style.new_axes()
    ax.set(xscale="log", xlim=(90, 2e6))
    style.count_ticks(ax, [100, 1437, 1500, 1_300_000, 100])
    assert tick_texts(ax.xaxis) == ["1.3M", "1.5k", "100"]


def test_a_legend_reads_along_its_rows_and_is_no_wider_than_the_axes() -> None:
    ax = style.new_axes(width=3.0)
    style.legend(ax, style.family_handles(["bit", "vit", "hybrid", *"abcdefgh"]))
    made = known(ax.get_legend())
    assert made.get_window_extent().width <= ax.get_window_extent().width
    texts = made.get_texts()
    figure_of(ax).draw_without_rendering()
    first = sorted(texts, key=lambda t: (-t.get_window_extent().y1, t.get_window_extent().x0))
    assert [text.get_text() for text in first[:4]] == ["ViT", "Hybrid", "ResNet", "a"]


def test_one_run_per_point_needs_no_word_on_spread() -> None:
    assert style.spread_handle(1, 1) == []
    (handle,) = style.spread_handle(2, 2)
    assert handle.get_label() == "mean ± 1 std, n = 2 seeds"
    assert style.spread_handle(1, 3)[0].get_label() == "mean ± 1 std, n = 1 to 3 seeds"
