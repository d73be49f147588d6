"""IsoFLOP profiles: error over size at equal compute, the best size, and how it grows.

Approach 2 of Hoffmann et al. 2022 (arXiv:2203.15556, section 3.2), but with the parabola through
the logarithm of the error, for which the bootstrap models noise.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations
from results.laws import clusters, fitting
from results.laws import points as scales
from results.laws.errors import FitError
from results.laws.fitting import FitSettings
from results.laws.law_fit import LawFit, Parameter
from results.laws.points import Points
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
TOLERANCE = 0.1  # of a budget: runs closer than this belong to it
MIN_SIZES = 3
ON_EACH_SIDE = 2  # sizes, for a minimum to be trusted
UNTRUSTED = frozenset({"inverted_parabola", "minimum_on_edge"})


@dataclass(frozen=True, eq=False)
class Parabola:
    """c0 + c1 z + c2 z^2, the logarithm of an error over z (N,), the logarithm of size / unit."""

    z: Floats
    unit: float = 1.0
    form: ClassVar[str] = "parabola"
    formula: ClassVar[str] = "exp(c0 + c1·z + c2·z^2)"
    names: ClassVar[tuple[str, ...]] = ("c0", "c1", "c2")
    free: ClassVar[tuple[bool, ...]] = (True,) * 3

    @property
    def units(self) -> tuple[float, ...]:
        """The unit of the size."""
        return (self.unit,)

    def values(self, theta: Floats) -> Floats:
        """Return the coefficients (R, 3) as they are."""
        return theta

    def log_error(self, theta: Floats, x: Floats) -> Floats:
        """Return the logarithm of the error (R, M) at sizes (1, M)."""
        z = np.log(x[0] / self.unit)
        return np.asarray(np.polynomial.polynomial.polyval(z, theta.T))

    def __call__(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return the log error (R, N) and its derivatives (R, 3, N)."""
        basis = np.stack([np.ones_like(self.z), self.z, self.z**2])  # (3, N)
        return theta @ basis, np.broadcast_to(basis, (len(theta), *basis.shape))

    def bounds(self, smallest: Floats) -> tuple[Floats, Floats]:
        """Return infinite bounds (R, 3)."""
        ends = np.full((len(smallest), 3), np.inf)
        return -ends, ends

    def starts(self, log_error: Floats, weights: Floats, best: int) -> Floats:
        """Return the unweighted least-squares solution: (R, 1, 3)."""
        basis = np.stack([np.ones_like(self.z), self.z, self.z**2], axis=1)
        return np.asarray(np.linalg.lstsq(basis, log_error.T, rcond=None)[0].T[:, None])


@dataclass(frozen=True, eq=False)
class Profile:
    """A parabola of error over size at one budget, and its minimum.

    `best_size` and `best_error` are None where no minimum is within the sizes.
    """

    budget: float
    fit: LawFit
    best_size: Parameter | None
    best_error: float | None
    log_best: Floats | None = field(repr=False)  # in each replica (R,)

    @property
    def warnings(self) -> tuple[ResultWarning, ...]:
        """The warnings of the fit."""
        return self.fit.warnings


@dataclass(frozen=True)
class Growth:
    """The power law best size = a (budget / `unit`)^p over profiles with a trusted minimum."""

    exponent: Parameter
    a: float
    unit: float
    num_profiles: int
    warnings: tuple[ResultWarning, ...]

    def best_size(self, budget: npt.ArrayLike) -> Floats:
        """Return the best size at budgets (M,)."""
        return self.a * (np.asarray(budget, dtype=float) / self.unit) ** self.exponent.value

    def record(self, at: Sequence[float] = ()) -> dict[str, Any]:
        """Return the JSON document, with the best size at some budgets."""
        sizes = [{"budget": b, "best_size": float(self.best_size(b))} for b in at]
        return asdict(self) | {"predictions": sizes}


def budgets(cost: Floats) -> npt.NDArray[np.int64]:
    """Return the number of the budget of each run (N,) by ascending cost.

    Costs within 10% of each other are one budget.

    >>> budgets(np.array([1e9, 1.05e9, 4e9, 0.99e9]))
    array([0, 0, 1, 0])
    """
    number, first, found = -1, -np.inf, np.empty(len(cost), dtype=np.int64)
    for place in np.argsort(cost, kind="stable"):
        if np.log(cost[place]) > first + 2 * np.log1p(TOLERANCE):
            number, first = number + 1, float(np.log(cost[place]))
        found[place] = number
    return found


