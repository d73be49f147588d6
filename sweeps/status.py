"""The state of every run of a study: from the disk first, from the scheduler second."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.attempt import Disk, State, read_disk
from bench.config import ConfigError
from sweeps import queue

STATES: tuple[State, ...] = ("missing", "queued", "running", "done", "failed", "cancelled")


class StudyError(ConfigError):
    """There is no study at a path."""


@dataclass(frozen=True)
class RunStatus:
    """A run's state; `about` holds the columns known from the plan, `beat` the last heartbeat."""

    run_id: str
    state: State
    attempts: int
    about: dict[str, Any]
    beat: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The run as `status --json` shows it; what is not known is null."""
        keys = ("step", "num_steps", "loss", "images_per_second", "train_seconds", "host")
        beat = {key: self.beat.get(key) for key in keys}
        return {
            "run_id": self.run_id,
            "state": self.state,
            "attempts": self.attempts,
            "failure": self.beat.get("reason") if self.state == "failed" else None,
            **self.about,
            **beat,
            "eta_seconds": eta_seconds(self) if self.state == "running" else None,
        }


def read_study(study_dir: Path) -> dict[str, Any]:
    """The content of `study.json`; raises StudyError where there is none."""
    try:
        return json.loads((study_dir / "study.json").read_text())
    except FileNotFoundError:
        raise StudyError(
            f"{study_dir}: no such study, expected a folder with a study.json "
            "(a study's name, or its path)"
        ) from None


def status(study_dir: Path) -> list[RunStatus]:
    """Every run of the study in the order of its spec, with at most one call to Slurm."""
    runs = {run["run_id"]: run for run in read_study(study_dir)["runs"]}
    queued = _queued(study_dir)
    found = []
    for run_id, about in runs.items():
        disk = read_disk(study_dir / run_id)
        state = disk.state
        held = queued.get(run_id)
        if held and held.cluster == queue.CANCELLED:
            state = "cancelled" if state == "missing" else state
        elif held and held.will_start(disk):
            state = "queued"
        about = {key: value for key, value in about.items() if key != "run_id"}
        found.append(RunStatus(run_id, state, disk.attempt, about, disk.beat))
    return found


def counts(runs: list[RunStatus]) -> dict[str, int]:
    """How many runs are in each state."""
    return {state: sum(run.state == state for run in runs) for state in STATES}


def eta_seconds(run: RunStatus) -> float | None:
    """Seconds of training left at the attempt's speed; None before there is one."""
    step, total = run.beat.get("step"), run.beat.get("num_steps")
    first, seconds = run.beat.get("from_examples"), run.beat.get("train_seconds")
    seen = run.beat.get("to_examples")
    if not (step and total and seconds and seen) or first is None or seen <= first:
        return None
    return (total - step) * seconds / ((seen - first) / (seen / step))


@dataclass(frozen=True)
class _Held:
    """A run that a scheduler still holds, with its last attempt before it was handed over; or that
    has been cancelled since.

    On Slurm it is the run's own job that is held, perhaps to be started again; locally it is the
    dispatcher that is at work.
    """

    cluster: str
    attempt: int

    def will_start(self, disk: Disk) -> bool:
        """Whether the scheduler has the run still to start, or to start again."""
        if disk.state == "missing":
            comes_back = self.cluster == "slurm" or disk.beat.get("ended") == "preempted"
            return comes_back or disk.attempt <= self.attempt
        return disk.state == "failed" and disk.attempt <= self.attempt


def _queued(study_dir: Path) -> dict[str, _Held]:
    submissions = queue.read(study_dir)
    if not submissions:
        return {}
    held: dict[str, _Held] = {}
    is_dispatched = queue.is_dispatched(study_dir)
    alive = _slurm_jobs() if any(s.cluster == "slurm" for s in submissions) else set()
    for submission in submissions:
        for run_id, attempt in submission.attempts.items():
            if submission.cluster == queue.CANCELLED:
                is_held = True
            elif submission.cluster == "local":
                is_held = is_dispatched
                held.pop(run_id, None)
            else:
                held.pop(run_id, None)
                is_held = alive is None or submission.job_ids.get(run_id) in alive
            if is_held:
                held[run_id] = _Held(submission.cluster, attempt)
    return held


def _slurm_jobs() -> set[str] | None:
    """The user's jobs that Slurm holds, array elements one by one; None where it does not say."""
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (subprocess.SubprocessError, OSError):
        return None
    return set(shown.stdout.split())
