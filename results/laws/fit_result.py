"""What comes out of a fit: a curve with its intervals, what it missed and what to doubt."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from results.columns import formatting
from results.laws import bootstrap, clusters, curve
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
Interval = tuple[Floats, Floats]
FACTOR_OF_TWO = 2.0


@dataclass(frozen=True)
class Parameter:
    """A parameter of a formula; its interval where there is an honest one."""

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
        """Whether the interval holds what was observed; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.observed <= self.high


@dataclass(frozen=True, eq=False)
class Fit:
    """A law of error over x, with the points (N,) it was fitted to; parameters in `x_unit`.

    The line has the form that AICc prefers; intervals are those of the most general form that the
    configurations bear, so that they hold for not knowing the form too. Errors of accuracies are
    1 - accuracy, and at most 1 whatever x.
    """

    form: str
    x_name: str
    x_unit: float
    metric: str
    level: float
    parameters: dict[str, Parameter]
    x: Floats
    error: Floats
    num_configurations: int
    objective: float
    delta: float
    warnings: tuple[ResultWarning, ...]
    hold_out: HoldOut | None
    _noise: bootstrap.Noise | None = field(repr=False)
    _replicas: bootstrap.Replicas | None = field(repr=False)

    @property
    def largest_error(self) -> float:
        """What an error cannot exceed: 1 for accuracies, nothing for losses."""
        return 1.0 if formatting.higher_is_better(self.metric) else np.inf

    def predict(self, x: npt.ArrayLike) -> Floats:
        """The error of the curve at x (M,), a fraction or a loss: (M,)."""
        theta = np.array([[p.value for p in self.parameters.values()]])
        return self._errors(curve.log_error(theta, np.asarray(x, dtype=float) / self.x_unit)[0])

    def band(self, x: npt.ArrayLike, level: float | None = None) -> Interval | None:
        """Between which errors the curve runs at x (M,): two of (M,); None if not honest."""
        return self._interval(x, level, single=False)

    def next_run(self, x: npt.ArrayLike, level: float | None = None) -> Interval | None:
        """Between which errors a new run at x (M,) ends: wider than `band` by a run's noise."""
        return self._interval(x, level, single=True)

    def replicas(self, x: npt.ArrayLike) -> Floats | None:
        """The errors of every replica's curve at x (M,): (R, M); None if not honest."""
        if self._replicas is None:
            return None
        points = np.asarray(x, dtype=float) / self.x_unit
        return self._errors(curve.log_error(self._replicas.theta, points))

    def beyond(self, x: npt.ArrayLike) -> tuple[ResultWarning, ...]:
        """Return a warning for each x (M,) more than a factor of two outside the data."""
        low, high = self.x.min(), self.x.max()
        far = [(v, max(v / high, low / v)) for v in np.atleast_1d(np.asarray(x, float)) if v > 0]
        return tuple(
            ResultWarning("extrapolation", f"{self.x_name} {v:.3g} is {r:.3g} x beyond the data")
            for v, r in far
            if r > FACTOR_OF_TWO
        )

    def _interval(self, x: npt.ArrayLike, level: float | None, single: bool) -> Interval | None:
        if self._replicas is None or self._noise is None:
            return None
        logs = curve.log_error(self._replicas.theta, np.asarray(x, dtype=float) / self.x_unit)
        if single:
            logs = self._noise.single_runs(logs, self._replicas.scales, seed=1)
        low, high = clusters.interval(logs, self.level if level is None else level)
        line = np.log(self.predict(x))
        return self._errors(np.minimum(low, line)), self._errors(np.maximum(high, line))

    def _errors(self, logs: Floats) -> Floats:
        return np.exp(np.minimum(logs, np.log(self.largest_error)))

    def record(self, at: Iterable[float] = ()) -> dict[str, Any]:
        """What a JSON document says of the fit, with predictions at some x; unknown is null."""
        points = np.array(list(at), dtype=float)
        return {
            "form": self.form,
            "formula": curve.FORMULAS[self.form],
            "x": self.x_name,
            "x_unit": self.x_unit,
            "metric": self.metric,
            "level": self.level,
            "parameters": {name: asdict(part) for name, part in self.parameters.items()},
            "num_configurations": self.num_configurations,
            "num_runs": len(self.x),
            "x_range": [float(self.x.min()), float(self.x.max())],
            "objective": self.objective,
            "hold_out": self.hold_out and asdict(self.hold_out),
            "predictions": [self._prediction(x) for x in points],
            "warnings": [asdict(caution) for caution in self.warnings],
        }

    def _prediction(self, x: float) -> dict[str, Any]:
        """The error at one x with both intervals, and what is doubtful there."""
        band, run = self.band([x]), self.next_run([x])
        return {
            "x": float(x),
            "error": float(self.predict([x])[0]),
            "low": None if band is None else float(band[0][0]),
            "high": None if band is None else float(band[1][0]),
            "next_run_low": None if run is None else float(run[0][0]),
            "next_run_high": None if run is None else float(run[1][0]),
            "warnings": [asdict(caution) for caution in self.beyond(x)],
        }
