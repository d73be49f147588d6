"""Axes side by side share one legend, and their labels keep apart."""

import itertools

from matplotlib.text import Text
from matplotlib.transforms import Bbox

from results import plot, reference
from results.figures import panels


def test_several_metrics_are_several_axes_under_one_legend() -> None:
    metrics = ["average_of_five_accuracy", "imagenet_accuracy"]
    figure = plot.frontiers(reference.table6(), metrics, cost="train_flops_valid")
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "average of five error",
        "ImageNet top-1 error",
    ]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["ViT", "Hybrid", "ResNet", "Pareto frontier"]
    assert all(ax.get_legend() is None for ax in figure.axes)
    figure.draw_without_rendering()
    for ax in figure.axes:
        boxes = [Text.get_window_extent(text) for text in ax.texts]
        assert len(boxes) >= 9  # the frontier's at least
        for one, other in itertools.combinations(boxes, 2):
            assert Bbox.intersection(one, other) is None


def test_axes_fill_rows_of_three_and_spare_ones_are_gone() -> None:
    metrics = list(reference.TRANSFER_SETS.values())[:5]
    figure = plot.data_scales(reference.table5(), metrics)
    assert len(figure.axes) == 5
    assert figure.get_size_inches().tolist() == [3 * panels.PANEL[0], 2 * panels.PANEL[1]]


def test_a_lone_axes_is_larger() -> None:
    figure = plot.data_scales(reference.table5(), ["imagenet_accuracy"])
    assert tuple(figure.get_size_inches()) == panels.ALONE
