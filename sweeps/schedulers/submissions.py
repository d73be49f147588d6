"""Records of what was submitted to a scheduler, and the local dispatcher's lock."""

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from bench.run.protocols import read_request
from results.ledger.files import write_json

FOLDER = "submissions"
SUBMIT_LOCK = ".submit.lock"
DISPATCHER_LOCK = ".dispatcher.lock"
# The cluster of a submission that takes its runs back.
CANCELLED = "cancelled"
LOOKS = 5
# In place of a run, where the whole study is meant.
STUDY = ""

Kind = Literal["train", "evaluate", "analyse"]


@dataclass(frozen=True)
class Submission:
    """Runs handed over together: `attempts` is each run's last attempt before that.

    `kind` is what is done with them: they are trained, or evaluated as `evaluation` says (see
    `protocols`), or the study is analysed, which names no runs. `job_ids` names each run's
    job on Slurm; a local run gets its job when its turn comes.
    """

    name: str
    cluster: str
    submitted_at: str
    attempts: dict[str, int]
    resources: dict[str, Any]
    job_ids: dict[str, str] = field(default_factory=dict)
    kind: Kind = "train"
    evaluation: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """The name of the evaluation, "" where it is none."""
        return "" if self.evaluation is None else read_request(self.evaluation).key


def write(
    study_dir: Path,
    cluster: str,
    attempts: dict[str, int],
    resources: dict[str, Any],
    job_ids: dict[str, str],
    *,
    kind: Kind = "train",
    evaluation: dict[str, Any] | None = None,
) -> Submission:
    """Record a submission, whole; its name orders submissions by time."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
    submission = Submission(
        name, cluster, now.isoformat(), attempts, resources, job_ids, kind, evaluation
    )
    write_json(study_dir / FOLDER / f"{name}.json", vars(submission))
    return submission


def read(study_dir: Path, after: str = "") -> list[Submission]:
    """Return all submissions of a study named after `after`, oldest first."""
    try:
        names = sorted(n for n in os.listdir(study_dir / FOLDER) if n.endswith(".json"))
    except FileNotFoundError:
        return []
    paths = [study_dir / FOLDER / n for n in names if not n.startswith(".") and n[:-5] > after]
    return [Submission(**json.loads(path.read_text())) for path in paths]


def is_cancelled(study_dir: Path, run_id: str, after: str) -> bool:
    """Return whether a run was cancelled after the submission of that name."""
    later = read(study_dir, after)
    return any(s.cluster == CANCELLED and run_id in s.attempts for s in later)


@contextmanager
def exclusive(path: Path, wait_seconds: float = 60.0) -> Iterator[bool]:
    """Lock a file; yield False if another process has kept it locked for `wait_seconds`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def take_dispatch(study_dir: Path) -> int | None:
    """Take the dispatcher's lock; return its handle, None if a dispatcher is at work.

    The lock belongs to the handle, so a child that inherits the handle has the lock.
    """
    handle = os.open(study_dir / DISPATCHER_LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    for _ in range(LOOKS):
        if _try_lock(handle):
            return handle
        time.sleep(0.02)  # who only looks holds it for a moment
    os.close(handle)
    return None


def is_dispatched(study_dir: Path) -> bool:
    """Return whether a local dispatcher is at work on the study."""
    try:
        with (study_dir / DISPATCHER_LOCK).open("r") as file:
            return not _try_lock(file.fileno(), fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_lock(handle: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