def _turning(coefficients: Floats) -> Floats:
    """Return the argmin (R,) of parabolas (R, 3); inverted ones alternate between -inf and inf."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -coefficients[:, 1] / (2 * coefficients[:, 2])
    ends = np.where(np.arange(len(z)) % 2, np.inf, -np.inf)
    return np.where(coefficients[:, 2] > 0, z, ends)


def _minimum(made: LawFit) -> tuple[float | None, list[ResultWarning]]:
    """Return the size with the lowest error if it is within the sizes, and warnings about it."""
    if made.theta[2] <= 0:
        text = f"leading coefficient {made.theta[2]:.3g}"
        return None, [ResultWarning("inverted_parabola", text)]
    z = float(_turning(made.theta[None])[0])
    sizes = np.unique(np.log(made.x / made.x_unit))
    below, above = int((sizes < z).sum()), int((sizes > z).sum())
    size = made.x_unit * float(np.exp(z))
    if min(below, above) >= ON_EACH_SIDE:
        return size, []
    text = f"{below} sizes below the minimum and {above} above it"
    return (size if min(below, above) else None), [ResultWarning("minimum_on_edge", text)]


def _profile(runs: Points, budget: float, settings: FitSettings) -> Profile:
    unit = float(np.exp(np.log(runs.x[0]).mean()))
    parabola = Parabola(np.log(runs.x[0] / unit), unit)
    made = fitting.law_fit(runs, settings, fitting.solve(parabola, runs))
    size, warnings = _minimum(made)
    warnings += fitting.too_few_scales(made, f"sizes at {budget:.3g}")
    low = high = turning = None
    if made.replicated is not None:
        turning = _turning(made.replicated.theta)
        tails = [(1 - made.level) / 2, (1 + made.level) / 2]
        ends = np.quantile(turning, tails, method="nearest")
        if np.isfinite(ends).all() and size is not None:
            first, last = unit * np.exp(ends)
            low, high = float(min(first, size)), float(max(last, size))
    return Profile(
        budget=budget,
        fit=replace(made, warnings=tuple(warnings)),
        best_size=None if size is None else Parameter(size, low, high),
        best_error=None if size is None else float(made.predict(size)[0]),
        log_best=None if turning is None else np.log(unit) + turning,
    )


def profiles(
    runs: pd.DataFrame,
    *,
    size: str = "params",
    budget: str = "train_flops",
    metric: str = "top1_accuracy",
    replicas: int = clusters.REPLICAS,
    level: float = clusters.LEVEL,
    seed: int = 0,
) -> tuple[Profile, ...]:
    """Return a profile for each budget with at least three sizes, by ascending budget.

    Runs whose budgets are within 10% of each other count as equal. Raises FitError where there
    is no such budget, and MissingColumn.
    """
    configurations.check_columns(runs, [size, budget, metric])
    runs = runs[runs[size].notna() & (runs[budget] > 0)]
    runs, error = scales.errors_of(runs, metric)
    runs, error = runs[error > 0], error[error > 0]
    cost, sizes = (runs[name].to_numpy(dtype=float) for name in (budget, size))
    names, number, found = configurations.ids(runs), budgets(cost), []
    settings = FitSettings((size,), metric, replicas, level, seed)
    for place in np.unique(number):
        mine = number == place
        if len(np.unique(sizes[mine])) >= MIN_SIZES:
            centre = float(np.exp(np.log(np.sort(cost[mine])).mean()))
            points = scales.points(sizes[mine], error[mine], names[mine])
            found.append(_profile(points, centre, settings))
    if not found:
        raise FitError(f"no {budget} within 10% of each other has {MIN_SIZES} different {size}")
    return tuple(found)


def growth(found: Sequence[Profile], level: float = clusters.LEVEL) -> Growth:
    """Fit a power law of the best size over the budget through the minima.

    Profiles that are inverted or whose minimum is on the edge are left out. Raises FitError where
    fewer than two are left.
    """
    used = [p for p in found if p.best_size and not {c.code for c in p.warnings} & UNTRUSTED]
    if len(used) < 2:
        raise FitError(f"{len(used)} of {len(found)} profiles have a minimum within their sizes")
    logs = np.log([p.budget for p in used])
    unit = 10.0 ** np.round(logs.mean() / np.log(10))
    x = logs - np.log(unit)
    best = np.array([np.log(p.best_size.value) for p in used if p.best_size])
    slope, intercept = np.polyfit(x, best, 1)
    low = high = None
    replicas = [p.log_best for p in used if p.log_best is not None]
    if len(replicas) == len(used):
        shuffled = [np.random.default_rng(n).permutation(r) for n, r in enumerate(replicas)]
        slopes = (x - x.mean()) @ np.where(np.isfinite(shuffled), shuffled, np.nan)
        slopes = slopes / ((x - x.mean()) @ (x - x.mean()))
        known = slopes[np.isfinite(slopes)]
        if len(known) > level * len(slopes):
            ends = clusters.interval(known, level)
            low, high = float(min(ends[0], slope)), float(max(ends[1], slope))
    warnings = [] if len(used) > 2 else [ResultWarning("too_few_scales", "two budgets only")]
    return Growth(
        exponent=Parameter(float(slope), low, high),
        a=float(np.exp(intercept)),
        unit=float(unit),
        num_profiles=len(used),
        warnings=tuple(warnings),
    )


def record(found: Sequence[Profile]) -> list[dict[str, Any]]:
    """Return the JSON document of profiles; unknown is null."""
    return [
        {
            "budget": p.budget,
            "sizes": sorted(set(p.fit.x.tolist())),
            "unit": p.fit.x_unit,
            "coefficients": [part.value for part in p.fit.parameters.values()],
            "best_size": p.best_size and asdict(p.best_size),
            "best_error": p.best_error,
            "warnings": [asdict(warning) for warning in p.warnings],
        }
        for p in found
    ]
