"""Runs as the points of a fit: canonical order, configuration numbers, distinct scales."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations, formatting

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SAME_SCALE = 0.01  # two configurations closer than this in log x are one scale


@dataclass(frozen=True, eq=False)
class Points:
    """Runs in canonical order: x (A, N), logarithm of the error (N,), configuration from 0 (N,).

    `scale` (N,) orders them by size: x itself where it is one column, or the cost.
    """

    x: Floats
    scale: Floats
    log_error: Floats
    cluster: Ints

    @property
    def num_scales(self) -> int:
        """The number of distinct x: one configuration may have several."""
        if len(self.x) > 1:
            return len({tuple(f"{value:.3g}" for value in values) for values in self.x.T})
        logs = np.sort(np.log(self.centres))
        return 1 + int((np.diff(logs) > SAME_SCALE).sum())

    @property
    def centres(self) -> Floats:
        """Mean scale of each configuration: (G,)."""
        return np.bincount(self.cluster, self.scale) / np.bincount(self.cluster)

    def where(self, mask: npt.NDArray[np.bool_]) -> "Points":
        """Return the runs of a mask (N,), with configurations numbered from 0 again."""
        cluster = np.unique(self.cluster[mask], return_inverse=True)[1]
        return Points(self.x[:, mask], self.scale[mask], self.log_error[mask], cluster)


def points(
    x: Floats | Sequence[Floats],
    error: Floats,
    configuration: npt.ArrayLike,
    scale: Floats | None = None,
) -> Points:
    """Sort runs, so that their order changes nothing, and number configurations by scale.

    `x` is one column (N,) or several; several need a `scale` (N,).
    """
    columns = np.atleast_2d(np.asarray(x, dtype=float))  # (A, N)
    scale = columns[0] if scale is None else scale
    order = np.lexsort((error, *columns[::-1], scale))
    _, first, cluster = np.unique(
        np.asarray(configuration)[order], return_index=True, return_inverse=True
    )
    number = np.argsort(np.argsort(first))
    return Points(columns[:, order], scale[order], np.log(error[order]), number[cluster.ravel()])


def errors_of(runs: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, Floats]:
    """Return the finished runs with a metric, and their errors (N,): 1 - accuracy, or the loss."""
    if "state" in runs:
        runs = runs[runs["state"].isna() | (runs["state"] == "done")]
    runs = runs[runs[metric].notna()]
    values = runs[metric].to_numpy(dtype=float)
    return runs, 1 - values if formatting.higher_is_better(metric) else values


def groups(runs: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the runs of each group by name, in the order of families. Raises MissingColumn."""
    configurations.check_columns(runs, by)
    runs = configurations.in_order(runs.reset_index(drop=True))
    for key, group in runs.groupby(list(by), dropna=False, sort=False):
        yield ", ".join(map(str, key)), group
