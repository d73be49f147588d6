"""Laws over one column of a ledger: the form, its intervals, a hold-out test and warnings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations, pareto
from results.laws import clusters, fitting
from results.laws import curve as laws
from results.laws import points as scales
from results.laws.bootstrap import SPARE_CONFIGURATIONS
from results.laws.errors import FitError
from results.laws.fitting import FitSettings, Solved
from results.laws.law_fit import LawFit
from results.laws.points import Ints, Points
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
NARROW = 8.0  # x spans less than a factor of eight
POINTS = ("all", "frontier")


def criterion(solved: Solved, points: Points) -> float:
    """Return the AICc of a fit over the configurations.

    That is G log(2 objective / N) + 2k + 2k(k + 1) / (G - k - 1), k without the variance.
    """
    num, k = len(points.centres), solved.num_parameters
    room = num - k - 1
    variance = max(2 * solved.objective / len(points.log_error), np.finfo(float).tiny)
    penalty = 2 * k + 2 * k * (k + 1) / room if room > 0 else np.inf
    return float(num * np.log(variance) + penalty)


def _forms(form: str, num_scales: int) -> list[str]:
    """Return the candidate forms, the most general one last."""
    if form != "auto":
        if form not in laws.FORMS:
            raise FitError(f"form {form!r} is unknown; expected auto, {', '.join(laws.FORMS)}")
        candidates = [form]
    else:
        room = max(num_scales - SPARE_CONFIGURATIONS, laws.num_parameters("power"))
        candidates = [name for name in laws.FORMS if laws.num_parameters(name) <= room]
    if num_scales < laws.num_parameters(candidates[-1]):
        raise FitError(
            f"{num_scales} different x, expected at least {laws.num_parameters(candidates[-1])} "
            f"for {laws.FORMULAS[candidates[-1]]}"
        )
    return candidates


def _fitted(points: Points, form: str, unit: float, settings: FitSettings) -> LawFit:
    """Fit without warnings and hold-out test."""
    *names, widest = _forms(form, points.num_scales)
    x = points.x[0]
    centre = float(np.exp(np.log(x).mean()))
    wide = fitting.solve(laws.Curve(widest, x, centre, unit), points)
    others = [
        fitting.solve(laws.Curve(name, x, centre, unit), points, wide.delta) for name in names
    ]
    chosen = min([*others, wide], key=lambda solved: criterion(solved, points))
    return fitting.law_fit(points, settings, chosen, wide)


def _warnings(made: LawFit) -> Iterator[ResultWarning]:
    """Yield warnings about a fit, before any prediction."""
    yield from fitting.too_few_scales(made, f"different {made.x_name}")
    span = made.x.max() / made.x.min()
    if span < NARROW:
        yield ResultWarning("narrow_range", f"{made.x_name} spans a factor of {span:.3g} only")
    tops = {
        "b": laws.MAX_EXPONENT,
        "d": float(made.x.max() / made.x_unit),
        "e": float(made.error.min()),
    }
    yield from fitting.on_bound(made, tops)
    b = made.parameters["b"]
    if b.low is not None and b.high is not None and (b.low <= 0 or b.high >= tops["b"]):
        yield ResultWarning("parameter_on_bound", "the interval of b reaches the end of its range")
    yield from fitting.hold_out_warnings(made, made.x_name)


def fit_points(
    x: npt.ArrayLike,
    error: npt.ArrayLike,
    configuration: npt.ArrayLike | None = None,
    *,
    form: str = "auto",
    x_name: str = "train_flops",
    metric: str = "top1_accuracy",
    unit: float | None = None,
    replicas: int = clusters.REPLICAS,
    level: float = clusters.LEVEL,
    seed: int = 0,
) -> LawFit:
    """Fit the law of error (N,) over x (N,), where runs of one configuration differ in seed only.

    Without `configuration` every point is its own. Errors of accuracies end at 1. C and d of
    the formula are in units of `unit`, by default the power of ten in the middle of x. The
    order of points changes nothing. Raises FitError.

    >>> C = np.array([1, 3, 10, 30, 100, 300, 1000.0])
    >>> made = fit_points(C, 0.63 * (C + 0.52) ** -0.32 + 0.12, unit=1)
    >>> made.form, [round(p.value, 2) for p in made.parameters.values()]
    ('double_saturating', [0.63, 0.32, 0.52, 0.12])
    """
    x, error = np.asarray(x, dtype=float), np.asarray(error, dtype=float)
    names = np.arange(len(x)) if configuration is None else np.asarray(configuration)
    known = np.isfinite(x) & np.isfinite(error) & (x > 0)
    usable = known & (error > 0)
    if not usable.any():
        raise FitError(f"none of {len(x)} points has both {x_name} above 0 and an error above 0")
    points = scales.points(x[usable], error[usable], names[usable])
    if unit is None:
        unit = float(10.0 ** np.round(np.log10(points.x).mean()))
    settings = FitSettings((x_name,), metric, replicas, level, seed)
    made = _fitted(points, form, unit, settings)
    check = fitting.hold_out(points, lambda rest: _fitted(rest, form, unit, settings))
    made = replace(made, hold_out=check)
    found = list(_warnings(made))
    if lost := int((known & ~usable).sum()):
        found.append(ResultWarning("no_error", f"{lost} runs without any error left out"))
    return replace(made, warnings=tuple(found))


def _on_frontier(x: Floats, error: Floats, configuration: Ints) -> npt.NDArray[np.bool_]:
    """Return the mask (N,) of runs whose configuration mean is on the frontier."""
    means = pd.DataFrame({"x": x, "error": error}).groupby(configuration).mean()
    members = means.index[pareto.frontier(means["x"], means["error"])]
    return np.isin(configuration, members)


def fit_law(
    runs: pd.DataFrame,
    *,
    x: str = "train_flops",
    metric: str = "top1_accuracy",
    points: str = "all",
    **settings: Any,
) -> LawFit:
    """Fit the law of the runs' error over a column, 1 - `metric` or the loss itself.

    Only finished runs count. With `points="frontier"` only configurations on the Pareto frontier of
    x and error do. `settings` are those of `fit_points`. Raises FitError and
    MissingColumn.

    >>> from results import reference
    >>> paper = reference.table6()
    >>> vit = paper[paper.family == "vit"]
    >>> made = fit_law(vit, x="train_flops_valid", metric="imagenet_accuracy", form="power")
    >>> made.num_configurations, round(made.parameters["b"].value, 2)
    (6, 0.11)
    """
    configurations.check_columns(runs, [x, metric])
    if points not in POINTS:
        raise FitError(f"points: given {points!r}, expected one of {', '.join(POINTS)}")
    runs, error = scales.errors_of(runs[runs[x].notna()], metric)
    xs = runs[x].to_numpy(dtype=float)
    names, extra = configurations.ids(runs), []
    if points == "frontier" and len(runs):
        best = _on_frontier(xs, error, names)
        extra = [
            ResultWarning(
                "best_of_many", f"best {len(set(names[best]))} of {len(set(names))} tried"
            )
        ]
        xs, error, names = xs[best], error[best], names[best]
    made = fit_points(xs, error, names, x_name=x, metric=metric, **settings)
    return replace(made, warnings=(*made.warnings, *extra))


def fit_groups(
    runs: pd.DataFrame, by: Sequence[str] = ("family",), **settings: Any
) -> dict[str, LawFit | FitError]:
    """Fit a law per group of `by` values; a group that cannot be fitted holds its error."""
    found: dict[str, LawFit | FitError] = {}
    for name, group in scales.groups(runs, by):
        try:
            found[name] = fit_law(group, **settings)
        except FitError as error:
            found[name] = error
    return found
