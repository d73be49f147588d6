import numpy as np
import pytest
from scipy.optimize import least_squares

from results.laws import curve as laws
from results.laws import solver

C = np.geomspace(1, 1000, 12)


def curve(form: str = "double_saturating") -> laws.Curve:
    return laws.Curve(form, C, unit=30.0)


def study(seed: int, outlier: float = 0) -> np.ndarray:
    noise = 0.02 * np.random.default_rng(seed).standard_normal(len(C))
    noise[3] += outlier
    return np.log(0.63 * (C + 0.52) ** -0.32 + 0.12) + noise


def test_the_loss_is_hubers() -> None:
    # Half the square of 0.5; beyond delta = 1 the line through (1, 1/2) with slope 1.
    np.testing.assert_allclose(solver.loss(np.array([0.5, -3.0]), 1.0), [0.125, 2.5])


def test_delta_is_1_345_robust_standard_deviations() -> None:
    residuals = np.array([-1.0, 1.0, -1.0, 1.0, 100.0, 0.5])
    assert solver.huber_delta(residuals, 0) == pytest.approx(1.345 * 1.4826)


@pytest.mark.parametrize("delta", [np.inf, 0.03])
def test_the_objective_is_as_low_as_the_best_of_ten_starts_of_scipy(delta: float) -> None:
    law = curve()
    rng = np.random.default_rng(5)
    for seed in range(3):
        log_error = study(seed, outlier=0.3)[None]
        low, high = law.bounds(np.exp(log_error).min(axis=1))
        theta, value = solver.fit(law, log_error, np.ones_like(log_error), delta)
        best = min(
            least_squares(
                lambda t, y=log_error[0]: law(t[None])[0][0] - y,
                rng.uniform([-3, 0.05, 0, 0], [0, 1.5, 1, high[0, 3]]),
                bounds=(low[0], high[0]),
                loss="linear" if np.isinf(delta) else "huber",
                f_scale=min(delta, 1),
            ).cost
            for _ in range(10)
        )
        assert value[0] <= best * 1.001
        assert (theta >= low).all() and (theta <= high).all()


def test_weights_are_repetitions() -> None:
    law, twice = curve("saturating"), np.repeat(np.arange(12), 1 + np.arange(12) % 3)
    repeated = laws.Curve("saturating", C[twice], unit=30.0)
    log_error = study(1)
    weights = 1 + (np.arange(12, dtype=np.float64) % 3)[None]
    theta, value = solver.fit(law, log_error[None], weights, 0.03)
    again, other = solver.fit(repeated, log_error[twice][None], np.ones((1, len(twice))), 0.03)
    np.testing.assert_allclose(theta, again, rtol=1e-3)
    assert value == pytest.approx(other, rel=1e-6)


def test_fits_in_a_batch_do_not_see_each_other() -> None:
    law, many = curve(), np.stack([study(seed) for seed in range(5)])
    together, _ = solver.fit(law, many, np.ones_like(many), 0.03)
    for row, theta in zip(many, together, strict=True):
        alone, _ = solver.fit(law, row[None], np.ones((1, 12)), 0.03)
        np.testing.assert_allclose(alone[0], theta, rtol=1e-6, atol=1e-9)


def test_an_outlier_moves_a_robust_fit_less() -> None:
    law, truth = curve("saturating"), study(0)
    spoilt = study(0, outlier=0.5)
    clean = law(solver.fit_one(law, truth, 3)[0][None])[0]
    robust = law(solver.fit_one(law, spoilt, 3)[0][None])[0]
    plain = law(solver.fit_one(law, spoilt, 3, delta=np.inf)[0][None])[0]
    assert np.abs(robust - clean).max() < 0.3 * np.abs(plain - clean).max()


def test_another_start_can_only_help() -> None:
    law, row = curve(), study(2)[None]
    _, value = solver.fit(law, row, np.ones_like(row), 0.03)
    _, other = solver.fit(law, row, np.ones_like(row), 0.03, also=np.array([-1, 0.4, 0.1, 0.1]))
    assert other[0] <= value[0]
