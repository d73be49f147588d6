"""Lines of two groups, and intervals over resamples."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from results.comparison import lines, pair


def side(scores: Sequence[Sequence[float]], name: str = "a") -> pair.Side:
    """Four configurations at costs 1 to 1000 with these scores of seeds each."""
    rows = [
        (name, f"m{place}", seed, 10.0**place, score)
        for place, runs in enumerate(scores)
        for seed, score in enumerate(runs)
    ]
    runs = pd.DataFrame(rows, columns=["family", "label", "seed", "cost", "accuracy"])
    table = lines.configurations(runs, metric="accuracy", x="cost")
    return pair.Side(name, table, 1)


def test_without_seeds_a_resample_is_a_part_of_the_configurations() -> None:
    one = side([(0.1,), (0.2,), (0.3,), (0.4,)])
    sizes = set()
    for curve in one.replicas(1000, 0):  # one in 64 draws the same configuration four times
        assert set(curve.x) <= set(one.line.x)
        assert np.isin(curve.y, one.line.y).all()
        sizes.add(len(curve.x))
    assert sizes == {1, 2, 3, 4}


def test_the_spread_over_seeds_is_that_of_a_mean() -> None:
    # The mean of n scores has the standard error s / sqrt(n), with ddof 1.
    generator = np.random.default_rng(0)
    scores = [tuple(generator.normal(0.5, 0.1, n)) for n in (2, 5)]
    noise = pair._seed_noise(pd.Series(scores), 20_000, 0)
    expected = [np.std(runs, ddof=1) / np.sqrt(len(runs)) for runs in scores]
    assert noise.std(axis=0) == pytest.approx(expected, rel=0.03)
    assert noise.mean(axis=0) == pytest.approx([0, 0], abs=0.003)


def test_the_same_configurations_have_the_same_resamples() -> None:
    scores = [(0.1, 0.2), (0.2,), (0.3, 0.31), (0.4,)]
    first, second = side(scores).replicas(5, 0), side(scores).replicas(5, 0)
    assert [curve.y.tolist() for curve in first] == [curve.y.tolist() for curve in second]
    other = side(scores).replicas(5, 1)
    assert [curve.y.tolist() for curve in first] != [curve.y.tolist() for curve in other]


def test_replicas_without_an_answer_widen_the_interval_until_there_is_none() -> None:
    samples = np.linspace(1, 2, 1000)
    assert pair.interval(samples, 0.9)[:2] == pytest.approx((1.05, 1.95), abs=2e-3)
    samples[:30] = np.nan  # 3 %: each end may be 3 % further out
    low, high, warnings = pair.interval(samples, 0.9)
    assert (low, high) == pytest.approx((1.05, 1.98), abs=2e-3)
    assert warnings == ()
    samples[:60] = np.nan
    low, high, warnings = pair.interval(samples, 0.9)
    assert (low, high, warnings[0].code) == (None, None, "too_few_near")
