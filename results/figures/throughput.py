"""Figures of measured speed: images per second and the largest batch, by image or batch size."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.columns import configurations
from results.figures import style
from results.figures.end_labels import label_ends
from results.figures.labels import Label, Line
from results.figures.panels import Drawn, finish, panels
from results.figures.points import NothingToDraw

# Settings that distinguish lines of the same network.
SETTING = ("mode", "precision", "compiled", "device", "num_threads")
SPEED, BATCH = "images_per_second", "batch_size"


def _lines(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Return the largest `y` at each x of each line, with `text`: network and what was varied."""
    configurations.check_columns(table, ["model", x, y])
    table = table[table["fits"].fillna(False).astype(bool)] if "fits" in table else table
    table = table[table[y].notna()]
    if table.empty:
        raise NothingToDraw(f"nothing to draw: no measurement that fits memory has {y}")
    settings = [name for name in SETTING if name in table]
    varied = [name for name in settings if table[name].nunique(dropna=False) > 1]
    name = table[configurations.model_column(table)].astype(str)
    words = {"compiled": table["compiled"].map({True: "compiled", False: ""}) if varied else None}
    for column in varied:
        part = words["compiled"] if column == "compiled" else table[column].astype(str)
        name = name + ("" if part is None else (", " + part).where(part != "", ""))
    table = configurations.in_order(table.assign(text=name, x=table[x].astype(float), y=table[y]))
    family = "family" if "family" in table else "text"
    keys = [family, "text", "x"]
    best = table.groupby(keys, sort=False, dropna=False)["y"].max().reset_index()
    return best.rename(columns={family: "family"}) if family == "family" else best.assign(family="")


def _draw(ax: Axes, table: pd.DataFrame, x: str, y: str, title: str) -> Drawn:
    found = _lines(table, x, y)
    ax.set(xscale="log", yscale="log", xlabel=_title(x), ylabel=title)
    style.tidy(ax)
    lines: list[Line] = []
    labels: list[Label] = []
    for family, part in found.groupby("family", sort=False):
        names = list(dict.fromkeys(part["text"]))
        color, marker = style.style(str(family))
        for place, name in enumerate(names, start=1):
            line = part[part["text"] == name].sort_values("x")
            shade = style.lighter(color, 0.55 * (1 - place / len(names)))
            ax.plot(line["x"], line["y"], color=shade, marker=marker, markersize=5, linewidth=1.4)
            lines.append(line[["x", "y"]].to_numpy(float))
            labels.append(Label(line["x"].iloc[-1], line["y"].iloc[-1], name, shade))
    ax.set_xlim(style.log_limits(found["x"], margin=0.06, least=0.4))
    low, high = style.log_limits(found["y"], margin=0.08, least=0.5)
    ax.set_ylim(low, high)
    style.log_ticks(ax.yaxis, low, high, lambda value: f"{value:,.4g}")
    style.exact_ticks(ax, found["x"])
    return Drawn(
        style.family_handles(found["family"]), partial(label_ends, labels=labels, lines=lines)
    )


def _title(x: str) -> str:
    return {"image_size": "image size (pixels)", "batch_size": "batch size (images)"}[x]


def _axis(table: pd.DataFrame) -> str:
    """Return the column that varies: the image size, as in the paper, or else the batch size."""
    return "image_size" if table["image_size"].nunique() > 1 else "batch_size"


def speed(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw images per second over image size, at the best batch size: the paper's Figure 12, left.

    `table` holds the rows that `scalestudy throughput` wrote, as `ledger.parquet` reads them. The
    x axis is the batch size if all images have one size. Raises MissingColumn and NothingToDraw.
    """
    configurations.check_columns(table, ["image_size", SPEED])
    ax = style.new_axes() if ax is None else ax
    return finish(ax, _draw(ax, table, _axis(table), SPEED, "images per second"))


def largest_batch(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the largest batch over image size: Figure 12, right. Raises as `speed` does."""
    configurations.check_columns(table, ["image_size", BATCH])
    ax = style.new_axes() if ax is None else ax
    return finish(ax, _draw(ax, table, "image_size", BATCH, "largest batch that fits (images)"))


def throughput(table: pd.DataFrame) -> Figure:
    """Draw `speed`, and `largest_batch` beside it if the batch was limited by memory."""
    configurations.check_columns(table, ["image_size", SPEED, BATCH])
    x = _axis(table)
    drawers: Sequence[Callable[[Axes], Drawn]] = [
        lambda ax: _draw(ax, table, x, SPEED, "images per second")
    ]
    ended = "fits" in table and not np.all(table["fits"].fillna(True))
    has_memory = "peak_memory_bytes" in table and table["peak_memory_bytes"].notna().any()
    if x == "image_size" and (ended or has_memory):
        title = "largest batch that fits (images)"
        drawers = [*drawers, lambda ax: _draw(ax, table, x, BATCH, title)]
    return panels(drawers)
