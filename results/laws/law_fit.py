"""The result of every fit: a law with intervals, its hold-out test and its warnings."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from results.columns import formatting
from results.laws import bootstrap, clusters, solver
from results.laws.points import Points
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
Interval = tuple[Floats, Floats]
FACTOR_OF_TWO = 2.0


class Law(solver.Model, Protocol):
    """A model of the solver that can also be named, written down, and evaluated anywhere."""

    @property
    def form(self) -> str:
        """The name of the form."""

    @property
    def formula(self) -> str:
        """The form as people write it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the P parameters in the formula."""

    @property
    def free(self) -> tuple[bool, ...]:
        """A flag per parameter: false where this form has it at zero."""

    @property
    def units(self) -> tuple[float, ...]:
        """The unit of each column of x in the formula."""

    def values(self, theta: Floats) -> Floats:
        """Return the parameters (R, P) of the formula for those (R, P) of the solver."""

    def log_error(self, theta: Floats, x: Floats) -> Floats:
        """Return the logarithm of the error (R, M) for parameters of the solver at x (A, M)."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a formula, with an interval where the data support one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class HoldOut:
    """The largest configuration, predicted by a fit without the largest factor of two in x.

    `miss` is observed - predicted; `low` and `high` bound a new run.
    """

    x: float
    num_held: int
    predicted: float
    observed: float
    miss: float
    low: float | None
    high: float | None

    @property
    def covered(self) -> bool | None:
        """True if the observed error is in the interval; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.observed <= self.high


@dataclass(frozen=True, eq=False)
class LawFit:
    """A law of error over one or several columns, with the points that it was fitted to.

    Methods take one array (M,) per column. The line has the form that AICc prefers; intervals are
    those of the most general form that the configurations support, so that they cover the
    uncertainty of the form, and are None where the data support none. Errors of accuracies are
    1 - accuracy, and at most 1 whatever x.
    """

    law: Law
    x_names: tuple[str, ...]
    metric: str
    level: float
    parameters: dict[str, Parameter]
    points: Points
    objective: float
    delta: float
    warnings: tuple[ResultWarning, ...]
    hold_out: HoldOut | None
    theta: Floats = field(repr=False)
    noise: bootstrap.Noise | None = field(repr=False)
    replicated: bootstrap.Replicas | None = field(repr=False)

    @property
    def form(self) -> str:
        """The name of the law's form."""
        return self.law.form

    @property
    def x(self) -> Floats:
        """The first column of the points: (N,)."""
        return np.asarray(self.points.x[0])

    @property
    def x_name(self) -> str:
        """The name of the first column."""
        return self.x_names[0]

    @property
    def x_unit(self) -> float:
        """The unit of the first column in the formula."""
        return self.law.units[0]

    @property
    def error(self) -> Floats:
        """The errors of the points: (N,)."""
        return np.exp(self.points.log_error)

    @property
    def num_configurations(self) -> int:
        """The number of configurations among the points."""
        return len(self.points.centres)

    @property
    def largest_error(self) -> float:
        """The upper end of errors: 1 for accuracies, infinity for losses."""
        return 1.0 if formatting.higher_is_better(self.metric) else np.inf

    def predict(self, *x: npt.ArrayLike) -> Floats:
        """Return the error of the line at x, a fraction or a loss: (M,)."""
        return self._errors(self.law.log_error(self.theta[None], _columns(x))[0])

    def band(self, *x: npt.ArrayLike, level: float | None = None) -> Interval | None:
        """Return the interval of the line at x: lower and upper errors (M,)."""
        return self._interval(_columns(x), level, single=False)

    def next_run(self, *x: npt.ArrayLike, level: float | None = None) -> Interval | None:
        """Return the interval of a new run at x: wider than `band` by a run's noise."""
        return self._interval(_columns(x), level, single=True)

    def replicas(self, *x: npt.ArrayLike) -> Floats | None:
        """Return the errors of every replica's line at x: (R, M)."""
        if self.replicated is None:
            return None
        return self._errors(self.law.log_error(self.replicated.theta, _columns(x)))

    def beyond(self, x: npt.ArrayLike) -> tuple[ResultWarning, ...]:
        """Return a warning for each x (M,) more than a factor of two outside the data."""
        low, high = self.x.min(), self.x.max()
        far = [(v, max(v / high, low / v)) for v in np.atleast_1d(np.asarray(x, float)) if v > 0]
        return tuple(
            ResultWarning("extrapolation", f"{self.x_name} {v:.3g} is {r:.3g} x beyond the data")
            for v, r in far
            if r > FACTOR_OF_TWO
        )

    def _interval(self, x: Floats, level: float | None, single: bool) -> Interval | None:
        if self.replicated is None or self.noise is None:
            return None
        logs = self.law.log_error(self.replicated.theta, x)
        if single:
            logs = self.noise.single_runs(logs, self.replicated.scales, seed=1)
        low, high = clusters.interval(logs, self.level if level is None else level)
        line = np.log(self.predict(*x))
        return self._errors(np.minimum(low, line)), self._errors(np.maximum(high, line))

    def _errors(self, logs: Floats) -> Floats:
        return np.exp(np.minimum(logs, np.log(self.largest_error)))

    def summary(self) -> dict[str, Any]:
        """Return the JSON entries of a law over any number of columns; unknown is null."""
        return {
            "formula": self.law.formula,
            "metric": self.metric,
            "level": self.level,
            "parameters": {name: asdict(part) for name, part in self.parameters.items()},
            "num_configurations": self.num_configurations,
            "num_runs": len(self.points.log_error),
            "hold_out": self.hold_out and asdict(self.hold_out),
            "warnings": [asdict(warning) for warning in self.warnings],
        }

    def record(self, at: Iterable[float] = ()) -> dict[str, Any]:
        """Return the JSON document of a law over one column, with predictions at some x."""
        return self.summary() | {
            "form": self.form,
            "x": self.x_name,
            "x_unit": self.x_unit,
            "x_range": [float(self.x.min()), float(self.x.max())],
            "objective": self.objective,
            "predictions": [self._prediction(x) for x in np.array(list(at), dtype=float)],
        }

    def _prediction(self, x: float) -> dict[str, Any]:
        """Return the error at one x with both intervals and warnings."""
        band, run = self.band([x]), self.next_run([x])
        return {
            "x": float(x),
            "error": float(self.predict([x])[0]),
            "low": None if band is None else float(band[0][0]),
            "high": None if band is None else float(band[1][0]),
            "next_run_low": None if run is None else float(run[0][0]),
            "next_run_high": None if run is None else float(run[1][0]),
            "warnings": [asdict(warning) for warning in self.beyond(x)],
        }


def _columns(x: tuple[npt.ArrayLike, ...]) -> Floats:
    """Return columns that broadcast to the same length as one array: (A, M)."""
    return np.stack(np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, float)) for v in x)))
