"""The state of every run of a study: from the disk first, from the scheduler second."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.run import protocols
from bench.run.attempt import Disk, State, read_disk
from bench.run.errors import SettingError
from bench.run.heartbeat import NO_REPORT, Heartbeat
from sweeps.jobs import analysis
from sweeps.schedulers import submissions
from sweeps.schedulers.state import (
    Held,
    accounted,
    held,
    is_pending,
)

STATES: tuple[State, ...] = ("missing", "queued", "running", "done", "failed", "cancelled")


class StudyError(SettingError):
    """There is no study at a path."""


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
    about: dict[str, Any]
    beat: Heartbeat | None
    reason: str | None = None
    nodes: str | None = None
    evaluations: Evaluations = Evaluations()

    def as_json(self) -> dict[str, Any]:
        """The run as `status --json` shows it; what is not known is null."""
        beat = self.beat
        step, total = (beat.step, beat.num_steps) if beat else (None, None)
        return {
            "run_id": self.run_id,
            "state": self.state,
            "attempts": self.attempts,
            "failure": self.reason if self.state == "failed" else None,
            **self.about,
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
    held: Held

    @property
    def is_over(self) -> bool:
        """Whether nothing is queued or running any more."""
        is_pending = any(
            run.state in ("queued", "running") or run.evaluations.pending for run in self.runs
        )
        return not is_pending and not (self.analysis and self.analysis["state"] in PENDING)


PENDING = ("queued", "running")


def read_study(study_dir: Path) -> dict[str, Any]:
    """The content of `study.json`; raises StudyError where there is none."""
    path = study_dir / "study.json"
    try:
        study = json.loads(path.read_text())
        if isinstance(study, dict) and isinstance(study.get("runs"), list):
            return study
        raise StudyError(f"{path}: no list of runs in it, expected what submit writes")
    except ValueError as error:
        raise StudyError(f"{path}: no JSON, expected what submit writes") from error
    except FileNotFoundError:
        raise StudyError(
            f"{study_dir}: no such study, expected a folder with a study.json "
            "(a study's name, or its path)"
        ) from None


def status(study_dir: Path) -> list[RunStatus]:
    """Every run of the study in the order of its spec, with at most one call to Slurm."""
    return study_status(study_dir).runs


def study_status(study_dir: Path) -> StudyStatus:
    """The study with what its schedulers say: one call to squeue, one to sacct for lost jobs."""
    study = read_study(study_dir)
    holds = held(study_dir)
    keys = study.get("evaluations", [])
    found = []
    for about in study["runs"]:
        run_id = about["run_id"]
        disk = read_disk(study_dir / run_id)
        state, reason = _state(disk, holds, run_id)
        job = holds.jobs.get(holds.job_ids.get((run_id, ""), ""))
        found.append(
            RunStatus(
                run_id,
                state,
                disk.attempt,
                {key: value for key, value in about.items() if key != "run_id"},
                disk.beat,
                reason,
                (job.nodes if job else None) or (disk.beat.hosts if disk.beat else None),
                _evaluations(study_dir / run_id, keys, holds) if keys else Evaluations(),
            )
        )
    return StudyStatus(_with_accounting(found, holds), _analysis(study_dir, study, holds), holds)


def counts(runs: list[RunStatus]) -> dict[str, int]:
    """How many runs are in each state."""
    return {state: sum(run.state == state for run in runs) for state in STATES}


def eta_seconds(run: RunStatus) -> float | None:
    """Seconds of training left at the attempt's speed; None before there is one."""
    if run.beat is None:
        return None
    step, total, seconds = run.beat.step, run.beat.num_steps, run.beat.train_seconds
    first, seen = run.beat.from_examples, run.beat.to_examples
    if not (step and total and seconds and seen) or first is None or seen <= first:
        return None
    return (total - step) * seconds / ((seen - first) / (seen / step))


def _state(disk: Disk, holds: Held, run_id: str) -> tuple[State, str | None]:
    """The run's state, and the reason for it."""
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


def _with_accounting(runs: list[RunStatus], holds: Held) -> list[RunStatus]:
    """With what Slurm's accounting says of the jobs of runs that are missing."""
    gone = {
        run.run_id: holds.job_ids[run.run_id, ""]
        for run in runs
        if run.state == "missing" and (run.run_id, "") in holds.job_ids
    }
    said = accounted(gone.values())
    return [
        run
        if gone.get(run.run_id) not in said
        else RunStatus(
            **{**vars(run), "reason": f"{run.reason or 'lost'} ({said[gone[run.run_id]]})"}
        )
        for run in runs
    ]


def _evaluations(run_dir: Path, keys: list[str], holds: Held) -> Evaluations:
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


def _analysis(study_dir: Path, study: dict[str, Any], holds: Held) -> dict[str, Any] | None:
    wanted = study["spec"].get("analysis") if "spec" in study else None
    if not wanted:
        return None
    record = analysis.read_record(study_dir)
    state = "missing"
    if holds.analysis and is_pending(record, holds.analysis):
        has_begun = record is not None and record.created_at > holds.analysis
        state = "running" if has_begun else "queued"
    elif record and record.wanted == wanted:
        state = record.ended or "failed"
    reason = record.reason if record else None
    return {"state": state, "reason": reason, "files": list(wanted)}
