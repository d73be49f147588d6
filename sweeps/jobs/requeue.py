"""Epilogue of every Slurm batch script: mark the run done or failed, or requeue it."""

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from bench.run import heartbeat
from bench.run.attempt import read_disk
from bench.run.config import read_run
from bench.run.environment import STARTED, environment
from bench.run.ledger import write_failed
from sweeps.jobs.job import start_logging
from sweeps.jobs.retry import RetryLimits, Verdict, decide
from sweeps.schedulers import SCHEDULERS, nodes, submissions
from sweeps.schedulers.base import Scheduler, SchedulerError

# As long as a controller may be away.
TRIES, PAUSE_SECONDS = 60, 5.0
# Until `submit` has written down which job belongs to which run.
KNOWN_SECONDS = 20.0

log = logging.getLogger("scalestudy")


def settle(
    run_dir: Path, after: int, resources: dict[str, Any], *, silent_starts: int = 0
) -> Verdict:
    """Return the verdict on a run by its attempts after number `after`; record one given up."""
    limits = RetryLimits(resources["max_timeouts"], resources["max_retries"])
    verdict = decide(heartbeat.read_all(run_dir, after), limits, silent_starts=silent_starts)
    if verdict.outcome == "failed" and read_disk(run_dir).state != "failed":
        write_failed(run_dir, read_run(run_dir), verdict.reason)
    log.info("%s: %s (%s)", run_dir.name, verdict.outcome, verdict.reason)
    return verdict


def finish(study_dir: Path, job: str) -> bool:
    """Settle the run of this job and requeue the job if the run is to be continued in it.

    Returns whether the run is done.
    """
    run_id, submission = _find(study_dir, job)
    run_dir = study_dir / run_id
    if read_disk(run_dir).state in ("running", "done"):
        return read_disk(run_dir).state == "done"
    verdict = settle(
        run_dir,
        submission.attempts[run_id],
        submission.resources,
        silent_starts=_silent_starts(run_dir, submission.attempts[run_id]),
    )
    if verdict.outcome == "again" and not submissions.is_cancelled(
        study_dir, run_id, submission.name
    ):
        _requeue(SCHEDULERS[submission.cluster], job, nodes.excluded(study_dir))
    return verdict.outcome == "done"


def _find(study_dir: Path, job: str) -> tuple[str, submissions.Submission]:
    deadline = time.monotonic() + KNOWN_SECONDS
    while True:
        for submission in reversed(submissions.read(study_dir)):
            for run_id, known in submission.job_ids.items():
                if known == job and submission.kind == "train":
                    return run_id, submission
        if time.monotonic() > deadline:
            raise LookupError(f"{study_dir}: no submission names job {job}")
        time.sleep(1)


def _silent_starts(run_dir: Path, after: int) -> int:
    """Return how often this job has ended without an attempt, since the last one that made one."""
    beats = heartbeat.read_all(run_dir, after)
    started = float(os.environ[STARTED])
    if beats and beats[-1].created_at.timestamp() >= started:
        return 0
    starts = environment().restarts + 1
    return max(1, starts - len(beats))


def _requeue(scheduler: Scheduler, job: str, without: list[str]) -> None:
    for left in reversed(range(TRIES)):
        try:
            scheduler.requeue(job, without)
            return
        except SchedulerError as error:
            if not left:
                raise
            log.warning("job %s is not requeued yet: %s", job, error)
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    """`python -m sweeps.jobs.requeue STUDY_DIR`, in a batch script; exits 0 if the run is done."""
    # Being requeued ends the batch script too, but not before this has written its records.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start_logging()
    job = environment().job_id
    assert job is not None, "expected a job of a scheduler"
    sys.exit(0 if finish(Path(sys.argv[1]), job) else 1)


if __name__ == "__main__":
    main()
