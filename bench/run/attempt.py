"""An attempt at a run: its claim, its heartbeat, its end; and a run's state as files tell it.

`attempts/0001.json` is created exclusively (the claim), then replaced whole at every heartbeat;
its `ended` says how the attempt ended. `attempts/0001.parquet` is its row in the ledger.
"""

import json
import os
import signal
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from bench.run.errors import BenchError
from results.ledger.files import write_whole

State = Literal["missing", "queued", "running", "done", "failed", "cancelled"]

SILENT_SECONDS = 120.0


class AlreadyRunning(BenchError):
    """Another process holds the run."""


@dataclass(frozen=True)
class Disk:
    """What a run's folder says: its state, and the last attempt's heartbeat ({} without one)."""

    state: State
    attempt: int
    beat: dict[str, Any]


def read_disk(run_dir: Path) -> Disk:
    """The run's state from its files alone: "missing" where no attempt is alive or has ended it."""
    number = last_attempt(run_dir)
    beat = read_beat(run_dir, number) if number else {}
    ended = beat.get("ended")
    if ended in ("done", "failed"):
        return Disk(ended, number, beat)
    if beat and ended is None and is_alive(beat, _beat_path(run_dir, number)):
        return Disk("running", number, beat)
    ledger = f"{run_dir}/run.parquet"
    if os.path.exists(ledger):  # noqa: PTH110 (10,000 of them)
        from results.ledger import parquet

        row = parquet.read_rows(ledger)[0]
        # A row of earlier attempts says nothing of a run that has been started again.
        if (row["attempts"] or 0) >= number:
            return Disk(row["state"], number, beat | {"reason": row["failure"]})
    return Disk("missing", number, beat)


def last_attempt(run_dir: Path) -> int:
    """The number of the newest attempt, 0 where there is none."""
    try:
        names = os.listdir(f"{run_dir}/attempts")
    except FileNotFoundError:
        return 0
    return max((int(n[:4]) for n in names if n[:4].isdigit()), default=0)


def is_alive(beat: dict[str, Any], path: Path) -> bool:
    """Whether the process behind a heartbeat still runs.

    On this host its process is looked up; elsewhere a heartbeat younger than two minutes counts,
    or than three of its intervals, unless this very job holds it: a requeued job is its own
    successor.
    """
    if beat["host"] == socket.gethostname():
        return is_process(beat["pid"], beat["pid_started"])
    if beat["job_id"] is not None and beat["job_id"] == job_id():
        return False
    silent = max(SILENT_SECONDS, 3 * beat.get("interval", 0.0))
    return time.time() - path.stat().st_mtime < silent


def is_process(pid: int, started: float) -> bool:
    """Whether the process that began at `started`, in seconds since 1970, runs on this host."""
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - started) < 1.0
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_orphan(run_dir: Path, seconds: float = 30.0) -> None:
    """Ends the process of an earlier start of this very job that has outlived it on this host.

    A node whose daemon dies counts as lost, and its jobs start again, though their processes may
    still be at work. Such a one is asked to save and leave, and killed after so many `seconds`.
    """
    disk = read_disk(run_dir)
    if disk.state != "running" or disk.beat["host"] != socket.gethostname():
        return
    if disk.beat["job_id"] is None or disk.beat["job_id"] != job_id():
        return
    pid, started = disk.beat["pid"], disk.beat["pid_started"]
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


def job_id() -> str | None:
    """The scheduler's id of the job this process belongs to; None outside one."""
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID") or os.environ.get("SUBMITIT_LOCAL_JOB_ID")


class Attempt:
    """This process's claim on a run."""

    def __init__(self, run_dir: Path) -> None:
        """Claims the next attempt; raises AlreadyRunning where another process is at it."""
        before = read_disk(run_dir)
        if before.state == "running":
            host, pid = before.beat["host"], before.beat["pid"]
            raise AlreadyRunning(f"{run_dir.name}: already running on {host} as process {pid}")
        self.run_dir = run_dir
        self.number = before.attempt + 1
        self._beaten = 0.0
        self._content: dict[str, Any] = {
            "job_id": job_id(),
            "cluster": os.environ.get("SUBMITIT_EXECUTOR"),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pid_started": psutil.Process().create_time(),
            "created_at": datetime.now(UTC).isoformat(),
            "ended": None,
        }
        self._path = _beat_path(run_dir, self.number)
        # A hard link is made exclusively, and its content is there from the first moment on.
        draft = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex}.tmp")
        self._write(draft)
        try:
            os.link(draft, self._path)
        except FileExistsError:
            raise AlreadyRunning(f"{run_dir.name}: another process has just claimed it") from None
        finally:
            draft.unlink()

    @property
    def content(self) -> dict[str, Any]:
        """What the last heartbeat said."""
        return dict(self._content)

    def beat(self, interval: float, **progress: Any) -> None:
        """Writes the heartbeat with `progress`, at most every `interval` seconds."""
        self._content |= progress | ({"interval": interval} if interval else {})
        now = time.monotonic()
        if now - self._beaten >= interval:
            self._beaten = now
            self._write(self._path)

    def end(self, ended: str, reason: str | None = None) -> None:
        """The last heartbeat: how the attempt ended."""
        self.beat(0.0, ended=ended, reason=reason, ended_at=datetime.now(UTC).isoformat())

    def _write(self, path: Path) -> None:
        content = json.dumps(self._content).encode()
        write_whole(path, lambda file: file.write(content))


def read_beats(run_dir: Path, after: int = 0) -> list[dict[str, Any]]:
    """The last heartbeats of all attempts after number `after`, oldest first."""
    numbers = range(after + 1, last_attempt(run_dir) + 1)
    return [beat for number in numbers if (beat := read_beat(run_dir, number))]


def unrecorded(run_dir: Path, before: int) -> list[tuple[int, dict[str, Any]]]:
    """Heartbeats of attempts before number `before` that left no row: their processes died."""
    found = []
    for number in range(1, before):
        if not (run_dir / "attempts" / f"{number:04d}.parquet").exists():
            beat = read_beat(run_dir, number)
            if beat:
                found.append((number, beat))
    return found


def _beat_path(run_dir: Path, number: int) -> Path:
    return run_dir / "attempts" / f"{number:04d}.json"


def read_beat(run_dir: Path, number: int) -> dict[str, Any]:
    """What the last heartbeat of an attempt said; {} without one."""
    try:
        with open(f"{run_dir}/attempts/{number:04d}.json", "rb") as file:  # noqa: PTH123
            return json.loads(file.read())
    except FileNotFoundError:
        return {}


def write_beat(run_dir: Path, number: int, beat: dict[str, Any]) -> None:
    """The last heartbeat of an attempt whose own process cannot write it any more."""
    content = json.dumps(beat).encode()
    write_whole(_beat_path(run_dir, number), lambda file: file.write(content))
