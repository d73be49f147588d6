import numpy as np
import pytest

from results.laws import fitting, law
from results.laws.curve import Curve
from results.laws.points import points


def test_the_criterion_is_aicc_over_configurations() -> None:
    """AICc = G log(mean square) + 2k + 2k(k + 1) / (G - k - 1), Hurvich and Tsai 1989."""
    x = np.repeat(np.geomspace(1, 1e4, 6), 2)  # six configurations of two seeds
    error = 0.5 * x**-0.2 * np.tile([0.98, 1.02], 6)
    runs = points(x, error, np.repeat(np.arange(6), 2))
    solved = fitting.solve(Curve("power", x, unit=1.0), runs)
    assert solved.num_parameters == 2  # a and b
    fitted = 6 * np.log(2 * solved.objective / 12)
    # 2k = 4, and the correction is 2 * 2 * 3 / (6 - 2 - 1) = 4.
    assert law.criterion(solved, runs) - fitted == pytest.approx(4 + 4)


def test_a_form_without_a_spare_configuration_is_never_preferred() -> None:
    x = np.geomspace(1, 1e3, 3)
    runs = points(x, 0.5 * x**-0.2, np.arange(3))
    solved = fitting.solve(Curve("power", x, unit=1.0), runs)
    assert law.criterion(solved, runs) == np.inf


def test_without_a_run_below_the_largest_factor_of_two_there_is_no_hold_out() -> None:
    made = law.fit_points([1.0, 1.5], [0.5, 0.4], form="power")
    assert made.hold_out is None
    assert "no_hold_out" in {warning.code for warning in made.warnings}
