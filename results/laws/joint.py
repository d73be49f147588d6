"""A law over parameters and data together, and how compute is best divided between them.

The law is that of `surface`, the division of compute C = k N D equation 4 of Hoffmann et al. 2022
(arXiv:2203.15556).
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations, formatting
from results.laws import (
    bootstrap,
    clusters,
    points,
    solver,
)
from results.laws.bootstrap import SPARE_CONFIGURATIONS
from results.laws.errors import FitError
from results.laws.fit_result import (
    FACTOR_OF_TWO,
    HoldOut,
    Interval,
    Parameter,
)
from results.laws.surface import NUM_PARAMETERS, Surface, best_n
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
NAMES = ("a", "alpha", "b", "beta", "e")
COLLINEAR = 0.95  # correlation of log N and log D
ON_BOUND = 1e-6


@dataclass(frozen=True)
class Division:
    """The size and data that a budget is best spent on, and the error they reach."""

    budget: float
    params: Parameter
    data: Parameter
    error: float


@dataclass(frozen=True, eq=False)
class JointFit:
    """error = e + a N^-alpha + b D^-beta, with N and D in `n_unit` and `d_unit`.

    `compute_factor` is k of C = k N D, the geometric mean over the runs.
    """

    n_name: str
    d_name: str
    metric: str
    level: float
    n_unit: float
    d_unit: float
    parameters: dict[str, Parameter]
    num_configurations: int
    num_runs: int
    compute_factor: float
    hold_out: HoldOut | None
    warnings: tuple[ResultWarning, ...]
    _theta: Floats = field(repr=False)
    _noise: bootstrap.Noise | None = field(repr=False)
    _replicas: bootstrap.Replicas | None = field(repr=False)

    def _surface(self, n: npt.ArrayLike, d: npt.ArrayLike) -> Surface:
        n, d = np.broadcast_arrays(np.atleast_1d(n).astype(float), np.atleast_1d(d).astype(float))
        return Surface(np.log(n / self.n_unit), np.log(d / self.d_unit))

    def _errors(self, logs: Floats) -> Floats:
        top = 0.0 if formatting.higher_is_better(self.metric) else np.inf
        return np.exp(np.minimum(logs, top))

    def predict(self, n: npt.ArrayLike, d: npt.ArrayLike) -> Floats:
        """The error at parameters and data (M,)."""
        return self._errors(self._surface(n, d)(self._theta[None])[0][0])

    def next_run(self, n: npt.ArrayLike, d: npt.ArrayLike) -> Interval | None:
        """Between which errors a new run at (M,) ends; None where that is not honest."""
        return self._interval(n, d, single=True)

    def band(self, n: npt.ArrayLike, d: npt.ArrayLike) -> Interval | None:
        """Between which errors the surface runs at (M,); None where that is not honest."""
        return self._interval(n, d, single=False)

    def _interval(self, n: npt.ArrayLike, d: npt.ArrayLike, single: bool) -> Interval | None:
        if self._replicas is None or self._noise is None:
            return None
        logs = self._surface(n, d)(self._replicas.theta)[0]
        if single:
            logs = self._noise.single_runs(logs, self._replicas.scales, seed=1)
        low, high = clusters.interval(logs, self.level)
        return self._errors(low), self._errors(high)

    def divide(self, budget: float) -> Division:
        """The best N and D with k N D = budget, in the units of the columns."""
        product = budget / self.compute_factor  # N D
        values = best_n(self._theta[None], product / (self.n_unit * self.d_unit)) * self.n_unit
        n, low, high = float(values[0]), None, None
        if self._replicas is not None:
            made = best_n(self._replicas.theta, product / (self.n_unit * self.d_unit))
            ends = clusters.interval(np.log(made * self.n_unit), self.level)
            low, high = min(float(np.exp(ends[0])), n), max(float(np.exp(ends[1])), n)
        return Division(
            budget=budget,
            params=Parameter(n, low, high),
            data=Parameter(product / n, high and product / high, low and product / low),
            error=float(self.predict(n, product / n)[0]),
        )

    def record(self, at: Iterable[float] = ()) -> dict[str, Any]:
        """What a JSON document says of the fit, with budgets divided; unknown is null."""
        plain = ("n_name", "d_name", "metric", "level", "n_unit", "d_unit", "num_configurations")
        return {
            "formula": "e + a·N^-alpha + b·D^-beta",
            **{name: getattr(self, name) for name in plain},
            "num_runs": self.num_runs,
            "compute_factor": self.compute_factor,
            "parameters": {name: asdict(part) for name, part in self.parameters.items()},
            "hold_out": self.hold_out and asdict(self.hold_out),
            "divisions": [asdict(self.divide(budget)) for budget in at],
            "warnings": [asdict(caution) for caution in self.warnings],
        }


@dataclass(frozen=True, eq=False)
class _Runs:
    """Runs in an order of their own, (M,), configurations numbered from 0."""

    n: Floats
    d: Floats
    cost: Floats
    log_error: Floats
    cluster: npt.NDArray[np.int64]

    @property
    def num_scales(self) -> int:
        """How many different pairs of N and D there are."""
        return len({(f"{n:.3g}", f"{d:.3g}") for n, d in zip(self.n, self.d, strict=True)})

    def where(self, kept: npt.NDArray[np.bool_]) -> "_Runs":
        cluster = np.unique(self.cluster[kept], return_inverse=True)[1]
        n, d, cost, log_error = (p[kept] for p in (self.n, self.d, self.cost, self.log_error))
        return _Runs(n, d, cost, log_error, cluster)


def _fitted(
    runs: _Runs, columns: tuple[str, str, str], replicas: int, level: float, seed: int
) -> JointFit:
    """Fit without warnings and hold-out test."""
    if runs.num_scales < NUM_PARAMETERS:
        raise FitError(
            f"{runs.num_scales} different pairs of {columns[0]} and {columns[1]}, expected at "
            f"least {NUM_PARAMETERS}"
        )
    n_unit, d_unit = (10.0 ** np.round(np.log10(part).mean()) for part in (runs.n, runs.d))
    surface = Surface(np.log(runs.n / n_unit), np.log(runs.d / d_unit))
    theta, _, delta = solver.fit_one(surface, runs.log_error, NUM_PARAMETERS)
    noise = made = None
    if runs.num_scales >= NUM_PARAMETERS + SPARE_CONFIGURATIONS and replicas:
        line = surface(theta[None])[0][0]
        noise = bootstrap.noise(runs.log_error, line, runs.cluster, NUM_PARAMETERS)
        made = bootstrap.replicate(surface, theta, delta, noise, runs.cluster, replicas, seed)
    return JointFit(
        n_name=columns[0],
        d_name=columns[1],
        metric=columns[2],
        level=level,
        n_unit=float(n_unit),
        d_unit=float(d_unit),
        parameters=_parameters(theta, made, level),
        num_configurations=int(runs.cluster.max()) + 1,
        num_runs=len(runs.n),
        compute_factor=float(np.exp(np.log(runs.cost / runs.n / runs.d).mean())),
        hold_out=None,
        warnings=(),
        _theta=theta,
        _noise=noise,
        _replicas=made,
    )


def _parameters(
    theta: Floats, replicas: bootstrap.Replicas | None, level: float
) -> dict[str, Parameter]:
    found = {}
    for place, name in enumerate(NAMES):
        say = np.exp if name in ("a", "b") else np.asarray
        value, low, high = float(say(theta[place])), None, None
        if replicas is not None:
            ends = clusters.interval(say(replicas.theta[:, place]), level)
            low, high = min(float(ends[0]), value), max(float(ends[1]), value)
        found[name] = Parameter(value, low, high)
    return found


def _hold_out(runs: _Runs, columns: tuple[str, str, str], **settings: Any) -> HoldOut | None:
    """Predict the largest configuration without the largest factor of two in compute."""
    kept = runs.cost < runs.cost.max() / FACTOR_OF_TWO
    try:
        smaller = _fitted(runs.where(kept), columns, **settings)
    except FitError:
        return None
    top = runs.cluster == runs.cluster[runs.cost.argmax()]
    n, d = ([float(part[top].mean())] for part in (runs.n, runs.d))
    observed, predicted = float(np.exp(runs.log_error[top].mean())), float(smaller.predict(n, d)[0])
    bounds = smaller.next_run(n, d)
    return HoldOut(
        x=float(runs.cost[top].mean()),
        num_held=len(np.unique(runs.cluster[~kept])),
        predicted=predicted,
        observed=observed,
        miss=observed - predicted,
        low=None if bounds is None else float(bounds[0][0]),
        high=None if bounds is None else float(bounds[1][0]),
    )


def _cautions(runs: _Runs, made: JointFit) -> Iterator[ResultWarning]:
    """Yield warnings about a fit, before any prediction."""
    if made.band(runs.n[:1], runs.d[:1]) is None:
        yield ResultWarning(
            "too_few_scales", f"{runs.num_scales} different pairs: no honest interval"
        )
    logs = np.log([runs.n, runs.d])
    together = float(np.corrcoef(logs)[0, 1]) if (logs.std(axis=1) > 0).all() else 1.0
    if abs(together) > COLLINEAR:
        text = f"correlation of log {made.n_name} and log {made.d_name} is {together:.3f}"
        yield ResultWarning("collinear", text)
    tops = dict(zip(NAMES, Surface(logs[0], logs[1]).bounds(np.ones(1))[1][0], strict=True))
    tops["e"] = float(np.exp(runs.log_error.min()))
    for name in ("alpha", "beta", "e"):
        value = made.parameters[name].value
        if not 0 < value < tops[name] * (1 - ON_BOUND):
            yield ResultWarning(
                "parameter_on_bound", f"{name} = {value:.3g} is the end of its range"
            )
    held = made.hold_out
    if held is None:
        yield ResultWarning("no_hold_out", "too few scales without the largest factor of two")
    elif held.covered is False:
        text = f"predicted {held.predicted:.3g}, observed {held.observed:.3g}"
        yield ResultWarning("hold_out_missed", text)


def fit_joint(
    runs: pd.DataFrame,
    *,
    n: str = "params",
    d: str = "examples_seen",
    cost: str = "train_flops",
    metric: str = "top1_accuracy",
    replicas: int = clusters.REPLICAS,
    level: float = clusters.LEVEL,
    seed: int = 0,
) -> JointFit:
    """Fit the law of the runs' error over two columns; a cost column tells what both come to.

    Only finished runs count. Raises FitError and MissingColumn.
    """
    configurations.check_columns(runs, [n, d, cost, metric])
    runs, error = points.errors_of(runs[(runs[[n, d, cost]].astype(float) > 0).all(axis=1)], metric)
    runs, error = runs[error > 0], error[error > 0]
    if not len(runs):
        raise FitError(f"no run has {n}, {d} and {cost} above 0 and an error above 0")
    ns, ds, costs = (runs[name].to_numpy(dtype=float) for name in (n, d, cost))
    order = np.lexsort((error, ds, ns, costs))
    names = configurations.ids(runs)[order]
    _, first, cluster = np.unique(names, return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))
    found = _Runs(ns[order], ds[order], costs[order], np.log(error[order]), number[cluster.ravel()])
    settings: dict[str, Any] = {"replicas": replicas, "level": level, "seed": seed}
    made = _fitted(found, (n, d, metric), **settings)
    made = replace(made, hold_out=_hold_out(found, (n, d, metric), **settings))
    return replace(made, warnings=tuple(_cautions(found, made)))
