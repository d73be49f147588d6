"""Claim a run for one attempt, report its progress, and read a run's state from its files.

`attempts/0001.json` is created exclusively (the claim), then replaced whole at every heartbeat;
its `ended` records how the attempt ended. `attempts/0001.parquet` is its row in the ledger.
"""

import os
import signal
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from bench.run import heartbeat
from bench.run.environment import environment
from bench.run.errors import BenchError
from bench.run.heartbeat import Ended, Heartbeat
from results.ledger.files import write_json

State = Literal["missing", "queued", "running", "done", "failed", "cancelled"]

SILENT_SECONDS = 120.0


class AlreadyRunning(BenchError):
    """Another process is training the run."""


@dataclass(frozen=True)
class Disk:
    """A run's state as its files show it, with the last attempt's number and heartbeat.

    `reason` says why the attempt, or the run, ended.
    """

    state: State
    attempt: int
    beat: Heartbeat | None
    reason: str | None = None


def read_disk(run_dir: Path) -> Disk:
    """Return a run's state from its files alone.

    It is "missing" if no attempt is alive and none has brought the run to an end.
    """
    number = heartbeat.last_attempt(run_dir)
    beat = heartbeat.read(run_dir, number) if number else None
    reason = beat.reason if beat else None
    if beat and (beat.ended == "done" or beat.ended == "failed"):
        return Disk(beat.ended, number, beat, reason)
    if beat and beat.ended is None and is_alive(beat, heartbeat.path(run_dir, number)):
        return Disk("running", number, beat, reason)
    ledger = f"{run_dir}/run.parquet"
    if os.path.exists(ledger):  # noqa: PTH110 (10,000 of them)
        from results.ledger import parquet

        row = parquet.read_rows(ledger)[0]
        # A row of earlier attempts does not apply to a run that was started again.
        if (row["attempts"] or 0) >= number:
            return Disk(row["state"], number, beat, row["failure"])
    return Disk("missing", number, beat, reason)


def is_alive(beat: Heartbeat, path: Path) -> bool:
    """Return whether the process behind a heartbeat is still running.

    On this host the process is looked up. On another host a heartbeat counts as alive for two
    minutes, or three of its intervals if that is longer, unless it comes from this very job: a
    requeued job is its own successor.
    """
    if beat.host == socket.gethostname():
        return is_process(beat.pid, beat.pid_started)
    if beat.job_id is not None and beat.job_id == environment().job_id:
        return False
    silent = max(SILENT_SECONDS, 3 * (beat.interval or 0.0))
    return time.time() - path.stat().st_mtime < silent


def is_process(pid: int, started: float) -> bool:
    """Return whether the process started at `started` (seconds since 1970) runs on this host."""
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < 1.0
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_orphan(run_dir: Path, seconds: float = 30.0) -> None:
    """Stop a process that an earlier start of this job left behind on this host.

    If a node's daemon dies, Slurm counts the node as lost and requeues its jobs, but their
    processes may still be running. They are asked to save and exit, and killed after `seconds`.
    """
    disk = read_disk(run_dir)
    beat = disk.beat
    if beat is None or disk.state != "running" or beat.host != socket.gethostname():
        return
    if beat.job_id is None or beat.job_id != environment().job_id:
        return
    pid, started = beat.pid, beat.pid_started
    for signum, patience in ((signal.SIGUSR2, seconds), (signal.SIGKILL, seconds)):
        with suppress(ProcessLookupError):
            os.kill(pid, signum)
        deadline = time.monotonic() + patience
        while is_process(pid, started):
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        else:
            return


class Attempt:
    """The claim of this process on a run; `last` is the last heartbeat."""

    def __init__(self, run_dir: Path) -> None:
        """Claim the next attempt; raise AlreadyRunning if another process is training the run."""
        before = read_disk(run_dir)
        if before.state == "running" and before.beat:
            host, pid = before.beat.host, before.beat.pid
            raise AlreadyRunning(f"{run_dir.name}: already running on {host} as process {pid}")
        self.run_dir = run_dir
        self.number = before.attempt + 1
        self._beaten = 0.0
        job = environment()
        self.last = Heartbeat(
            job_id=job.job_id,
            cluster=job.cluster,
            host=socket.gethostname(),
            pid=os.getpid(),
            pid_started=psutil.Process().create_time(),
            created_at=datetime.now(UTC),
        )
        path = heartbeat.path(run_dir, self.number)
        # A hard link is created exclusively, and its content is complete from the start.
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        write_json(draft, self.last.as_json())
        try:
            os.link(draft, path)
        except FileExistsError:
            raise AlreadyRunning(f"{run_dir.name}: another process has just claimed it") from None
        finally:
            draft.unlink()

    def beat(self, interval: float, **changes: Any) -> None:
        """Update fields of the heartbeat, and write it at most every `interval` seconds."""
        self.last = replace(self.last, **changes)
        if interval:
            self.last = replace(self.last, interval=interval)
        now = time.monotonic()
        if now - self._beaten >= interval:
            self._beaten = now
            heartbeat.write(self.run_dir, self.number, self.last)

    def end(self, ended: Ended, reason: str | None = None) -> None:
        """Write the last heartbeat: how the attempt ended."""
        self.beat(0.0, ended=ended, reason=reason, ended_at=datetime.now(UTC))
