"""Labels beside points that do not overlap, and the parts that labels of all kinds share."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from results.figures.style import TEXT_SIZE, lighter

Boxes = npt.NDArray[np.float64]  # (M, 4): x0, y0, x1, y1 in pixels
Line = npt.NDArray[np.float64]  # (K, 2), in data coordinates unless stated otherwise

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
LEADER_GAP = 5.0  # points between the centre of a marker, a diamond's corner included, and leaders
STEP = 4.0  # points between the samples of a line that labels should avoid
MARKER_SIZE = 6.0
CROSSING = 12.0  # penalty per sample of a line that a leader crosses; the next distance costs 10
STRAY = 12.0  # and what a point costs that is nearer to the text than the text's own
MOST_LABELS = 100  # beyond these none is placed: thousands took a minute and nobody reads them


@dataclass(frozen=True)
class Label:
    """A text for the point (x, y) of an axes, in data coordinates.

    Names are written verbatim: only `math` text is typeset.
    """

    x: float
    y: float
    text: str
    color: str
    size: float = TEXT_SIZE
    math: bool = False


def overlaps(box: Bbox, others: Boxes) -> int:
    """Count the boxes of `others` that the box touches."""
    across = (others[:, 0] < box.x1) & (others[:, 2] > box.x0)
    return int(np.sum(across & (others[:, 1] < box.y1) & (others[:, 3] > box.y0)))


def _samples(line: Line, step: float) -> Boxes:
    """Return small boxes along a line (K, 2) in pixels, about `step` pixels apart."""
    points = [line]
    for start, end in itertools.pairwise(line):
        num = max(int(np.hypot(*(end - start)) / step), 1)
        points.append(np.linspace(start, end, num + 1))
    centres = np.concatenate(points)
    return np.hstack([centres - step / 4, centres + step / 4])


def along(ax: Axes, lines: Iterable[Line], step: float) -> Boxes:
    """Return small boxes along lines in data coordinates, about `step` pixels apart."""
    boxes = [_samples(ax.transData.transform(line), step) for line in lines]
    return np.concatenate([np.empty((0, 4)), *boxes])


def attach(
    ax: Axes, label: Label, leader: dict[str, Any] | None = None, **where: Any
) -> Annotation:
    """Write a label; `leader` are the properties of a thin line to its point, None for no line."""
    arrow = {"arrowstyle": "-", "color": lighter(label.color, 0.5), "linewidth": 0.6}
    return ax.annotate(
        label.text,
        (label.x, label.y),
        fontsize=label.size,
        color=label.color,
        parse_math=label.math,
        arrowprops=None if leader is None else arrow | {"patchA": None} | leader,
        annotation_clip=False,
        **where,
    )


def text_box(made: Annotation) -> Bbox:
    """Return the extent of the text alone, in pixels; an annotation's own includes its leader."""
    return Text.get_window_extent(made)


