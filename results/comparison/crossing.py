"""Crossings of two groups of runs along an axis of compute or data."""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np

from results.columns import formatting
from results.columns.pareto import settled
from results.comparison.lines import Polyline
from results.comparison.pair import (
    Pair,
    PairAnswer,
    group,
    interval,
)
from results.laws.warnings import ResultWarning


@dataclass(frozen=True)
class Change:
    """A change of leader at `x`: `ahead` is "a" or "b" beyond it."""

    x: float
    ahead: str


@dataclass(frozen=True)
class Crossing:
    """The last change of leader in the shared range, and all `changes` by ascending x.

    `overtaking` is the name of the group that is ahead from `at` on, None if the lines do not
    cross; `ahead` then names the group that always leads, if one does. `shared` is the range
    of x in which both have runs.
    """

    at: PairAnswer
    overtaking: str | None
    ahead: str | None
    changes: tuple[Change, ...]
    shared: tuple[float, float] | None


def _gaps(a: Polyline, b: Polyline) -> tuple[np.ndarray, np.ndarray]:
    """Return the x of both lines' points in their shared range (K,), and the lead of a there."""
    if not len(a.x) or not len(b.x):
        return np.empty(0), np.empty(0)
    low, high = max(a.x[0], b.x[0]), min(a.x[-1], b.x[-1])
    x = np.unique(np.concatenate([a.x, b.x]))
    x = x[(x >= low) & (x <= high)]
    ahead = settled(a.sign * a.at(x)) - settled(a.sign * b.at(x))
    return x, ahead


def changes(a: Polyline, b: Polyline) -> tuple[Change, ...]:
    """Return the crossings of the lines by ascending x; touching is not crossing.

    Where both are equal over a stretch, the change is at its end.
    """
    x, gap = _gaps(a, b)
    found = []
    decided = np.flatnonzero(gap)
    for before, after in itertools.pairwise(decided):
        if gap[before] * gap[after] > 0:
            continue
        start = after - 1  # equal there, unless it is `before`
        share = gap[start] / (gap[start] - gap[after])
        log_x = np.log(x[start]) + share * np.log(x[after] / x[start])
        found.append(Change(float(np.exp(log_x)), "a" if gap[after] > 0 else "b"))
    return tuple(found)


def _place(a: Polyline, b: Polyline, ahead: str) -> float:
    """Return the x beyond which `ahead` leads: -inf if it always leads, inf if it never does."""
    x, gap = _gaps(a, b)
    if len(x) < 2:
        return np.nan
    found = changes(a, b)
    if found and found[-1].ahead == ahead:
        return found[-1].x
    last = np.sign(gap[np.flatnonzero(gap)][-1:])
    if not len(last):
        return np.nan
    return -np.inf if (last[0] > 0) == (ahead == "a") else np.inf


def crossing(pair: Pair) -> Crossing:
    """Find where one side of the pair overtakes the other for good, on the pair's axis.

    Resamples in which the same side always leads count as an earlier crossing, those in which it
    never leads as a later one; with more than half of 1 - level of them the interval is
    open on that side. It is widened to contain the crossing itself, since resamples of lines that
    cross several times may all put it elsewhere.

    >>> runs = reference.table5()
    >>> pair = compare.groups(runs, "ViT-B/16", "ViT-L/16", cost="train_examples")
    >>> found = crossing(pair)
    >>> found.overtaking, round(found.at.value / 1e6, 1)  # million images
    ('ViT-L/16', 4.7)
    """
    a, b = pair.a.line, pair.b.line
    found = changes(a, b)
    if not found:
        return _none(pair)
    last = found[-1]
    warnings = pair.too_few()
    low = high = None
    if not warnings:
        low, high, warnings = interval(
            pair.samples(lambda one, other: _place(one, other, last.ahead)), pair.level
        )
        low = None if low is None else min(low, last.x)
        high = None if high is None else max(high, last.x)
    if len(found) > 1:
        places = ", ".join(f"{change.x:.3g}" for change in found)
        text = f"the lines cross {len(found)} times, at {places}; the last is given"
        warnings = (*warnings, ResultWarning("several_crossings", text))
    warnings = (*warnings, *pair.warnings)
    answer = PairAnswer(last.x, low, high, pair.level, pair.method, warnings=warnings)
    x, _ = _gaps(a, b)
    return Crossing(answer, _name(pair, last.ahead), None, found, (float(x[0]), float(x[-1])))


def _name(pair: Pair, side: str) -> str:
    return pair.a.name if side == "a" else pair.b.name


def _none(pair: Pair) -> Crossing:
    """Return a crossing without a place, and the reason."""
    x, gap = _gaps(pair.a.line, pair.b.line)
    spans = pair.ranges(lambda curve: curve.x, partial(formatting.amount, pair.x))
    ahead, shared = None, None
    if not len(x):
        reason = f"not comparable, the ranges do not overlap: {spans}"
    else:
        shared = float(x[0]), float(x[-1])
        ends = [formatting.amount(pair.x, end) for end in shared]
        where = f"in the whole range that they share, {ends[0]} to {ends[1]}"
        where = where if len(x) > 1 else f"at the one place that they share, {ends[0]}"
        ahead = _name(pair, "a" if gap[gap != 0][0] > 0 else "b") if gap.any() else None
        reason = f"{group(ahead)} is ahead {where}" if ahead else f"both are equal {where}"
    at = PairAnswer(None, level=pair.level, method=pair.method, reason=reason)
    return Crossing(at, None, ahead, (), shared)
