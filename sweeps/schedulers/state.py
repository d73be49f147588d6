"""What the schedulers have of a study: runs, evaluations and the analysis still to start."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.run.attempt import Disk
from sweeps.schedulers import SCHEDULERS
from sweeps.schedulers import submissions as queue
from sweeps.schedulers.base import Answer, Job

UNKNOWN = Answer(is_answered=False, holds_all=True)  # of a scheduler that is not registered here


@dataclass(frozen=True)
class ScheduledRun:
    """A run that a scheduler still has, or that has been cancelled since it was submitted.

    `attempt` is its last attempt before it was submitted. On Slurm the run's own job is in the
    queue, perhaps to be requeued; locally the dispatcher is at work.
    """

    cluster: str
    attempt: int
    job_id: str | None = None

    def will_start(self, disk: Disk) -> bool:
        """Return whether the scheduler is still to start the run, or to start it again."""
        if disk.state == "missing":
            return True
        return disk.state == "failed" and disk.attempt <= self.attempt


@dataclass
class SchedulerState:
    """Runs by id, evaluations by run and key with the time of submission, the analysis.

    `job_ids` are the last jobs that the study had for each run and evaluation, by run and key,
    `clusters` the scheduler of each job, `jobs` what the schedulers say of those they have. All
    that an unanswering scheduler was given counts as its own.
    """

    runs: dict[str, ScheduledRun] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], str] = field(default_factory=dict)
    analysis: str | None = None
    job_ids: dict[tuple[str, str], str] = field(default_factory=dict)
    clusters: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)


def read(study_dir: Path) -> SchedulerState:
    """Return what the schedulers have, from the study's submissions and one call to each."""
    submissions = queue.read(study_dir)
    found = SchedulerState()
    answers = {
        name: SCHEDULERS[name].state(study_dir) if name in SCHEDULERS else UNKNOWN
        for name in dict.fromkeys(s.cluster for s in submissions if s.cluster != queue.CANCELLED)
    }
    for name, answer in answers.items():
        found.jobs |= answer.jobs
        found.unanswered += [] if answer.is_answered else [name]
    for submission in submissions:
        if submission.cluster == queue.CANCELLED:
            _take_back(found, submission)
            continue
        answer = answers[submission.cluster]
        found.job_ids |= {(i, submission.key): job for i, job in submission.job_ids.items()}
        found.clusters |= dict.fromkeys(submission.job_ids.values(), submission.cluster)
        for run_id in submission.attempts:
            job = submission.job_ids.get(run_id)
            _note(found, submission, run_id, answer.holds_all or job in answer.jobs)
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


def _take_back(found: SchedulerState, cancelled: queue.Submission) -> None:
    for run_id, attempt in cancelled.attempts.items():
        found.runs[run_id] = ScheduledRun(queue.CANCELLED, attempt)
    if queue.STUDY in cancelled.attempts:
        found.analysis = None
    for key in [key for key in found.evaluations if key[0] in cancelled.attempts]:
        del found.evaluations[key]


def _note(found: SchedulerState, submission: queue.Submission, run_id: str, is_held: bool) -> None:
    if submission.kind == "train":
        found.runs.pop(run_id, None)
        if is_held:
            job = submission.job_ids.get(run_id)
            found.runs[run_id] = ScheduledRun(submission.cluster, submission.attempts[run_id], job)
    elif submission.kind == "evaluate":
        found.evaluations.pop((run_id, submission.key), None)
        if is_held:
            found.evaluations[run_id, submission.key] = submission.submitted_at
    else:
        found.analysis = submission.submitted_at if is_held else None


def accounted(found: SchedulerState, job_ids: Iterable[str]) -> dict[str, str]:
    """Return how jobs that are gone have ended, as their schedulers' accounting tells."""
    reasons: dict[str, str] = {}
    for cluster, own in _by_cluster(found, job_ids).items():
        reasons |= SCHEDULERS[cluster].ended(own)
    return reasons


def cancel(found: SchedulerState, job_ids: Iterable[str]) -> None:
    """Cancel jobs, each with the scheduler that has it."""
    for cluster, own in _by_cluster(found, job_ids).items():
        SCHEDULERS[cluster].cancel(own)


def _by_cluster(found: SchedulerState, job_ids: Iterable[str]) -> dict[str, list[str]]:
    jobs: dict[str, list[str]] = {}
    for job_id in job_ids:
        jobs.setdefault(found.clusters[job_id], []).append(job_id)
    return {cluster: own for cluster, own in jobs.items() if cluster in SCHEDULERS}
