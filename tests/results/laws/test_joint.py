import numpy as np
import pandas as pd
import pytest

from results.fit import FitError
from results.laws.joint import compute_factor, divide, fit_joint, record
from results.laws.law_fit import LawFit
from tests.helpers.known import known

# N in millions, D in millions of images.
TRUTH = {"a": 0.2, "alpha": 0.5, "b": 0.3, "beta": 0.4, "e": 0.08}


def error(n: float, d: float) -> float:
    t = TRUTH
    return float(t["a"] * (n / 1e6) ** -t["alpha"] + t["b"] * (d / 1e6) ** -t["beta"] + t["e"])


def study(noise: float = 0.01, seeds: int = 2, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for n in np.geomspace(1e5, 3e7, 5):
        for d in np.geomspace(2e5, 2e7, 5):
            for number in range(seeds):
                row = {"model": f"m{n:.0f}", "params": n, "examples_seen": d, "train_examples": d}
                row |= {"seed": number, "train_flops": 50 * n * d}
                row["top1_accuracy"] = 1 - error(n, d) * np.exp(noise * rng.standard_normal())
                rows.append(row)
    return pd.DataFrame(rows)


def codes(made: LawFit) -> set[str]:
    return {warning.code for warning in made.warnings}


def test_the_law_is_found_with_its_intervals() -> None:
    made = fit_joint(study(noise=0.001), replicas=100)
    assert made.law.units == (1e6, 1e6)
    for name, truth in TRUTH.items():
        assert made.parameters[name].value == pytest.approx(truth, rel=0.1), name
    assert made.predict(3e6, 4e6) == pytest.approx(error(3e6, 4e6), rel=0.02)
    low, high = known(made.band([6e7], [4e7]))
    low_run, high_run = known(made.next_run([6e7], [4e7]))
    assert low_run < low < made.predict(6e7, 4e7) < high < high_run
    assert compute_factor(made) == pytest.approx(50)
    assert not codes(made)
    held = known(made.hold_out)
    assert held.covered and held.num_held == 1


def test_intervals_hold_the_truth_about_nine_times_in_ten() -> None:
    hits = 0
    for seed in range(12):
        made = fit_joint(study(seeds=1, seed=seed), replicas=100)
        low, high = known(made.band([6e7], [4e7]))
        hits += bool(low < error(6e7, 4e7) < high)
    # Of a binomial with p = 0.9, fewer than 8 of 12 come in 0.4 % of cases.
    assert hits >= 8


def test_the_division_of_a_budget_is_the_lowest_error_it_buys() -> None:
    made = fit_joint(study(noise=0.001), replicas=100)
    budget = 50 * 4e13
    found = divide(made, budget)
    assert found.params.value * found.data.value * 50 == pytest.approx(budget)
    sizes = np.geomspace(1e5, 1e8, 400)
    best = sizes[np.argmin([error(n, budget / 50 / n) for n in sizes])]
    assert found.params.value == pytest.approx(best, rel=0.1)
    assert known(found.params.low) < best < known(found.params.high)
    assert known(found.data.low) < found.data.value < known(found.data.high)
    assert found.error == pytest.approx(error(best, budget / 50 / best), rel=0.01)


def test_the_order_of_rows_changes_nothing() -> None:
    runs = study()
    one, two = (fit_joint(r, replicas=50) for r in (runs, runs.sample(frac=1, random_state=1)))
    assert one.parameters == two.parameters and one.hold_out == two.hold_out


def test_sizes_that_grow_with_the_data_are_collinear() -> None:
    runs = study()
    together = runs[
        np.isclose(
            np.log(runs["params"] / 1e5) / np.log(300),
            np.log(runs["examples_seen"] / 2e5) / np.log(100),
        )
    ]
    made = fit_joint(together, replicas=50)
    assert {"collinear", "too_few_scales"} <= codes(made)
    assert made.band([1e6], [1e6]) is None and divide(made, 1e15).params.low is None


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(FitError, match="4 different pairs of params and examples_seen"):
        fit_joint(study(seeds=1).head(4))
    with pytest.raises(FitError, match="no run has params"):
        fit_joint(study().assign(train_flops=0.0))


def test_the_record_is_plain() -> None:
    made = record(fit_joint(study(), replicas=50), (1e15,))
    assert made["divisions"][0]["budget"] == 1e15
    assert set(made["parameters"]) == set(TRUTH)
