import doctest
from typing import Any

import numpy as np
import pandas as pd
import pytest

from results import fit
from results.columns.configurations import MissingColumn
from results.laws import clusters, curve
from tests.helpers.known import known

ZHAI = np.array([[0.63, 0.32, 0.52, 0.12]])  # 10-shot error over core-days, arXiv:2106.04560


def study(num: int = 9, seeds: int = 3, noise: float = 0.01, seed: int = 0) -> pd.DataFrame:
    """Runs of one family whose errors follow the law of Scaling ViT, over four decades."""
    rng = np.random.default_rng(seed)
    x = np.geomspace(1, 1e4, num)
    rows = [
        {"model": f"m{n}", "family": "vit", "seed": s, "accelerator_days": c, "state": "done"}
        for n, c in enumerate(x)
        for s in range(seeds)
    ]
    runs = pd.DataFrame(rows)
    log_error = curve.log_error(ZHAI, runs["accelerator_days"].to_numpy())[0]
    runs["top1_accuracy"] = 1 - np.exp(log_error + noise * rng.standard_normal(len(runs)))
    return runs


def law(runs: pd.DataFrame, **settings: Any) -> fit.LawFit:
    return fit.fit_law(runs, **{"x": "accelerator_days", "replicas": 200, **settings})


def codes(made: fit.LawFit) -> set[str]:
    return {warning.code for warning in made.warnings}


def test_the_examples_are_true() -> None:
    assert doctest.testmod(fit).failed == 0


def test_the_order_of_rows_does_not_change_a_fit() -> None:
    runs = study()
    made, other = law(runs), law(runs.sample(frac=1, random_state=3))
    x = np.array([3.0, 5e4])
    assert made.parameters == other.parameters
    np.testing.assert_array_equal(made.band(x), other.band(x))
    np.testing.assert_array_equal(made.next_run(x), other.next_run(x))
    assert made.hold_out == other.hold_out


def test_another_unit_of_x_is_the_same_law() -> None:
    runs = study()
    hours = runs.assign(accelerator_days=24 * runs["accelerator_days"])
    made, other = law(runs, unit=1.0), law(hours, unit=1.0)
    x = np.array([3.0, 100, 2e4])
    np.testing.assert_allclose(made.predict(x), other.predict(24 * x), rtol=1e-4)
    assert made.parameters["b"].value == pytest.approx(other.parameters["b"].value, rel=1e-2)


def test_a_run_that_failed_or_lacks_the_metric_does_not_count() -> None:
    runs = study()
    lost = runs.head(2).assign(state=["failed", "done"], top1_accuracy=[0.01, np.nan])
    assert law(runs).parameters == law(pd.concat([runs, lost])).parameters


def test_without_noise_everything_is_known() -> None:
    made = law(study(noise=0), unit=1.0, form="double_saturating")
    found = [p.value for p in made.parameters.values()]
    np.testing.assert_allclose(found, ZHAI[0], rtol=1e-2)
    assert known(made.hold_out).miss == pytest.approx(0, abs=1e-4)
    assert codes(made) <= {"hold_out_missed"}


def test_too_few_scales_have_no_interval() -> None:
    # Of parameters + 2: 4 of a power law, 3 of which are here; one of them twice.
    runs = study(num=3)
    runs = pd.concat([runs, runs.tail(3).assign(model="wider")])
    made = law(runs)
    assert made.form == "power"
    assert made.band([10.0]) is None and made.next_run([10.0]) is None
    assert all(p.low is None and p.high is None for p in made.parameters.values())
    assert "too_few_scales" in codes(made)
    assert law(study(num=4)).band([10.0]) is not None
    assert law(study(num=5), form="double_saturating").band([10.0]) is None


def test_one_scale_is_refused() -> None:
    with pytest.raises(fit.FitError, match="1 different x, expected at least 2 for a·C"):
        law(study(num=2).head(3))
    with pytest.raises(fit.FitError, match="none of 0 points"):
        law(study().head(0))
    with pytest.raises(fit.FitError, match="form 'cubic' is unknown; expected auto, power"):
        law(study(), form="cubic")
    with pytest.raises(fit.FitError, match="points: given 'best'"):
        law(study(), points="best")
    with pytest.raises(MissingColumn):
        law(study(), x="train_flop")


def test_the_hold_out_is_the_largest_factor_of_two() -> None:
    made = law(study(noise=0.002))
    # 1, 3.2, 10 ... 10,000: a factor of two below the largest there is only itself.
    held = known(made.hold_out)
    assert held.x == pytest.approx(1e4) and held.num_held == 1
    assert held.predicted == pytest.approx(0.153, abs=0.01)  # 0.63e4^-0.32 + 0.12
    assert held.miss == held.observed - held.predicted


def test_a_kink_at_the_largest_scale_is_said() -> None:
    runs = study(noise=0.002)
    runs.loc[runs["accelerator_days"] > 9e3, "top1_accuracy"] -= 0.1
    assert "hold_out_missed" in codes(law(runs))
    assert "hold_out_missed" not in codes(law(study(noise=0.002)))


def test_warnings_of_bounds_range_and_errors_of_zero() -> None:
    rising = study(num=5).assign(top1_accuracy=lambda runs: 0.9 - 0.05 * np.log10(runs.index + 1))
    assert "parameter_on_bound" in codes(law(rising, form="power"))
    narrow = study(num=30).query("accelerator_days < 7")
    assert "narrow_range" in codes(law(narrow))
    perfect = pd.concat([study(), study().tail(1).assign(top1_accuracy=1.0, model="best")])
    assert "no_error" in codes(law(perfect))


def test_a_frontier_leaves_out_what_is_beaten() -> None:
    runs = study()
    beaten = runs.tail(3).assign(model="worse", top1_accuracy=0.5, accelerator_days=5e3)
    both = pd.concat([runs, beaten])
    made = law(both, points="frontier")
    assert made.num_configurations == 9
    assert made.parameters == law(runs, points="frontier").parameters
    assert "best_of_many" in codes(made)
    assert law(both).num_configurations == 10


def test_groups_are_fitted_one_by_one() -> None:
    runs = pd.concat([study(), study(seed=1).assign(family="bit"), study().head(1)])
    alone = study().head(3).assign(family="hybrid")
    made = fit.fit_groups(pd.concat([runs, alone]), x="accelerator_days", replicas=50)
    assert list(made) == ["vit", "hybrid", "bit"]
    assert isinstance(made["hybrid"], fit.FitError)
    bit = made["bit"]
    assert isinstance(bit, fit.LawFit) and bit.num_configurations == 9


def test_two_seeds_of_the_bootstrap_agree() -> None:
    made, other = law(study(), replicas=1000), law(study(), replicas=1000, seed=9)
    widths = [np.subtract(*known(m.band([2e4]))[::-1])[0] for m in (made, other)]
    assert widths[0] == pytest.approx(widths[1], rel=0.25)
    assert len(clusters.interval([0.0, 1.0])) == 2
