"""From points to a LawFit: solve, bootstrap, hold-out test, and the warnings all laws share."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from results.laws import bootstrap, clusters, solver
from results.laws.bootstrap import SPARE_CONFIGURATIONS
from results.laws.errors import FitError
from results.laws.law_fit import FACTOR_OF_TWO, HoldOut, Law, LawFit, Parameter
from results.laws.points import Points
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
ON_BOUND = 1e-6


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit of any form: names of x, metric, bootstrap."""

    x_names: tuple[str, ...]
    metric: str
    replicas: int
    level: float
    seed: int


@dataclass(frozen=True, eq=False)
class Solved:
    """A law with its best parameters (P,), Huber objective and delta."""

    law: Law
    theta: Floats
    objective: float
    delta: float

    @property
    def num_parameters(self) -> int:
        """The number of free parameters."""
        return sum(self.law.free)


def solve(law: Law, points: Points, delta: float | None = None) -> Solved:
    """Return the best fit of a law from many starts."""
    return Solved(law, *solver.fit_one(law, points.log_error, sum(law.free), delta))


def law_fit(
    points: Points, settings: FitSettings, chosen: Solved, wide: Solved | None = None
) -> LawFit:
    """Return the line of `chosen` with the intervals of `wide`, its most general form.

    Warnings and the hold-out test are left to the caller.
    """
    wide = chosen if wide is None else wide
    noise = replicated = None
    enough = wide.num_parameters + SPARE_CONFIGURATIONS
    if min(points.num_scales, len(points.centres)) >= enough and settings.replicas:
        line = wide.law(wide.theta[None])[0][0]
        noise = bootstrap.noise(points.log_error, line, points.cluster, wide.num_parameters)
        replicated = bootstrap.replicate(
            wide.law,
            wide.theta,
            wide.delta,
            noise,
            points.cluster,
            settings.replicas,
            settings.seed,
        )
    return LawFit(
        law=chosen.law,
        x_names=settings.x_names,
        metric=settings.metric,
        level=settings.level,
        parameters=_parameters(chosen, wide.law, replicated, settings.level),
        points=points,
        objective=chosen.objective,
        delta=chosen.delta,
        warnings=(),
        hold_out=None,
        theta=chosen.theta,
        noise=noise,
        replicated=replicated,
    )


def _parameters(
    chosen: Solved, wide: Law, replicated: bootstrap.Replicas | None, level: float
) -> dict[str, Parameter]:
    """Return each parameter, with an interval unless it is zero in all forms that were tried."""
    values = chosen.law.values(chosen.theta[None])[0]
    found = {name: Parameter(float(v)) for name, v in zip(chosen.law.names, values, strict=True)}
    if replicated is None:
        return found
    ends = zip(*clusters.interval(wide.values(replicated.theta), level), strict=True)
    for (name, parameter), free, (low, high) in zip(
        list(found.items()), wide.free, ends, strict=True
    ):
        if free:
            value = parameter.value
            found[name] = Parameter(value, float(min(low, value)), float(max(high, value)))
    return found


def hold_out(points: Points, fit_again: Callable[[Points], LawFit]) -> HoldOut | None:
    """Predict the largest configuration without the largest factor of two in scale.

    None where `fit_again` raises FitError for the rest.
    """
    centres = points.centres
    rest = (centres < centres.max() / FACTOR_OF_TWO)[points.cluster]
    try:
        smaller = fit_again(points.where(rest))
    except FitError:
        return None
    largest = points.cluster == centres.argmax()
    x = [[float(column[largest].mean())] for column in points.x]
    observed = float(np.exp(points.log_error[largest].mean()))
    predicted = float(smaller.predict(*x)[0])
    bounds = smaller.next_run(*x)
    return HoldOut(
        x=float(centres.max()),
        num_held=len(centres) - smaller.num_configurations,
        predicted=predicted,
        observed=observed,
        miss=observed - predicted,
        low=None if bounds is None else float(bounds[0][0]),
        high=None if bounds is None else float(bounds[1][0]),
    )


# --- warnings


def too_few_scales(made: LawFit, of: str) -> Iterator[ResultWarning]:
    """Yield a warning where a fit has no interval; `of` names what there is too little of."""
    if made.replicated is None:
        text = f"{made.points.num_scales} {of}: no honest interval"
        yield ResultWarning("too_few_scales", text)


def on_bound(made: LawFit, tops: Mapping[str, float]) -> Iterator[ResultWarning]:
    """Yield a warning for each free parameter that is zero or at the upper end in `tops`."""
    free = dict(zip(made.law.names, made.law.free, strict=True))
    for name, top in tops.items():
        value = made.parameters[name].value
        if free[name] and not 0 < value < top * (1 - ON_BOUND):
            text = f"{name} = {value:.3g} is the end of its range"
            yield ResultWarning("parameter_on_bound", text)


def hold_out_warnings(made: LawFit, scale_name: str) -> Iterator[ResultWarning]:
    """Yield a warning where there was no hold-out test, or where its interval missed."""
    check = made.hold_out
    if check is None:
        yield ResultWarning("no_hold_out", "too few scales without the largest factor of two")
    elif check.low is not None and check.high is not None and not check.covered:
        yield ResultWarning(
            "hold_out_missed",
            f"predicted {check.predicted:.3g} [{check.low:.3g}, {check.high:.3g}] at "
            f"{scale_name} {check.x:.3g}, observed {check.observed:.3g}",
        )
