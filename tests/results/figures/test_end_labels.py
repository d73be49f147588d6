"""Names of lines stand in columns beside their ends, where there is room for them."""

import doctest

import numpy as np
from matplotlib.figure import Figure

from results.figures import end_labels, style
from results.figures.labels import Label
from tests.helpers.pictures import assert_apart, figure_of, text_boxes


def test_the_example_of_spread_holds() -> None:
    assert doctest.testmod(end_labels) == (0, 1)


def test_spread_moves_nothing_that_is_apart() -> None:
    assert end_labels.spread([7.0, 1.0, 4.0], 2.0, 0.0, 10.0) == [7.0, 1.0, 4.0]


def test_spread_keeps_order_distance_and_bounds_and_moves_as_little_as_can_be() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        wanted = generator.uniform(0, 10, 8)
        places = np.array(end_labels.spread(list(wanted), 1.0, 0.0, 10.0))
        assert (np.argsort(places) == np.argsort(wanted)).all()
        assert np.diff(np.sort(places)).min() >= 1 - 1e-9
        assert places.min() >= -1e-9
        assert places.max() <= 10 + 1e-9
        moved = np.square(places - wanted).sum()
        nudged = places + 1e-3 * generator.standard_normal(8)
        if np.diff(np.sort(nudged)).min() >= 1 and nudged.min() >= 0 and nudged.max() <= 10:
            assert moved <= np.square(nudged - wanted).sum()


def test_spread_around_the_mean_of_what_is_too_close() -> None:
    assert end_labels.spread([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]
    assert end_labels.spread([], 2.0, 0.0, 10.0) == []


def test_labels_of_lines_stand_right_of_their_ends_and_apart() -> None:
    ax = style.new_axes()
    heights = [0.5, 0.501, 0.502, 0.9]
    lines = [np.array([[0.0, 0.0], [1.0, height]]) for height in heights]
    for line in lines:
        ax.plot(*line.T)
    wanted = [Label(1.0, height, f"model {height}", "#000000") for height in heights]
    written = end_labels.label_ends(ax, wanted, lines)
    boxes = text_boxes(written)
    assert_apart(boxes)
    right = ax.get_window_extent().x1
    assert all(box.x0 > right for box in boxes)
    assert all(box.x1 <= figure_of(ax).bbox.x1 for box in boxes)
    assert [box.y0 for box in boxes] == sorted(box.y0 for box in boxes)


def test_a_line_that_ends_early_has_its_label_beside_it_where_that_is_free() -> None:
    ax = style.new_axes()
    lines = [np.array([[0.0, 0.9], [0.3, 1.0]]), np.array([[0.0, 0.0], [1.0, 0.1]])]
    for line in lines:
        ax.plot(*line.T)
    wanted = [Label(line[-1][0], line[-1][1], "short", "#000000") for line in lines]
    early, late = text_boxes(end_labels.label_ends(ax, wanted, lines))
    assert early.x1 < ax.get_window_extent().x1 < late.x0


def test_without_a_layout_the_axes_make_room_within_themselves() -> None:
    ax = Figure(figsize=(5, 3.5)).subplots()
    line = np.array([[0.0, 0.0], [1.0, 0.5]])
    ax.plot(*line.T)
    left = ax.get_xlim()[0]
    names = [Label(1.0, 0.5, name, "#000000") for name in ("R8+ViT-micro/2", "ResNet-micro")]
    boxes = text_boxes(end_labels.label_ends(ax, names, [line]))
    assert_apart(boxes)
    end, frame = ax.transData.transform(line[-1]), ax.get_window_extent()
    assert all(end[0] < box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert ax.get_xlim()[0] == left
