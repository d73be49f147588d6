"""Several axes on one page under one legend, their labels written once all else is in place."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from results.figures import style
from results.figures.relabel import Write, keep_labelled

PANEL = (4.0, 3.4)  # inches
ALONE = (6.4, 4.4)


@dataclass(frozen=True)
class Drawn:
    """What an axes holds: entries of a legend, and what writes its labels when all is laid out."""

    handles: Sequence[Artist]
    label: Write


def finish(ax: Axes, drawn: Drawn) -> Axes:
    """The axes with its own legend and its labels."""
    style.legend(ax, drawn.handles)
    figure = ax.get_figure(root=True)
    assert figure is not None
    keep_labelled(figure, [(ax, drawn.label)])
    return ax


def panels(drawers: Sequence[Callable[[Axes], Drawn]], height: float = PANEL[1]) -> Figure:
    """A figure with an axes per drawer, at most three beside each other, and one legend."""
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
    keep_labelled(figure, [(ax, part.label) for ax, part in zip(axes, drawn, strict=False)])
    return figure


def _together(drawn: Sequence[Drawn]) -> list[Artist]:
    """The entries of all legends, each text once."""
    by_text = {str(handle.get_label()): handle for part in drawn for handle in part.handles}
    return list(by_text.values())
