import numpy as np
import pytest

from results.laws import bootstrap, solver
from results.laws import curve as laws

CLUSTER = np.repeat(np.arange(40), 3)
LINE = np.linspace(-0.5, -2.0, 40)[CLUSTER]


def points(growth: float, seed: int = 0) -> np.ndarray:
    """Noise of 0.02 between configurations and 0.03 within them, at an error of 1."""
    rng = np.random.default_rng(seed)
    noise = 0.02 * rng.standard_normal(40)[CLUSTER] + 0.03 * rng.standard_normal(120)
    return LINE + noise * np.exp(-growth * LINE)


@pytest.mark.parametrize("growth", [0.0, 1.0])
def test_growth_of_the_noise_is_found(growth: float) -> None:
    found = [bootstrap.noise(points(growth, s), LINE, CLUSTER, 4).growth for s in range(20)]
    # log |z| has a standard deviation of 1.11, LINE of 0.43: 0.24 for 120 points; clipped at ends.
    assert np.mean(found) == pytest.approx(growth, abs=0.25)


def test_without_evidence_noise_grows_as_that_of_counted_errors() -> None:
    flat = np.full(6, -1.0)
    noisy = flat + np.array([0.01, -0.02, 0.01, 0.03, -0.01, -0.02])
    assert bootstrap.noise(noisy, flat, np.arange(6), 2).growth == 0.5


def test_variances_of_configurations_and_of_runs_are_right() -> None:
    between = single = 0.0
    for seed in range(30):
        noise = bootstrap.noise(points(0.0, seed), LINE, CLUSTER, 0)
        size = np.exp(-2 * noise.growth * LINE).mean() / 30
        between += noise.shared.var() * size
        single += (noise.shared.var() + noise.within.var() * noise.within_share) * size
    assert between == pytest.approx(0.02**2 + 0.03**2 / 3, rel=0.15)
    assert single == pytest.approx(0.02**2 + 0.03**2, rel=0.15)


def test_runs_of_a_configuration_move_together() -> None:
    noise = bootstrap.noise(points(0.0), LINE, CLUSTER, 4)
    rng = np.random.default_rng(0)
    new = noise.studies(LINE, CLUSTER, np.ones(500), rng) - LINE
    means = new.reshape(500, 40, 3).mean(axis=2)
    assert means.var() == pytest.approx(noise.shared.var(), rel=0.05)
    assert new.var() > 1.5 * means.var()


def test_the_scale_of_the_noise_makes_it_students_t() -> None:
    noise = bootstrap.Noise(np.zeros(9), np.zeros(0), 0.0, growth=0.0, smallest=0.0, free=5)
    rng = np.random.default_rng(0)
    draws = rng.standard_normal(200_000) * noise.scales(200_000, rng)
    # The 95 % quantile of t with 5 degrees of freedom is 2.015 (any table of t).
    assert np.quantile(draws, 0.95) == pytest.approx(2.015, rel=0.02)


def test_single_runs_without_seeds_and_the_same_twice() -> None:
    noise = bootstrap.noise(points(0.0)[::3], LINE[::3], np.arange(40), 4)
    assert len(noise.within) == 0
    once = noise.single_runs(np.zeros((7, 2)), np.ones(7), seed=3)
    np.testing.assert_array_equal(once, noise.single_runs(np.zeros((7, 2)), np.ones(7), seed=3))


def test_replicas_scatter_around_the_fit() -> None:
    x = np.geomspace(1, 1000, 40)
    truth = np.array([[0.5, 0.4, 0.0, 0.1]])
    rng = np.random.default_rng(1)
    log_error = laws.log_error(truth, x)[0] + 0.02 * rng.standard_normal(40)
    curve = laws.Curve("saturating", x, unit=1.0)
    theta, _, delta = solver.fit_one(curve, log_error, 3)
    line = curve(theta[None])[0][0]
    noise = bootstrap.noise(log_error, line, np.arange(40), 3)
    made = bootstrap.replicate(curve, theta, delta, noise, np.arange(40), 300, seed=0)
    around = curve(made.theta)[0].mean(axis=0) - line
    assert np.abs(around).max() < 0.02 / np.sqrt(40)


def test_residuals_are_widened_for_the_parameters_that_were_fitted() -> None:
    log_error = np.array([0.01, -0.02, 0.01, 0.03, -0.01, -0.02, 0.02, -0.02])
    noise = bootstrap.noise(log_error, np.zeros(8), np.arange(8), 3)
    # The unbiased variance of least squares: the sum of squares over points less parameters.
    assert np.mean(noise.shared**2) == pytest.approx(np.sum(log_error**2) / (8 - 3))
