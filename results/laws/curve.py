"""Forms of error over compute or data, as models that the solver fits many times at once.

error = a (x + d)^-b + e is the saturating law of Zhai et al. 2022 (arXiv:2106.04560, section 2.2);
without d, without e or without both it is one of three simpler forms. Inside, x is in units of
its geometric mean, and parameters are (log a, b, d, e): axes as in `solver`.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NAMES = ("a", "b", "d", "e")
# Flags of each form: is d free, is e free.
FORMS = {
    "power": (False, False),
    "shifted": (True, False),
    "saturating": (False, True),
    "double_saturating": (True, True),
}
FORMULAS = {
    "power": "a·C^-b",
    "shifted": "a·(C + d)^-b",
    "saturating": "a·C^-b + e",
    "double_saturating": "a·(C + d)^-b + e",
}
MAX_EXPONENT = 4.0
MAX_LOG = 40.0  # of a, in units of the geometric mean of x: far below overflow
EXPONENTS = np.array([0.02, 0.05, 0.1, 0.16, 0.24, 0.34, 0.46, 0.62, 0.85, 1.2, 1.8, 3.0])
NUM_SHIFTS = 8
SINGULAR = 1e-12  # of a determinant, beside the product of the diagonal


def num_parameters(form: str) -> int:
    """Count the free parameters of a form: 2 to 4."""
    return 2 + sum(FORMS[form])


def log_error(parameters: Floats, x: Floats) -> Floats:
    """Return the logarithm of a (x + d)^-b + e for natural parameters (R, 4) at x (M,): (R, M)."""
    a, b, d, e = (column[:, None] for column in parameters.T)
    return np.asarray(np.log(a * (x + d) ** -b + e))


@dataclass(frozen=True, eq=False)
class Curve:
    """One form on given x (N,), in units of `unit`: predictions, bounds and starts.

    Parameters are shown, and x is taken, in units of `shown_unit`.
    """

    form: str
    x: Floats
    unit: float
    shown_unit: float = 1.0
    names: ClassVar[tuple[str, ...]] = NAMES

    @property
    def formula(self) -> str:
        """The form as people write it, C being x."""
        return FORMULAS[self.form]

    @property
    def free(self) -> tuple[bool, ...]:
        """A flag for each of a, b, d and e."""
        return (True, True, *FORMS[self.form])

    @property
    def units(self) -> tuple[float, ...]:
        """The unit of C and d."""
        return (self.shown_unit,)

    @property
    def scaled(self) -> Floats:
        """x in units of `unit`: (N,)."""
        return self.x / self.unit

    def __call__(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return the log error (R, N) and its derivatives (R, 4, N), zero for fixed parameters."""
        log_a, b, d, e = (column[:, None] for column in theta.T)
        base = self.scaled + d  # (R, N)
        log_base = np.log(base)
        falling = np.exp(log_a - b * log_base)
        error = falling + e
        share = falling / error
        slopes = np.empty((len(theta), 4, len(self.x)))
        slopes[:, 0] = share
        slopes[:, 1] = -share * log_base
        has_d, has_e = FORMS[self.form]
        slopes[:, 2] = -share * b / base if has_d else 0
        slopes[:, 3] = 1 / error if has_e else 0
        return np.log(error), slopes

    def bounds(self, smallest: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds (R, 4); e stays below the smallest error (R,)."""
        has_d, has_e = FORMS[self.form]
        num_fits = len(smallest)
        steepest = MAX_EXPONENT * np.log(2 * self.scaled.max() + 1)
        low = np.tile([-MAX_LOG, 0, 0, 0], (num_fits, 1))
        high = np.tile(
            [steepest + MAX_LOG, MAX_EXPONENT, has_d * self.scaled.max(), 0], (num_fits, 1)
        )
        high[:, 3] = has_e * smallest
        return low, high

    def grid(self) -> tuple[Floats, Floats]:
        """Return the exponents and shifts (K,) of the grid of starts."""
        shifts = np.zeros(1)
        if FORMS[self.form][0]:
            u = self.scaled
            shifts = np.append(0, np.geomspace(u.min() / 5, u.max() / 2, NUM_SHIFTS))
        b, d = np.meshgrid(EXPONENTS, shifts, indexing="ij")
        return b.ravel(), d.ravel()

    def starts(self, log_error: Floats, weights: Floats, best: int = 1) -> Floats:
        """Return the best points of the grid for each fit (R, N), a and e by linear least squares.

        Errors are weighted by 1 / error^2, the first order of the logarithm. Shape (R, best, 4).
        """
        b, d = self.grid()
        basis = np.exp(-b[:, None] * np.log(self.scaled + d[:, None]))  # (K, N)
        error = np.exp(log_error)
        w = weights / error**2  # (R, N)
        wf, wff, wfy = w @ basis.T, w @ basis.T**2, (w * error) @ basis.T  # (R, K)
        w1, wy, wyy = ((w * part).sum(axis=1)[:, None] for part in (1, error, error**2))  # (R, 1)
        e = np.zeros_like(wf)
        if FORMS[self.form][1]:
            top = error.min(axis=1)[:, None]
            e = (wff * wy - wf * wfy) / np.maximum(wff * w1 - wf**2, SINGULAR * wff * w1)
            e = np.clip(e, 0, 0.999 * top)
        a = np.maximum((wfy - e * wf) / wff, 1e-12)
        squares = a**2 * wff + 2 * a * e * wf + e**2 * w1 - 2 * (a * wfy + e * wy) + wyy
        chosen = np.argpartition(squares, min(best, squares.shape[1] - 1), axis=1)[:, :best]
        a, e = (np.take_along_axis(part, chosen, axis=1) for part in (a, e))
        return np.stack([np.log(a), b[chosen], d[chosen], e], axis=-1)

    def values(self, theta: Floats) -> Floats:
        """Return parameters (R, 4) as (a, b, d, e), with x in the unit that is shown."""
        log_a, b, d, e = theta.T
        ratio = self.unit / self.shown_unit
        return np.stack([np.exp(log_a + b * np.log(ratio)), b, d * ratio, e], axis=-1)

    def log_error(self, theta: Floats, x: Floats) -> Floats:
        """Return the logarithm of the error (R, M) at x (1, M)."""
        return log_error(self.values(theta), x[0] / self.shown_unit)
