"""The local scheduler: hands runs to submitit's local executor, so many at a time.

submitit's local executor starts every job at once, so runs would fight for the cores. One
dispatcher a study, detached from the terminal, starts the next run when one ends. It takes up
submissions made while it works, and leaves when none is left.
"""

import argparse
import logging
import os
import time
from pathlib import Path

import submitit

from bench.attempt import last_attempt, read_disk
from sweeps import queue, snapshot
from sweeps.job import TrainJob, start_logging

POLL_SECONDS = 0.2

log = logging.getLogger("scalebench")


def dispatch(study_dir: Path, after: str, lock: int) -> None:
    """Runs all local submissions named after `after`, and those that are made meanwhile.

    `lock` is the handle of the dispatcher's lock, which this process has inherited.
    """
    os.set_inheritable(lock, False)
    dispatcher = _Dispatcher(study_dir, after)
    is_idle = False
    while not is_idle:
        dispatcher.work()
        # Who submits holds this lock too: nothing can be handed over between look and leave.
        with queue.exclusive(study_dir / queue.SUBMIT_LOCK):
            is_idle = not dispatcher.has_news()
            if is_idle:
                os.close(lock)


class _Dispatcher:
    def __init__(self, study_dir: Path, after: str) -> None:
        self._study_dir = study_dir
        self._after = after
        self._waiting: dict[str, queue.Submission] = {}
        self._running: dict[str, tuple[submitit.Job[None], int]] = {}

    def work(self) -> None:
        """Returns when no run is waiting or running."""
        while True:
            self._take_up()
            self._reap()
            self._start()
            if not self._waiting and not self._running:
                return
            time.sleep(POLL_SECONDS)

    def has_news(self) -> bool:
        """Whether something was submitted that has not been taken up."""
        return bool(queue.read(self._study_dir, self._after))

    def _take_up(self) -> None:
        for submission in queue.read(self._study_dir, self._after):
            self._after = submission.name
            if submission.cluster == "local":
                self._waiting |= dict.fromkeys(submission.attempts, submission)
            elif submission.cluster == queue.CANCELLED:
                for run_id in submission.attempts:
                    self._cancel(run_id)

    def _cancel(self, run_id: str) -> None:
        """Forgets a run; one that trains has its signal, one that is starting is stopped here."""
        self._waiting.pop(run_id, None)
        if run_id in self._running and read_disk(self._study_dir / run_id).state != "running":
            self._running[run_id][0].cancel()

    def _reap(self) -> None:
        for run_id, (job, _) in list(self._running.items()):
            if job.done():
                del self._running[run_id]
                log.info("%s: job %s ended", run_id, job.job_id)

    def _start(self) -> None:
        for run_id, submission in list(self._waiting.items()):
            slots = submission.resources["parallel"]
            taken = {slot for _, slot in self._running.values()}
            free = [slot for slot in range(slots) if slot not in taken]
            if not free:
                return
            if run_id in self._running:
                continue  # its last job is on its way out
            del self._waiting[run_id]
            if read_disk(self._study_dir / run_id).state in ("missing", "failed"):
                self._running[run_id] = self._submit(run_id, submission, free[0]), free[0]

    def _submit(self, run_id: str, submission: queue.Submission, slot: int) -> submitit.Job[None]:
        resources = submission.resources
        run_dir = self._study_dir / run_id
        # A folder for each job: submitit names its files by process ids, which come again.
        folder = run_dir / "log" / f"{last_attempt(run_dir) + 1:04d}-{submission.name}"
        gpus = resources["gpus_per_node"]
        os.environ["OMP_NUM_THREADS"] = str(resources["threads"])
        os.environ.update(snapshot.variables(self._study_dir, resources["code"]))
        executor = submitit.LocalExecutor(folder)
        executor.update_parameters(
            tasks_per_node=resources["devices_per_node"],
            gpus_per_node=gpus,
            timeout_min=resources["timeout_min"],
            visible_gpus=list(range(slot * gpus, (slot + 1) * gpus)),
        )
        job = executor.submit(TrainJob(run_dir))
        log.info("%s: job %s in slot %d", run_id, job.job_id, slot)
        return job


def main() -> None:
    """`python -m sweeps.dispatch STUDY_DIR --after NAME --lock HANDLE`, as `submit` starts it."""
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
