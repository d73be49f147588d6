"""What a comparison found, said as a paper would: one sentence an answer, interval included."""

from results import summary, units
from results.compare import shown
from results.crossing import Crossing
from results.pairs import Answer, Pair


def amount(column: str, value: float) -> str:
    """A cost with its unit.

    >>> amount("train_flops_valid", 1.567e21), amount("train_examples", 4e7)
    ('1,567 exaFLOPs', '40M images')
    """
    if column == "train_examples":
        return f"{units.short_count(value)} images"
    header, (text,) = units.scaled(column, [value])
    words = header.removeprefix("train ").removesuffix(", valid")
    return f"{text} {words}"


def group(name: str) -> str:
    """A group as people call it: the family's name, or what it was asked by."""
    return summary.FAMILIES.get(name, name)


def _interval(answer: Answer, text: str = "{:.2g}", open_end: str = "–") -> str:
    """The interval in brackets, with a dash for an open end; nothing where there is none."""
    if answer.low is None and answer.high is None:
        return ""
    ends = [open_end if e is None else text.format(e) for e in (answer.low, answer.high)]
    return f" [{', '.join(ends)}]"


def _cost_words(column: str) -> str:
    return units.name(column).removesuffix(" without padding")


def _times(pair: Pair, answer: Answer) -> str:
    """ "ViT needs 2.1 × [1.6, 2.6] less training compute than ResNet" """
    assert answer.value is not None
    less = answer.value >= 1
    if not less:
        ends = [None if end is None else 1 / end for end in (answer.high, answer.low)]
        answer = Answer(1 / answer.value, low=ends[0], high=ends[1])
    return (
        f"{group(pair.a.name)} needs {answer.value:.2g} ×{_interval(answer)} "
        f"{'less' if less else 'more'} {_cost_words(pair.x)} than {group(pair.b.name)}"
    )


def _refused(pair: Pair, answer: Answer) -> str:
    return f"{group(pair.a.name)} and {group(pair.b.name)}: {answer.reason}"


def mean_ratio(pair: Pair, answer: Answer) -> str:
    """The sentence on `compare.mean_ratio`."""
    if answer.value is None:
        return _refused(pair, answer)
    metric = units.name(pair.metric)
    return f"{_times(pair, answer)} for the same {metric} (geometric mean over what both reach)"


def ratio_at(pair: Pair, answer: Answer, accuracy: float) -> str:
    """The sentence on `compare.ratio_at`."""
    if answer.value is None:
        return _refused(pair, answer)
    costs = [amount(pair.x, float(side.curve.reach(accuracy))) for side in (pair.a, pair.b)]
    return (
        f"for {shown(pair.metric, accuracy)} {units.name(pair.metric)} "
        f"{_times(pair, answer)} ({costs[0]} against {costs[1]})"
    )


def gain_at(pair: Pair, answer: Answer, cost: float) -> str:
    """The sentence on `compare.gain_at`."""
    if answer.value is None:
        return _refused(pair, answer)
    scale, unit = (100, " points") if units.is_fraction(pair.metric) else (1, "")
    ends = [None if end is None else scale * end for end in (answer.low, answer.high)]
    scaled = Answer(scale * answer.value, low=ends[0], high=ends[1])
    return (
        f"at {amount(pair.x, cost)} {group(pair.a.name)} is {scaled.value:+.2f}{unit}"
        f"{_interval(scaled, '{:+.2f}')} against {group(pair.b.name)} in {units.name(pair.metric)}"
    )


def probability(pair: Pair, answer: Answer, cost: float) -> str:
    """The sentence on `compare.probability`."""
    who = f"that {group(pair.a.name)} is better than {group(pair.b.name)}"
    if answer.value is None:
        return f"the probability {who} at {amount(pair.x, cost)} is not known: {answer.reason}"
    return f"the probability {who} at {amount(pair.x, cost)} is {answer.value:.0%}"


def crossing(pair: Pair, found: Crossing) -> str:
    """The sentence on `crossing.crossing`."""
    if found.at.value is None or found.overtaking is None:
        if found.ahead is None or found.shared is None:
            return _refused(pair, found.at)
        behind = pair.b.name if found.ahead == pair.a.name else pair.a.name
        low, high = (amount(pair.x, end) for end in found.shared)
        where = f"from {low} to {high}" if low != high else f"at {low}"
        return f"{group(found.ahead)} is ahead of {group(behind)} wherever both have runs, {where}"
    behind = pair.b.name if found.overtaking == pair.a.name else pair.a.name
    where = amount(pair.x, found.at.value)
    ends = [None if end is None else amount(pair.x, end) for end in (found.at.low, found.at.high)]
    open_ends = ("before", "after")
    if ends != [None, None]:
        shown_ends = [end or word for end, word in zip(ends, open_ends, strict=True)]
        where += f" [{', '.join(shown_ends)}]"
    return f"{group(found.overtaking)} overtakes {group(behind)} at {where}"
