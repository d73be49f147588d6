import doctest

import numpy as np
import pandas as pd
import pytest

from results.columns import configurations
from results.laws import clusters


def test_the_examples_are_true() -> None:
    assert doctest.testmod(clusters).failed == 0


def test_every_replica_draws_as_many_clusters_and_whole_ones() -> None:
    drawn = clusters.weights([3, 3, 5, 8, 8, 8], replicas=50, seed=7)
    assert drawn.shape == (50, 6)
    np.testing.assert_array_equal(drawn[:, [0, 2, 3]].sum(axis=1), 3)
    for first, *others in ([0, 1], [3, 4, 5]):
        for other in others:
            np.testing.assert_array_equal(drawn[:, first], drawn[:, other])


def test_the_bootstrap_variance_of_a_mean_is_that_of_the_theory() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0, 11.0])
    drawn = clusters.weights(np.arange(5), replicas=20_000)
    means = drawn @ values / 5
    # Exactly sum (y - mean)^2 / n^2; the relative error of a variance is sqrt(2 / R) = 1 %.
    assert means.var() == pytest.approx(((values - 5) ** 2).sum() / 25, rel=0.05)


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    names = np.array(["b", "a", "c", "a"])
    drawn = clusters.weights(names, replicas=10, seed=3)
    np.testing.assert_array_equal(drawn, clusters.weights(names, replicas=10, seed=3))
    assert (drawn != clusters.weights(names, replicas=10, seed=4)).any()
    np.testing.assert_array_equal(clusters.weights(names[::-1], 10, 3), drawn[:, ::-1])


def test_runs_that_differ_in_their_seed_only_are_one_configuration() -> None:
    runs = pd.DataFrame(
        {
            "model": ["vit_b16"] * 3 + ["vit_l16"],
            "train_examples": [100, 100, 200, 100],
            "seed": [0, 1, 0, 0],
            "train_flops": [1.0, 1.0, 2.0, 5.0],
        }
    )
    np.testing.assert_array_equal(configurations.ids(runs), [0, 0, 1, 2])
    np.testing.assert_array_equal(configurations.ids(runs.head(1)), [0])


def test_an_interval_with_an_unknown_replica_is_unknown() -> None:
    low, high = clusters.interval([[1.0, np.nan], [2.0, 3.0]])
    assert (low[0], high[0]) == (pytest.approx(1.05), pytest.approx(1.95))
    assert np.isnan([low[1], high[1]]).all()
