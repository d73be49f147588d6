"""Labels at the ends of lines, in columns beside them or right of the axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from results.figures.labels import (
    STEP,
    Label,
    Line,
    along,
    attach,
    overlaps,
    pixels_per_point,
    text_box,
)
from results.figures.style import TEXT_SIZE

LINE_HEIGHT = 1.25  # of the font size
END_GAP = 14.0  # points between the end of a line, or of the axes, and its label
LEADER = {"relpos": (0, 0.5), "shrinkA": 3, "shrinkB": 3}
LEAST_SHARE = 0.25  # of axes that make room for labels, for the lines


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Return places at least `distance` apart, as near to `wanted` as possible and in its order.

    Neighbors that are too close become one block around their mean, and blocks merge until none
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


def _beside(ax: Axes, label: Label, offset: tuple[float, float]) -> Annotation:
    """Write a label right of the end of its line, `offset` points away."""
    made = attach(ax, label, LEADER, xytext=offset, textcoords="offset points", va="center")
    made.set_in_layout(False)
    return made


def _is_laid_out(ax: Axes) -> bool:
    """Return True if the layout makes room for labels right of the axes."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    engine = figure.get_layout_engine()
    makes_room = isinstance(engine, ConstrainedLayoutEngine | TightLayoutEngine)
    return makes_room and ax.get_subplotspec() is not None


def _widen(ax: Axes, last: float, room: float) -> None:
    """Move the right limit of the x axis until `room` pixels are free right of `last`."""
    scale = ax.xaxis.get_transform()
    left, right, end = scale.transform(np.array([*ax.get_xlim(), last]))
    share = max(1 - room / ax.get_window_extent().width, LEAST_SHARE)
    wanted = max(right, left + (end - left) / share)
    ax.set_xlim(right=float(scale.inverted().transform(np.array([wanted]))[0]))


def label_ends(
    ax: Axes,
    labels: Sequence[Label],
    lines: Sequence[Line],
) -> list[Annotation]:
    """Write each label right of the end of its line, tied to it by a thin line.

    Labels stand in columns without touching: beside the ends where that is free of `lines`, or
    else right of the axes; within them, and of all lines, where no layout would make room outside.
    They shrink where there are too many. The axes must have its final left
    limit and its place in a layout.
    """
    made = [
        attach(ax, label, LEADER, xytext=(1, 0.5), textcoords=ax.transAxes, va="center")
        for label in labels
    ]
    scale = pixels_per_point(ax)
    height, gap = LINE_HEIGHT * TEXT_SIZE * scale, END_GAP * scale
    widths = [text_box(text).width for text in made]
    is_laid_out = _is_laid_out(ax)
    if not is_laid_out:
        _widen(ax, max(label.x for label in labels), gap + max(widths))
    frame = ax.get_window_extent()
    ends = ax.transData.transform([(label.x, label.y) for label in labels])
    edge = frame.x1 if is_laid_out else ends[:, 0].max()
    taken = along(ax, lines, STEP * scale)
    outside: list[int] = []
    for x in np.unique(ends[:, 0]):
        group = [int(at) for at in np.flatnonzero(ends[:, 0] == x)]
        wanted = [float(ends[at, 1]) for at in group]
        places = spread(wanted, height, frame.y0 + height / 2, frame.y1 - height / 2)
        boxes = [
            Bbox.from_bounds(x + gap, up - height / 2, widths[at], height)
            for at, up in zip(group, places, strict=True)
        ]
        if any(box.x1 > edge or overlaps(box, taken) for box in boxes):
            outside += group
            continue
        for at, up in zip(group, places, strict=True):
            made[at].remove()
            made[at] = _beside(ax, labels[at], (END_GAP, (up - ends[at, 1]) / scale))
        taken = np.vstack([taken, [box.extents for box in boxes]])
    size = min(TEXT_SIZE, frame.height / scale / LINE_HEIGHT / max(len(outside), 1))
    places = spread(ends[outside, 1].tolist(), size * LINE_HEIGHT * scale, frame.y0, frame.y1)
    for at, place in zip(outside, places, strict=True):
        up = (place - frame.y0) / frame.height
        made[at].set(fontsize=size, position=((edge + gap - frame.x0) / frame.width, up))
    return made
