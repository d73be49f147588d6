"""1,000 bootstrap replicas of a·(C + d)^-b + e, beside a loop of scipy's least_squares.

    python -m tests.speed.bootstrap_speed

Both fit the same replicas with the same loss of the logarithm of the error and the same bounds.
They take turns: in each of five rounds ours fits all 1,000, scipy (trf, one start: the fit of
the points themselves, as good a start as there is) a fifth of them. Then the objective of 100
replicas is compared with the best of ten starts of scipy. Exit status 1 unless ours is 20 times
as fast up to 100 points and 10 times at 500, and never more than 0.1 % above the best of ten.
"""

import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from results.laws import bootstrap, solver
from results.laws import curve as laws
from tests.speed.history import Figure, record

Floats = npt.NDArray[np.float64]
REPLICAS, ROUNDS, CHECKED, STARTS = 1000, 5, 100, 10
WANTED = {18: 20, 50: 20, 100: 20, 500: 10}
WORST = 1e-3
LAW = np.array([[0.63, 0.32, 0.52, 0.12]])  # arXiv:2106.04560, Figure 2


@dataclass(frozen=True, eq=False)
class Task:
    """Replicas (R, N) of one study, and what both must minimize."""

    curve: laws.Curve
    theta: Floats
    log_error: Floats
    delta: float

    def ours(self) -> Floats:
        """Objectives (R,)."""
        return solver.fit(self.curve, self.log_error, np.ones_like(self.log_error), self.delta)[1]

    def scipy(self, replica: int, start: Floats) -> float:
        """The objective of one replica from one start."""
        target = self.log_error[replica]
        low, high = (end[0] for end in self.curve.bounds(np.exp(target).min(keepdims=True)))
        u = self.curve.scaled

        def residuals(theta: Floats) -> Floats:
            log_a, b, d, e = theta
            found: Floats = np.log(np.exp(log_a - b * np.log(u + d)) + e) - target
            return found

        robust = np.isfinite(self.delta)
        found = least_squares(
            residuals,
            np.clip(start, low + 1e-6 * (high - low), high - 1e-6 * (high - low)),
            bounds=(low, high),
            method="trf",
            loss="huber" if robust else "linear",
            f_scale=self.delta if robust else 1.0,
        )
        return float(found.cost)


def task(num: int, robust: bool) -> Task:
    rng = np.random.default_rng(num)
    x = np.sort(10 ** rng.uniform(0, 4, num))
    log_error = laws.log_error(LAW, x)[0] + 0.02 * rng.standard_normal(num)
    log_error += 0.1 * (rng.random(num) < 0.05)
    curve = laws.Curve("double_saturating", x, float(np.exp(np.log(x).mean())))
    theta, _, delta = solver.fit_one(curve, log_error, 4, None if robust else np.inf)
    line, cluster = curve(theta[None])[0][0], np.arange(num)
    noise = bootstrap.noise(log_error, line, cluster, 4)
    replicas = noise.studies(line, cluster, noise.scales(REPLICAS, rng), rng)
    return Task(curve, theta, replicas, delta)


def best_of_ten(made: Task, replica: int, rng: np.random.Generator) -> float:
    top = np.exp(made.log_error[replica].min())
    u = made.curve.scaled
    ends = np.log([u.min() / 10, u.max() / 10])
    starts = [
        [
            rng.uniform(-4, 0),
            rng.uniform(0.05, 1.5),
            np.exp(rng.uniform(*ends)),
            rng.uniform(0, top),
        ]
        for _ in range(STARTS)
    ]
    return min(made.scipy(replica, np.array(start)) for start in starts)


def compare(num: int, robust: bool) -> list[Figure]:
    """Print one line; return our share of scipy's time and the excess over the best of ten."""
    made, rng = task(num, robust), np.random.default_rng(1)
    seconds, theirs = [], 0.0
    for number in range(ROUNDS):
        start = time.perf_counter()
        values = made.ours()
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        for replica in range(number, REPLICAS, ROUNDS):
            made.scipy(replica, made.theta)
        theirs += time.perf_counter() - start
    excess = max(values[r] / best_of_ten(made, r, rng) - 1 for r in range(CHECKED))
    ours = statistics.median(seconds)
    print(
        f"{num:6} {'huber' if robust else 'squares':8} {ours:8.3f} s {theirs:8.2f} s "
        f"{theirs / ours:7.0f} x (wanted {WANTED[num]}) {100 * excess:+12.5f} %",
        flush=True,
    )
    what = f"{num} points, {'huber' if robust else 'squares'}"
    return [
        Figure(f"{what}, share of scipy's time", ours / theirs, "", 1 / WANTED[num]),
        Figure(f"{what}, excess", excess, "", WORST),
    ]


def main() -> None:
    print("points loss         ours      scipy    ratio              objective above best of ten")
    figures = [f for num in WANTED for robust in (False, True) for f in compare(num, robust)]
    sys.exit(not record(__file__, figures))


if __name__ == "__main__":
    main()
