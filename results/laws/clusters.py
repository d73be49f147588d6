"""Cluster bootstrap: whole configurations are resampled, never single runs of one."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
REPLICAS = 1000
LEVEL = 0.9


def weights(clusters: npt.ArrayLike, replicas: int = REPLICAS, seed: int = 0) -> Floats:
    """Return how often each replica draws each row: (R, N), the same for all rows of a cluster.

    Each replica draws as many clusters as there are, with replacement. The order of rows
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
    """Return the percentile interval over replicas (R, ...): lower and upper ends (...).

    NaN if some replica has no value, since an interval of the others would be too narrow.

    >>> low, high = interval(np.linspace(0, 1, 101))
    >>> round(float(low), 2), round(float(high), 2)
    (0.05, 0.95)
    """
    low, high = np.quantile(np.asarray(samples), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
