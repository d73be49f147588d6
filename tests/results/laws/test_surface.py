import numpy as np
import pytest

from results.laws import solver
from results.laws.surface import Surface, best_n

N, D = (part.ravel() for part in np.meshgrid(np.geomspace(0.1, 20, 4), np.geomspace(0.2, 9, 5)))
SURFACE = Surface(np.log(N), np.log(D))
TRUTH = np.array([[np.log(0.2), 0.35, np.log(0.3), 0.28, 0.1]])


def test_derivatives_are_those_of_differences() -> None:
    _, slopes = SURFACE(TRUTH)
    for place in range(5):
        step = 1e-6 * np.eye(5)[place]
        difference = (SURFACE(TRUTH + step)[0] - SURFACE(TRUTH - step)[0]) / 2e-6
        np.testing.assert_allclose(slopes[:, place], difference, rtol=1e-6, atol=1e-9)


def test_exact_points_give_the_law_back() -> None:
    theta, _, _ = solver.fit_one(SURFACE, SURFACE(TRUTH)[0][0], 5)
    np.testing.assert_allclose(theta, TRUTH[0], rtol=1e-3)


def test_one_start_of_the_grid_is_as_good_as_many() -> None:
    rng = np.random.default_rng(0)
    log_error = SURFACE(TRUTH)[0] + 0.02 * rng.standard_normal((30, len(N)))
    _, value = solver.fit(SURFACE, log_error, np.ones_like(log_error), 0.03)
    for row, one in zip(log_error, value, strict=True):
        assert one <= 1.001 * solver.fit_one(SURFACE, row, 5, delta=0.03)[1]


def test_the_best_division_is_that_of_the_paper() -> None:
    # Hoffmann et al. 2022, equations 2 and 4: E 1.69, A 406.4, alpha 0.34, B 410.7, beta 0.28.
    theta = np.array([[np.log(406.4), 0.34, np.log(410.7), 0.28, 1.69]])
    product = 1e21
    n = best_n(theta, product)[0]
    around = n * np.array([0.9, 1.0, 1.1])
    losses = 406.4 * around**-0.34 + 410.7 * (product / around) ** -0.28
    assert losses[1] < losses[0] and losses[1] < losses[2]
    # N_opt goes with C^(beta / (alpha + beta)).
    assert best_n(theta, 100 * product)[0] / n == pytest.approx(100 ** (0.28 / 0.62))
