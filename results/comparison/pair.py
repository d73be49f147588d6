"""Two groups of runs on the same axes, their lines, and intervals by resampling configurations."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from results.columns import families, formatting
from results.comparison import lines
from results.comparison.lines import Floats, Polyline
from results.laws import clusters
from results.laws.warnings import ResultWarning

MIN_CONFIGURATIONS = 4  # the two parameters of a line, and two more
METHODS = {
    "frontier": "Pareto frontiers, linear in the metric against log cost",
    "best": "the best run at each size, linear in the metric against log size",
    "law": "a law of the error of each group, fitted to all of its runs",
}

Statistic = Callable[[Polyline, Polyline], float]


def group(name: str) -> str:
    """Return the displayed name of a group: that of the family, or the group's own."""
    return families.title(name)


@dataclass(frozen=True)
class PairAnswer:
    """One number with its interval; if not comparable, `value` is None and `reason` says why.

    `low` or `high` is None where the interval is open or unknown; `warnings` say which.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = clusters.LEVEL
    method: str = ""
    reason: str | None = None
    warnings: tuple[ResultWarning, ...] = ()


@dataclass(frozen=True)
class Side:
    """One group of a comparison: its configurations (as `lines.configurations`) and its line."""

    name: str
    points: pd.DataFrame
    sign: int
    kind: str = "frontier"

    def _line(self, x: Floats, y: Floats) -> Polyline:
        make = lines.frontier_line if self.kind == "frontier" else lines.best_line
        return make(x, y, self.sign)

    @cached_property
    def line(self) -> Polyline:
        """The line through the group's configurations."""
        return self._line(self.points["x"].to_numpy(), self.points["y"].to_numpy())

    @property
    def warnings(self) -> tuple[ResultWarning, ...]:
        """Warnings about the line itself."""
        return ()

    def too_few(self) -> ResultWarning | None:
        """Return a warning if the configurations are too few for an interval."""
        if len(self.points) >= MIN_CONFIGURATIONS:
            return None
        text = f"{self.name} has {len(self.points)} configurations"
        return ResultWarning(
            "too_few_configurations", f"{text}, an interval needs {MIN_CONFIGURATIONS}"
        )

    def start(self, seed: int) -> int:
        """Return the seed of this group's resamples, the same whatever it is compared with."""
        x, y = self.points["x"].tolist(), self.points["y"].tolist()
        return zlib.crc32(repr((self.name, x, y)).encode()) + seed

    def replicas(self, num: int, seed: int) -> list[Polyline]:
        """Return the line in each of `num` resamples, the same for the same configurations."""
        x, y = self.points["x"].to_numpy(), self.points["y"].to_numpy()
        start = self.start(seed)
        drawn = clusters.weights(np.arange(len(x)), num, start) > 0
        shifted = y + _seed_noise(self.points["scores"], num, start)
        return [self._line(x[row], score[row]) for row, score in zip(drawn, shifted, strict=True)]


def _seed_noise(scores: pd.Series, num: int, seed: int) -> Floats:
    """Return deviations of the mean over seeds in resamples of the seeds: (num, N), 0 for one seed.

    Scaled by sqrt(n / (n - 1)), the bias of the standard deviation of a resample of n.
    """
    generator = np.random.default_rng(seed)
    noise = np.zeros((num, len(scores)))
    for at, runs in enumerate(scores):
        n = len(runs)
        if n > 1:
            values = np.array(runs) - np.mean(runs)
            means = values[generator.integers(0, n, (num, n))].mean(axis=1)
            noise[:, at] = means * np.sqrt(n / (n - 1))
    return noise


@dataclass(frozen=True)
class Pair:
    """Two sides on the same axes, with the settings of the bootstrap.

    `compare.groups(reference.table6(), "vit", "bit", metric="imagenet")` makes one.
    """

    a: Side
    b: Side
    metric: str
    x: str
    level: float = clusters.LEVEL
    num_replicas: int = clusters.REPLICAS
    seed: int = 0
    _drawn: dict[str, list[Polyline]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def method(self) -> str:
        """The description of the lines, printed with every number."""
        return METHODS[self.a.kind]

    def samples(self, statistic: Statistic) -> Floats:
        """Return `statistic` in each replica (R,), NaN where it has no value."""
        for side in (self.a, self.b):
            if side.name not in self._drawn:
                self._drawn[side.name] = side.replicas(self.num_replicas, self.seed)
        drawn = zip(self._drawn[self.a.name], self._drawn[self.b.name], strict=True)
        return np.array([statistic(a, b) for a, b in drawn])

    def too_few(self) -> tuple[ResultWarning, ...]:
        """Return a warning for each side with too few configurations for an interval."""
        found = (side.too_few() for side in (self.a, self.b))
        return tuple(warning for warning in found if warning is not None)

    @property
    def warnings(self) -> tuple[ResultWarning, ...]:
        """Warnings about either line."""
        return (*self.a.warnings, *self.b.warnings)

    def answer(self, statistic: Statistic, reason: str) -> PairAnswer:
        """Return the statistic of the two lines with its interval, or `reason` if it is NaN."""
        value = statistic(self.a.line, self.b.line)
        if np.isnan(value):
            return PairAnswer(None, level=self.level, method=self.method, reason=reason)
        low = high = None
        warnings = self.too_few()
        if not warnings:
            low, high, warnings = interval(self.samples(statistic), self.level)
        warnings = (*warnings, *self.warnings)
        return PairAnswer(value, low, high, self.level, self.method, warnings=warnings)

    def ranges(self, values: Callable[[Polyline], Floats], shown: Callable[[float], str]) -> str:
        """Describe the range that each side spans."""
        spans = []
        for side in (self.a, self.b):
            ends = values(side.line)
            span = f"{shown(min(ends))} to {shown(max(ends))}" if len(ends) else "nothing"
            spans.append(f"{group(side.name)} spans {span}")
        return ("on the frontiers " if self.a.kind == "frontier" else "") + "; ".join(spans)


def interval(
    samples: Floats, level: float = clusters.LEVEL
) -> tuple[float | None, float | None, tuple[ResultWarning, ...]]:
    """Return the ends of the percentile interval over replicas (R,), None where it is open.

    The value of a replica without one is unknown: it counts as below the lower end and as
    above the upper one, so more than half of 1 - level of them leave no interval.
    """
    unknown = np.isnan(samples)
    share, tail = unknown.mean(), (1 - level) / 2
    # The rank on the outer side, so that infinite values are never averaged with others.
    low = np.quantile(np.where(unknown, -np.inf, samples), tail, method="lower")
    high = np.quantile(np.where(unknown, np.inf, samples), 1 - tail, method="higher")
    ends = [float(end) if np.isfinite(end) else None for end in (low, high)]
    warnings = []
    if share >= tail:
        lost = formatting.percent(share, 0)
        text = f"{lost} of the resamples have no answer; too few runs reach that far"
        warnings.append(ResultWarning("too_few_near", text))
    elif None in ends:
        warnings.append(ResultWarning("open_interval", "the interval has no end on one side"))
    return ends[0], ends[1], tuple(warnings)
