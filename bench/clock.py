"""Where an attempt's seconds go, by kind, on a monotonic clock."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import psutil

Kind = Literal["startup", "train", "eval", "checkpoint"]


class Clock:
    """Seconds by kind; every moment since the process started belongs to exactly one kind.

    It starts in "startup", which includes what passed before the clock was made: the
    interpreter's start and the imports. `synchronize` waits for the device before a reading.
    """

    def __init__(self, synchronize: Callable[[], None] = lambda: None) -> None:
        self._synchronize = synchronize
        self._kind: Kind = "startup"
        self._since = time.monotonic()
        self._seconds: dict[Kind, float] = dict.fromkeys(
            ("startup", "train", "eval", "checkpoint"), 0.0
        )
        self._seconds["startup"] = max(0.0, time.time() - psutil.Process().create_time())

    def seconds(self, kind: Kind) -> float:
        """Seconds of one kind so far, those under way included; does not wait for the device."""
        running = time.monotonic() - self._since if kind == self._kind else 0.0
        return self._seconds[kind] + running

    def all_seconds(self) -> dict[str, float]:
        """The columns `train_seconds`, `eval_seconds`, ... so far."""
        return {f"{kind}_seconds": self.seconds(kind) for kind in self._seconds}

    def switch(self, kind: Kind) -> None:
        """From now on time belongs to `kind`."""
        self._synchronize()
        now = time.monotonic()
        self._seconds[self._kind] += now - self._since
        self._kind, self._since = kind, now

    @contextmanager
    def during(self, kind: Kind) -> Iterator[None]:
        """Time inside the block belongs to `kind`, then to what it belonged to before."""
        before = self._kind
        self.switch(kind)
        try:
            yield
        finally:
            self.switch(before)
