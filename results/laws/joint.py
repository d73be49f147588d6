"""A law over parameters and data together, and how compute is best divided between them.

The law is that of `surface`, the division of compute C = k N D equation 4 of Hoffmann et al. 2022
(arXiv:2203.15556).
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations
from results.laws import clusters, curve, fitting, points
from results.laws.errors import FitError
from results.laws.fitting import FitSettings
from results.laws.law_fit import LawFit, Parameter
from results.laws.points import Points
from results.laws.surface import Surface, best_n
from results.laws.warnings import ResultWarning

Floats = npt.NDArray[np.float64]
COLLINEAR = 0.95  # correlation of log N and log D


@dataclass(frozen=True)
class Division:
    """The size and data that a budget is best spent on, and the error they reach."""

    budget: float
    params: Parameter
    data: Parameter
    error: float


def compute_factor(made: LawFit) -> float:
    """Return k of C = k N D, the geometric mean over the runs."""
    n, d = made.points.x
    return float(np.exp(np.log(made.points.scale / n / d).mean()))


def divide(made: LawFit, budget: float) -> Division:
    """Return the best N and D with k N D = budget, in the units of the columns."""
    product = budget / compute_factor(made)  # N D
    n_unit, d_unit = made.law.units
    values = best_n(made.theta[None], product / (n_unit * d_unit)) * n_unit
    n, low, high = float(values[0]), None, None
    if made.replicated is not None:
        sizes = best_n(made.replicated.theta, product / (n_unit * d_unit)) * n_unit
        ends = clusters.interval(np.log(sizes), made.level)
        low, high = min(float(np.exp(ends[0])), n), max(float(np.exp(ends[1])), n)
    return Division(
        budget=budget,
        params=Parameter(n, low, high),
        data=Parameter(product / n, high and product / high, low and product / low),
        error=float(made.predict(n, product / n)[0]),
    )


def record(made: LawFit, at: Iterable[float] = ()) -> dict[str, Any]:
    """Return the JSON document of a joint law, with budgets divided; unknown is null."""
    (n_name, d_name), (n_unit, d_unit) = made.x_names, made.law.units
    columns = {"n_name": n_name, "d_name": d_name, "n_unit": n_unit, "d_unit": d_unit}
    return (
        made.summary()
        | columns
        | {
            "compute_factor": compute_factor(made),
            "divisions": [asdict(divide(made, budget)) for budget in at],
        }
    )


def _fitted(runs: Points, settings: FitSettings) -> LawFit:
    """Fit without warnings and hold-out test."""
    least = len(Surface.names)
    if runs.num_scales < least:
        names = " and ".join(settings.x_names)
        raise FitError(f"{runs.num_scales} different pairs of {names}, expected at least {least}")
    n_unit, d_unit = (float(10.0 ** np.round(np.log10(part).mean())) for part in runs.x)
    surface = Surface(
        np.log(runs.x[0] / n_unit), np.log(runs.x[1] / d_unit), units=(n_unit, d_unit)
    )
    return fitting.law_fit(runs, settings, fitting.solve(surface, runs))


def _warnings(made: LawFit, cost: str) -> Iterator[ResultWarning]:
    """Yield warnings about a fit, before any prediction."""
    yield from fitting.too_few_scales(made, "different pairs")
    logs = np.log(made.points.x)
    together = float(np.corrcoef(logs)[0, 1]) if (logs.std(axis=1) > 0).all() else 1.0
    if abs(together) > COLLINEAR:
        n, d = made.x_names
        text = f"correlation of log {n} and log {d} is {together:.3f}"
        yield ResultWarning("collinear", text)
    tops = {"alpha": curve.MAX_EXPONENT, "beta": curve.MAX_EXPONENT}
    yield from fitting.on_bound(made, tops | {"e": float(made.error.min())})
    yield from fitting.hold_out_warnings(made, cost)


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
) -> LawFit:
    """Fit the law of the runs' error over two columns; a cost column tells what both come to.

    Only finished runs count. Raises FitError and MissingColumn.
    """
    configurations.check_columns(runs, [n, d, cost, metric])
    runs, error = points.errors_of(runs[(runs[[n, d, cost]].astype(float) > 0).all(axis=1)], metric)
    runs, error = runs[error > 0], error[error > 0]
    if not len(runs):
        raise FitError(f"no run has {n}, {d} and {cost} above 0 and an error above 0")
    ns, ds, costs = (runs[name].to_numpy(dtype=float) for name in (n, d, cost))
    found = points.points([ns, ds], error, configurations.ids(runs), scale=costs)
    settings = FitSettings((n, d), metric, replicas, level, seed)
    made = _fitted(found, settings)
    check = fitting.hold_out(found, lambda rest: _fitted(rest, settings))
    made = replace(made, hold_out=check)
    return replace(made, warnings=tuple(_warnings(made, cost)))
