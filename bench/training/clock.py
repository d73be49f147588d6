"""Where an attempt's seconds go, by kind, on a monotonic clock."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import psutil

# What a process needs to leave: rows, sockets, the interpreter's end.
MARGIN_SECONDS = 10.0
# submitit asks Slurm to signal 90 s before the limit, and Slurm looks every 60 s.
WARNING_SECONDS = 180.0

Kind = Literal["startup", "train", "eval", "checkpoint"]


class Clock:
    """Seconds by kind; every moment since the process started belongs to exactly one kind.

    It starts in "startup", which includes what passed before the clock was made: the
    interpreter's start and the imports. `synchronize` waits for the device before a reading.
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
        """Seconds of one kind so far, those under way included; does not wait for the device."""
        running = time.monotonic() - self._since if kind == self.kind else 0.0
        return self._seconds[kind] + running

    def all_seconds(self) -> dict[str, float]:
        """The columns `train_seconds`, `eval_seconds`, ... so far."""
        return {f"{kind}_seconds": self.seconds(kind) for kind in self._seconds}

    def switch(self, kind: Kind) -> None:
        """From now on time belongs to `kind`."""
        self._synchronize()
        now = time.monotonic()
        self._seconds[self.kind] += now - self._since
        self.kind, self._since = kind, now

    @contextmanager
    def during(self, kind: Kind) -> Iterator[None]:
        """Time inside the block belongs to `kind`, then to what it belonged to before."""
        before = self.kind
        self.switch(kind)
        try:
            yield
        finally:
            self.switch(before)


class Deadline:
    """When the scheduler ends the job: SCALESTUDY_END_TIME, else Slurm's own, seconds since 1970.

    Without either there is none.
    """

    def __init__(self) -> None:
        given = os.environ.get("SCALESTUDY_END_TIME") or os.environ.get("SLURM_JOB_END_TIME")
        left = float(given) - time.time() if given else float("inf")
        self._ends_at = time.monotonic() + left
        self._looked_at = time.monotonic()

    def begin_step(self) -> None:
        """From now on the first step is timed: getting ready for it tells nothing of the next."""
        self._looked_at = time.monotonic()

    def is_near(self, save_seconds: float) -> bool:
        """Whether it is time to save and leave, if a save takes so long; ask once a step."""
        now = time.monotonic()
        step_seconds, self._looked_at = now - self._looked_at, now
        margin = MARGIN_SECONDS + 3 * (save_seconds + step_seconds)
        return self._ends_at - now < margin

    def is_warned(self) -> bool:
        """Whether a warning that comes now is of the time limit."""
        return self._ends_at - time.monotonic() < WARNING_SECONDS

    def is_over(self) -> bool:
        """Whether the scheduler now ends the job for its time limit."""
        return time.monotonic() >= self._ends_at
