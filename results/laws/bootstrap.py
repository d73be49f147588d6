"""Bootstrap of a fit: residuals of whole configurations are resampled and fitted again.

A replica keeps the design: every configuration stays at its x, with the fitted curve plus the
residuals of a configuration drawn at random. Resampling rows instead would leave some replicas
without the largest scales, on which an extrapolation rests. Residuals are corrected for the degrees
of freedom used, and each replica scales them by one draw of their uncertain size, so that
percentile intervals have the tails of Student's t.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from results.laws import solver

Floats = npt.NDArray[np.float64]
SPARE_CONFIGURATIONS = 2  # beyond the parameters, for an interval
Ints = npt.NDArray[np.int64]
# The standard deviation of a log error is proportional to error^-growth: 0 for noise
# proportional to the error, 1 for constant noise, 1/2 for the sampling noise of n test images.
GROWTH, GROWTH_STD = 0.5, 0.5
LOG_ABS_NORMAL_STD = 1.11  # of log |z|, z standard normal: pi / sqrt(8)
RAREST_SCALE = 0.02  # a replica's noise is not scaled beyond this quantile of chi-squared


@dataclass(frozen=True, eq=False)
class Noise:
    """Standardized residuals of log errors, between configurations and within them.

    `shared` (G,) are means of configurations, corrected for the degrees of freedom used; `within`
    (N,) are deviations of seeds from them, corrected too, and `within_share` is the share of their
    variance that a mean lacks. `free` degrees of freedom remain. Below `smallest`, a log error,
    noise stops growing.
    """

    shared: Floats
    within: Floats
    within_share: float
    growth: float
    smallest: float
    free: int

    def _size(self, log_error: Floats) -> Floats:
        return np.exp(-self.growth * np.maximum(log_error, self.smallest))

    def scales(self, replicas: int, rng: np.random.Generator) -> Floats:
        """Draw the factor (R,) by which each replica scales the noise, whose size is uncertain."""
        drawn = rng.chisquare(self.free, replicas)
        return np.sqrt(self.free / np.maximum(drawn, np.quantile(drawn, RAREST_SCALE)))

    def studies(
        self, log_error: Floats, cluster: Ints, scales: Floats, rng: np.random.Generator
    ) -> Floats:
        """Draw log errors (R, N) of new studies around a curve (N,), one draw per configuration."""
        shape = (len(scales), len(log_error))
        drawn = self.shared[rng.integers(0, len(self.shared), (shape[0], cluster.max() + 1))]
        noise = drawn[:, cluster]
        if self.within.any():
            seeds = self.within[rng.integers(0, len(self.within), shape)]
            sums = seeds @ (cluster[:, None] == np.arange(cluster.max() + 1))
            noise = noise + seeds - (sums / np.bincount(cluster))[:, cluster]
        return log_error + scales[:, None] * noise * self._size(log_error)

    def single_runs(self, log_error: Floats, scales: Floats, seed: int) -> Floats:
        """Draw log errors (R, M) of one new run each around curves (R, M)."""
        rng = np.random.default_rng(seed)
        noise = self.shared[rng.integers(0, len(self.shared), log_error.shape)]
        if self.within.any():
            seeds = self.within[rng.integers(0, len(self.within), log_error.shape)]
            noise = noise + seeds * np.sqrt(self.within_share)
        return log_error + scales[:, None] * noise * self._size(log_error)


def _growth(residuals: Floats, log_error: Floats) -> float:
    """Return the exponent of the growth of noise as errors fall, by a regularized regression.

    The slope of log |residual| over -log error, with the weight that its standard error gives it
    beside GROWTH.
    """
    x = log_error.mean() - log_error
    y = np.log(np.maximum(np.abs(residuals), 0.1 * np.median(np.abs(residuals)) + 1e-12))
    information = (x @ x) / LOG_ABS_NORMAL_STD**2
    pull = 1 / GROWTH_STD**2
    slope = x @ (y - y.mean()) / LOG_ABS_NORMAL_STD**2
    return float(np.clip((slope + pull * GROWTH) / (information + pull), 0, 1))


def noise(log_error: Floats, curve: Floats, cluster: Ints, num_parameters: int) -> Noise:
    """Estimate the noise of points (N,) around a fitted curve (N,) with this many parameters."""
    residuals = log_error - curve
    counts = np.bincount(cluster)
    centre = (np.bincount(cluster, residuals) / counts)[cluster]
    seeds = counts[cluster]
    within = (residuals - centre) * np.sqrt(seeds / np.maximum(seeds - 1, 1))
    growth = _growth(np.where(seeds > 1, within, residuals), curve)
    size = np.exp(-growth * curve)
    shared = np.bincount(cluster, centre / size) / counts
    free = max(len(counts) - num_parameters, 1)
    return Noise(
        shared=(shared - shared.mean()) * np.sqrt(len(counts) / free),
        within=(within / size)[seeds > 1],
        within_share=float(1 - np.mean(1 / counts)),
        growth=growth,
        smallest=float(curve.min()),
        free=free,
    )


@dataclass(frozen=True, eq=False)
class Replicas:
    """Parameters (R, P) fitted to replicas, and the scale (R,) of each one's noise."""

    theta: Floats
    scales: Floats


def replicate(
    model: solver.Model,
    theta: Floats,
    delta: float,
    found: Noise,
    cluster: Ints,
    replicas: int,
    seed: int,
) -> Replicas:
    """Fit `model` to new studies that scatter around its fit `theta` (P,) with noise `found`."""
    rng = np.random.default_rng(seed)
    scales = found.scales(replicas, rng)
    log_error = found.studies(model(theta[None])[0][0], cluster, scales, rng)
    fitted, _ = solver.fit(model, log_error, np.ones_like(log_error), delta)
    return Replicas(fitted, scales)
