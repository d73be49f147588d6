"""Signals that ask a run to stop: noted when they come, obeyed between two steps, by all together.

SIGUSR2 is the scheduler's warning (preemption, time limit): the job will be started again.
SIGTERM and SIGINT ask to stop without coming back.
"""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from bench.run.errors import BenchError
from bench.run.heartbeat import Ended

# Said like a signal by a process whose clock has come near the job's end; any signal is louder.
TIME_IS_UP = int(signal.SIGHUP)
ASKING = (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)


class Stopped(BenchError):
    """A signal has ended the attempt; the run goes on from the step that was saved."""

    def __init__(
        self, signum: int, step: int, *, near_end: bool = False, is_over: bool = False
    ) -> None:
        """`near_end`: the job's time limit is near, which is then what the scheduler warns of.

        `is_over`: it has passed, which is then what SIGTERM is for.
        """
        name = "time limit" if signum == TIME_IS_UP else signal.Signals(signum).name
        super().__init__(f"{name}: saved at step {step}")
        self.signum, self._near_end = signum, near_end
        self._is_ended = is_over and signum == signal.SIGTERM

    @property
    def comes_back(self) -> bool:
        """Whether whoever asked wants the run to go on."""
        return self._is_ended or self.signum in (signal.SIGUSR2, TIME_IS_UP)

    @property
    def ended(self) -> Ended:
        """How the attempt ended, in the ledger's words."""
        if not self.comes_back:
            return "killed"
        is_timeout = self._near_end or self._is_ended or self.signum == TIME_IS_UP
        return "timeout" if is_timeout else "preempted"


class Signals:
    """Takes the signals over while it is entered; `received` is the last one, or 0.

    Python hears signals in its main thread alone: in another one nothing is taken over.
    """

    def __init__(self) -> None:
        self.received = 0
        self._pid = os.getpid()
        self._terms = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            # What came before this was entered, in the start-up of a job, is obeyed too.
            outer = getattr(signal.getsignal(signal.SIGUSR2), "__self__", None)
            if isinstance(outer, Signals):
                self.received = outer.received
            self._before = {signum: signal.signal(signum, self._note) for signum in ASKING}
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
        # A loader's worker, which a scheduler signals too: it is needed until the run has stopped.
        self._terms += signum == signal.SIGTERM
        if self._terms > 1:
            os._exit(128 + signum)
