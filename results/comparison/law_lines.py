"""Lines of groups as fitted laws, for the same comparisons as frontiers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from results.comparison.lines import Floats, Polyline
from results.comparison.pair import Side
from results.laws import law
from results.laws.law_fit import LawFit
from results.laws.warnings import ResultWarning

GRID = 200  # places along a line: between them it is straight to 1e-4
MARGIN = 2.0  # factor beyond the runs up to which replicas are evaluated; the law itself is not


@dataclass(frozen=True)
class LawSide(Side):
    """A group whose line is a law fitted to all of its runs, within the range of these.

    Replicas are those of the fit: resampled residuals of whole configurations.
    """

    kind: str = "law"
    metric: str = ""
    num: int = 1000
    seed: int = 0

    @cached_property
    def fitted(self) -> LawFit:
        """The law; raises FitError where the runs bear none."""
        counts = self.points["n"].to_numpy()
        scores = np.array([score for run in self.points["scores"] for score in run])
        return law.fit_points(
            np.repeat(self.points["x"].to_numpy(), counts),
            self._turned(scores),
            np.repeat(np.arange(len(counts)), counts),
            metric=self.metric,
            replicas=self.num,
            seed=self.start(self.seed),
        )

    def _turned(self, values: Floats) -> Floats:
        """Turn scores into errors, and errors into scores."""
        return 1 - values if self.sign > 0 else values

    def _grid(self, margin: float) -> Floats:
        x = self.fitted.x
        return np.geomspace(x.min() / margin, x.max() * margin, GRID)

    @cached_property
    def line(self) -> Polyline:
        """The law between its smallest and its largest run."""
        grid = self._grid(1)
        return Polyline(grid, self._turned(self.fitted.predict(grid)), self.sign)

    @property
    def warnings(self) -> tuple[ResultWarning, ...]:
        """The warnings of the fit."""
        found = self.fitted.warnings
        return tuple(ResultWarning(one.code, f"{self.name}: {one.text}") for one in found)

    def too_few(self) -> ResultWarning | None:
        """Return a warning if the runs are too few for an interval."""
        if self.fitted.replicas(self.fitted.x) is not None:
            return None
        return ResultWarning(
            "too_few_scales", f"{self.name} has too few sizes for a law's interval"
        )

    def replicas(self, num: int, seed: int) -> list[Polyline]:
        """Return the law in each replica of the fit."""
        grid = self._grid(MARGIN)
        errors = self.fitted.replicas(grid)
        assert errors is not None and len(errors) == num
        return [Polyline(grid, self._turned(row), self.sign) for row in errors]
