"""The local dispatcher: runs jobs with submitit's local executor, a few at a time.

submitit's local executor starts every job at once, so runs would fight for the cores. One
dispatcher a study, detached from the terminal, starts the next job when one ends: training, then
the evaluations of what is trained, at last the analysis. It takes up submissions made while it
works, and leaves when none is left.
"""

import argparse
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import submitit

from bench.run.attempt import read_disk
from bench.run.config import read_run
from bench.run.environment import END_TIME
from bench.run.errors import SettingError
from bench.run.heartbeat import last_attempt
from bench.run.protocols import read_request
from sweeps.jobs import snapshot
from sweeps.jobs.job import (
    AnalyseJob,
    EvaluateJob,
    TrainJob,
    start_logging,
)
from sweeps.jobs.requeue import settle
from sweeps.schedulers import local, submissions

POLL_SECONDS = 0.2

log = logging.getLogger("scalestudy")


@dataclass(frozen=True)
class _Task:
    """One run to train or to evaluate, or the study to analyse."""

    kind: submissions.Kind
    run_id: str
    key: str


@dataclass(frozen=True)
class _Started:
    job: "submitit.Job[None]"
    slot: int
    submission: submissions.Submission
    # The run's last attempt before.
    attempt: int


def dispatch(study_dir: Path, after: str, lock: int) -> None:
    """Run all local submissions named after `after`, and those that are made meanwhile.

    `lock` is the handle of the dispatcher's lock, which this process has inherited.
    """
    os.set_inheritable(lock, False)
    dispatcher = _Dispatcher(study_dir, after)
    is_idle = False
    while not is_idle:
        dispatcher.work()
        # Who submits holds this lock too: nothing can be handed over between look and leave.
        with submissions.exclusive(study_dir / submissions.SUBMIT_LOCK):
            is_idle = not dispatcher.has_news()
            if is_idle:
                os.close(lock)


