"""IsoFLOP profiles: error over size at equal compute, the best size, and how it grows.

Approach 2 of Hoffmann et al. 2022 (arXiv:2203.15556, section 3.2), but with the parabola through
the logarithm of the error, whose noise the bootstrap knows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations
from results.laws import (
    bootstrap,
    clusters,
    solver,
)
from results.laws import (
    points as scales,
)
from results.laws.bootstrap import SPARE_CONFIGURATIONS
from results.laws.errors import FitError
from results.laws.fit_result import Parameter
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
TOLERANCE = 0.1  # of a budget: runs closer than this belong to it
MIN_SIZES = 3
ON_EACH_SIDE = 2  # sizes, for a minimum to be believed
UNTRUSTED = frozenset({"inverted_parabola", "minimum_on_edge"})


@dataclass(frozen=True, eq=False)
class Parabola:
    """c0 + c1 z + c2 z^2, the logarithm of an error over z (N,), the logarithm of a size."""

    z: Floats

    def __call__(self, theta: Floats) -> tuple[Floats, Floats]:
        """Logarithm of the error (R, N) and its derivatives (R, 3, N)."""
        basis = np.stack([np.ones_like(self.z), self.z, self.z**2])  # (3, N)
        return theta @ basis, np.broadcast_to(basis, (len(theta), *basis.shape))

    def bounds(self, smallest: Floats) -> tuple[Floats, Floats]:
        """None: (R, 3) of infinities."""
        ends = np.full((len(smallest), 3), np.inf)
        return -ends, ends

    def starts(self, log_error: Floats, weights: Floats, best: int) -> Floats:
        """Least squares, weights apart: (R, 1, 3)."""
        basis = np.stack([np.ones_like(self.z), self.z, self.z**2], axis=1)
        return np.asarray(np.linalg.lstsq(basis, log_error.T, rcond=None)[0].T[:, None])


@dataclass(frozen=True, eq=False)
class Profile:
    """Error over size (N,) at one budget; the best size where there is one within the sizes.

    `coefficients` are of the parabola in log(size / `unit`), for the logarithm of the error.
    """

    budget: float
    size: Floats
    error: Floats
    unit: float
    coefficients: tuple[float, float, float]
    best_size: Parameter | None
    best_error: float | None
    warnings: tuple[ResultWarning, ...]
    _best: Floats | None = field(repr=False)  # log of the best size in each replica (R,)

    def predict(self, size: npt.ArrayLike) -> Floats:
        """The error of the parabola at sizes (M,)."""
        z = np.log(np.asarray(size, dtype=float) / self.unit)
        return np.exp(np.polynomial.polynomial.polyval(z, self.coefficients))


@dataclass(frozen=True)
class Growth:
    """best size = a (budget / `unit`)^p over those profiles whose minimum can be believed."""

    exponent: Parameter
    a: float
    unit: float
    num_profiles: int
    warnings: tuple[ResultWarning, ...]

    def best_size(self, budget: npt.ArrayLike) -> Floats:
        """The best size at budgets (M,)."""
        return self.a * (np.asarray(budget, dtype=float) / self.unit) ** self.exponent.value

    def record(self, at: Sequence[float] = ()) -> dict[str, Any]:
        """What a JSON document says of it, with the best size at some budgets."""
        sizes = [{"budget": b, "best_size": float(self.best_size(b))} for b in at]
        return asdict(self) | {"predictions": sizes}


def budgets(cost: Floats) -> npt.NDArray[np.int64]:
    """The number of the budget of each run (N,), by rising cost; each within 10 % of the first.

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
    """Where parabolas (R, 3) are lowest; half of the inverted ones at either end of the world."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = -coefficients[:, 1] / (2 * coefficients[:, 2])
    ends = np.where(np.arange(len(z)) % 2, np.inf, -np.inf)
    return np.where(coefficients[:, 2] > 0, z, ends)


def _best(curve: Parabola, theta: Floats) -> tuple[float | None, list[ResultWarning]]:
    """The z of the minimum if it lies within the sizes, and what is doubtful about it."""
    if theta[2] <= 0:
        text = f"leading coefficient {theta[2]:.3g}"
        return None, [ResultWarning("inverted_parabola", text)]
    z, sizes = float(_turning(theta[None])[0]), np.unique(curve.z)
    below, above = int((sizes < z).sum()), int((sizes > z).sum())
    if min(below, above) >= ON_EACH_SIDE:
        return z, []
    text = f"{below} sizes below the minimum and {above} above it"
    return (z if min(below, above) else None), [ResultWarning("minimum_on_edge", text)]


def _profile(
    size: Floats, error: Floats, names: Any, budget: float, replicas: int, level: float, seed: int
) -> Profile:
    points = scales.points(size, error, names)
    unit = float(np.exp(np.log(points.x).mean()))
    curve = Parabola(np.log(points.x / unit))
    theta, _, delta = solver.fit_one(curve, points.log_error, MIN_SIZES)
    z, cautions = _best(curve, theta)
    low = high = made = None
    if points.num_scales >= MIN_SIZES + SPARE_CONFIGURATIONS:
        line = curve(theta[None])[0][0]
        noise = bootstrap.noise(points.log_error, line, points.cluster, MIN_SIZES)
        made = _turning(
            bootstrap.replicate(curve, theta, delta, noise, points.cluster, replicas, seed).theta
        )
        ends = np.quantile(made, [(1 - level) / 2, (1 + level) / 2], method="nearest")
        if np.isfinite(ends).all() and z is not None:
            low, high = (float(end) for end in unit * np.exp([min(ends[0], z), max(ends[1], z)]))
    else:
        text = f"{points.num_scales} sizes at {budget:.3g}: no honest interval"
        cautions.append(ResultWarning("too_few_scales", text))
    found = Profile(
        budget=budget,
        size=points.x,
        error=np.exp(points.log_error),
        unit=unit,
        coefficients=(float(theta[0]), float(theta[1]), float(theta[2])),
        best_size=None if z is None else Parameter(unit * float(np.exp(z)), low, high),
        best_error=None,
        warnings=tuple(cautions),
        _best=None if made is None else np.log(unit) + made,
    )
    if found.best_size is None:
        return found
    return replace(found, best_error=float(found.predict(found.best_size.value)))


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
    """A profile for each budget at which at least three sizes were trained, by rising budget.

    Runs whose budgets are within 10 % of each other count as equal. Raises FitError where there
    is no such budget, and MissingColumn.
    """
    configurations.check_columns(runs, [size, budget, metric])
    runs = runs[runs[size].notna() & (runs[budget] > 0)]
    runs, error = scales.errors_of(runs, metric)
    runs, error = runs[error > 0], error[error > 0]
    cost, sizes = (runs[name].to_numpy(dtype=float) for name in (budget, size))
    names, number, found = configurations.ids(runs), budgets(cost), []
    for place in np.unique(number):
        mine = number == place
        if len(np.unique(sizes[mine])) >= MIN_SIZES:
            centre = float(np.exp(np.log(np.sort(cost[mine])).mean()))
            found.append(
                _profile(sizes[mine], error[mine], names[mine], centre, replicas, level, seed)
            )
    if not found:
        raise FitError(f"no {budget} within 10 % of each other has {MIN_SIZES} different {size}")
    return tuple(found)


def growth(found: Sequence[Profile], level: float = clusters.LEVEL) -> Growth:
    """How the best size grows with the budget: a power law through the minima.

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
    replicas = [p._best for p in used if p._best is not None]
    if len(replicas) == len(used):
        shuffled = [np.random.default_rng(n).permutation(r) for n, r in enumerate(replicas)]
        slopes = (x - x.mean()) @ np.where(np.isfinite(shuffled), shuffled, np.nan)
        slopes = slopes / ((x - x.mean()) @ (x - x.mean()))
        known = slopes[np.isfinite(slopes)]
        if len(known) > level * len(slopes):
            ends = clusters.interval(known, level)
            low, high = float(min(ends[0], slope)), float(max(ends[1], slope))
    cautions = [] if len(used) > 2 else [ResultWarning("too_few_scales", "two budgets only")]
    return Growth(
        exponent=Parameter(float(slope), low, high),
        a=float(np.exp(intercept)),
        unit=float(unit),
        num_profiles=len(used),
        warnings=tuple(cautions),
    )


def record(found: Sequence[Profile]) -> list[dict[str, Any]]:
    """What a JSON document says of profiles; unknown is null."""
    return [
        {
            "budget": p.budget,
            "sizes": sorted(set(p.size.tolist())),
            "unit": p.unit,
            "coefficients": list(p.coefficients),
            "best_size": p.best_size and asdict(p.best_size),
            "best_error": p.best_error,
            "warnings": [asdict(caution) for caution in p.warnings],
        }
        for p in found
    ]
