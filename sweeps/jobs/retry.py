"""Whether a run is started again, by the causes that its attempts ended for: pure functions.

| an attempt ended   | then the run is started again                                    |
|--------------------|------------------------------------------------------------------|
| preempted          | always                                                           |
| timeout            | at most `max_timeouts` times                                     |
| out_of_memory      | always: the next attempt halves its micro-batch, and fails at 1  |
| hang, killed, lost | at most `max_retries` times from the same checkpoint             |
| failed             | never: it is the user's error, or a loss that is no number       |
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

LOSSES_OF_A_LEMON = 2
AGAIN = ("preempted", "timeout", "out_of_memory")
RETRIED = ("hang", "killed", "lost")

Beat = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """How often a run is started again, as in the resources of its spec."""

    max_timeouts: int
    max_retries: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run, and why."""

    outcome: Literal["done", "failed", "again"]
    reason: str


def decide(attempts: Sequence[Beat], limits: Limits, *, silent_starts: int = 0) -> Verdict:
    """The verdict over the last heartbeats of a run's attempts since it was submitted.

    An attempt that said nothing of its end is lost; `silent_starts` counts the jobs since the last
    attempt that ended before they made one.

    >>> decide([{"ended": "preempted"}], Limits(max_timeouts=20, max_retries=2)).outcome
    'again'
    """
    last = attempts[-1] if attempts else {}
    ended = last.get("ended") or "lost"
    if attempts and ended in ("done", "failed"):
        return Verdict("done" if ended == "done" else "failed", last.get("reason") or ended)
    timeouts = sum(beat.get("ended") == "timeout" for beat in attempts)
    if timeouts > limits.max_timeouts:
        return Verdict("failed", f"stopped at its time limit {timeouts} times, {_allowed(limits)}")
    if ended in AGAIN and not silent_starts:
        return Verdict("again", ended)
    tries = silent_starts + _from_the_same_checkpoint(attempts)
    why = f"{ended}: {last.get('reason') or 'its process ended without a word'}"
    if silent_starts:
        why = "its job ended before an attempt began"
    if tries > limits.max_retries:
        return Verdict("failed", f"{why}; {tries} attempts got no further, {_allowed(limits)}")
    return Verdict("again", why)


def lemons(losses: Iterable[Iterable[str]]) -> list[str]:
    """The nodes that were lost twice, given which were lost each time.

    >>> lemons([["n1", "n2"], ["n2"]])
    ['n2']
    """
    counted = Counter(node for nodes in losses for node in set(nodes))
    return sorted(node for node, times in counted.items() if times >= LOSSES_OF_A_LEMON)


def _from_the_same_checkpoint(attempts: Sequence[Beat]) -> int:
    """The last attempts that were lost, killed or hung and began where the last one began."""
    start = _start(attempts[-1]) if attempts else 0
    number = 0
    for beat in reversed(attempts):
        if (beat.get("ended") or "lost") not in RETRIED or _start(beat) not in (None, start):
            break
        # The last one may have ended before it had read its checkpoint.
        start = _start(beat) if start is None else start
        number += 1
    return number


def _start(beat: Beat) -> int | None:
    return beat.get("from_examples")


def _allowed(limits: Limits) -> str:
    return f"allowed are {limits.max_timeouts} time limits and {limits.max_retries} retries"
