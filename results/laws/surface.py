"""Form of error over parameters and data, as a model that the solver fits many times at once.

error = a N^-alpha + b D^-beta + e is equation 2 of Hoffmann et al. 2022 (arXiv:2203.15556). Axes as
in `solver`; parameters are (log a, alpha, log b, beta, e).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from results.laws import curve

Floats = npt.NDArray[np.float64]
EXPONENTS = (0.05, 0.15, 0.3, 0.5, 0.8, 1.3)


@dataclass(frozen=True, eq=False)
class Surface:
    """The law on given N and D (M,), as logarithms of their values in `units`."""

    log_n: Floats
    log_d: Floats
    units: tuple[float, float] = (1.0, 1.0)
    form: ClassVar[str] = "joint"
    formula: ClassVar[str] = "e + a·N^-alpha + b·D^-beta"
    names: ClassVar[tuple[str, ...]] = ("a", "alpha", "b", "beta", "e")
    free: ClassVar[tuple[bool, ...]] = (True,) * 5

    def __call__(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return the log error (R, M) and its derivatives (R, 5, M)."""
        log_a, alpha, log_b, beta, e = (column[:, None] for column in theta.T)
        of_n = np.exp(log_a - alpha * self.log_n)
        of_d = np.exp(log_b - beta * self.log_d)
        error = of_n + of_d + e
        parts = (of_n, -of_n * self.log_n, of_d, -of_d * self.log_d, np.ones_like(of_n))
        return np.log(error), np.stack([part / error for part in parts], axis=1)

    def bounds(self, smallest: Floats) -> tuple[Floats, Floats]:
        """Return lower and upper bounds (R, 5); e stays below the smallest error (R,)."""
        low = np.tile([-curve.MAX_LOG, 0, -curve.MAX_LOG, 0, 0], (len(smallest), 1))
        top = curve.MAX_EXPONENT
        high = np.tile([curve.MAX_LOG, top, curve.MAX_LOG, top, 0], (len(smallest), 1))
        high[:, 4] = smallest
        return low, high

    def starts(self, log_error: Floats, weights: Floats, best: int) -> Floats:
        """Return the best starts of a grid of exponents, with a, b and e by least squares."""
        alpha, beta = (part.ravel() for part in np.meshgrid(EXPONENTS, EXPONENTS))
        of_n, of_d = np.exp(-alpha[:, None] * self.log_n), np.exp(-beta[:, None] * self.log_d)
        basis = np.stack([of_n, of_d, np.ones_like(of_n)])  # (3, K, M)
        error = np.exp(log_error)
        w = weights / error**2  # (R, M)
        products = (basis[:, None] * basis[None]).reshape(-1, basis.shape[2])  # (9 K, M)
        normal = (w @ products.T).reshape(len(w), 3, 3, -1).transpose(0, 3, 1, 2)  # (R, K, 3, 3)
        right = ((w * error) @ basis.reshape(-1, basis.shape[2]).T).reshape(len(w), 3, -1)
        right = right.transpose(0, 2, 1)  # (R, K, 3)
        ridge = curve.SINGULAR * np.trace(normal, axis1=2, axis2=3)[..., None, None] * np.eye(3)
        found = np.linalg.solve(normal + ridge, right[..., None])[..., 0]
        top = error.min(axis=1)[:, None]
        found = np.maximum(found, [1e-6, 1e-6, 0.0])
        found[..., 2] = np.minimum(found[..., 2], 0.99 * top)
        squares = np.einsum("rki,rkij,rkj->rk", found, normal, found)
        squares -= 2 * np.einsum("rki,rki->rk", found, right)
        chosen = np.argsort(squares, axis=1, kind="stable")[:, :best]
        a, b, e = np.take_along_axis(found, chosen[..., None], axis=1).transpose(2, 0, 1)
        return np.stack([np.log(a), alpha[chosen], np.log(b), beta[chosen], e], axis=-1)

    def values(self, theta: Floats) -> Floats:
        """Return parameters (R, 5) as (a, alpha, b, beta, e)."""
        shown = theta.copy()
        shown[:, [0, 2]] = np.exp(theta[:, [0, 2]])
        return shown

    def log_error(self, theta: Floats, x: Floats) -> Floats:
        """Return the logarithm of the error (R, M) at N and D (2, M)."""
        n, d = (np.log(column / unit) for column, unit in zip(x, self.units, strict=True))
        return Surface(n, d)(theta)[0]


def best_n(theta: Floats, product: float) -> Floats:
    """Return the N (R,) that minimizes a N^-alpha + b (product / N)^-beta for parameters (R, 5).

    The derivative in log N is zero at N^(alpha + beta) = (alpha a / beta b) product^beta.
    """
    log_a, alpha, log_b, beta, _ = theta.T
    tiny = np.finfo(float).tiny
    logs = np.log(np.maximum(alpha, tiny)) + log_a - np.log(np.maximum(beta, tiny)) - log_b
    best: Floats = np.exp(
        np.clip((logs + beta * np.log(product)) / np.maximum(alpha + beta, 1e-9), -99, 99)
    )
    return best
