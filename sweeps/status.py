"""The state of every run of a study: from the disk first, from the scheduler second."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.run import protocols
from bench.run.attempt import Disk, State, read_disk
from bench.run.config import RunSummary
from bench.run.heartbeat import NO_REPORT, Heartbeat
from sweeps import study
from sweeps.jobs import analysis
from sweeps.schedulers import submissions
from sweeps.schedulers.state import SchedulerState, accounted, is_pending
from sweeps.schedulers.state import read as read_schedulers
from sweeps.study import StudyRecord

STATES: tuple[State, ...] = ("missing", "queued", "running", "done", "failed", "cancelled")


@dataclass(frozen=True)
class Evaluations:
    """How many evaluations a run should have, has, and waits for; why the first failed."""

    wanted: int = 0
    done: int = 0
    pending: int = 0
    failure: str | None = None


@dataclass(frozen=True)
class RunStatus:
    """A run's state; `about` holds the columns known from the plan, `beat` the last heartbeat.

    `reason` says why it failed, waits or is lost; `nodes` where its job is.
    """

    run_id: str
    state: State
    attempts: int
    about: RunSummary
    beat: Heartbeat | None
    reason: str | None = None
    nodes: str | None = None
    evaluations: Evaluations = Evaluations()

    def as_json(self) -> dict[str, Any]:
        """Return the run as `status --json` shows it; unknown values are null."""
        beat = self.beat
        step, total = (beat.step, beat.num_steps) if beat else (None, None)
        return {
            "run_id": self.run_id,
            "state": self.state,
            "attempts": self.attempts,
            "failure": self.reason if self.state == "failed" else None,
            **{key: value for key, value in asdict(self.about).items() if key != "run_id"},
            "step": step,
            "num_steps": total,
            "loss": beat.loss if beat else None,
            "images_per_second": beat.images_per_second if beat else None,
            "train_seconds": beat.train_seconds if beat else None,
            "host": beat.host if beat else None,
            "job_id": beat.job_id if beat else None,
            "progress": step / total if step is not None and total else None,
            "eta_seconds": eta_seconds(self) if self.state == "running" else None,
            "nodes": self.nodes,
            "reason": self.reason,
            "evaluations": self.evaluations.wanted,
            "evaluations_done": self.evaluations.done,
            "evaluation_failure": self.evaluations.failure,
        }


@dataclass(frozen=True)
class StudyStatus:
    """All runs of a study, its analysis, and what the schedulers hold.

    The analysis is missing, queued, running, done or failed, and None where the spec has none.
    """

    runs: list[RunStatus]
    analysis: dict[str, Any] | None
    held: SchedulerState

    @property
    def is_over(self) -> bool:
        """Return whether nothing is queued or running any more."""
        is_pending = any(
            run.state in ("queued", "running") or run.evaluations.pending for run in self.runs
        )
        return not is_pending and not (self.analysis and self.analysis["state"] in PENDING)


PENDING = ("queued", "running")


def status(study_dir: Path) -> list[RunStatus]:
    """Return every run of the study in the order of its spec; see `look`."""
    return study_status(study_dir).runs


def study_status(study_dir: Path) -> StudyStatus:
    """Return the state of a study as it was submitted last; see `look`."""
    return look(study_dir, study.read(study_dir))


def look(study_dir: Path, record: StudyRecord) -> StudyStatus:
    """Return the state of the record's runs: their files read once, each scheduler asked once.

    A scheduler with accounting is asked once more where jobs are lost.
    """
    holds = read_schedulers(study_dir)
    keys = record.evaluations
    found = []
    for about in record.runs:
        run_id = about.run_id
        disk = read_disk(study_dir / run_id)
        state, reason = _state(disk, holds, run_id)
        job = holds.jobs.get(holds.job_ids.get((run_id, ""), ""))
        found.append(
            RunStatus(
                run_id,
                state,
                disk.attempt,
                about,
                disk.beat,
                reason,
                (job.nodes if job else None) or (disk.beat.hosts if disk.beat else None),
                _evaluations(study_dir / run_id, keys, holds) if keys else Evaluations(),
            )
        )
    return StudyStatus(_with_accounting(found, holds), _analysis(study_dir, record, holds), holds)


def counts(runs: list[RunStatus]) -> dict[str, int]:
    """Count the runs in each state."""
    return {state: sum(run.state == state for run in runs) for state in STATES}


def eta_seconds(run: RunStatus) -> float | None:
    """Return the seconds of training left at the attempt's speed; None before there is one."""
    if run.beat is None:
        return None
    step, total, seconds = run.beat.step, run.beat.num_steps, run.beat.train_seconds
    first, seen = run.beat.from_examples, run.beat.to_examples
    if not (step and total and seconds and seen) or first is None or seen <= first:
        return None
    return (total - step) * seconds / ((seen - first) / (seen / step))


def _state(disk: Disk, holds: SchedulerState, run_id: str) -> tuple[State, str | None]:
    """Return the run's state, and the reason for it."""
    run = holds.runs.get(run_id)
    if run and run.cluster == submissions.CANCELLED:
        if disk.state == "missing":
            return "cancelled", None
    elif run and run.will_start(disk):
        job = holds.jobs.get(run.job_id or "")
        is_begun = disk.beat and disk.beat.ended is None and disk.beat.job_id == run.job_id
        if job and job.state == "RUNNING" and is_begun:
            return "running", "no heartbeat for a while"
        waits = job.reason if job and job.state == "PENDING" else "starting" if job else None
        return "queued", waits
    if disk.state == "failed":
        return "failed", disk.reason or (disk.beat.ended if disk.beat else None)
    if disk.state == "missing" and disk.beat:
        ended, reason = disk.beat.ended, disk.beat.reason
        if ended is None:
            return "missing", f"lost: its last heartbeat came from {disk.beat.host}"
        return "missing", f"{ended}: {reason}" if reason else ended
    return disk.state, None


def _with_accounting(runs: list[RunStatus], holds: SchedulerState) -> list[RunStatus]:
    """Add what the schedulers' accounting says of the jobs of missing runs."""
    gone = {
        run.run_id: holds.job_ids[run.run_id, ""]
        for run in runs
        if run.state == "missing" and (run.run_id, "") in holds.job_ids
    }
    causes = accounted(holds, gone.values())
    return [
        run
        if gone.get(run.run_id) not in causes
        else RunStatus(
            **{**vars(run), "reason": f"{run.reason or 'lost'} ({causes[gone[run.run_id]]})"}
        )
        for run in runs
    ]


def _evaluations(run_dir: Path, keys: Sequence[str], holds: SchedulerState) -> Evaluations:
    done, pending, failure = 0, 0, None
    for key in keys:
        record = protocols.read_record(run_dir, key)
        submitted = holds.evaluations.get((run_dir.name, key))
        if is_pending(record, submitted):
            pending += 1
        elif record and record.ended == "done":
            done += 1
        elif record and not failure:
            failure = record.reason or f"lost: {NO_REPORT}"
    return Evaluations(len(keys), done, pending, failure)


def _analysis(study_dir: Path, record: StudyRecord, holds: SchedulerState) -> dict[str, Any] | None:
    wanted = record.analysis
    if not wanted:
        return None
    made = analysis.read_record(study_dir)
    state = "missing"
    if holds.analysis and is_pending(made, holds.analysis):
        has_begun = made is not None and made.created_at > holds.analysis
        state = "running" if has_begun else "queued"
    elif made and made.wanted == wanted:
        state = made.ended or "failed"
    reason = made.reason if made else None
    return {"state": state, "reason": reason, "files": list(wanted)}
