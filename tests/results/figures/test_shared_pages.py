"""Labels fit the axes of one figure, whoever made it and however many there are."""

import gc
import io
import itertools
import weakref
from typing import Literal

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

from results import plot, reference
from tests.helpers.pictures import figure_of

FLOPS = "train_flops_valid"


def assert_labels_apart_and_within(ax: Axes, within: BboxBase) -> None:
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert boxes
    for one, other in itertools.combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None
    for box in boxes:
        assert within.x0 - 1 <= box.x0 and box.x1 <= within.x1 + 1
        assert within.y0 - 1 <= box.y0 and box.y1 <= within.y1 + 1


@pytest.mark.parametrize("layout", ["constrained", None])
def test_labels_of_two_axes_fit_the_final_layout(layout: Literal["constrained"] | None) -> None:
    figure = Figure(figsize=(6.4, 4.8), layout=layout)
    left, right = figure.subplots(1, 2)
    plot.frontier(reference.table6(), cost=FLOPS, ax=left)
    plot.data_scale(reference.table5(), ax=right)
    figure.draw_without_rendering()
    assert_labels_apart_and_within(left, left.get_window_extent())
    assert_labels_apart_and_within(right, figure.bbox)


def test_labels_of_a_lone_axes_are_not_cut_at_the_edge_of_the_figure() -> None:
    figure = Figure(figsize=(5, 3.5))
    ax = plot.data_scale(reference.table5(), ax=figure.subplots())
    figure.draw_without_rendering()
    assert_labels_apart_and_within(ax, figure.bbox)


def test_a_title_set_later_gets_its_room() -> None:
    ax = plot.frontier(reference.table6(), cost=FLOPS)
    ax.set_title("a title\nof two lines", loc="right")
    figure = figure_of(ax)
    figure.draw_without_rendering()
    assert ax.title.get_window_extent().y1 <= figure.bbox.y1
    assert_labels_apart_and_within(ax, ax.get_window_extent())


def test_a_figure_is_freed_when_nobody_refers_to_it() -> None:
    figure = weakref.ref(plot.frontier(reference.table6(), cost=FLOPS).get_figure())
    gc.collect()
    assert figure() is None


def test_labels_stay_at_another_resolution() -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = plot.frontier(reference.table6(), cost=FLOPS, ax=figure.subplots())
    before = list(ax.texts)
    figure.savefig(io.BytesIO(), dpi=300)
    assert list(ax.texts) == before


def test_an_axes_can_be_cleared_and_used_again() -> None:
    figure = Figure(layout="constrained")
    ax = figure.subplots()
    plot.frontier(reference.table6(), cost=FLOPS, ax=ax)
    ax.clear()
    plot.data_scale(reference.table5(), ax=ax)
    assert {text.get_text() for text in ax.texts} == set(reference.table5()["label"])
