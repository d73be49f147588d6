"""Texts beside points and lines that keep out of each other's way."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from results.draw import TEXT_SIZE, lighter

Boxes = npt.NDArray[np.float64]  # (M, 4): x0, y0, x1, y1 in pixels
Line = npt.NDArray[np.float64]  # (K, 2), in data coordinates where nothing else is said

POINT = 1 / 72  # of an inch
# Where a label may stand relative to its point: direction, and how it is aligned there.
PLACES = (
    (1, 1, "left", "bottom"),
    (1, -1, "left", "top"),
    (-1, 1, "right", "bottom"),
    (-1, -1, "right", "top"),
    (1.3, 0, "left", "center"),
    (-1.3, 0, "right", "center"),
    (0, 1.4, "center", "bottom"),
    (0, -1.4, "center", "top"),
)
DISTANCES = (3.5, 8.0, 15.0)  # in points
LEADER_FROM = 10.0  # farther labels are tied to their point by a line
STEP = 4.0  # points between the samples of a line that labels should avoid
MARKER_SIZE = 6.0
CROSSING = 12.0  # rank that a sample of a line under a label costs; the next distance costs 10
LINE_HEIGHT = 1.25  # of the font size
END_GAP = 14.0  # points between the end of a line, or of the axes, and its label
MOST_LABELS = 100  # tried; a figure with more is not read, and with thousands took a minute


@dataclass(frozen=True)
class Label:
    """A text that belongs to the point (x, y) of an axes, in data coordinates."""

    x: float
    y: float
    text: str
    color: str
    size: float = TEXT_SIZE


def _overlaps(box: Bbox, others: Boxes) -> int:
    """How many of `others` the box touches."""
    across = (others[:, 0] < box.x1) & (others[:, 2] > box.x0)
    return int(np.sum(across & (others[:, 1] < box.y1) & (others[:, 3] > box.y0)))


def _samples(line: Line, step: float) -> Boxes:
    """Small boxes along a line (K, 2) in pixels, about `step` pixels apart."""
    points = [line]
    for start, end in itertools.pairwise(line):
        num = max(int(np.hypot(*(end - start)) / step), 1)
        points.append(np.linspace(start, end, num + 1))
    centres = np.concatenate(points)
    return np.hstack([centres - step / 4, centres + step / 4])


def _along(ax: Axes, lines: Iterable[Line], step: float) -> Boxes:
    """The same along lines in data coordinates."""
    boxes = [_samples(ax.transData.transform(line), step) for line in lines]
    return np.concatenate([np.empty((0, 4)), *boxes])


@dataclass(frozen=True)
class _Place:
    """One place a label may have: offset from its point in points, alignment, box in pixels."""

    rank: float
    offset: tuple[float, float]
    across: str
    upward: str
    box: Bbox


def _places(centre: Line, size: Bbox, scale: float) -> Iterator[_Place]:
    """The places around a point, best first; `scale` is pixels per point."""
    left = {"left": 0.0, "center": size.width / 2, "right": size.width}
    down = {"bottom": 0.0, "center": size.height / 2, "top": size.height}
    for far, distance in enumerate(DISTANCES):
        for near, (right, up, across, upward) in enumerate(PLACES):
            offset = right * distance, up * distance
            x = centre[0] + offset[0] * scale - left[across]
            y = centre[1] + offset[1] * scale - down[upward]
            box = Bbox.from_bounds(x, y, size.width, size.height)
            yield _Place(10 * far + near / 10, offset, across, upward, box)


def _leader(place: _Place, centre: Line) -> Line:
    """The line from a far label to the edge of its point, in pixels; empty for a near label."""
    distance = float(np.hypot(*place.offset))
    if distance <= LEADER_FROM:
        return np.empty((0, 2))
    box = place.box
    near = np.clip(centre, (box.x0, box.y0), (box.x1, box.y1))
    return np.array([centre + MARKER_SIZE / distance * (near - centre), near])


def _free_place(
    places: Iterable[_Place], centre: Line, frame: Bbox, texts: Boxes, points: Boxes, soft: Boxes
) -> _Place | None:
    """The best place inside `frame` that touches no text and no point, and little of `soft`."""
    best, best_cost = None, np.inf
    for place in places:
        box = place.box
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
        inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
        if not inside or _overlaps(box, texts) or _overlaps(box, points):
            continue
        leader = [Bbox.from_extents(*part) for part in _samples(_leader(place, centre), 1.0)]
        if any(_overlaps(part, texts) or _overlaps(part, points) for part in leader):
            continue
        if _overlaps(box, soft):
            continue
        cost = place.rank + CROSSING * sum(_overlaps(part, soft) for part in leader)
        if cost < best_cost:
            best, best_cost = place, cost
    return best


def _attach(ax: Axes, label: Label, **where: Any) -> Annotation:
    arrow = {"arrowstyle": "-", "color": "none", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3}
    arrow |= {"relpos": (0, 0.5)} if where.get("va") == "center" else {}
    return ax.annotate(
        label.text,
        (label.x, label.y),
        fontsize=label.size,
        color=label.color,
        arrowprops=arrow,
        annotation_clip=False,
        **where,
    )


def _text_box(made: Annotation) -> Bbox:
    """The extent of the text alone, in pixels; an annotation's own includes its leader."""
    return Text.get_window_extent(made)


