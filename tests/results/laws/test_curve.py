import numpy as np
import pytest

from results.laws import curve as laws
from results.laws import solver

X = np.array([2.0, 5.0, 30.0, 200.0, 900.0])


@pytest.mark.parametrize("form", laws.FORMS)
def test_derivatives_are_those_of_differences(form: str) -> None:
    curve, theta = laws.Curve(form, X, unit=20.0), np.array([[-1.0, 0.4, 0.3, 0.1]])
    has_d, has_e = laws.FORMS[form]
    theta[0, 2:] *= [has_d, has_e]
    _, slopes = curve(theta)
    for place, free in enumerate((True, True, has_d, has_e)):
        step = np.zeros((1, 4))
        step[0, place] = 1e-6 * free
        difference = (curve(theta + step)[0] - curve(theta - step)[0]) / 2e-6
        np.testing.assert_allclose(slopes[:, place], difference, rtol=1e-6, atol=1e-9)


def test_parameters_in_another_unit_are_the_same_law() -> None:
    curve = laws.Curve("double_saturating", X, unit=20.0, shown_unit=5.0)
    theta = np.array([[-1.0, 0.4, 0.3, 0.1]])
    np.testing.assert_allclose(laws.log_error(curve.values(theta), X / 5), curve(theta)[0])
    np.testing.assert_allclose(curve.log_error(theta, X[None]), curve(theta)[0])


@pytest.mark.parametrize("form", laws.FORMS)
def test_exact_points_give_the_law_back(form: str) -> None:
    has_d, has_e = laws.FORMS[form]
    truth = np.array([0.5, 0.35, 0.8 * has_d, 0.1 * has_e])
    x = np.geomspace(0.5, 500, 9)
    curve = laws.Curve(form, x, unit=10.0)
    theta, _, _ = solver.fit_one(curve, laws.log_error(truth[None], x)[0], 4)
    np.testing.assert_allclose(curve.values(theta[None])[0], truth, rtol=1e-3, atol=1e-5)


def test_a_form_holds_what_it_lacks_at_zero() -> None:
    for form, (has_d, has_e) in laws.FORMS.items():
        low, high = laws.Curve(form, X, unit=20.0).bounds(np.array([0.2]))
        assert (low[0, 2] < high[0, 2], low[0, 3] < high[0, 3]) == (has_d, has_e)
        assert laws.num_parameters(form) == 2 + has_d + has_e


def test_the_offset_stays_below_the_smallest_error() -> None:
    log_error = np.log(np.array([[0.5, 0.3, 0.21, 0.2, 0.2]]))
    curve = laws.Curve("saturating", X, unit=20.0)
    theta, _ = solver.fit(curve, log_error, np.ones_like(log_error), 0.01)
    assert 0 <= theta[0, 3] <= 0.2


def test_starts_are_near_the_truth() -> None:
    curve = laws.Curve("saturating", X, unit=20.0)
    truth = np.array([[np.log(0.2), 0.46, 0.0, 0.1]])  # an exponent of the grid
    start = curve.starts(curve(truth)[0], np.ones((1, 5)), best=1)
    np.testing.assert_allclose(start[:, 0], truth, rtol=1e-6)
