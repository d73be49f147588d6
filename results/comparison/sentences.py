"""Sentences that report a comparison as a paper would, intervals included."""

from collections.abc import Callable
from dataclasses import replace

from results.columns import formatting
from results.comparison.crossing import Crossing
from results.comparison.pair import Pair, PairAnswer, group


def _interval(answer: PairAnswer, text: Callable[[float], str], open_end: str = "–") -> str:
    """Format the interval in brackets, with a dash for an open end; empty without an interval."""
    if answer.low is None and answer.high is None:
        return ""
    ends = [open_end if end is None else text(end) for end in (answer.low, answer.high)]
    return f" [{', '.join(ends)}]"


def _factor(value: float) -> str:
    """Format a factor with at least two digits: 1.0, 2.1, 12, 130."""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _cost_words(column: str) -> str:
    return formatting.name(column).removesuffix(" without padding")


def _times(pair: Pair, answer: PairAnswer) -> str:
    """Return a clause as "ViT needs 2.1 × [1.6, 2.6] less training compute than ResNet"."""
    assert answer.value is not None
    less, factor = answer.value >= 1, answer.value
    if not less:
        ends = [None if end is None else 1 / end for end in (answer.high, answer.low)]
        factor, answer = 1 / factor, replace(answer, low=ends[0], high=ends[1])
    return (
        f"{group(pair.a.name)} needs {_factor(factor)} ×{_interval(answer, _factor)} "
        f"{'less' if less else 'more'} {_cost_words(pair.x)} than {group(pair.b.name)}"
    )


def _refused(pair: Pair, answer: PairAnswer) -> str:
    return f"{group(pair.a.name)} and {group(pair.b.name)}: {answer.reason}"


def mean_ratio(pair: Pair, answer: PairAnswer) -> str:
    """Return the sentence on `compare.mean_ratio`."""
    if answer.value is None:
        return _refused(pair, answer)
    metric = formatting.name(pair.metric)
    return f"{_times(pair, answer)} for the same {metric} (geometric mean over what both reach)"


def ratio_at(pair: Pair, answer: PairAnswer, accuracy: float) -> str:
    """Return the sentence on `compare.ratio_at`."""
    if answer.value is None:
        return _refused(pair, answer)
    costs = [
        formatting.amount(pair.x, float(side.line.reach(accuracy))) for side in (pair.a, pair.b)
    ]
    return (
        f"for {formatting.metric_value(pair.metric, accuracy)} {formatting.name(pair.metric)} "
        f"{_times(pair, answer)} ({costs[0]} against {costs[1]})"
    )


def gain_at(pair: Pair, answer: PairAnswer, cost: float) -> str:
    """Return the sentence on `compare.gain_at`."""
    if answer.value is None:
        return _refused(pair, answer)
    scale, unit = (100, " points") if formatting.is_fraction(pair.metric) else (1, "")
    ends = [None if end is None else scale * end for end in (answer.low, answer.high)]
    scaled = PairAnswer(scale * answer.value, low=ends[0], high=ends[1])
    ahead = f"{scale * answer.value:+.2f}{unit}{_interval(scaled, '{:+.2f}'.format)}"
    return (
        f"at {formatting.amount(pair.x, cost)} {group(pair.a.name)} is {ahead} against "
        f"{group(pair.b.name)} in {formatting.name(pair.metric)}"
    )


def probability(pair: Pair, answer: PairAnswer, cost: float) -> str:
    """Return the sentence on `compare.probability`."""
    who = f"that {group(pair.a.name)} is better than {group(pair.b.name)}"
    at = formatting.amount(pair.x, cost)
    if answer.value is None:
        return f"the probability {who} at {at} is not known: {answer.reason}"
    return f"the probability {who} at {at} is {formatting.percent(answer.value, 0)}"


def crossing(pair: Pair, found: Crossing) -> str:
    """Return the sentence on `crossing.crossing`."""
    if found.at.value is None or found.overtaking is None:
        if found.ahead is None or found.shared is None:
            return _refused(pair, found.at)
        behind = pair.b.name if found.ahead == pair.a.name else pair.a.name
        low, high = (formatting.amount(pair.x, end) for end in found.shared)
        where = f"from {low} to {high}" if low != high else f"at {low}"
        return f"{group(found.ahead)} is ahead of {group(behind)} wherever both have runs, {where}"
    behind = pair.b.name if found.overtaking == pair.a.name else pair.a.name
    where = formatting.amount(pair.x, found.at.value)
    ends = [
        None if end is None else formatting.amount(pair.x, end)
        for end in (found.at.low, found.at.high)
    ]
    open_ends = ("before", "after")
    if ends != [None, None]:
        shown_ends = [end or word for end, word in zip(ends, open_ends, strict=True)]
        where += f" [{', '.join(shown_ends)}]"
    return f"{group(found.overtaking)} overtakes {group(behind)} at {where}"
