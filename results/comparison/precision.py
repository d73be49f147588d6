"""Widths of intervals as functions of a design: where runs are, not what they scored."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from results.comparison.lines import Floats
from results.schema import NoAnswer

MAX_LOG = math.log(1e300)  # near the largest float

Key = tuple[str, ...]


class ProposeError(NoAnswer):
    """Error raised where no run can be proposed: too few runs, no gain, or too small a budget."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; a ratio, a place on the axis of x, or an error."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Design:
    """The design of a study: for each family, log x and number of seeds of each configuration."""

    places: dict[str, dict[Key, tuple[float, int]]]

    def plus(self, family: str, key: Key, log_x: float) -> "Design":
        """Return the design with one more run."""
        mine = dict(self.places[family])
        place, seeds = mine.get(key, (log_x, 0))
        mine[key] = (place, seeds + 1)
        return Design(self.places | {family: mine})

    @property
    def freedom(self) -> int:
        """Configurations beyond the two that each line needs."""
        return sum(len(mine) - 2 for mine in self.places.values())


@dataclass(frozen=True)
class Variances:
    """Variance components of the log error: of configurations about their law, and of seeds."""

    configuration: float
    seed: float

    def covariance(self, design: Design, family: str) -> Floats:
        """Return the covariance of alpha and -b of a family's law: (2, 2)."""
        places = np.array(list(design.places[family].values()))
        rows = np.stack([np.ones(len(places)), places[:, 0]], axis=1)
        weights = 1 / (self.configuration + self.seed / places[:, 1])
        return np.linalg.inv(rows.T @ (weights[:, None] * rows))


@dataclass(frozen=True)
class Target:
    """The logarithm of an estimated number, and its derivatives by alpha and -b of each family."""

    name: str
    value: float
    slopes: dict[str, Floats]

    def width(self, design: Design, noise: Variances, level: float) -> float:
        """Return half the width of the interval, in natural logarithms."""
        variance = sum(
            slope @ noise.covariance(design, family) @ slope
            for family, slope in self.slopes.items()
        )
        quantile = stats.t.ppf((1 + level) / 2, max(design.freedom, 1))
        return float(quantile * math.sqrt(variance))

    def estimate(self, design: Design, noise: Variances, level: float) -> Estimate:
        """Return the number with its interval."""
        ends = [self.value + sign * self.width(design, noise, level) for sign in (0, -1, 1)]
        if max(map(abs, ends)) > MAX_LOG:
            raise ProposeError(f"{self.name}: may be anywhere: the slopes can hardly be told apart")
        return Estimate(self.name, *(math.exp(end) for end in ends))
