"""The figures of a study: error against compute, and accuracy against training-set size."""

import io
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from results.columns import formatting
from results.figures import points, style
from results.figures.end_labels import label_ends
from results.figures.labels import Label, Line, place_labels
from results.figures.panels import (
    PANEL,
    Drawn,
    finish,
    panels,
)
from results.frontier import frontier as on_frontier
from results.ledger.files import write_whole
from results.schema import ResultsError

Drawing = Figure | Axes

FORMATS = ("png", "pdf", "svg")
DPI = 300
FEW_DECADES = 4  # on a wider axis of costs the powers of ten are enough
PUBLISHED = 0.55  # how much lighter published points are, and by half as much their labels


class UnknownFormat(ResultsError):
    """A figure cannot be written in this format."""


def _of_metric(metric: str, word: str) -> str:
    """The title of an axis of accuracies or errors: "top-1 error"; of losses with their unit."""
    if not formatting.is_fraction(metric):
        return style.axis_title(metric)
    return f"{formatting.name(metric).removesuffix(' accuracy')} {word}"


def _published_handle(published: pd.DataFrame) -> Artist:
    color = style.lighter("#000000", PUBLISHED)
    label = published.attrs.get("label", "published")
    return Line2D([], [], linestyle="", marker="o", markersize=4.5, color=color, label=label)


# --- error against compute


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
    """The error bars as lines, for labels to avoid."""
    bars = found[found["std"].notna()]
    ends = zip(bars["x"], bars["y"] - bars["down"], bars["y"] + bars["std"], strict=True)
    return [np.array([[x, low], [x, high]]) for x, low, high in ends]


def _labels(found: pd.DataFrame, light: float) -> list[Label]:
    """Labels, most important first: the frontier's, then each model's last, then the rest."""
    last = ~found.sort_values("x").duplicated("model", keep="last")
    order = found.assign(last=last).sort_values(
        ["frontier", "last", "x"], ascending=[False, False, True], kind="stable"
    )
    colors = [style.lighter(style.style(family)[0], light) for family in order["family"]]
    cells = zip(order["x"], order["y"], order["text"], colors, strict=True)
    return [Label(x, y, text, color) for x, y, text, color in cells]


def paid_in(published: pd.DataFrame, cost: str) -> str:
    """The column of a cost of published rows: without padding where they have only that.

    `paid_in(table6(), "train_flops")` is "train_flops_valid", of "params" it is "params".
    """
    return f"{cost}_valid" if cost not in published and f"{cost}_valid" in published else cost


def _frontier(
    ax: Axes, runs: pd.DataFrame, cost: str, metric: str, published: pd.DataFrame | None
) -> Drawn:
    found = points.of_error(runs, metric, cost)
    found["frontier"] = on_frontier(found["x"], found["error"])
    best = found[found["frontier"]].sort_values("x")
    title = _of_metric(metric, "error")
    ax.set(xscale="log", yscale="log", xlabel=style.axis_title(cost), ylabel=title)
    style.tidy(ax)
    (line,) = ax.plot(best["x"], best["y"], color=style.GREY, linewidth=1.4, zorder=2)
    line.set_label("Pareto frontier")
    _scatter(ax, found, light=0.0, size=6.5)
    labels, drawn = _labels(found, light=0.0), [found]
    handles = [*style.family_handles(found["family"]), line]
    if published is not None:
        others = points.of_error(published, metric, paid_in(published, cost))
        others["frontier"] = False
        _scatter(ax, others, light=PUBLISHED, size=5.0)
        labels += _labels(others, light=PUBLISHED / 2)
        drawn.append(others)
        handles.append(_published_handle(published))
    handles += style.spread_handle(found["n"].min(), found["n"].max())
    together = pd.concat(drawn)
    ends = [together["y"] - together["down"].fillna(0), together["y"] + together["std"].fillna(0)]
    low, high = style.log_limits(pd.concat(ends), margin=0.1, least=0.2)
    left, right = style.log_limits(together["x"], margin=0.1, least=1.0)
    ax.set(xlim=(left, right), ylim=(low, high))
    if math.log10(right / left) < FEW_DECADES:
        style.log_ticks(ax.xaxis, left, right, style.power_of_ten)
    text = style.percent if formatting.is_fraction(metric) else style.plain
    style.log_ticks(ax.yaxis, low, high, text)
    lines = [best[["x", "y"]].to_numpy(float), *_bars(together)]
    centres = together[["x", "y"]].to_numpy(float)
    return Drawn(handles, partial(place_labels, ax, labels, centres, lines))


