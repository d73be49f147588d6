"""Comparison of two groups of runs: compute at equal accuracy, accuracy at equal compute.

Each group is a line through its Pareto frontier, linear in the metric against the logarithm of
cost, without extrapolation beyond its ends. Intervals are percentiles of a cluster
bootstrap: configurations are resampled, and the seeds within them.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from results.columns import formatting
from results.comparison import lines
from results.comparison.law_lines import LawSide
from results.comparison.lines import Floats, Polyline
from results.comparison.pair import Pair, PairAnswer, Side
from results.laws import clusters

COST = "train_flops_valid"
METRIC = "top1_accuracy"
DATA_AXES = ("train_examples",)  # on these axes a line goes through the best run at each x


def groups(
    runs: pd.DataFrame,
    a: str,
    b: str,
    *,
    metric: str = METRIC,
    cost: str = COST,
    by: str = "family",
    method: str = "frontier",
    higher_is_better: bool | None = None,
    level: float = clusters.LEVEL,
    replicas: int = clusters.REPLICAS,
    seed: int = 0,
) -> Pair:
    """Return the pair of groups `a` and `b`: families, models or single runs (see `lines.select`).

    `metric` may be short for an accuracy ("real"). On `train_examples` a group's line is its best
    at each size. With the method "law" it is the law of the error of all its runs, on any axis.
    Raises MissingColumn, UnknownGroup, and FitError where runs support no law.
    """
    metric = lines.column(runs, metric)
    higher = formatting.higher_is_better(metric) if higher_is_better is None else higher_is_better
    table = lines.configurations(runs, metric=metric, x=cost, by=by)
    sign = 1 if higher else -1
    sides: list[Side] = []
    for name in (a, b):
        points = lines.select(table, name)
        if method == "law":
            sides.append(LawSide(name, points, sign, metric=metric, num=replicas, seed=seed))
        else:
            sides.append(Side(name, points, sign, "best" if cost in DATA_AXES else "frontier"))
    return Pair(sides[0], sides[1], metric, cost, level, replicas, seed)


# --- compute at equal accuracy


def _spans(pair: Pair) -> str:
    return pair.ranges(lambda curve: curve.y, partial(formatting.metric_value, pair.metric))


def ratio_at(pair: Pair, accuracy: float) -> PairAnswer:
    """Return the cost of b over the cost of a at the same accuracy.

    >>> pair = groups(reference.table6(), "vit", "bit", metric="imagenet")
    >>> round(ratio_at(pair, 0.85).value, 2)
    1.89
    >>> ratio_at(pair, 0.88).reason.partition(";")[0]
    'not comparable at 88.00%: on the frontiers ViT spans 80.73% to 88.08%'
    """

    def ratio(a: Polyline, b: Polyline) -> float:
        return float(b.reach(accuracy) / a.reach(accuracy))

    return pair.answer(
        ratio, f"not comparable at {formatting.metric_value(pair.metric, accuracy)}: {_spans(pair)}"
    )


def _shared(a: Polyline, b: Polyline) -> Floats:
    """Return the accuracies of both lines' points in the range that both reach: (K,), ascending."""
    if not len(a.y) or not len(b.y):
        return np.empty(0)
    low, high = max(a.y.min(), b.y.min()), min(a.y.max(), b.y.max())
    both = np.unique(np.concatenate([a.y, b.y]))
    return np.asarray(both[(both >= low) & (both <= high)])


def mean_ratio(pair: Pair) -> PairAnswer:
    """Return the geometric mean of `ratio_at` over the accuracies that both groups reach.

    >>> pair = groups(reference.table6(), "vit", "bit", metric="average_of_five")
    >>> round(mean_ratio(pair).value, 2)
    3.79
    """

    def mean(a: Polyline, b: Polyline) -> float:
        at = _shared(a, b)
        if not len(at):
            return np.nan
        logs = np.log(b.reach(at) / a.reach(at))
        if len(at) == 1:
            return float(np.exp(logs[0]))
        return float(np.exp(np.trapezoid(logs, at) / (at[-1] - at[0])))

    reason = f"not comparable, they share no range of accuracies: {_spans(pair)}"
    return pair.answer(mean, reason)


def ratio_curve(pair: Pair, accuracies: Sequence[float] | None = None) -> pd.DataFrame:
    """Return `ratio_at` at accuracies, by default those of both lines in their shared range.

    Columns: `accuracy`, `cost_a`, `cost_b`, `ratio`, `low`, `high`; NaN is not comparable.
    """
    a, b = pair.a.line, pair.b.line
    at = _shared(a, b) if accuracies is None else np.array(accuracies, dtype=float)
    found = [ratio_at(pair, accuracy) for accuracy in at]
    table = pd.DataFrame({"accuracy": at, "cost_a": a.reach(at), "cost_b": b.reach(at)})
    for name, part in (("ratio", "value"), ("low", "low"), ("high", "high")):
        table[name] = np.array([getattr(answer, part) for answer in found], dtype=float)
    return table


def points_ratio(pair: Pair) -> pd.DataFrame:
    """Return the cost of each run of b over that of a's line at the same accuracy.

    Columns: `name`, `cost`, `accuracy`, `frontier_cost`, `ratio` (NaN outside of a's range) and
    `reason`.

    >>> pair = groups(reference.table6(), "vit", "bit", metric="imagenet")
    >>> points_ratio(pair).set_index("name").ratio.round(1).dropna().tolist()
    [1.7, 2.2, 1.9, 2.4, 1.9]
    """
    points, a = pair.b.points, pair.a.line
    at = a.reach(points["y"].to_numpy())
    spans = _spans(pair)
    reasons = [
        f"not comparable at {formatting.metric_value(pair.metric, y)}: {spans}"
        if np.isnan(x)
        else None
        for x, y in zip(at, points["y"], strict=True)
    ]
    return pd.DataFrame(
        {
            "name": points["name"],
            "cost": points["x"],
            "accuracy": points["y"],
            "frontier_cost": at,
            "ratio": points["x"] / at,
            "reason": reasons,
        }
    )


# --- accuracy at equal compute


def gain_at(pair: Pair, cost: float) -> PairAnswer:
    """Return how much better a is than b at the same cost, in units of the metric.

    >>> pair = groups(reference.table6(), "vit", "bit", metric="imagenet")
    >>> round(gain_at(pair, 1000e18).value, 4)  # fractions: 1.13 points
    0.0113
    """

    def gain(a: Polyline, b: Polyline) -> float:
        return pair.a.sign * float(a.at(cost) - b.at(cost))

    spans = pair.ranges(lambda curve: curve.x, partial(formatting.amount, pair.x))
    return pair.answer(gain, f"not comparable at {formatting.amount(pair.x, cost)}: {spans}")


def probability(pair: Pair, cost: float) -> PairAnswer:
    """Return the probability that a is better than b at this cost: its share of the resamples.

    A tie counts half. There is no interval, and no value where too few runs reach that cost.
    """
    known = gain_at(pair, cost)
    if known.value is None or known.low is known.high is None:
        reason = known.reason or "; ".join(warning.text for warning in known.warnings)
        return PairAnswer(None, level=pair.level, method=known.method, reason=reason)
    gains = pair.samples(lambda a, b: pair.a.sign * float(a.at(cost) - b.at(cost)))
    gains = gains[~np.isnan(gains)]
    share = float(np.mean(gains > 0) + np.mean(gains == 0) / 2)
    return PairAnswer(share, level=pair.level, method=known.method)
