"""Handle signals that ask a run to stop: recorded on arrival, acted on between two steps.

SIGUSR2 is the scheduler's warning of a preemption or time limit, after which the job is requeued.
SIGTERM and SIGINT stop the run for good.
"""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from bench.run.errors import BenchError
from bench.run.heartbeat import Ended

# Pseudo-signal that a rank raises near its time limit; real signals take precedence.
TIME_LIMIT = int(signal.SIGHUP)
STOPPING = (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)


class Stopped(BenchError):
    """A signal has ended the attempt after `step`, which is saved; the run can be resumed."""

    def __init__(
        self, signum: int, step: int, *, near_end: bool = False, is_over: bool = False
    ) -> None:
        """Interpret `signum`.

        If the job's time limit is near (`near_end`), SIGUSR2 warns of it. If it has passed
        (`is_over`), SIGTERM enforces it.
        """
        name = "time limit" if signum == TIME_LIMIT else signal.Signals(signum).name
        super().__init__(f"{name}: saved at step {step}")
        self.signum, self.step, self._near_end = signum, step, near_end
        self._is_ended = is_over and signum == signal.SIGTERM

    @property
    def will_resume(self) -> bool:
        """True if the run is to be resumed by another attempt."""
        return self._is_ended or self.signum in (signal.SIGUSR2, TIME_LIMIT)

    @property
    def ended(self) -> Ended:
        """How the attempt ended, in the ledger's terms."""
        if not self.will_resume:
            return "killed"
        is_timeout = self._near_end or self._is_ended or self.signum == TIME_LIMIT
        return "timeout" if is_timeout else "preempted"


class Signals:
    """Context manager that records the signals of STOPPING; `received` is the last one, or 0.

    Python handles signals in the main thread only: entered in another thread, it does nothing.
    """

    def __init__(self) -> None:
        self.received = 0
        self._pid = os.getpid()
        self._terms = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # Signals that an outer handler recorded during the start-up of a job count too.
            outer = getattr(signal.getsignal(signal.SIGUSR2), "__self__", None)
            if isinstance(outer, Signals):
                self.received = outer.received
            self._before = {signum: signal.signal(signum, self._note) for signum in STOPPING}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() == self._pid:
            self.received = signum
            return
        # In a data loader's worker, which the scheduler signals too: needed until the run stops.
        self._terms += signum == signal.SIGTERM
        if self._terms > 1:
            os._exit(128 + signum)
