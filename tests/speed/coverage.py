"""How often 90 % intervals hold the truth: 500 synthetic studies whose law is known.

    python -m tests.speed.coverage [--studies 500] [--form auto]

Each study has its own law (with and without d and e), 7 to 24 configurations over 1.5 to 4
decades, 1 to 5 seeds, noise of 0.5 to 3 % that is proportional to the error or constant, between
configurations as well as between seeds, and outliers in half of them. Asked are the curve and
the next run at the smallest, middle and largest x and twice the largest. Exit status 1 unless
each share lies within 85 and 95 % at every one of them.
"""

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from results import fit
from results.laws import curve as laws
from tests.speed.history import Figure, record

PLACES = ("smallest", "middle", "largest", "twice the largest")
LOWEST, HIGHEST = 0.85, 0.95
OUTLIER = 5.0  # times the noise of a run, in one of 20


@dataclass(frozen=True, eq=False)
class Synthetic:
    """A law (4,) in units of x, and the noise of its runs."""

    law: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    seeds: int
    noise: float
    proportional: bool
    between: float
    outliers: float

    def curve(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        error: npt.NDArray[np.float64] = np.exp(laws.log_error(self.law[None], x)[0])
        return error

    def runs(
        self, x: npt.NDArray[np.float64], seeds: int, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Errors (G, seeds) of new runs at x (G,)."""
        shape = (len(x), seeds)
        noise = self.noise * rng.standard_normal(shape)
        noise *= np.where(rng.random(shape) < self.outliers, OUTLIER, 1)
        noise += self.between * self.noise * rng.standard_normal((len(x), 1))
        error = self.curve(x)[:, None]
        return error * np.exp(noise) if self.proportional else np.maximum(error + noise / 3, 1e-3)


def study(rng: np.random.Generator) -> Synthetic:
    decades, num = rng.uniform(1.5, 4), int(rng.choice([7, 8, 10, 12, 16, 24]))
    x = 10 ** np.sort(np.concatenate([[0, decades], rng.uniform(0, decades, num - 2)]))
    b, d, e = rng.uniform(0.15, 0.6), rng.choice([0, 0.1, 0.5, 2]), rng.choice([0, 0.05, 0.1, 0.2])
    a = min(rng.uniform(0.3, 0.7), (0.85 - e) * (1 + d) ** b)
    return Synthetic(
        law=np.array([a, b, d, e]),
        x=x,
        seeds=int(rng.choice([1, 2, 3, 5])),
        noise=float(rng.choice([0.005, 0.01, 0.03])),
        proportional=bool(rng.random() < 0.5),
        between=float(rng.choice([0, 0.5, 1])),
        outliers=float(rng.choice([0, 0.05])),
    )


def covered(seed: int, form: str, replicas: int) -> tuple[Synthetic, npt.NDArray[np.bool_]]:
    """Whether the intervals of one study hold curve and next run at each place: (2, 4)."""
    rng = np.random.default_rng(seed)
    truth = study(rng)
    errors = truth.runs(truth.x, truth.seeds, rng)
    configuration = np.repeat(np.arange(len(truth.x)), truth.seeds)
    made = fit.fit_points(
        truth.x[configuration], errors.ravel(), configuration, form=form, replicas=replicas
    )
    places = np.array([truth.x[0], np.sqrt(truth.x[0] * truth.x[-1]), truth.x[-1], 2 * truth.x[-1]])
    band, next_run = made.band(places), made.next_run(places)
    assert band is not None and next_run is not None
    new = truth.runs(places, 1, rng)[:, 0]
    asked = ((band, truth.curve(places)), (next_run, new))
    return truth, np.array([(low <= value) & (value <= high) for (low, high), value in asked])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--form", default="auto", choices=("auto", *laws.FORMS))
    parser.add_argument("--replicas", type=int, default=1000)
    asked = parser.parse_args()
    start = time.perf_counter()
    rows = [covered(seed, asked.form, asked.replicas) for seed in range(asked.studies)]
    hits = np.array([hit for _, hit in rows])  # (studies, 2, 4)
    print(f"{asked.studies} studies, form {asked.form}, {asked.replicas} replicas of each")
    print(f"{'90 % interval of':24}" + "".join(f"{place:>15}" for place in PLACES))
    for name, shares in zip(("the curve", "the next run"), hits.mean(axis=0), strict=True):
        print(f"{name:24}" + "".join(f"{100 * share:13.1f} %" for share in shares))
    print("\nof the curve and of the next run, over all places:")
    for key in ("seeds", "noise", "proportional", "between", "outliers"):
        for value in sorted({getattr(truth, key) for truth, _ in rows}):
            chosen = hits[[getattr(truth, key) == value for truth, _ in rows]]
            curve, new = 100 * chosen.mean(axis=(0, 2))
            print(f"  {key} = {value!s:8} {len(chosen):4} studies {curve:6.1f} % {new:6.1f} %")
    seconds = time.perf_counter() - start
    print(f"\n{seconds:.0f} s")
    what = f"{asked.studies} studies, form {asked.form}, {asked.replicas} replicas"
    record(__file__, [Figure(what, seconds)])
    shares = hits.mean(axis=0)
    sys.exit(not ((shares >= LOWEST) & (shares <= HIGHEST)).all())


if __name__ == "__main__":
    main()
