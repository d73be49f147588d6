"""Axes on one page under one legend, with labels written once everything else has its place."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary, WeakSet

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from results.figures import style

PANEL = (4.0, 3.4)  # inches
ALONE = (6.4, 4.4)


# Labels beside an axes take room from it, which moves its other labels: two passes were enough in
# all figures.
PASSES = 2

Write = Callable[[Axes], Sequence[Annotation]]
# By axes that still exist: how its labels are written, and those that were.
_labelled: WeakKeyDictionary[Axes, tuple[Write, WeakSet[Annotation]]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Drawn:
    """What an axes shows: legend entries, and a function that writes its labels after the layout.

    The function is given the axes and must not refer to it.
    """

    handles: Sequence[Artist]
    label: Write


def finish(ax: Axes, drawn: Drawn) -> Axes:
    """Write the legend and the labels of an axes; return it."""
    style.legend(ax, drawn.handles)
    figure = ax.get_figure(root=True)
    assert figure is not None
    _write_labels(figure, {ax: drawn.label})
    return ax


def _write_labels(figure: Figure, writers: Mapping[Axes, Write]) -> None:
    """Write labels on some axes of a figure, and again on those of it that have labels already.

    They fit the size that the axes have now; the layout stays as it was, so that a title set later
    still gets its room.
    """
    all_writers = dict(writers)
    for ax, (write, texts) in _labelled.items():
        if ax in figure.axes and any(text.axes is ax for text in texts):
            all_writers.setdefault(ax, write)
    for _ in range(PASSES):
        figure.draw_without_rendering()
        for ax, write in all_writers.items():
            for text in list(_labelled[ax][1] if ax in _labelled else ()):
                if text.axes is ax:
                    text.remove()
            _labelled[ax] = write, WeakSet(write(ax))
    figure.draw_without_rendering()


def panels(drawers: Sequence[Callable[[Axes], Drawn]], height: float = PANEL[1]) -> Figure:
    """Return a figure with an axes per drawer, at most three in a row, and one legend."""
    columns = len(drawers) if len(drawers) < 4 else 2 if len(drawers) == 4 else 3
    rows = math.ceil(len(drawers) / columns)
    size = (PANEL[0] * columns, height * rows)
    if len(drawers) == 1:
        size = ALONE[0], max(ALONE[1], height)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    drawn = [drawer(ax) for drawer, ax in zip(drawers, axes, strict=False)]
    for spare in axes[len(drawers) :]:
        spare.remove()
    style.figure_legend(figure, _together(drawn))
    _write_labels(figure, {ax: part.label for ax, part in zip(axes, drawn, strict=False)})
    return figure


def _together(drawn: Sequence[Drawn]) -> list[Artist]:
    """Return the entries of all legends, each text once."""
    by_text = {str(handle.get_label()): handle for part in drawn for handle in part.handles}
    return list(by_text.values())
