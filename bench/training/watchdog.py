"""Ends an attempt that its main threads cannot end: a process is gone, silent or has failed.

A process that is killed, stopped or fails leaves the others in a collective that never returns. So
each has a thread that looks after its own progress, the other processes on its host, and, in the
main process, their notes. On other hosts the scheduler ends what is left.
"""

import faulthandler
import logging
import os
import signal
import socket
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import psutil

from bench.engine.world import World
from bench.run import heartbeat, ledger
from bench.run.attempt import is_process
from bench.run.config import Run
from bench.training import failures
from bench.training.clock import Clock
from bench.training.failures import Ending
from bench.training.recorder import Silence

log = logging.getLogger("scalestudy")

POLL_SECONDS = 0.25
# What a process may take for a first step, which compiles and warms up, for an evaluation's first
# batch, and for a checkpoint on a busy file system.
PATIENCE_SECONDS = 900.0
# By then every living process has noticed too, and has left its stacks.
GRACE_SECONDS = 2.0
# Until the main process has written down why the attempt ended, before this one may leave.
RECORD_SECONDS = 10.0


class Watchdog:
    """Watches while it is entered; the processes of an attempt make it, and enter, together."""

    def __init__(
        self, run_dir: Path, run: Run, world: World, clock: Clock, recorder: Silence
    ) -> None:
        self._run_dir, self._run, self._world = run_dir, run, world
        self._clock, self._recorder = clock, recorder
        self._attempt = recorder.number
        me = (socket.gethostname(), os.getpid(), psutil.Process().create_time())
        places = world.all_gather(me)
        # A process that cannot be seen from here, in a container of its own, is not watched.
        self._peers = {
            rank: (pid, started)
            for rank, (host, pid, started) in enumerate(places)
            if rank != world.rank and host == me[0] and is_process(pid, started)
        }
        self._num_steps = 0
        self._progress_at = time.monotonic()
        self._is_closing = False
        self._is_over = threading.Event()
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def progress(self, *, is_step: bool = False) -> None:
        """A sign of life: a step, a batch of an evaluation, a checkpoint is done."""
        self._num_steps += is_step
        self._progress_at = time.monotonic()

    def let_go(self) -> None:
        """From now on the other processes may leave: all is written that belongs to all."""
        self._is_closing = True

    def end(self, error: Exception) -> None:
        """Writes down why the attempt ends; alone, it returns, else the process ends here."""
        self._ending.acquire()
        # What the steps that failed hold on to is needed to write.
        traceback.clear_frames(error.__traceback__)
        if self._world.size == 1:
            self._record(failures.of(error))
            return
        log.exception("rank %d failed", self._world.rank)
        self._leave(failures.of(error))

    def _leave(self, ending: Ending) -> NoReturn:
        """The end of a process that has company: others may wait for it in a collective."""
        try:
            if self._world.is_main:
                self._record(self._first_hand(ending))
            else:
                if not ending.is_second_hand:
                    failures.leave_note(self._run_dir, self._attempt, self._world.rank, ending)
                self._wait_for_record()
        finally:
            logging.shutdown()
            os._exit(1)

    def _first_hand(self, ending: Ending) -> Ending:
        """What another process says, or that it is gone, where this one only misses it."""
        deadline = time.monotonic() + GRACE_SECONDS
        while ending.is_second_hand and time.monotonic() < deadline:
            found = self._read_notes() or self._find_dead()
            if found:
                return found
            time.sleep(POLL_SECONDS)
        return ending

    def _record(self, ending: Ending) -> None:
        self._recorder.end(ending.ended, ending.reason)

    def _read_notes(self) -> Ending | None:
        others = range(1, self._world.size)
        return failures.read_note(self._run_dir, self._attempt, others)

    def _find_dead(self) -> Ending | None:
        for rank, (pid, started) in self._peers.items():
            if not is_process(pid, started):
                return Ending("lost", f"process {rank} of the attempt (pid {pid}) died")
        return None

    def _wait_for_record(self) -> None:
        """Returns when the attempt's end is written down, or will not be."""
        deadline = time.monotonic() + RECORD_SECONDS
        while time.monotonic() < deadline:
            is_dead = 0 in self._peers and not is_process(*self._peers[0])
            beat = heartbeat.read(self._run_dir, self._attempt)
            if is_dead or (beat and beat.ended):
                return
            time.sleep(POLL_SECONDS)

    def _watch(self) -> None:
        looked_at = time.monotonic()
        while not self._is_over.wait(POLL_SECONDS):
            now = time.monotonic()
            if now - looked_at > 10 * POLL_SECONDS:
                # The whole process was suspended, and so, perhaps, was the job.
                self._progress_at += now - looked_at
            looked_at = now
            ending = None
            if not self._is_closing:
                ending = self._find_dead()
                if self._world.is_main:
                    ending = self._read_notes() or ending
            if ending and self._ending.acquire(blocking=False):
                log.error("rank %d leaves: %s", self._world.rank, ending.reason)
                self._leave(ending)
            silent = now - self._progress_at
            if silent > self._limit() and self._ending.acquire(blocking=False):
                self._hang(silent)

    def _limit(self) -> float:
        limit = self._run.config.engine.hang_seconds
        is_stepping = self._clock.kind == "train" and self._num_steps > 1
        return limit if is_stepping else max(limit, PATIENCE_SECONDS)

    def _hang(self, silent: float) -> NoReturn:
        """Leaves every thread's stack; the first process that still lives writes down the end."""
        try:
            mine = failures.stack_path(self._run_dir, self._attempt, self._world.rank)
            mine.parent.mkdir(exist_ok=True)
            with mine.open("w") as file:
                faulthandler.dump_traceback(file, all_threads=True)
            time.sleep(GRACE_SECONDS)
            living = [
                rank
                for rank in range(self._world.size)
                if failures.stack_path(self._run_dir, self._attempt, rank).exists()
            ]
            mute = sorted(set(range(self._world.size)) - set(living))
            reason = f"no progress for {silent:.0f} s"
            if mute:
                reason += f", no sign of life from process {', '.join(map(str, mute))}"
            log.error("rank %d hangs: %s, see %s", self._world.rank, reason, mine)
            if self._world.rank != living[0]:
                self._wait_for_record()
            elif self._world.is_main:
                self._record(Ending("hang", reason))
            else:
                seconds = self._clock.all_seconds()
                ledger.end_attempt(self._run_dir, self._run, self._attempt, "hang", reason, seconds)
            self._kill(mute)
        finally:
            logging.shutdown()
            os._exit(1)

    def _kill(self, ranks: list[int]) -> None:
        """Ends processes on this host that may be stopped, which no other signal reaches."""
        for rank in ranks:
            if rank in self._peers and is_process(*self._peers[rank]):
                with suppress(ProcessLookupError):
                    os.kill(self._peers[rank][0], signal.SIGKILL)
