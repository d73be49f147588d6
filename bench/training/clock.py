"""Charge the seconds of an attempt to kinds of work, and watch the job's time limit."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import psutil

from bench.run.environment import environment

# Time to exit: writing rows, closing sockets, interpreter shutdown.
MARGIN_SECONDS = 10.0
# submitit has Slurm signal 90 s before the limit, and Slurm checks every 60 s.
WARNING_SECONDS = 180.0

Kind = Literal["startup", "train", "eval", "checkpoint"]


class Clock:
    """Seconds by kind; every moment since the process started belongs to exactly one kind.

    The first kind is "startup", which includes the time before the clock was made: interpreter
    start and imports. `synchronize` waits for the device before the kind changes.
    """

    def __init__(self, synchronize: Callable[[], None] = lambda: None) -> None:
        self._synchronize = synchronize
        self.kind: Kind = "startup"
        self._since = time.monotonic()
        self._seconds: dict[Kind, float] = dict.fromkeys(
            ("startup", "train", "eval", "checkpoint"), 0.0
        )
        self._seconds["startup"] = max(0.0, time.time() - psutil.Process().create_time())

    def seconds(self, kind: Kind) -> float:
        """Return the seconds of one kind so far, without waiting for the device."""
        running = time.monotonic() - self._since if kind == self.kind else 0.0
        return self._seconds[kind] + running

    def all_seconds(self) -> dict[str, float]:
        """Return the columns `train_seconds`, `eval_seconds`, … so far."""
        return {f"{kind}_seconds": self.seconds(kind) for kind in self._seconds}

    def switch(self, kind: Kind) -> None:
        """Charge the time from now on to `kind`."""
        self._synchronize()
        now = time.monotonic()
        self._seconds[self.kind] += now - self._since
        self.kind, self._since = kind, now

    @contextmanager
    def during(self, kind: Kind) -> Iterator[None]:
        """Charge the time inside the block to `kind`, afterwards to the previous kind again."""
        before = self.kind
        self.switch(kind)
        try:
            yield
        finally:
            self.switch(before)


class Deadline:
    """Time limit of the job: SCALESTUDY_END_TIME, else SLURM_JOB_END_TIME, seconds since 1970.

    Without either there is no limit.
    """

    def __init__(self) -> None:
        ends_at = environment().end_time
        left = float("inf") if ends_at is None else ends_at - time.time()
        self._ends_at = time.monotonic() + left
        self._looked_at = time.monotonic()

    def begin_step(self) -> None:
        """Start timing the first step, so that set-up does not count as one."""
        self._looked_at = time.monotonic()

    def is_near(self, save_seconds: float) -> bool:
        """Return whether to save and exit now, given the duration of a save; call once per step."""
        now = time.monotonic()
        step_seconds, self._looked_at = now - self._looked_at, now
        margin = MARGIN_SECONDS + 3 * (save_seconds + step_seconds)
        return self._ends_at - now < margin

    def is_warned(self) -> bool:
        """Return whether a warning that arrives now is about the time limit."""
        return self._ends_at - time.monotonic() < WARNING_SECONDS

    def is_over(self) -> bool:
        """Return whether the time limit has passed."""
        return time.monotonic() >= self._ends_at
