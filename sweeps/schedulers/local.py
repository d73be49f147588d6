"""The scheduler of one machine: a dispatcher that outlives the command runs so many at a time."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeps.resources import Resources
from sweeps.schedulers import submissions
from sweeps.schedulers.base import After, Answer, Jobs, Limits, Scheduler


def gpus() -> list[int]:
    """Return the numbers of the GPUs here that may be used; [] where they are not known."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = [name.strip() for name in given.split(",")]
        return [int(name) for name in names] if all(map(str.isdigit, names)) else []
    import pynvml

    try:
        pynvml.nvmlInit()
        return list(range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return []


def gpus_of_slot(slot: int, gpus_per_run: int, known: list[int]) -> list[int]:
    """Return the GPUs of the runs in a slot, different ones for each slot.

    >>> gpus_of_slot(1, 2, [4, 5, 6, 7])
    [6, 7]
    """
    numbers = range(slot * gpus_per_run, (slot + 1) * gpus_per_run)
    return [known[at] for at in numbers] if numbers.stop <= len(known) else list(numbers)


class Local(Scheduler):
    """Jobs of this machine: they wait in files of the study for its dispatcher.

    The dispatcher (`sweeps.jobs.dispatch`) knows what each job waits for, so `after` is not
    needed, and gives a run its job when its turn comes, so no ids are known before.
    """

    name = "local"

    def submit(
        self,
        study_dir: Path,
        resources: Resources,
        jobs: Jobs,
        after: After,
        limits: Limits,
        *,
        epilogue: str | None = None,
    ) -> Iterator[dict[str, str]]:
        yield dict.fromkeys(jobs, "")

    def state(self, study_dir: Path) -> Answer:
        return Answer(holds_all=submissions.is_dispatched(study_dir))

    def slots(self, resources: Resources) -> int:
        """Return as many runs as asked; else so many that each process has its cores and GPU."""
        each = resources.devices_per_node * resources.cpus_per_task
        most = resources.parallel or len(os.sched_getaffinity(0)) // each
        if resources.gpus_per_node and (known := gpus()):
            most = min(most, len(known) // resources.gpus_per_node)
        return max(1, most)

    def settings(self, resources: Resources, code: str) -> dict[str, Any]:
        parallel = self.slots(resources)
        cores = len(os.sched_getaffinity(0))
        return resources.model_dump() | {
            "devices_per_node": resources.devices_per_node,
            "parallel": parallel,
            "code": code,
            "threads": max(1, cores // (parallel * resources.devices_per_node)),
        }

    def start(self, study_dir: Path, before: str, variables: Mapping[str, str]) -> None:
        """Start the dispatcher, which outlives this process, unless one is at work."""
        lock = submissions.take_dispatch(study_dir)
        if lock is None:
            return
        log_dir = study_dir / "log"
        log_dir.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "sweeps.jobs.dispatch", str(study_dir)]
        command += ["--after", before, "--lock", str(lock)]
        newest = submissions.read(study_dir)[-1].name
        with (log_dir / f"dispatch-{newest}.log").open("wb") as log:
            # Returns when the dispatcher has forked, which it does once it has loaded.
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | variables,
                pass_fds=[lock],
            )
        os.close(lock)
