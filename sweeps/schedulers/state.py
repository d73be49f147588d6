"""What the schedulers hold of a study: what is still to start, and what Slurm says of its jobs."""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.run.attempt import Disk
from sweeps.schedulers import submissions as queue

ASK_SECONDS = 20
ACCOUNTING_SECONDS = 5
MAX_ACCOUNTED = 1000


@dataclass(frozen=True)
class Job:
    """A job as squeue shows it: PENDING, RUNNING…; its nodes or ""; why it waits, or "None"."""

    state: str
    nodes: str
    reason: str


@dataclass(frozen=True)
class HeldRun:
    """A run that a scheduler still holds, with its last attempt before it was handed over; or that
    has been cancelled since.

    On Slurm it is the run's own job that is held, perhaps to be started again; locally it is the
    dispatcher that is at work.
    """

    cluster: str
    attempt: int
    job_id: str | None = None

    def will_start(self, disk: Disk) -> bool:
        """Whether the scheduler has the run still to start, or to start again."""
        if disk.state == "missing":
            return True
        return disk.state == "failed" and disk.attempt <= self.attempt


@dataclass
class Held:
    """Runs by id, evaluations by run and key with the moment they were submitted, the analysis.

    `job_ids` are the jobs on Slurm that the study ever had for a run or an evaluation, the last
    one each. `is_answered` tells whether Slurm, where it was asked, has said what it holds; else
    all that it was given counts as held.
    """

    runs: dict[str, HeldRun] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], str] = field(default_factory=dict)
    analysis: str | None = None
    job_ids: dict[tuple[str, str], str] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    is_answered: bool = True


def held(study_dir: Path) -> Held:
    """What is held, from the study's submissions and at most one call to Slurm."""
    submissions = queue.read(study_dir)
    found = Held()
    if not submissions:
        return found
    is_dispatched = queue.is_dispatched(study_dir)
    if any(s.cluster == "slurm" for s in submissions):
        jobs = _ask()
        found.jobs, found.is_answered = jobs or {}, jobs is not None
    for submission in submissions:
        if submission.cluster == queue.CANCELLED:
            _take_back(found, submission)
            continue
        found.job_ids |= {(i, submission.key): job for i, job in submission.job_ids.items()}
        for run_id in submission.attempts:
            job = submission.job_ids.get(run_id)
            is_held = is_dispatched
            if submission.cluster == "slurm":
                is_held = not found.is_answered or job in found.jobs
            _note(found, submission, run_id, is_held)
    return found


class Record(Protocol):
    """What an evaluation or an analysis has written about itself."""

    @property
    def created_at(self) -> str: ...

    @property
    def ended(self) -> str | None: ...


def is_pending(record: Record | None, submitted_at: str | None) -> bool:
    """Return whether an evaluation or analysis that a scheduler has is still to be waited for.

    `submitted_at` is None where no scheduler has it; a record from before is of an earlier one.
    """
    if not submitted_at:
        return False
    return record is None or not record.ended or record.created_at < submitted_at


def _take_back(found: Held, cancelled: queue.Submission) -> None:
    for run_id, attempt in cancelled.attempts.items():
        found.runs[run_id] = HeldRun(queue.CANCELLED, attempt)
    if queue.STUDY in cancelled.attempts:
        found.analysis = None
    for key in [key for key in found.evaluations if key[0] in cancelled.attempts]:
        del found.evaluations[key]


def _note(found: Held, submission: queue.Submission, run_id: str, is_held: bool) -> None:
    if submission.kind == "train":
        found.runs.pop(run_id, None)
        if is_held:
            job = submission.job_ids.get(run_id)
            found.runs[run_id] = HeldRun(submission.cluster, submission.attempts[run_id], job)
    elif submission.kind == "evaluate":
        found.evaluations.pop((run_id, submission.key), None)
        if is_held:
            found.evaluations[run_id, submission.key] = submission.submitted_at
    else:
        found.analysis = submission.submitted_at if is_held else None


def _ask() -> dict[str, Job] | None:
    """The user's jobs that Slurm holds, array elements one by one; None where it does not say."""
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%N|%r"]
    try:
        shown = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        return None
    rows = [line.split("|", 3) for line in shown.stdout.splitlines()]
    return {row[0]: Job(*row[1:]) for row in rows if len(row) == 4}


def accounted(job_ids: Iterable[str]) -> dict[str, str]:
    """How jobs that are gone have ended, as one call to sacct tells; {} without accounting."""
    asked = list(job_ids)[:MAX_ACCOUNTED]
    if not asked or shutil.which("sacct") is None:
        return {}
    command = ["sacct", "-X", "--noheader", "--parsable2", "--format=JobID,State,ExitCode"]
    command += ["--jobs", ",".join(asked)]
    try:
        shown = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ACCOUNTING_SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        return {}
    rows = [line.split("|") for line in shown.stdout.splitlines()]
    return {row[0]: f"{row[1]}, exit {row[2]}" for row in rows if len(row) == 3}
