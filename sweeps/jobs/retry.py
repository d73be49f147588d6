"""Whether a run is started again, by the causes that its attempts ended for: pure functions.

| an attempt ended   | then the run is started again                                    |
|--------------------|------------------------------------------------------------------|
| preempted          | always                                                           |
| timeout            | at most `max_timeouts` times                                     |
| out_of_memory      | always: the next attempt halves its micro-batch, and fails at 1  |
| hang, killed, lost | at most `max_retries` times from the same checkpoint             |
| failed             | never: it is the user's error, or a non-finite loss               |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.run.heartbeat import NO_REPORT, Heartbeat

LOSSES_TO_EXCLUDE_NODE = 2
AGAIN = ("preempted", "timeout", "out_of_memory")
RETRIED = ("hang", "killed", "lost")


@dataclass(frozen=True)
class RetryLimits:
    """How often a run is started again, as in the resources of its spec."""

    max_timeouts: int
    max_retries: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run, and why."""

    outcome: Literal["done", "failed", "again"]
    reason: str


def decide(
    attempts: Sequence[Heartbeat], limits: RetryLimits, *, silent_starts: int = 0
) -> Verdict:
    """Return the verdict over the last heartbeats of a run's attempts since it was submitted.

    An attempt without a record of its end is lost; `silent_starts` counts the jobs since the last
    attempt that ended before they made one.

    >>> decide([], RetryLimits(max_timeouts=20, max_retries=2), silent_starts=1).outcome
    'again'
    """
    ended = attempts[-1].outcome if attempts else "lost"
    reason = attempts[-1].reason if attempts else None
    if ended == "done" or ended == "failed":
        return Verdict(ended, reason or ended)
    timeouts = sum(beat.ended == "timeout" for beat in attempts)
    if timeouts > limits.max_timeouts:
        return Verdict("failed", f"stopped at its time limit {timeouts} times, {_allowed(limits)}")
    if ended in AGAIN and not silent_starts:
        return Verdict("again", ended)
    tries = silent_starts + _from_the_same_checkpoint(attempts)
    why = f"{ended}: {reason or NO_REPORT}"
    if silent_starts:
        why = "its job ended before an attempt began"
    if tries > limits.max_retries:
        return Verdict("failed", f"{why}; {tries} attempts got no further, {_allowed(limits)}")
    return Verdict("again", why)


def _from_the_same_checkpoint(attempts: Sequence[Heartbeat]) -> int:
    """Count the last attempts that were lost, killed or hung at the same checkpoint."""
    start = attempts[-1].from_examples if attempts else 0
    number = 0
    for beat in reversed(attempts):
        if beat.outcome not in RETRIED or beat.from_examples not in (None, start):
            break
        # The last one may have ended before it had read its checkpoint.
        start = beat.from_examples if start is None else start
        number += 1
    return number


def _allowed(limits: RetryLimits) -> str:
    return f"allowed are {limits.max_timeouts} time limits and {limits.max_retries} retries"
