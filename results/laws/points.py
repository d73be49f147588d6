"""Runs as points of a fit, in an order of their own, and at how many scales they stand."""

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
    """Runs in an order of their own, (N,): x, logarithm of the error, configuration from 0."""

    x: Floats
    log_error: Floats
    cluster: Ints

    @property
    def num_scales(self) -> int:
        """How many different x there are, as one configuration may have several."""
        logs = np.sort(np.log(self.centres))
        return 1 + int((np.diff(logs) > SAME_SCALE).sum())

    @property
    def centres(self) -> Floats:
        """Mean x of each configuration: (G,)."""
        return np.bincount(self.cluster, self.x) / np.bincount(self.cluster)


def points(x: Floats, error: Floats, configuration: npt.ArrayLike) -> Points:
    """The runs sorted, so that their order changes nothing, and configurations numbered by x."""
    order = np.lexsort((error, x))
    _, first, cluster = np.unique(
        np.asarray(configuration)[order], return_index=True, return_inverse=True
    )
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return Points(x[order], np.log(error[order]), number[cluster.ravel()])


def errors_of(runs: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, Floats]:
    """The finished runs with a metric, and their errors (N,): 1 - accuracy, or the loss."""
    if "state" in runs:
        runs = runs[runs["state"].isna() | (runs["state"] == "done")]
    runs = runs[runs[metric].notna()]
    values = runs[metric].to_numpy(dtype=float)
    return runs, 1 - values if formatting.higher_is_better(metric) else values


def groups(runs: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The runs of each group by name, in the order of families. Raises MissingColumn."""
    configurations.check_columns(runs, by)
    runs = configurations.in_order(runs.reset_index(drop=True))
    for key, group in runs.groupby(list(by), dropna=False, sort=False):
        yield ", ".join(map(str, key)), group
