"""Style of all figures: colors and markers of families, legends, titles, limits and ticks."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colors, ticker
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from results.columns import configurations, formatting
from results.columns import families as looks

GREY = "#555555"
PUBLISHED = 0.55  # how much lighter published points are, and by half as much their labels
TEXT_SIZE = 8.0
# First digits of the ticks of a logarithmic axis, by the decades it spans at most; axes of at
# most LINEAR decades have the evenly spaced ticks of a linear axis.
FIRST_DIGITS = ((1.5, (1, 2, 3, 5, 7)), (3.5, (1, 2, 5)), (5.0, (1, 3)), (math.inf, (1,)))
LINEAR = 0.7  # decades
MOST_TICKS = 100  # of powers of ten, so that none is left out
WIDE = 5.0  # inches of an x axis; a narrower one has room for fewer ticks
TICK_ROOM = 0.07  # of the axis, between two labeled counts


def title(family: str) -> str:
    """Return the displayed name of a family: "vit, ViT paper" is "ViT, ViT paper"."""
    name, *rest = family.partition(configurations.THEIRS)
    return "".join([looks.title(name or "runs"), *rest])


def style(family: str) -> tuple[str, str]:
    """Return color and marker of a family, the same in every figure; spare ones for unknown ones.

    The paper's own have those of the family, in a lighter tone.
    """
    if family.endswith(configurations.THEIRS):
        color, marker = style(family.removesuffix(configurations.THEIRS))
        return lighter(color, 0.45), marker
    return looks.style(family)


def lighter(color: str, amount: float) -> str:
    """Mix `color` with white: 0 leaves it, 1 is white."""
    red, green, blue = (part + (1 - part) * amount for part in colors.to_rgb(color))
    return colors.to_hex((red, green, blue))


def new_axes(width: float = 6.4, height: float = 4.4) -> Axes:
    """Return the axes of a new figure (inches) that belongs to no window and no global state."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def metric_title(metric: str, word: str) -> str:
    """Return the title of an axis of accuracies or errors, of losses with their unit.

    >>> metric_title("top1_accuracy", "error"), metric_title("loss", "error")
    ('top-1 error', 'loss (nats)')
    """
    if not formatting.is_fraction(metric):
        return formatting.title(metric)
    return f"{formatting.name(metric).removesuffix(' accuracy')} {word}"


def tidy(ax: Axes) -> None:
    """Strip an axes of decoration: two spines and faint grid lines remain."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(which="both", color=GREY, labelcolor="#222222", labelsize=TEXT_SIZE + 0.5)
    ax.tick_params(which="minor", length=2)
    ax.grid(visible=True, which="major", color="#E6E6E6", linewidth=0.6)
    ax.set_axisbelow(True)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set(fontsize=TEXT_SIZE + 1.5, parse_math=False)


# --- the legend


def family_handles(families: Iterable[str]) -> list[Artist]:
    """Return legend entries of the families, in their usual order."""
    found = set(families)
    known = [family for family in looks.LOOKS if family in found]
    handles: list[Artist] = []
    for family in [*known, *sorted(found - set(known))]:
        color, marker = style(family)
        handles.append(
            Line2D([], [], linestyle="", marker=marker, color=color, label=title(family))
        )
    return handles


def published_handle(published: pd.DataFrame) -> Artist:
    """Return the legend entry of published runs, named by the table they are from."""
    color = lighter("#000000", PUBLISHED)
    label = published.attrs.get("label", "published")
    return Line2D([], [], linestyle="", marker="o", markersize=4.5, color=color, label=label)


def spread_handle(low: int, high: int) -> list[Artist]:
    """Return the legend entry of error bars over `low` to `high` seeds; none for single runs."""
    if high < 2:
        return []
    n = f"n = {high}" if low == high else f"n = {low} to {high}"
    label = f"mean ± 1 std, {n} seeds"
    return [Line2D([], [], color=GREY, linestyle="", marker="|", markersize=9, label=label)]


def _by_rows(handles: Sequence[Artist], columns: int) -> list[Artist]:
    """Reorder handles so that a legend, which fills columns, reads along its rows."""
    return [handle for column in range(columns) for handle in handles[column::columns]]


def legend(ax: Axes, handles: Sequence[Artist]) -> None:
    """Write a legend above the axes, in as few rows as fit."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0)}
    _legend(ax, handles, ax.get_window_extent().width, place)


def figure_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Write a legend above all axes of a figure, in as few rows as fit."""
    _legend(figure, handles, figure.bbox.width, {"loc": "outside upper left"})


def _legend(
    on: Axes | Figure, handles: Sequence[Artist], room: float, place: dict[str, Any]
) -> None:
    made: Legend | None = None
    for rows in range(1, len(handles) + 1):
        if made is not None:
            made.remove()
        columns = math.ceil(len(handles) / rows)
        made = on.legend(
            handles=_by_rows(handles, columns),
            ncols=columns,
            frameon=False,
            fontsize=TEXT_SIZE,
            borderpad=0.3,
            borderaxespad=0.2,
            handlelength=1.6,
            handletextpad=0.4,
            columnspacing=1.2,
            **place,
        )
        for text in made.get_texts():
            text.set_parse_math(False)  # names of families are data
        if made.get_window_extent().width <= room:
            break


# --- limits and ticks


def log_limits(values: Iterable[float], margin: float, least: float) -> tuple[float, float]:
    """Return limits of a logarithmic axis around `values`, at least `least` decades apart."""
    logs = np.log10(np.asarray(list(values), dtype=float))
    low, high = logs.min(), logs.max()
    wider = max(margin * (high - low), (least - (high - low)) / 2)
    return float(10 ** (low - wider)), float(10 ** (high + wider))


def log_ticks(axis: Axis, low: float, high: float, text: Callable[[float], str]) -> None:
    """Put ticks at round numbers of a logarithmic axis from low to high, formatted by `text`."""
    ax = axis.axes
    inches = ax.bbox.width / ax.figure.dpi if axis is ax.xaxis else math.inf
    decades = math.log10(high / low) * max(WIDE / inches, 1.0)
    if decades <= LINEAR:
        axis.set_major_locator(ticker.MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]))
    else:
        digits = next(digits for most, digits in FIRST_DIGITS if decades <= most)
        axis.set_major_locator(ticker.LogLocator(subs=digits, numticks=MOST_TICKS))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_locator(ticker.NullLocator())


def percent_ticks(axis: Axis) -> None:
    """Put ticks at round percentages of a linear axis of fractions."""
    axis.set_major_locator(ticker.MaxNLocator(steps=[1, 2, 5, 10]))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: formatting.percent(value)))


def exact_ticks(ax: Axes, values: Iterable[float]) -> None:
    """Put ticks of the logarithmic x axis at measured whole numbers, in full."""
    kept = _with_room(ax, values)
    ax.set_xticks(kept, [f"{value:.0f}" for value in kept])
    ax.xaxis.set_minor_locator(ticker.NullLocator())


def count_ticks(ax: Axes, counts: Iterable[float]) -> None:
    """Put ticks of the logarithmic x axis at the counts themselves, as far as they have room."""
    kept = _with_room(ax, counts)
    ax.set_xticks(kept, [formatting.short_count(count) for count in kept])
    ax.xaxis.set_minor_locator(ticker.NullLocator())


def _with_room(ax: Axes, counts: Iterable[float]) -> list[float]:
    low, high = np.log10(ax.get_xlim())
    kept: list[float] = []
    for count in sorted(set(counts), reverse=True):
        if not kept or np.log10(kept[-1] / count) > TICK_ROOM * (high - low):
            kept.append(count)
    return kept