def _show_leader(made: Annotation, label: Label) -> None:
    assert made.arrow_patch is not None
    made.arrow_patch.set_color(lighter(label.color, 0.5))


def _prepare(ax: Axes) -> tuple[float, Bbox]:
    """Pixels per point, and the frame of the axes once the figure is laid out."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    return figure.dpi * POINT, ax.get_window_extent()


def place_labels(
    ax: Axes, labels: Sequence[Label], points: Line, lines: Sequence[Line] = ()
) -> list[Annotation]:
    """Writes each label beside its point, most important first; returns those that found room.

    No label touches another, one of `points` (M, 2), or the edge of the axes; those that would
    are left out, and all after the first hundred. `lines` are avoided where there is a choice. The
    axes must have its final limits: labels are placed by their size on paper.
    """
    scale, frame = _prepare(ax)
    centres, half = ax.transData.transform(points), MARKER_SIZE / 2 * scale
    markers = np.hstack([centres - half, centres + half])
    soft = _along(ax, lines, STEP * scale)
    texts, written = np.empty((0, 4)), []
    for label in labels[:MOST_LABELS]:
        made = _attach(ax, label, xytext=(0, 0), textcoords="offset points")
        made.set_in_layout(False)
        centre = ax.transData.transform((label.x, label.y))
        places = _places(centre, _text_box(made), scale)
        place = _free_place(places, centre, frame, texts, markers, soft)
        if place is None:
            made.remove()
            continue
        made.set(ha=place.across, va=place.upward, position=place.offset)
        leader = _leader(place, centre)
        if len(leader):
            _show_leader(made, label)
        texts = np.vstack([texts, [place.box.extents], _samples(leader, 1.0)])
        written.append(made)
    return written


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Places at least `distance` apart, in the order of `wanted` and as near to it as can be.

    Neighbours that are too close become one block around their mean, and blocks merge until none
    overlaps. All stay between `low` and `high` as far as there is room.

    >>> spread([1.0, 1.0, 5.0], 2.0, 0.0, 10.0)
    [0.0, 2.0, 5.0]
    """

    def bottom(total: float, num: int) -> float:
        return max(min(total / num, high - (num - 1) * distance), low)

    blocks: list[tuple[float, int]] = []  # sum of (wanted - own offset in the block), number
    for place in sorted(wanted):
        block = place, 1
        while blocks:
            total, num = blocks[-1]
            if bottom(*block) - bottom(total, num) >= num * distance:
                break
            block = total + block[0] - block[1] * num * distance, num + block[1]
            blocks.pop()
        blocks.append(block)
    placed = [bottom(*block) + i * distance for block in blocks for i in range(block[1])]
    ranks = np.argsort(np.argsort(wanted, kind="stable"), kind="stable")
    return [placed[rank] for rank in ranks]


def _column(ax: Axes, labels: Sequence[Label]) -> list[Annotation]:
    """Labels right of the axes, where the layout makes room for them; heights come later."""
    made = [
        _attach(ax, label, xytext=(1, 0.5), textcoords=ax.transAxes, va="center")
        for label in labels
    ]
    for text, label in zip(made, labels, strict=True):
        _show_leader(text, label)
    return made


def label_ends(ax: Axes, labels: Sequence[Label], lines: Sequence[Line]) -> list[Annotation]:
    """Writes each label right of the end of its line, tied to it by a thin line.

    Labels stand in columns without touching: beside the ends where that is free of `lines`, or
    else right of the axes. They shrink where there are too many. The axes must have its final
    limits.
    """
    made = _column(ax, labels)
    scale, frame = _prepare(ax)
    ends = ax.transData.transform([(label.x, label.y) for label in labels])
    taken = _along(ax, lines, STEP * scale)
    height, gap = LINE_HEIGHT * TEXT_SIZE * scale, END_GAP * scale
    outside: list[int] = []
    for x in np.unique(ends[:, 0]):
        group = [int(at) for at in np.flatnonzero(ends[:, 0] == x)]
        wanted = [float(ends[at, 1]) for at in group]
        places = spread(wanted, height, frame.y0 + height / 2, frame.y1 - height / 2)
        boxes = [
            Bbox.from_bounds(x + gap, up - height / 2, _text_box(made[at]).width, height)
            for at, up in zip(group, places, strict=True)
        ]
        if any(box.x1 > frame.x1 or _overlaps(box, taken) for box in boxes):
            outside += group
            continue
        for at, up in zip(group, places, strict=True):
            made[at].remove()
            offset = END_GAP, (up - ends[at, 1]) / scale
            made[at] = _attach(
                ax, labels[at], xytext=offset, textcoords="offset points", va="center"
            )
            made[at].set_in_layout(False)
            _show_leader(made[at], labels[at])
        taken = np.vstack([taken, [box.extents for box in boxes]])
    size = min(TEXT_SIZE, frame.height / scale / LINE_HEIGHT / max(len(outside), 1))
    places = spread(ends[outside, 1].tolist(), size * LINE_HEIGHT * scale, frame.y0, frame.y1)
    for at, place in zip(outside, places, strict=True):
        up = (place - frame.y0) / frame.height
        made[at].set(fontsize=size, position=(1 + gap / frame.width, up))
    return made
