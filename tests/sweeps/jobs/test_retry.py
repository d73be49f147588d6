"""What becomes of a run, by the causes that its attempts ended for."""

import pytest

from bench.run.heartbeat import Ended, Heartbeat
from sweeps.jobs.retry import RetryLimits, decide
from tests.helpers.heartbeats import make_beat

LIMITS = RetryLimits(max_timeouts=2, max_retries=2)


def beat(ended: Ended | None, start: int | None = 0, reason: str = "so") -> Heartbeat:
    return make_beat(ended=ended, from_examples=start, reason=reason)


@pytest.mark.parametrize(
    ("attempts", "outcome"),
    [
        ([beat("done")], "done"),
        ([beat("failed")], "failed"),
        ([beat("hang"), beat("done")], "done"),
        ([beat("preempted")] * 50, "again"),
        ([beat("timeout")] * 2, "again"),
        ([beat("timeout")] * 3, "failed"),
        ([beat("out_of_memory")] * 5, "again"),
        ([beat("hang")] * 2, "again"),
        ([beat("hang")] * 3, "failed"),
        ([beat("hang"), beat("killed"), beat(None)], "failed"),
        ([beat(None, None)] * 3, "failed"),
        # Each began at a later checkpoint: the run gets on.
        ([beat(None, start) for start in (0, 10, 20, 30)], "again"),
        ([beat("killed", 0), beat("killed", 10), beat("killed", 10), beat("killed", 10)], "failed"),
        # Something else between them begins the count anew.
        ([beat("hang"), beat("hang"), beat("preempted"), beat("hang")], "again"),
    ],
)
def test_each_cause_has_its_own_limit(attempts: list[Heartbeat], outcome: str) -> None:
    assert decide(attempts, LIMITS).outcome == outcome


def test_a_users_error_is_never_tried_again_and_keeps_its_message() -> None:
    verdict = decide([beat("failed", reason="NonFiniteLoss: the loss is nan at step 7")], LIMITS)
    assert verdict.reason == "NonFiniteLoss: the loss is nan at step 7"


def test_what_was_given_up_says_the_last_cause_and_the_limits() -> None:
    verdict = decide([beat("hang", reason="no step for 30 s")] * 3, LIMITS)
    assert verdict.reason == (
        "hang: no step for 30 s; 3 attempts got no further, allowed are 2 time limits and 2 retries"
    )


def test_jobs_that_end_before_an_attempt_are_limited_too() -> None:
    assert decide([], LIMITS, silent_starts=2).outcome == "again"
    assert decide([], LIMITS, silent_starts=3).outcome == "failed"
    assert decide([beat("preempted")], LIMITS, silent_starts=1).outcome == "again"
    assert "before an attempt began" in decide([], LIMITS, silent_starts=3).reason
