"""Labels keep clear of each other, of points and of the edge."""

from collections.abc import Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

from results import plot, reference
from results.figures import labels, style
from tests.helpers.pictures import assert_apart, figure_of, text_boxes


@pytest.fixture
def crowd() -> tuple[Axes, labels.Line]:
    """Axes with 60 points, most of them in one corner."""
    generator = np.random.default_rng(1)
    points = generator.beta(0.8, 2.5, (60, 2))
    ax = style.new_axes()
    ax.set(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
    ax.plot(*points.T, "o", markersize=labels.MARKER_SIZE)
    figure_of(ax).draw_without_rendering()
    return ax, points


def test_placed_labels_touch_neither_labels_nor_points_nor_the_edge(
    crowd: tuple[Axes, labels.Line],
) -> None:
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


def test_the_most_important_label_is_written_where_only_one_fits(
    crowd: tuple[Axes, labels.Line],
) -> None:
    ax, points = crowd
    same = [labels.Label(points[0, 0], points[0, 1], "x" * 70, "#000000") for _ in range(8)]
    written = labels.place_labels(ax, same[:1] + same, points[:1])
    assert 1 <= len(written) < 9


def leaders_of(texts: Sequence[Text]) -> list[tuple[int, labels.Line]]:
    """The drawn leaders (2, 2) in pixels, each with the number of its text."""
    patches = [
        (at, text.arrow_patch)
        for at, text in enumerate(texts)
        if isinstance(text, Annotation) and text.arrow_patch
    ]
    paths = [(at, patch.get_transform().transform_path(patch.get_path())) for at, patch in patches]
    return [(at, np.asarray(path.vertices)[[0, -1]]) for at, path in paths]


def annotation_of(ax: Axes, at: int) -> Annotation:
    text = ax.texts[at]
    assert isinstance(text, Annotation)
    return text


@pytest.fixture(scope="module")
def pets() -> Axes:
    """The ViT paper's Table 6 on Pets, crowded at this size; laid out."""
    figure = plot.frontiers(reference.table6(), ["pets_accuracy"] * 2, cost="train_flops_valid")
    figure.draw_without_rendering()
    return figure.axes[0]


def test_drawn_leaders_pass_through_no_text_and_no_marker(pets: Axes) -> None:
    lines = [line for line in pets.get_lines() if line.get_marker() in ("o", "D", "s")]
    centres = np.concatenate([pets.transData.transform(line.get_xydata()) for line in lines])
    assert len(centres) == 18
    radius = 3.25 * figure_of(pets).dpi / 72  # points; markers are 6.5 wide
    boxes, leaders = text_boxes(pets.texts), leaders_of(pets.texts)
    assert leaders
    for at, (start, end) in leaders:
        steps = start + np.linspace(0, 1, 200)[:, None] * (end - start)
        away = np.hypot(*(steps[:, None] - centres).transpose(2, 0, 1))
        assert away.min() > radius
        others = [box for number, box in enumerate(boxes) if number != at]
        assert not any(box.contains(*step) for box in others for step in steps)


def test_a_leader_goes_from_the_nearest_place_of_its_text_to_its_marker(pets: Axes) -> None:
    boxes = text_boxes(pets.texts)
    for at, (start, end) in leaders_of(pets.texts):
        centre = pets.transData.transform(annotation_of(pets, at).xy)
        assert start == pytest.approx(np.clip(centre, boxes[at].p0, boxes[at].p1), abs=1)
        from_marker = np.hypot(*(end - centre)) / figure_of(pets).dpi * 72
        assert from_marker == pytest.approx(labels.LEADER_GAP, abs=0.5)


def test_a_text_stands_nearest_to_its_own_point_where_there_is_a_choice() -> None:
    ax = style.new_axes()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    # above and right of the point, the usual place, the text would stand above another
    points = np.array([[0.3, 0.5], [0.34, 0.5]])
    (written,) = labels.place_labels(
        ax, [labels.Label(points[0, 0], points[0, 1], "name", "#000000")], points
    )
    (box,) = text_boxes([written])
    own, other = (
        np.hypot(*(np.clip(centre, box.p0, box.p1) - centre))
        for centre in ax.transData.transform(points)
    )
    assert own < other


@pytest.mark.parametrize("name", ["a$\\foo{$b", "$\\frac$", "$x_1$"])
def test_names_are_written_letter_by_letter(name: str) -> None:
    ax = style.new_axes()
    points = np.array([[0.5, 0.5]])
    (written,) = labels.place_labels(ax, [labels.Label(0.5, 0.5, name, "#000000")], points)
    assert not written.get_parse_math()
    assert written.get_text() == name
