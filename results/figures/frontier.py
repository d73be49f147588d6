"""Figure of error against compute, with the Pareto frontier."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.columns import formatting
from results.figures import points, style
from results.figures.labels import Label, Line, place_labels
from results.figures.panels import Drawn, finish, panels
from results.frontier import frontier as on_frontier

FEW_DECADES = 4  # on a wider axis of costs the powers of ten are enough


def _scatter(ax: Axes, found: pd.DataFrame, light: float, size: float) -> None:
    for family, part in found.groupby("family", sort=False):
        color, marker = style.style(str(family))
        ax.errorbar(
            part["x"],
            part["y"],
            (part["down"].fillna(0), part["std"].fillna(0)),
            fmt=marker,
            markersize=size,
            color=style.lighter(color, light),
            markeredgecolor="white",
            markeredgewidth=0.6,
            elinewidth=1.1,
            zorder=2.5 if light else 3,
        )


def _bars(found: pd.DataFrame) -> list[Line]:
    """Return the error bars as lines that labels avoid."""
    bars = found[found["std"].notna()]
    ends = zip(bars["x"], bars["y"] - bars["down"], bars["y"] + bars["std"], strict=True)
    return [np.array([[x, low], [x, high]]) for x, low, high in ends]


def _labels(found: pd.DataFrame, light: float) -> list[Label]:
    """Return labels by importance: the frontier's, then each model's last point, then the rest."""
    last = ~found.sort_values("x").duplicated("model", keep="last")
    order = found.assign(last=last).sort_values(
        ["frontier", "last", "x"], ascending=[False, False, True], kind="stable"
    )
    colors = [style.lighter(style.style(family)[0], light) for family in order["family"]]
    cells = zip(order["x"], order["y"], order["text"], colors, strict=True)
    return [Label(x, y, text, color) for x, y, text, color in cells]


def cost_column(published: pd.DataFrame, cost: str) -> str:
    """Return the column of a cost in published rows: without padding if they have only that.

    `cost_column(table6(), "train_flops")` is "train_flops_valid", of "params" it is "params".
    """
    return f"{cost}_valid" if cost not in published and f"{cost}_valid" in published else cost


def _frontier(
    ax: Axes, runs: pd.DataFrame, cost: str, metric: str, published: pd.DataFrame | None
) -> Drawn:
    found = points.of_error(runs, metric, cost)
    found["frontier"] = on_frontier(found["x"], found["error"])
    best = found[found["frontier"]].sort_values("x")
    title = style.metric_title(metric, "error")
    ax.set(xscale="log", yscale="log", xlabel=formatting.title(cost), ylabel=title)
    style.tidy(ax)
    (line,) = ax.plot(best["x"], best["y"], color=style.GREY, linewidth=1.4, zorder=2)
    line.set_label("Pareto frontier")
    _scatter(ax, found, light=0.0, size=6.5)
    labels, drawn = _labels(found, light=0.0), [found]
    handles = [*style.family_handles(found["family"]), line]
    if published is not None:
        others = points.of_error(published, metric, cost_column(published, cost))
        others["frontier"] = False
        _scatter(ax, others, light=style.PUBLISHED, size=5.0)
        labels += _labels(others, light=style.PUBLISHED / 2)
        drawn.append(others)
        handles.append(style.published_handle(published))
    handles += style.spread_handle(found["n"].min(), found["n"].max())
    together = pd.concat(drawn)
    ends = [together["y"] - together["down"].fillna(0), together["y"] + together["std"].fillna(0)]
    low, high = style.log_limits(pd.concat(ends), margin=0.1, least=0.2)
    left, right = style.log_limits(together["x"], margin=0.1, least=1.0)
    ax.set(xlim=(left, right), ylim=(low, high))
    if math.log10(right / left) < FEW_DECADES:
        style.log_ticks(ax.xaxis, left, right, formatting.power_of_ten)
    text = formatting.percent if formatting.is_fraction(metric) else formatting.plain
    style.log_ticks(ax.yaxis, low, high, text)
    lines = [best[["x", "y"]].to_numpy(float), *_bars(together)]
    centres = together[["x", "y"]].to_numpy(float)
    return Drawn(handles, partial(place_labels, labels=labels, points=centres, lines=lines))


def frontier(
    runs: pd.DataFrame,
    *,
    ax: Axes | None = None,
    cost: str = "train_flops",
    metric: str = "top1_accuracy",
    published: pd.DataFrame | None = None,
) -> Axes:
    """Draw error against `cost`, both logarithmic, a point per configuration, with the frontier.

    A point is the mean over seeds with the sample standard deviation as a bar; the frontier is
    that of `runs` alone. `published` (as `reference.table6()`) is drawn lighter behind it, at its
    own count of `cost`, or at `{cost}_valid` where it has only that. Raises MissingColumn and
    NothingToDraw.

    >>> from results import reference
    >>> ax = frontier(reference.table6(), cost="train_flops_valid", metric="cifar100_accuracy")
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('training compute without padding (FLOPs)', 'CIFAR-100 error')
    """
    ax = style.new_axes() if ax is None else ax
    return finish(ax, _frontier(ax, runs, cost, metric, published))


def frontiers(
    runs: pd.DataFrame,
    metrics: Sequence[str],
    *,
    cost: str = "train_flops",
    published: pd.DataFrame | None = None,
) -> Figure:
    """Draw `frontier` for each metric, side by side under one legend: the paper's Figure 5."""
    drawers = [
        lambda ax, metric=metric: _frontier(ax, runs, cost, metric, published) for metric in metrics
    ]
    return panels(drawers)