class _Dispatcher:
    def __init__(self, study_dir: Path, after: str) -> None:
        self._study_dir = study_dir
        self._after = after
        self._waiting: dict[_Task, submissions.Submission] = {}
        self._running: dict[_Task, _Started] = {}
        self._cancelled: set[str] = set()
        # How often a run's job ended without an attempt, since the last attempt.
        self._silent: dict[str, int] = {}
        self._trunks: dict[str, str | None] = {}
        self._gpus = local.gpus()

    def work(self) -> None:
        """Run until nothing is waiting or running."""
        while True:
            self._take_up()
            self._reap()
            self._start()
            if not self._waiting and not self._running:
                return
            time.sleep(POLL_SECONDS)

    def has_news(self) -> bool:
        """Return whether there are submissions that have not been taken up."""
        return bool(submissions.read(self._study_dir, self._after))

    def _take_up(self) -> None:
        for submission in submissions.read(self._study_dir, self._after):
            self._after = submission.name
            if submission.cluster == "local":
                tasks = [_Task(submission.kind, i, submission.key) for i in submission.attempts]
                self._waiting |= dict.fromkeys(tasks, submission)
                if submission.kind == "train":
                    self._cancelled -= submission.attempts.keys()
            elif submission.cluster == submissions.CANCELLED:
                for run_id in submission.attempts:
                    self._cancel(run_id)

    def _cancel(self, run_id: str) -> None:
        """Drop a run; its training was signalled already, its other jobs are cancelled here."""
        self._cancelled.add(run_id)
        for task in [task for task in self._waiting if task.run_id == run_id]:
            del self._waiting[task]
        for task, started in self._running.items():
            is_training = task.kind == "train" and self._state(run_id) == "running"
            if task.run_id == run_id and not is_training:
                started.job.cancel()

    def _reap(self) -> None:
        for task, started in list(self._running.items()):
            if started.job.done():
                del self._running[task]
                log.info("%s %s: job %s ended", task.kind, task.run_id, started.job.job_id)
                if task.kind == "train" and task.run_id not in self._cancelled:
                    self._settle(task, started)

    def _settle(self, task: _Task, started: _Started) -> None:
        """Queue a run for its next attempt, unless it is done or given up."""
        run_dir = self._study_dir / task.run_id
        submission = started.submission
        is_silent = last_attempt(run_dir) == started.attempt
        self._silent[task.run_id] = self._silent.get(task.run_id, 0) + 1 if is_silent else 0
        if self._state(task.run_id) in ("running", "done"):
            return
        verdict = settle(
            run_dir,
            submission.attempts[task.run_id],
            submission.resources,
            silent_starts=self._silent[task.run_id],
        )
        if verdict.outcome == "again":
            self._waiting.setdefault(task, submission)

    def _start(self) -> None:
        for task, submission in list(self._waiting.items()):
            slots = submission.resources["parallel"]
            taken = {started.slot for started in self._running.values()}
            free = [slot for slot in range(slots) if slot not in taken]
            if not free:
                return
            if not self._is_due(task):
                continue
            del self._waiting[task]
            if task.kind != "train" or self._state(task.run_id) in ("missing", "failed"):
                self._running[task] = self._submit(task, submission, free[0])

    def _is_due(self, task: _Task) -> bool:
        """Return whether all that a task waits for has ended; drop the task if that failed."""
        if task in self._running:
            return False  # its last job is on its way out
        if task.kind == "train":
            # A trunk that has failed ends the wait: the run then fails, and says so.
            trunk = self._trunk(task.run_id)
            ahead = (*self._waiting, *self._running)
            return not any(other.kind == "train" and other.run_id == trunk for other in ahead)
        others = [other for other in (*self._waiting, *self._running) if other != task]
        if task.kind == "analyse":
            return not others
        if any(other.kind == "train" and other.run_id == task.run_id for other in others):
            return False
        if self._state(task.run_id) == "done":
            return True
        if self._state(task.run_id) != "running":
            del self._waiting[task]
        return False

    def _trunk(self, run_id: str) -> str | None:
        """Return the run that a run starts from; None without one, or without a config."""
        if run_id not in self._trunks:
            try:
                init = read_run(self._study_dir / run_id).init
            except SettingError:
                init = None  # its job says what is wrong
            self._trunks[run_id] = init.run_id if init else None
        return self._trunks[run_id]

    def _state(self, run_id: str) -> str:
        return read_disk(self._study_dir / run_id).state

    def _submit(self, task: _Task, submission: submissions.Submission, slot: int) -> _Started:
        resources = submission.resources
        gpus = resources["gpus_per_node"]
        os.environ["OMP_NUM_THREADS"] = str(resources["threads"])
        os.environ.update(snapshot.variables(self._study_dir, resources["code"]))
        os.environ[END_TIME] = str(time.time() + 60 * resources["timeout_min"])
        attempt = last_attempt(self._study_dir / task.run_id) if task.run_id else 0
        executor = submitit.LocalExecutor(self._log_folder(task, submission, attempt))
        executor.update_parameters(
            tasks_per_node=resources["devices_per_node"],
            gpus_per_node=gpus,
            timeout_min=resources["timeout_min"],
            visible_gpus=local.gpus_of_slot(slot, gpus, self._gpus),
        )
        job = executor.submit(self._callable(task, submission))
        log.info("%s %s: job %s in slot %d", task.kind, task.run_id, job.job_id, slot)
        return _Started(job, slot, submission, attempt)

    def _log_folder(self, task: _Task, submission: submissions.Submission, attempt: int) -> Path:
        """Return a job's own folder: submitit names its files by process ids, which are reused."""
        log_dir = self._study_dir / task.run_id / "log"
        if task.kind == "train":
            number = self._silent.get(task.run_id, 0)
            return log_dir / (f"{attempt + 1:04d}-{submission.name}" + f"-{number}" * bool(number))
        return log_dir / f"{task.key or task.kind}-{submission.name}"

    def _callable(self, task: _Task, submission: submissions.Submission) -> Callable[[], None]:
        run_dir = self._study_dir / task.run_id
        if task.kind == "train":
            return TrainJob(run_dir)
        if task.kind == "evaluate":
            assert submission.evaluation is not None
            return EvaluateJob(run_dir, read_request(submission.evaluation))
        return AnalyseJob(self._study_dir)


def main() -> None:
    """`python -m sweeps.jobs.dispatch STUDY_DIR --after NAME --lock HANDLE`, run by `submit`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study_dir", type=Path)
    parser.add_argument("--after", required=True)
    parser.add_argument("--lock", type=int, required=True)
    arguments = parser.parse_args()
    if os.fork():
        return
    start_logging()
    dispatch(arguments.study_dir, arguments.after, arguments.lock)


if __name__ == "__main__":
    main()
