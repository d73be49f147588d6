import doctest

import numpy as np
import pandas as pd
import pytest

from results.fit import FitError
from results.laws import isoflop
from tests.helpers.known import known

BUDGETS = (1e15, 4e15, 1.6e16)
A, B, E = 0.5, 0.4, 0.1


def study(noise: float = 0.005, seeds: int = 2, sizes: int = 7, seed: int = 0) -> pd.DataFrame:
    """At each budget C a parabola of log error in log size, lowest at 1e6 (C / 1e15)^0.5."""
    rng = np.random.default_rng(seed)
    rows = []
    for budget in BUDGETS:
        best = 1e6 * (budget / 1e15) ** 0.5
        for size in best * np.geomspace(0.2, 6, sizes):
            error = 0.2 * (budget / 1e15) ** -0.1 * np.exp(0.1 * np.log(size / best) ** 2)
            for number in range(seeds):
                row = {"model": f"m{size:.0f}", "params": size, "train_flops": budget}
                row |= {"seed": number, "state": "done"}
                row["top1_accuracy"] = 1 - error * np.exp(noise * rng.standard_normal())
                row["train_flops"] *= 1 + 0.08 * rng.random()  # models do not hit a budget exactly
                rows.append(row)
    return pd.DataFrame(rows)


def codes(profile: isoflop.Profile) -> set[str]:
    return {warning.code for warning in profile.warnings}


def test_the_examples_are_true() -> None:
    assert doctest.testmod(isoflop).failed == 0


def test_the_minima_and_their_growth_are_found() -> None:
    found = isoflop.profiles(study(), replicas=200)
    assert len(found) == 3
    for profile, budget in zip(found, BUDGETS, strict=True):
        truth = 1e6 * (budget / 1e15) ** 0.5
        assert known(profile.best_size).value == pytest.approx(truth, rel=0.1)
        best = known(profile.best_size)
        assert known(best.low) < truth < known(best.high)
        assert profile.best_error == pytest.approx(0.2 * (budget / 1e15) ** -0.1, rel=0.02)
        assert profile.fit.parameters["c2"].value == pytest.approx(0.1, rel=0.1)
        assert not codes(profile)
    made = isoflop.growth(found)
    assert made.exponent.value == pytest.approx(0.5, abs=0.05)
    assert known(made.exponent.low) < 0.5 < known(made.exponent.high)
    assert made.best_size([6.4e16])[0] == pytest.approx(8e6, rel=0.3)
    assert made.num_profiles == 3 and not made.warnings


def test_the_order_of_rows_changes_nothing() -> None:
    runs = study()
    one, two = (isoflop.profiles(r, replicas=50) for r in (runs, runs.sample(frac=1)))
    assert [p.best_size for p in one] == [p.best_size for p in two]


def test_an_inverted_parabola_has_no_minimum() -> None:
    runs = study(noise=0.001)
    runs["top1_accuracy"] = 1 - 0.04 / (1 - runs["top1_accuracy"])
    found = isoflop.profiles(runs, replicas=50)
    assert all(codes(p) == {"inverted_parabola"} and p.best_size is None for p in found)
    with pytest.raises(FitError, match="0 of 3 profiles"):
        isoflop.growth(found)


def test_inverted_replicas_count_on_both_sides_of_an_interval() -> None:
    upright, inverted = [1.0, -2.0, 1.0], [1.0, -2.0, -1.0]  # 1 - 2z + z^2 is lowest at 1
    found = isoflop._turning(np.array([upright, *[inverted] * 4]))
    assert sorted(found) == [-np.inf, -np.inf, 1.0, np.inf, np.inf]


def test_a_minimum_on_the_edge_is_said_and_not_used() -> None:
    runs = study(noise=0.001)
    one_above = runs[runs["params"] < 1.5e6 * (runs["train_flops"] / 1e15) ** 0.5]
    none_above = runs[runs["params"] < 0.9e6 * (runs["train_flops"] / 1e15) ** 0.5]
    for part, has_best in ((one_above, True), (none_above, False)):
        for profile in isoflop.profiles(part, replicas=50):
            assert "minimum_on_edge" in codes(profile)
            assert (profile.best_size is not None) == has_best
    with pytest.raises(FitError):
        isoflop.growth(isoflop.profiles(one_above, replicas=50))


def test_four_sizes_have_no_interval() -> None:
    for profile in isoflop.profiles(study(sizes=4), replicas=50):
        assert "too_few_scales" in codes(profile)
        assert known(profile.best_size).low is None
    assert isoflop.growth(isoflop.profiles(study(sizes=4), replicas=50)).exponent.low is None


def test_without_equal_budgets_there_is_no_profile() -> None:
    runs = study(seeds=1)
    runs["train_flops"] = np.geomspace(1e15, 1e20, len(runs))
    with pytest.raises(FitError, match="within 10% of each other has 3 different params"):
        isoflop.profiles(runs)
