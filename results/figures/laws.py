"""Figures of laws: curves with their bands, and IsoFLOP profiles with their minima."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from results.columns import formatting
from results.figures import style
from results.figures.end_labels import label_ends
from results.figures.labels import Label
from results.figures.panels import (
    PANEL,
    Drawn,
    finish,
    panels,
)
from results.figures.points import NothingToDraw
from results.fit import FitError
from results.laws.isoflop import Profile
from results.laws.law_fit import FACTOR_OF_TWO, LawFit

SAMPLES = 200  # of a curve
NOTE_WIDTH = 105  # characters per line of a note
NOTE_SIZE = 7.0
TINY = 1e-9  # smallest error drawn on a logarithmic axis


def _note(ax: Axes, lines: Sequence[str]) -> None:
    """Write warnings below the axes."""
    if not lines:
        return
    figure = ax.get_figure(root=True)
    assert figure is not None
    room = max(int(NOTE_WIDTH * ax.bbox.width / figure.dpi / 5.0), 40)
    text = "\n".join(textwrap.fill(line, room, subsequent_indent="   ") for line in lines)
    title = f"{ax.get_xlabel()}\n\n"
    ax.set_xlabel(title.rstrip(), labelpad=4)
    ax.annotate(
        text,
        (0, 0),
        xytext=(0, -38),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=NOTE_SIZE,
        color=style.GREY,
        annotation_clip=False,
        parse_math=False,
    )


def _next_run(made: LawFit, x: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]] | None:
    """Return the interval of a new run, smoothed by a parabola on both logarithms."""
    interval, band = made.next_run(x), made.band(x)
    if interval is None or band is None:
        return None
    z = np.log(x / np.sqrt(x[0] * x[-1]))
    ends = [np.exp(np.polyval(np.polyfit(z, np.log(np.maximum(y, TINY)), 2), z)) for y in interval]
    ends = [np.minimum(ends[0], band[0]), np.maximum(ends[1], band[1])]
    return [np.minimum(end, made.largest_error) for end in ends]


def _curve(ax: Axes, name: str, made: LawFit) -> tuple[float, float]:
    """Draw one family's points, curve, bands and hold-out; return the end of its curve."""
    color, marker = style.style(name)
    x = np.geomspace(made.x.min() / FACTOR_OF_TWO**0.5, made.x.max() * FACTOR_OF_TWO, SAMPLES)
    inside = x <= made.x.max()
    y = made.predict(x)
    band, wider = made.band(x), _next_run(made, x)
    for interval, alpha in ((wider, 0.10), (band, 0.22)):
        if interval is not None:
            ax.fill_between(x, *interval, color=color, alpha=alpha, linewidth=0, zorder=1)
    ax.plot(x[inside], y[inside], color=color, linewidth=1.5, zorder=2.5)
    ax.plot(x[~inside], y[~inside], color=color, linewidth=1.2, linestyle="--", zorder=2.5)
    ax.plot(
        *(made.x, made.error, marker),
        color=color,
        markersize=5.5,
        markeredgecolor="white",
        markeredgewidth=0.5,
        zorder=3,
    )
    if made.hold_out is not None:
        at, low, high = made.hold_out.predicted, made.hold_out.low, made.hold_out.high
        bar = None if low is None or high is None else [[at - low], [high - at]]
        ax.errorbar(
            [made.hold_out.x],
            [at],
            bar,
            fmt=marker,
            markersize=7,
            markerfacecolor="none",
            color=style.GREY,
            elinewidth=1.1,
            capsize=3,
            zorder=3.5,
        )
    return float(x[-1]), float(y[-1])


def _remarks(name: str, made: LawFit | FitError) -> list[str]:
    """Return the lines under the figure of a law: its warnings, or why there is no law."""
    title = style.title(name)
    if isinstance(made, FitError):
        return [f"{title}: no law, {made}"]
    return [f"{title}: {warning.code}, {warning.text}" for warning in made.warnings]


def _fits(ax: Axes, fits: Mapping[str, LawFit | FitError]) -> Drawn:
    known = {name: made for name, made in fits.items() if isinstance(made, LawFit)}
    if not known:
        raise NothingToDraw("; ".join(line for name in fits for line in _remarks(name, fits[name])))
    first = next(iter(known.values()))
    is_fraction = formatting.is_fraction(first.metric)
    title = style.metric_title(first.metric, "error")
    ax.set(xscale="log", yscale="log", xlabel=formatting.title(first.x_name), ylabel=title)
    style.tidy(ax)
    ends = {name: _curve(ax, name, made) for name, made in known.items()}
    shown = np.concatenate(
        [np.concatenate([made.error, [ends[n][1]]]) for n, made in known.items()]
    )
    low, high = style.log_limits(shown, margin=0.15, least=0.3)
    left, right = style.log_limits(np.concatenate([made.x for made in known.values()]), 0.04, 0.5)
    right = max(right, *(end[0] for end in ends.values()))
    ax.set(xlim=(left, right), ylim=(low, high))
    style.log_ticks(ax.yaxis, low, high, formatting.percent if is_fraction else formatting.plain)
    style.log_ticks(ax.xaxis, left, right, formatting.power_of_ten)
    _note(ax, [line for name in fits for line in _remarks(name, fits[name])])
    handles = style.family_handles(known)
    level = formatting.percent(first.level)
    handles += [
        Patch(color=style.GREY, alpha=0.35, linewidth=0, label=f"curve, {level}"),
        Patch(color=style.GREY, alpha=0.15, linewidth=0, label=f"next run, {level}"),
    ]
    if any(made.hold_out is not None for made in known.values()):
        hollow = Line2D([], [], linestyle="", color=style.GREY, marker="o", markerfacecolor="none")
        hollow.set_label("predicted without the last factor of two")
        handles.append(hollow)
    labels = [
        Label(*ends[name], f"b = {made.parameters['b'].value:.2g}", style.style(name)[0])
        for name, made in known.items()
    ]
    return Drawn(handles, partial(label_ends, labels=labels, lines=[]))