def pixels_per_point(ax: Axes) -> float:
    """Return the number of pixels per point on the figure of these axes."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure.dpi * POINT


# --- the search


@dataclass(frozen=True)
class _Place:
    """A candidate place of a label: offset from its point in points, alignment, box in pixels."""

    rank: float
    offset: tuple[float, float]
    across: str
    upward: str
    box: Bbox


@dataclass(frozen=True)
class _Page:
    """Obstacles on the axes, in pixels.

    `texts` and `soft` are boxes, `centres` (M, 2) the points; `scale` is pixels per point.
    """

    scale: float
    frame: Bbox
    centres: Line
    texts: Boxes
    soft: Boxes

    @property
    def markers(self) -> Boxes:
        half = MARKER_SIZE / 2 * self.scale
        return np.hstack([self.centres - half, self.centres + half])


def _places(centre: Line, size: Bbox, scale: float) -> Iterator[_Place]:
    """Yield the places around a point, best first."""
    left = {"left": 0.0, "center": size.width / 2, "right": size.width}
    down = {"bottom": 0.0, "center": size.height / 2, "top": size.height}
    for far, distance in enumerate(DISTANCES):
        for near, (right, up, across, upward) in enumerate(PLACES):
            offset = right * distance, up * distance
            x = centre[0] + offset[0] * scale - left[across]
            y = centre[1] + offset[1] * scale - down[upward]
            box = Bbox.from_bounds(x, y, size.width, size.height)
            yield _Place(10 * far + near / 10, offset, across, upward, box)


def _nearest(box: Bbox, points: Line) -> Line:
    """Return the place in the box that is nearest to each point."""
    return np.clip(points, (box.x0, box.y0), (box.x1, box.y1))


def _leader(place: _Place, centre: Line, scale: float) -> Line:
    """Return the leader from a label to its point, in pixels; empty for a near label."""
    if np.hypot(*place.offset) <= LEADER_FROM:
        return np.empty((0, 2))
    near = _nearest(place.box, centre)
    gap = LEADER_GAP * scale / np.hypot(*(near - centre))
    return np.array([centre + gap * (near - centre), near])


def _passes(leader: Line, centres: Line, room: float) -> bool:
    """Return True if a leader comes closer than `room` to one of the points."""
    if not len(leader):
        return False
    start, along = leader[0], leader[1] - leader[0]
    share = np.clip((centres - start) @ along / (along @ along), 0, 1)
    away = np.hypot(*(start + share[:, None] * along - centres).T)
    return bool((away < room * (1 - 1e-6)).any())


def _cost(place: _Place, centre: Line, page: _Page) -> float:
    """Return the rank of a place plus penalties for what it crosses; infinity for overlaps."""
    box, frame = place.box, page.frame
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
    inside = inside and frame.y0 <= box.y0 and box.y1 <= frame.y1
    if not inside or any(overlaps(box, on) for on in (page.texts, page.markers, page.soft)):
        return np.inf
    leader = _leader(place, centre, page.scale)
    parts = [Bbox.from_extents(*part) for part in _samples(leader, 1.0)]
    if any(overlaps(part, page.texts) for part in parts):
        return np.inf
    if _passes(leader, page.centres, LEADER_GAP * page.scale):
        return np.inf
    away = np.hypot(*(_nearest(box, page.centres) - page.centres).T)
    own = np.hypot(*(_nearest(box, centre) - centre))
    crossed = sum(overlaps(part, page.soft) for part in parts)
    return place.rank + STRAY * int(np.sum(away < own - 1e-6)) + CROSSING * crossed


def _write(ax: Axes, label: Label, place: _Place, has_leader: bool, centre: Line) -> Annotation:
    """Write the label at its place, with its leader exactly where the search found room for it."""
    box = place.box
    begin = (_nearest(box, centre) - box.p0) / box.size
    leader = {"relpos": tuple(begin), "shrinkA": 0, "shrinkB": LEADER_GAP} if has_leader else None
    made = attach(
        ax,
        label,
        leader,
        xytext=place.offset,
        textcoords="offset points",
        ha=place.across,
        va=place.upward,
    )
    made.set_in_layout(False)
    return made


def place_labels(
    ax: Axes,
    labels: Sequence[Label],
    points: Line,
    lines: Sequence[Line] = (),
) -> list[Annotation]:
    """Write each label beside its point, most important first; return those that found room.

    No label touches another, one of `points` (M, 2), or the edge of the axes, and no leader passes
    through a label or a point; labels without such a place are left out, and all after the first
    hundred. `lines` are avoided where there is a choice. The axes must have its final limits and
    its place in a layout: labels are placed by their size on paper.
    """
    scale = pixels_per_point(ax)
    soft = along(ax, lines, STEP * scale)
    texts, written = np.empty((0, 4)), []
    centres = ax.transData.transform(points)
    for label in labels[:MOST_LABELS]:
        page = _Page(scale, ax.get_window_extent(), centres, texts, soft)
        trial = attach(ax, label, xytext=(0, 0), textcoords="offset points")
        size = text_box(trial)
        trial.remove()
        centre = ax.transData.transform((label.x, label.y))
        places = [(_cost(place, centre, page), place) for place in _places(centre, size, scale)]
        cost, place = min(places, key=lambda found: found[0])
        if np.isinf(cost):
            continue
        leader = _leader(place, centre, scale)
        texts = np.vstack([texts, [place.box.extents], _samples(leader, 1.0)])
        written.append(_write(ax, label, place, len(leader) > 0, centre))
    return written