def frontier(
    runs: pd.DataFrame,
    *,
    ax: Axes | None = None,
    cost: str = "train_flops",
    metric: str = "top1_accuracy",
    published: pd.DataFrame | None = None,
) -> Axes:
    """Error against `cost`, both logarithmic, one point per configuration, and its Pareto frontier.

    A point is the mean over seeds with the sample standard deviation as a bar; the frontier is
    that of `runs` alone. `published` (as `reference.table6()`) lies lighter behind it, at its
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
    """`frontier` for each metric, side by side under one legend: the paper's Figure 5."""
    drawers = [
        lambda ax, metric=metric: _frontier(ax, runs, cost, metric, published) for metric in metrics
    ]
    return panels(drawers)


# --- accuracy against training-set size


def _shades(found: pd.DataFrame) -> dict[tuple[str, str], str]:
    """A colour per family and model: the family's, the darker the larger the model."""
    shades = {}
    for family, part in found.groupby("family", sort=False):
        models = list(dict.fromkeys(part["model"]))  # by size, as summary.in_order left them
        for place, model in enumerate(models, start=1):
            light = 0.55 * (1 - place / len(models))
            shades[str(family), model] = style.lighter(style.style(str(family))[0], light)
    return shades


def _draw_lines(ax: Axes, found: pd.DataFrame, published: bool) -> tuple[list[Line], list[Label]]:
    """Draws the lines; returns them, and the labels of their ends."""
    shades, lines, labels = _shades(found), [], []
    for _, line in found.sort_values("x").groupby("line"):
        end = line.iloc[-1]
        color, marker = style.style(end["family"])
        color = (
            style.lighter(color, PUBLISHED) if published else shades[end["family"], end["model"]]
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
        ink = style.lighter(style.style(end["family"])[0], PUBLISHED / 2) if published else color
        lines.append(line[["x", "mean"]].to_numpy(float))
        labels.append(Label(end["x"], end["mean"], end["text"], ink))
    return lines, labels


def _data_scale(
    ax: Axes, tables: Sequence[pd.DataFrame], metric: str, published: pd.DataFrame | None
) -> Drawn:
    title = _of_metric(metric, "accuracy")
    ax.set(xscale="log", xlabel="training images", ylabel=title)
    style.tidy(ax)
    lines: list[Line] = []
    labels: list[Label] = []
    for at, found in enumerate(tables):
        drawn, ends = _draw_lines(ax, found, published=at > 0)
        lines, labels = lines + drawn, labels + ends
    handles = style.family_handles(tables[0]["family"])
    handles += [] if published is None else [_published_handle(published)]
    handles += style.spread_handle(tables[0]["n"].min(), tables[0]["n"].max())
    if formatting.is_fraction(metric):
        style.percent_ticks(ax.yaxis)
    sizes = pd.concat(tables)["x"]
    ax.set_xlim(style.log_limits(sizes, margin=0.05, least=0.5))
    style.count_ticks(ax, sizes)
    return Drawn(handles, partial(label_ends, ax, labels, lines))


def _by_size(
    runs: pd.DataFrame, metric: str, published: pd.DataFrame | None
) -> tuple[list[pd.DataFrame], float]:
    """The lines of a study and of `published`, and how high axes must be to label them all."""
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
    """`metric` against the number of training images, one line per model, labelled at its end.

    A point is the mean over seeds with the sample standard deviation as a bar; colour and marker
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
    """`data_scale` for each metric, side by side under one legend: the paper's Figures 3 and 4."""
    made = {metric: _by_size(runs, metric, published) for metric in metrics}
    drawers = [
        lambda ax, metric=metric: _data_scale(ax, made[metric][0], metric, published)
        for metric in metrics
    ]
    return panels(drawers, height=max(PANEL[1], *(height for _, height in made.values())))


# --- files


def save(figure: Drawing, path: Path | str) -> Path:
    """Writes a figure whole, as PNG (300 dpi), PDF or SVG by the ending of `path`.

    The same figure makes the same bytes. Raises UnknownFormat.
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        expected = ", ".join(f".{name}" for name in FORMATS)
        raise UnknownFormat(f"{path}: given {path.suffix or 'no ending'}, expected {expected}")
    drawn = figure.get_figure(root=True) if isinstance(figure, Axes) else figure
    assert drawn is not None
    content = io.BytesIO()
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "scalestudy"}):
        drawn.savefig(content, format=kind, dpi=DPI, metadata=metadata)
    return write_whole(path, lambda stream: stream.write(content.getbuffer()))