def fits(laws: Mapping[str, LawFit | FitError] | LawFit, *, ax: Axes | None = None) -> Axes:
    """Draw laws by family, as `fit.fit_groups` returns them: points, curve, and two bands.

    The darker band is the interval of the curve, the lighter one that of a new run; beyond the
    data the curve is dashed. The hollow mark is the prediction of the largest configuration by a
    fit without the largest factor of two. Warnings stand below. Raises NothingToDraw.
    """
    laws = {"runs": laws} if isinstance(laws, LawFit) else laws
    ax = style.new_axes(height=4.8) if ax is None else ax
    return finish(ax, _fits(ax, laws))


def fit_panels(laws: Mapping[str, LawFit | FitError]) -> Figure:
    """Draw `fits` with an axes per family, so that bands do not overlap; raises NothingToDraw."""
    shown = [name for name, made in laws.items() if isinstance(made, LawFit)] or list(laws)
    others = {name: made for name, made in laws.items() if name not in shown}
    parts = [{name: laws[name]} for name in shown]
    parts[-1] |= others  # the reasons are written under the last
    drawers = [lambda ax, part=part: _fits(ax, part) for part in parts]
    return panels(drawers, height=PANEL[1] + 0.8)


# --- IsoFLOP profiles


def _profiles(ax: Axes, found: Sequence[Profile], size: str, metric: str, budget: str) -> Drawn:
    unit = formatting.unit(budget)
    is_fraction = formatting.is_fraction(metric)
    title = style.metric_title(metric, "error")
    ax.set(xscale="log", yscale="log", xlabel=formatting.title(size), ylabel=title)
    style.tidy(ax)
    labels, lines = [], []
    for place, profile in enumerate(found):
        # one hue, darker for more compute
        color = style.lighter(style.style("vit")[0], 0.6 * (1 - (place + 1) / len(found)))
        x = np.geomspace(profile.fit.x.min(), profile.fit.x.max(), SAMPLES)
        y = profile.fit.predict(x)
        ax.plot(x, y, color=color, linewidth=1.4)
        ax.plot(
            profile.fit.x,
            profile.fit.error,
            "o",
            color=color,
            markersize=5,
            markeredgecolor="white",
        )
        if profile.best_size is not None and profile.best_error is not None:
            ax.plot(
                *([profile.best_size.value], [profile.best_error], "*"),
                color=style.style("hybrid")[0],
                markersize=11,
                markeredgecolor="white",
                zorder=4,
            )
        lines.append(np.column_stack([x, y]))
        text = f"{formatting.power_of_ten(profile.budget)} {unit}"
        labels.append(Label(x[-1], y[-1], text, color, math=True))
    errors = np.concatenate([profile.fit.error for profile in found])
    low, high = style.log_limits(errors, margin=0.12, least=0.2)
    left, right = style.log_limits(np.concatenate([p.fit.x for p in found]), 0.05, 0.3)
    ax.set(xlim=(left, right), ylim=(low, high))
    style.log_ticks(ax.yaxis, low, high, formatting.percent if is_fraction else formatting.plain)
    style.log_ticks(ax.xaxis, left, right, formatting.short_count)
    remarks = [f"{p.budget:.2g} {unit}: {c.code}, {c.text}" for p in found for c in p.warnings]
    _note(ax, remarks)
    handles = [
        Line2D(
            [], [], color=style.GREY, marker="o", label=f"runs of equal {formatting.name(budget)}"
        ),
        Line2D([], [], color=style.style("hybrid")[0], marker="*", linestyle="", markersize=10),
    ]
    handles[1].set_label("minimum of the parabola")
    return Drawn(handles, partial(label_ends, labels=labels, lines=lines))


def isoflop(
    found: Sequence[Profile],
    *,
    ax: Axes | None = None,
    size: str = "params",
    metric: str = "top1_accuracy",
    budget: str = "train_flops",
) -> Axes:
    """Draw error over size at equal compute, as `isoflop.profiles` returns it, with the best sizes.

    `budget` is the column of the compute. Raises NothingToDraw for no profile.
    """
    if not found:
        raise NothingToDraw("nothing to draw: no budget has three sizes")
    ax = style.new_axes(height=4.8) if ax is None else ax
    return finish(ax, _profiles(ax, found, size, metric, budget))
