"""End an attempt in which a rank has died, hangs or has failed.

A rank that is killed, stopped or fails leaves the other ranks in a collective that never returns.
So each rank has a thread that watches its own progress, the other ranks on its host and, on rank 0,
their failure records. On other hosts the scheduler ends the remaining processes.
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
from bench.training.failures import Failure
from bench.training.recorder import NullRecorder

log = logging.getLogger("scalestudy")

POLL_SECONDS = 0.25
# Limit for what may take longer than a step: the first step, which compiles and warms up, the first
# batch of an evaluation, and a checkpoint on a busy file system.
PATIENCE_SECONDS = 900.0
# By then every living rank has noticed too and has written its stacks.
GRACE_SECONDS = 2.0
# How long another rank waits for rank 0 to record why the attempt ended.
RECORD_SECONDS = 10.0


class Watchdog:
    """Context manager that watches the attempt; all ranks must create and enter it together."""

    def __init__(
        self, run_dir: Path, run: Run, world: World, clock: Clock, recorder: NullRecorder
    ) -> None:
        self._run_dir, self._run, self._world = run_dir, run, world
        self._clock, self._recorder = clock, recorder
        self._attempt = recorder.number
        me = (socket.gethostname(), os.getpid(), psutil.Process().create_time())
        places = world.all_gather(me)
        # A process that is not visible from here, in another container, is not watched.
        self._peers = {
            rank: (pid, started)
            for rank, (host, pid, started) in enumerate(places)
            if rank != world.rank and host == me[0] and is_process(pid, started)
        }
        self._num_steps = 0
        self._progress_at = time.monotonic()
        self._is_closing = False
        self._is_over = threading.Event()
        self._end_lock = threading.Lock()
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
        """Report progress: a step, a batch of an evaluation or a checkpoint is done."""
        self._num_steps += is_step
        self._progress_at = time.monotonic()

    def allow_exit(self) -> None:
        """Stop watching the other ranks, which may now exit: everything shared is written."""
        self._is_closing = True

    def end(self, error: Exception) -> None:
        """Record why the attempt ends. With more than one rank, the process exits here."""
        self._end_lock.acquire()
        # Writing needs the memory that the frames of the failed step still hold.
        traceback.clear_frames(error.__traceback__)
        if self._world.size == 1:
            self._record(failures.classify(error))
            return
        log.exception("rank %d failed", self._world.rank)
        self._exit(failures.classify(error))

    def _exit(self, failure: Failure) -> NoReturn:
        """Exit without clean-up, because other ranks may wait for this one in a collective."""
        try:
            if self._world.is_main:
                self._record(self._find_cause(failure))
            else:
                if not failure.is_indirect:
                    failures.write_failure(self._run_dir, self._attempt, self._world.rank, failure)
                self._wait_for_record()
        finally:
            logging.shutdown()
            os._exit(1)

    def _find_cause(self, failure: Failure) -> Failure:
        """Return the failure or death of another rank that explains an indirect error."""
        deadline = time.monotonic() + GRACE_SECONDS
        while failure.is_indirect and time.monotonic() < deadline:
            found = self._read_failures() or self._find_dead()
            if found:
                return found
            time.sleep(POLL_SECONDS)
        return failure

    def _record(self, failure: Failure) -> None:
        self._recorder.end(failure.ended, failure.reason)

    def _read_failures(self) -> Failure | None:
        others = range(1, self._world.size)
        return failures.read_first_failure(self._run_dir, self._attempt, others)

    def _find_dead(self) -> Failure | None:
        for rank, (pid, started) in self._peers.items():
            if not is_process(pid, started):
                return Failure("lost", f"process {rank} of the attempt (pid {pid}) died")
        return None

    def _wait_for_record(self) -> None:
        """Wait until rank 0 has recorded the end of the attempt, or cannot any more."""
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
                # This process, perhaps the whole job, was suspended.
                self._progress_at += now - looked_at
            looked_at = now
            failure = None
            if not self._is_closing:
                failure = self._find_dead()
                if self._world.is_main:
                    failure = self._read_failures() or failure
            if failure and self._end_lock.acquire(blocking=False):
                log.error("rank %d exits: %s", self._world.rank, failure.reason)
                self._exit(failure)
            silent = now - self._progress_at
            if silent > self._limit() and self._end_lock.acquire(blocking=False):
                self._hang(silent)

    def _limit(self) -> float:
        limit = self._run.config.engine.hang_seconds
        is_stepping = self._clock.kind == "train" and self._num_steps > 1
        return limit if is_stepping else max(limit, PATIENCE_SECONDS)

    def _hang(self, silent: float) -> NoReturn:
        """Write the stacks of all threads; the first living rank records the end."""
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
                self._record(Failure("hang", reason))
            else:
                seconds = self._clock.all_seconds()
                ledger.end_attempt(self._run_dir, self._run, self._attempt, "hang", reason, seconds)
            self._kill(mute)
        finally:
            logging.shutdown()
            os._exit(1)

    def _kill(self, ranks: list[int]) -> None:
        """Kill ranks on this host; a stopped process reacts to no other signal."""
        for rank in ranks:
            if rank in self._peers and is_process(*self._peers[rank]):
                with suppress(ProcessLookupError):
                    os.kill(self._peers[rank][0], signal.SIGKILL)
