"""Laws fitted to a ledger: the form, its intervals, a hold-out test and cautions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations, pareto
from results.laws import (
    bootstrap,
    clusters,
    solver,
)
from results.laws import (
    curve as laws,
)
from results.laws import (
    points as scales,
)
from results.laws.bootstrap import SPARE_CONFIGURATIONS
from results.laws.errors import FitError
from results.laws.fit_result import (
    FACTOR_OF_TWO,
    Fit,
    HoldOut,
    Parameter,
)
from results.laws.points import Ints, Points
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
NARROW = 8.0  # x spans less than a factor of eight
POINTS = ("all", "frontier")


@dataclass(frozen=True)
class _How:
    """What is asked of a fit, whatever the points."""

    form: str
    x_name: str
    metric: str
    unit: float
    replicas: int
    level: float
    seed: int


@dataclass(frozen=True, eq=False)
class _Solved:
    """A form fitted to points: its curve and parameters (4,), in units of the curve."""

    curve: laws.Curve
    theta: Floats
    objective: float
    delta: float
    criterion: float

    @property
    def num_parameters(self) -> int:
        return laws.num_parameters(self.curve.form)


def _solve(points: Points, form: str, delta: float | None = None) -> _Solved:
    """Return the best fit with its AICc over configurations.

    That is G log(2 objective / N) + 2k + 2k(k + 1) / (G - k - 1), k without the variance.
    """
    curve = laws.Curve(form, points.x, float(np.exp(np.log(points.x).mean())))
    k = laws.num_parameters(form)
    theta, objective, delta = solver.fit_one(curve, points.log_error, k, delta)
    num, room = len(points.centres), len(points.centres) - k - 1
    variance = max(2 * objective / len(points.x), np.finfo(float).tiny)
    penalty = 2 * k + 2 * k * (k + 1) / room if room > 0 else np.inf
    return _Solved(curve, theta, objective, delta, num * np.log(variance) + penalty)


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


def _replicas(
    points: Points, wide: _Solved, how: _How
) -> tuple[bootstrap.Noise, bootstrap.Replicas] | tuple[None, None]:
    """The bootstrap of the most general form, with x in the unit asked; none if not honest."""
    enough = wide.num_parameters + SPARE_CONFIGURATIONS
    if min(points.num_scales, len(points.centres)) < enough or not how.replicas:
        return None, None
    line = wide.curve(wide.theta[None])[0][0]
    noise = bootstrap.noise(points.log_error, line, points.cluster, wide.num_parameters)
    made = bootstrap.replicate(
        wide.curve, wide.theta, wide.delta, noise, points.cluster, how.replicas, how.seed
    )
    return noise, replace(made, theta=wide.curve.natural(made.theta, how.unit))


def _parameters(
    values: Floats, wide: str, replicas: bootstrap.Replicas | None, level: float
) -> dict[str, Parameter]:
    """Each with its interval, but for what is zero in all forms that were tried."""
    found = {name: Parameter(float(v)) for name, v in zip(laws.NAMES, values, strict=True)}
    if replicas is None:
        return found
    ends = zip(*clusters.interval(replicas.theta, level), strict=True)
    for (name, parameter), free, (low, high) in zip(
        list(found.items()), (True, True, *laws.FORMS[wide]), ends, strict=True
    ):
        if free:
            value = parameter.value
            found[name] = Parameter(value, float(min(low, value)), float(max(high, value)))
    return found


def _fitted(points: Points, how: _How) -> Fit:
    """Fit without warnings and hold-out test."""
    candidates = _forms(how.form, points.num_scales)
    wide = _solve(points, candidates[-1])
    others = [_solve(points, name, wide.delta) for name in candidates[:-1]]
    chosen = min([*others, wide], key=lambda solved: solved.criterion)
    noise, made = _replicas(points, wide, how)
    values = chosen.curve.natural(chosen.theta[None], how.unit)[0]
    return Fit(
        form=chosen.curve.form,
        x_name=how.x_name,
        x_unit=how.unit,
        metric=how.metric,
        level=how.level,
        parameters=_parameters(values, wide.curve.form, made, how.level),
        x=points.x,
        error=np.exp(points.log_error),
        num_configurations=len(points.centres),
        objective=chosen.objective,
        delta=chosen.delta,
        warnings=(),
        hold_out=None,
        _noise=noise,
        _replicas=made,
    )


def _hold_out(points: Points, how: _How) -> HoldOut | None:
    """Predict the largest configuration without the largest factor of two in x."""
    top = points.centres.max()
    kept = (points.centres < top / FACTOR_OF_TWO)[points.cluster]
    rest = Points(points.x[kept], points.log_error[kept], points.cluster[kept])
    try:
        smaller = _fitted(rest, how)
    except FitError:
        return None
    largest = points.cluster == points.centres.argmax()
    x, observed = float(top), float(np.exp(points.log_error[largest].mean()))
    predicted = float(smaller.predict([x])[0])
    bounds = smaller.next_run([x])
    return HoldOut(
        x=x,
        num_held=len(points.centres) - smaller.num_configurations,
        predicted=predicted,
        observed=observed,
        miss=observed - predicted,
        low=None if bounds is None else float(bounds[0][0]),
        high=None if bounds is None else float(bounds[1][0]),
    )


def _cautions(points: Points, made: Fit) -> Iterator[ResultWarning]:
    """Yield warnings about a fit, before any prediction."""
    if made.band(made.x[:1]) is None:
        text = f"{points.num_scales} different {made.x_name}: no honest interval"
        yield ResultWarning("too_few_scales", text)
    span = points.x.max() / points.x.min()
    if span < NARROW:
        yield ResultWarning("narrow_range", f"{made.x_name} spans a factor of {span:.3g} only")
    has = dict(zip(laws.NAMES, (True, True, *laws.FORMS[made.form]), strict=True))
    tops = {
        "b": laws.MAX_EXPONENT,
        "d": points.x.max() / made.x_unit,
        "e": np.exp(points.log_error.min()),
    }
    for name, top in tops.items():
        value = made.parameters[name].value
        if has[name] and not 0 < value < top * (1 - 1e-6):
            yield ResultWarning(
                "parameter_on_bound", f"{name} = {value:.3g} is the end of its range"
            )
    b = made.parameters["b"]
    if b.low is not None and b.high is not None and (b.low <= 0 or b.high >= tops["b"]):
        yield ResultWarning("parameter_on_bound", "the interval of b reaches the end of its range")
    held = made.hold_out
    if held is None:
        yield ResultWarning("no_hold_out", "too few scales without the largest factor of two")
    elif held.low is not None and held.high is not None and not held.covered:
        yield ResultWarning(
            "hold_out_missed",
            f"predicted {held.predicted:.3g} [{held.low:.3g}, {held.high:.3g}] at "
            f"{made.x_name} {held.x:.3g}, observed {held.observed:.3g}",
        )


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
) -> Fit:
    """Fit the law of error (N,) over x (N,), where runs of one configuration differ in seed only.

    Without `configuration` every point is its own. `metric` says whether errors end at 1. C and d
    of the formula are in units of `unit`, by default the power of ten in the middle of x. The
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
        unit = 10.0 ** np.round(np.log10(points.x).mean())
    how = _How(form, x_name, metric, unit, replicas, level, seed)
    made = replace(_fitted(points, how), hold_out=_hold_out(points, how))
    cautions = list(_cautions(points, made))
    if lost := int((known & ~usable).sum()):
        cautions.append(ResultWarning("no_error", f"{lost} runs without any error left out"))
    return replace(made, warnings=tuple(cautions))


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
) -> Fit:
    """Fit the law of the runs' error over a column, 1 - `metric` or the loss itself.

    Only finished runs count. With `points="frontier"` only configurations that nothing beats in
    both x and error do. What else `fit_points` takes goes to it. Raises FitError and
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
) -> dict[str, Fit | FitError]:
    """Fit a law per group of `by` values; a group that cannot be fitted holds its error."""
    found: dict[str, Fit | FitError] = {}
    for name, group in scales.groups(runs, by):
        try:
            found[name] = fit_law(group, **settings)
        except FitError as error:
            found[name] = error
    return found
