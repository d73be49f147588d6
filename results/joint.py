"""Error over parameters and data together, and how compute is best divided between them.

error = e + a N^-alpha + b D^-beta is equation 2 of Hoffmann et al. 2022 (arXiv:2203.15556), the
division of compute C = k N D their equation 4. Axes as in `solve`; parameters are (log a, alpha,
log b, beta, e), with N and D in units of their geometric means inside.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results import laws, refit, resample, scales, solve, summary, units
from results.cautions import Caution
from results.fit import SPARE_CONFIGURATIONS, FitError
from results.fitted import OCTAVE, HoldOut, Interval, Parameter

Floats = npt.NDArray[np.float64]
NAMES = ("a", "alpha", "b", "beta", "e")
NUM_PARAMETERS = len(NAMES)
EXPONENTS = (0.05, 0.15, 0.3, 0.5, 0.8, 1.3)
COLLINEAR = 0.95  # correlation of log N and log D
ON_BOUND = 1e-6


@dataclass(frozen=True, eq=False)
class Surface:
    """The law on given N and D (M,), as logarithms of what they are in their units."""

    log_n: Floats
    log_d: Floats

    def __call__(self, theta: Floats) -> tuple[Floats, Floats]:
        """Logarithm of the error (R, M) and its derivatives (R, 5, M)."""
        log_a, alpha, log_b, beta, e = (column[:, None] for column in theta.T)
        of_n = np.exp(log_a - alpha * self.log_n)
        of_d = np.exp(log_b - beta * self.log_d)
        error = of_n + of_d + e
        parts = (of_n, -of_n * self.log_n, of_d, -of_d * self.log_d, np.ones_like(of_n))
        return np.log(error), np.stack([part / error for part in parts], axis=1)

    def bounds(self, smallest: Floats) -> tuple[Floats, Floats]:
        """Lower and upper bounds (R, 5), where e stays below the smallest error (R,)."""
        low = np.tile([-laws.MAX_LOG, 0, -laws.MAX_LOG, 0, 0], (len(smallest), 1))
        top = laws.MAX_EXPONENT
        high = np.tile([laws.MAX_LOG, top, laws.MAX_LOG, top, 0], (len(smallest), 1))
        high[:, 4] = smallest
        return low, high

    def starts(self, log_error: Floats, weights: Floats, best: int) -> Floats:
        """The best exponents of a grid for each fit, a, b and e by least squares: (R, best, 5)."""
        alpha, beta = (part.ravel() for part in np.meshgrid(EXPONENTS, EXPONENTS))
        of_n, of_d = np.exp(-alpha[:, None] * self.log_n), np.exp(-beta[:, None] * self.log_d)
        basis = np.stack([of_n, of_d, np.ones_like(of_n)])  # (3, K, M)
        error = np.exp(log_error)
        w = weights / error**2  # (R, M)
        products = (basis[:, None] * basis[None]).reshape(-1, basis.shape[2])  # (9 K, M)
        normal = (w @ products.T).reshape(len(w), 3, 3, -1).transpose(0, 3, 1, 2)  # (R, K, 3, 3)
        right = ((w * error) @ basis.reshape(-1, basis.shape[2]).T).reshape(len(w), 3, -1)
        right = right.transpose(0, 2, 1)  # (R, K, 3)
        ridge = laws.SINGULAR * np.trace(normal, axis1=2, axis2=3)[..., None, None] * np.eye(3)
        found = np.linalg.solve(normal + ridge, right[..., None])[..., 0]
        top = error.min(axis=1)[:, None]
        found = np.maximum(found, [1e-6, 1e-6, 0.0])
        found[..., 2] = np.minimum(found[..., 2], 0.99 * top)
        squares = np.einsum("rki,rkij,rkj->rk", found, normal, found)
        squares -= 2 * np.einsum("rki,rki->rk", found, right)
        chosen = np.argsort(squares, axis=1, kind="stable")[:, :best]
        a, b, e = np.take_along_axis(found, chosen[..., None], axis=1).transpose(2, 0, 1)
        return np.stack([np.log(a), alpha[chosen], np.log(b), beta[chosen], e], axis=-1)


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
    warnings: tuple[Caution, ...]
    _theta: Floats = field(repr=False)
    _noise: refit.Noise | None = field(repr=False)
    _replicas: refit.Replicas | None = field(repr=False)

    def _surface(self, n: npt.ArrayLike, d: npt.ArrayLike) -> Surface:
        n, d = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(d, dtype=float))
        return Surface(np.log(n / self.n_unit), np.log(d / self.d_unit))

    def _errors(self, logs: Floats) -> Floats:
        top = 0.0 if units.higher_is_better(self.metric) else np.inf
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
        low, high = resample.interval(logs, self.level)
        return self._errors(low), self._errors(high)

    def divide(self, budget: float) -> Division:
        """The best N and D with k N D = budget, in the units of the columns."""
        product = budget / self.compute_factor  # N D
        values = _best_n(self._theta[None], product / (self.n_unit * self.d_unit)) * self.n_unit
        n, low, high = float(values[0]), None, None
        if self._replicas is not None:
            made = _best_n(self._replicas.theta, product / (self.n_unit * self.d_unit))
            ends = resample.interval(np.log(made * self.n_unit), self.level)
            low, high = min(float(np.exp(ends[0])), n), max(float(np.exp(ends[1])), n)
        return Division(
            budget=budget,
            params=Parameter(n, low, high),
            data=Parameter(product / n, high and product / high, low and product / low),
            error=float(self.predict(n, product / n)),
        )

    def record(self, at: tuple[float, ...] = ()) -> dict[str, Any]:
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


def _best_n(theta: Floats, product: float) -> Floats:
    """Where a N^-alpha + b (product / N)^-beta is lowest, for parameters (R, 5): (R,).

    The derivative in log N is zero at N^(alpha + beta) = (alpha a / beta b) product^beta.
    """
    log_a, alpha, log_b, beta, _ = theta.T
    tiny = np.finfo(float).tiny
    logs = np.log(np.maximum(alpha, tiny)) + log_a - np.log(np.maximum(beta, tiny)) - log_b
    return np.exp(
        np.clip((logs + beta * np.log(product)) / np.maximum(alpha + beta, 1e-9), -99, 99)
    )
