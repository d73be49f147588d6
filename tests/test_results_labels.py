"""Labels keep clear of each other, of points and of the edge."""

import doctest
import itertools

import numpy as np
import pytest
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from results import draw, labels


def text_boxes(texts):
    texts[0].get_figure().draw_without_rendering()
    return [Text.get_window_extent(text) for text in texts]


def assert_apart(boxes):
    for one, other in itertools.combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None


def test_the_example_of_spread_holds():
    assert doctest.testmod(labels) == (0, 1)


def test_spread_moves_nothing_that_is_apart():
    assert labels.spread([7.0, 1.0, 4.0], 2.0, 0.0, 10.0) == [7.0, 1.0, 4.0]


def test_spread_keeps_order_distance_and_bounds_and_moves_as_little_as_can_be():
    generator = np.random.default_rng(0)
    for _ in range(50):
        wanted = generator.uniform(0, 10, 8)
        places = np.array(labels.spread(list(wanted), 1.0, 0.0, 10.0))
        assert (np.argsort(places) == np.argsort(wanted)).all()
        assert np.diff(np.sort(places)).min() >= 1 - 1e-9
        assert places.min() >= -1e-9
        assert places.max() <= 10 + 1e-9
        moved = np.square(places - wanted).sum()
        nudged = places + 1e-3 * generator.standard_normal(8)
        if np.diff(np.sort(nudged)).min() >= 1 and nudged.min() >= 0 and nudged.max() <= 10:
            assert moved <= np.square(nudged - wanted).sum()


def test_spread_around_the_mean_of_what_is_too_close():
    assert labels.spread([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]
    assert labels.spread([], 2.0, 0.0, 10.0) == []


@pytest.fixture
def crowd():
    """Axes with 60 points, most of them in one corner."""
    generator = np.random.default_rng(1)
    points = generator.beta(0.8, 2.5, (60, 2))
    ax = draw.new_axes()
    ax.set(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
    ax.plot(*points.T, "o", markersize=labels.MARKER_SIZE)
    return ax, points


def test_placed_labels_touch_neither_labels_nor_points_nor_the_edge(crowd):
    ax, points = crowd
    wanted = [labels.Label(x, y, f"ViT-{n}/16", "#000000") for n, (x, y) in enumerate(points)]
    written = labels.place_labels(ax, wanted, points)
    assert 10 < len(written) < 60
    assert list(ax.texts) == written
    boxes, frame = text_boxes(written), ax.get_window_extent()
    assert_apart(boxes)
    for box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1
        assert frame.y0 <= box.y0 and box.y1 <= frame.y1
        assert not any(box.contains(*centre) for centre in ax.transData.transform(points))


def test_the_most_important_label_is_written_where_only_one_fits(crowd):
    ax, points = crowd
    same = [labels.Label(*points[0], "x" * 70, "#000000") for _ in range(8)]
    written = labels.place_labels(ax, same[:1] + same, points[:1])
    assert 1 <= len(written) < 9


def test_labels_of_lines_stand_right_of_their_ends_and_apart():
    ax = draw.new_axes()
    heights = [0.5, 0.501, 0.502, 0.9]
    lines = [np.array([[0.0, 0.0], [1.0, height]]) for height in heights]
    for line in lines:
        ax.plot(*line.T)
    wanted = [labels.Label(1.0, height, f"model {height}", "#000000") for height in heights]
    written = labels.label_ends(ax, wanted, lines)
    boxes = text_boxes(written)
    assert_apart(boxes)
    right = ax.get_window_extent().x1
    assert all(box.x0 > right for box in boxes)
    assert all(box.x1 <= ax.get_figure().bbox.x1 for box in boxes)
    assert [box.y0 for box in boxes] == sorted(box.y0 for box in boxes)


def test_a_line_that_ends_early_has_its_label_beside_it_where_that_is_free():
    ax = draw.new_axes()
    lines = [np.array([[0.0, 0.9], [0.3, 1.0]]), np.array([[0.0, 0.0], [1.0, 0.1]])]
    for line in lines:
        ax.plot(*line.T)
    wanted = [labels.Label(*line[-1], "short", "#000000") for line in lines]
    early, late = text_boxes(labels.label_ends(ax, wanted, lines))
    assert early.x1 < ax.get_window_extent().x1 < late.x0
