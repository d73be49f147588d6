"""The cluster bootstrap: configurations are drawn anew, never single runs of one."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations as summary

Floats = npt.NDArray[np.float64]
REPLICAS = 1000
LEVEL = 0.9


def configurations(runs: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The number of each run's configuration, from 0: (N,). Only seeds differ within one.

    Where no column tells configurations apart, every run is its own.

    >>> configurations(pd.DataFrame({"model": ["a", "a", "b"], "seed": [0, 1, 0]}))
    array([0, 0, 1])
    """
    columns = [name for name in ("label", "model", *summary.CONFIGURATION) if name in runs]
    if not columns:
        return np.arange(len(runs), dtype=np.int64)
    return runs.groupby(columns, dropna=False, sort=False).ngroup().to_numpy().astype(np.int64)


def weights(clusters: npt.ArrayLike, replicas: int = REPLICAS, seed: int = 0) -> Floats:
    """How often each row is drawn in each replica: (R, N); all rows of a cluster alike.

    As many clusters as there are come into each replica, with replacement. The order of rows
    changes nothing but the order of columns if clusters are given by name.

    >>> weights(["a", "a", "b"], replicas=2, seed=1)
    array([[1., 1., 1.],
           [2., 2., 0.]])
    """
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    share = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), share, size=replicas)
    return drawn.astype(float)[:, cluster.ravel()]


def interval(samples: npt.ArrayLike, level: float = LEVEL) -> tuple[Any, Any]:
    """The percentile interval over replicas (R, ...): its lower and upper ends (...).

    NaN where some replica has no value, since an interval of the others would be too narrow.

    >>> low, high = interval(np.linspace(0, 1, 101))
    >>> round(float(low), 2), round(float(high), 2)
    (0.05, 0.95)
    """
    low, high = np.quantile(np.asarray(samples), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
