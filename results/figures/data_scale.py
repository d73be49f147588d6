"""Figure of accuracy against training-set size."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.columns import formatting
from results.figures import points, style
from results.figures.end_labels import label_ends
from results.figures.labels import Label, Line
from results.figures.panels import PANEL, Drawn, finish, panels


def _shades(found: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return a color per family and model: the family's, darker for larger models."""
    shades = {}
    for family, part in found.groupby("family", sort=False):
        models = list(dict.fromkeys(part["model"]))  # smallest first
        for place, model in enumerate(models, start=1):
            light = 0.55 * (1 - place / len(models))
            shades[str(family), model] = style.lighter(style.style(str(family))[0], light)
    return shades


def _draw_lines(ax: Axes, found: pd.DataFrame, published: bool) -> tuple[list[Line], list[Label]]:
    """Draw the lines; return them, and the labels of their ends."""
    shades, lines, labels = _shades(found), [], []
    for _, line in found.sort_values("x").groupby("line"):
        end = line.iloc[-1]
        color, marker = style.style(end["family"])
        color = (
            style.lighter(color, style.PUBLISHED)
            if published
            else shades[end["family"], end["model"]]
        )
        ax.errorbar(
            line["x"],
            line["mean"],
            line["std"].fillna(0),
            fmt=marker,
            linestyle="--" if published else "-",
            linewidth=1.1 if published else 1.4,
            color=color,
            elinewidth=1.1,
            markersize=4.0 if published else 5.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=2.5 if published else 3,
        )
        ink = (
            style.lighter(style.style(end["family"])[0], style.PUBLISHED / 2)
            if published
            else color
        )
        lines.append(line[["x", "mean"]].to_numpy(float))
        labels.append(Label(end["x"], end["mean"], end["text"], ink))
    return lines, labels


def _data_scale(
    ax: Axes, tables: Sequence[pd.DataFrame], metric: str, published: pd.DataFrame | None
) -> Drawn:
    title = style.metric_title(metric, "accuracy")
    ax.set(xscale="log", xlabel="training images", ylabel=title)
    style.tidy(ax)
    lines: list[Line] = []
    labels: list[Label] = []
    for at, found in enumerate(tables):
        drawn, ends = _draw_lines(ax, found, published=at > 0)
        lines, labels = lines + drawn, labels + ends
    handles = style.family_handles(tables[0]["family"])
    handles += [] if published is None else [style.published_handle(published)]
    handles += style.spread_handle(tables[0]["n"].min(), tables[0]["n"].max())
    if formatting.is_fraction(metric):
        style.percent_ticks(ax.yaxis)
    sizes = pd.concat(tables)["x"]
    ax.set_xlim(style.log_limits(sizes, margin=0.05, least=0.5))
    style.count_ticks(ax, sizes)
    return Drawn(handles, partial(label_ends, labels=labels, lines=lines))


def _by_size(
    runs: pd.DataFrame, metric: str, published: pd.DataFrame | None
) -> tuple[list[pd.DataFrame], float]:
    """Return the points of a study and of `published`, and the height that labels need (inches)."""
    tables = [points.by_data_scale(runs, metric)]
    tables += [] if published is None else [points.by_data_scale(published, metric)]
    return tables, 1.4 + 0.15 * sum(found["line"].nunique() for found in tables)


def data_scale(
    runs: pd.DataFrame,
    *,
    ax: Axes | None = None,
    metric: str = "top1_accuracy",
    published: pd.DataFrame | None = None,
) -> Axes:
    """Draw `metric` against the number of training images, a labeled line per model.

    A point is the mean over seeds with the sample standard deviation as a bar; color and marker
    are the family's, darker is larger. `published` (as `reference.table5()`) is lighter and
    dashed. Raises MissingColumn and NothingToDraw.

    >>> from results import reference
    >>> ax = data_scale(reference.table5())
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['303M', '14M', '1.3M']
    """
    tables, height = _by_size(runs, metric, published)
    ax = style.new_axes(height=max(4.4, height)) if ax is None else ax
    return finish(ax, _data_scale(ax, tables, metric, published))


def data_scales(
    runs: pd.DataFrame, metrics: Sequence[str], *, published: pd.DataFrame | None = None
) -> Figure:
    """Draw `data_scale` for each metric, side by side: the paper's Figures 3 and 4."""
    made = {metric: _by_size(runs, metric, published) for metric in metrics}
    drawers = [
        lambda ax, metric=metric: _data_scale(ax, made[metric][0], metric, published)
        for metric in metrics
    ]
    return panels(drawers, height=max(PANEL[1], *(height for _, height in made.values())))
