"""Cancelling: queued runs leave the queue, running ones save a checkpoint and exit."""

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.run.attempt import is_process
from bench.run.errors import SettingError
from sweeps.schedulers import state, submissions
from sweeps.schedulers.state import SchedulerState
from sweeps.status import PENDING, RunStatus, StudyStatus, study_status


class CancelError(SettingError):
    """There is no such run in the study."""


def cancellable(study_dir: Path, run_ids: Sequence[str] = ()) -> list[RunStatus]:
    """Return the queued or running runs, evaluations included: those named, or all.

    Raises CancelError for a name that the study does not have.
    """
    return _cancellable(study_dir, study_status(study_dir), run_ids)


def _cancellable(study_dir: Path, found: StudyStatus, run_ids: Sequence[str]) -> list[RunStatus]:
    runs = found.runs
    unknown = sorted(set(run_ids) - {run.run_id for run in runs})
    if unknown:
        raise CancelError(f"{study_dir}: no run {', '.join(unknown)}; status lists them")
    open_runs = [r for r in runs if r.state in ("queued", "running") or r.evaluations.pending]
    return [run for run in open_runs if not run_ids or run.run_id in run_ids]


def cancel(study_dir: Path, run_ids: Sequence[str] = ()) -> list[str]:
    """Cancel the queued and running runs, those named or all; return their ids.

    If all are cancelled, so is the analysis. Runs stay cancelled until they are submitted again. A
    running one saves a checkpoint and exits.
    """
    with submissions.exclusive(study_dir / submissions.SUBMIT_LOCK) as locked:
        if not locked:
            raise CancelError(f"{study_dir}: a submit has been at work here for a minute")
        found = study_status(study_dir)
        runs = _cancellable(study_dir, found, run_ids)
        is_waiting = found.analysis is not None and found.analysis["state"] in PENDING
        take_back(study_dir, runs, found.held, analysis=is_waiting and not run_ids)
    return [run.run_id for run in runs]


def take_back(
    study_dir: Path, runs: Sequence[RunStatus], held: SchedulerState, *, analysis: bool = False
) -> None:
    """Cancel these runs with their evaluations; the caller has the study's lock."""
    attempts = {run.run_id: run.attempts for run in runs}
    attempts |= {submissions.STUDY: 0} if analysis else {}
    if not attempts:
        return
    submissions.write(study_dir, submissions.CANCELLED, attempts, {}, {})
    own = [job for (run_id, _), job in held.job_ids.items() if run_id in attempts]
    state.cancel(held, own)
    for run in runs:
        # A job that Slurm says is running may have lost its process, and the number be another's.
        beat = run.beat
        if run.state != "running" or beat is None or beat.host != socket.gethostname():
            continue
        if is_process(beat.pid, beat.pid_started):
            with suppress(ProcessLookupError):
                os.kill(beat.pid, signal.SIGTERM)
