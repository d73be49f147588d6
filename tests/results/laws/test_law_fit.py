import json
from typing import Any

import numpy as np
import pandas as pd

from results import fit
from results.laws.law_fit import HoldOut
from tests.helpers.known import known


def study() -> pd.DataFrame:
    """Nine configurations of three seeds, with the 10-shot law of arXiv:2106.04560, Figure 2."""
    rng = np.random.default_rng(0)
    x = np.repeat(np.geomspace(1, 1e4, 9), 3)
    error = (0.63 * (x + 0.52) ** -0.32 + 0.12) * np.exp(0.01 * rng.standard_normal(27))
    names = [f"m{n}" for n in range(9) for _ in range(3)]
    return pd.DataFrame({"model": names, "accelerator_days": x, "top1_accuracy": 1 - error})


def law(runs: pd.DataFrame, **settings: Any) -> fit.LawFit:
    return fit.fit_law(runs, **{"x": "accelerator_days", "replicas": 200, **settings})


def test_the_next_run_is_less_certain_than_the_curve() -> None:
    made, x = law(study()), np.array([1.0, 1e2, 1e4, 2e4])
    (low, high), (low_run, high_run) = known(made.band(x)), known(made.next_run(x))
    assert (low < made.predict(x)).all() and (made.predict(x) < high).all()
    assert (high_run - low_run > high - low).all()
    wider = known(made.band(x, level=0.99))
    assert (wider[1] - wider[0] > high - low).all()


def test_every_far_prediction_is_said_to_be() -> None:
    made = law(study())
    assert not made.beyond([1.0, 1e4, 1.9e4])
    (far, low) = made.beyond([3e4, 0.1])
    assert (far.code, low.code) == ("extrapolation", "extrapolation")
    assert "3 x beyond" in far.text and "10 x beyond" in low.text


def test_accuracies_stay_within_0_and_1_and_losses_do_not() -> None:
    runs = study().assign(loss=lambda r: 8 * (1 - r["top1_accuracy"]))
    accuracy, loss = law(runs, form="power"), law(runs, form="power", metric="loss")
    far = np.array([1e-9, 1e30])
    assert accuracy.predict(far)[0] == 1 and known(accuracy.next_run(far))[1].max() == 1
    assert (known(accuracy.band(far))[0] >= 0).all()
    assert loss.predict(far)[0] > 1


def test_the_band_is_that_of_the_replicas() -> None:
    made, x = law(study()), np.array([10.0, 2e4])
    curves = known(made.replicas(x))
    assert curves.shape == (200, 2)
    low, high = np.quantile(curves, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(known(made.band(x)), (low, high), rtol=0.02)  # by logarithms there
    few = law(study().head(9))
    assert few.replicas(x) is None


def test_a_hold_out_without_an_interval_is_neither_hit_nor_miss() -> None:
    held = HoldOut(x=1.0, num_held=1, predicted=0.2, observed=0.25, miss=0.05, low=0.1, high=0.3)
    assert held.covered is True
    assert HoldOut(1.0, 1, 0.2, 0.35, 0.15, 0.1, 0.3).covered is False
    assert HoldOut(1.0, 1, 0.2, 0.35, 0.15, None, None).covered is None


def test_the_record_is_json_with_null_for_unknown() -> None:
    made = law(study().head(9))  # three scales: no interval
    record = json.loads(json.dumps(made.record([2.0, 1e9]), allow_nan=False))
    assert record["parameters"]["b"]["low"] is None
    near, far = record["predictions"]
    assert near["low"] is None and near["next_run_high"] is None
    assert [w["code"] for w in far["warnings"]] == ["extrapolation"]
    assert "too_few_scales" in [w["code"] for w in record["warnings"]]
    assert (record["num_configurations"], record["num_runs"]) == (3, 9)
