"""What is handed to Slurm, and what it is asked: few calls, none for each run."""

import io
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import submitit

from sweeps.jobs.job import END_TIME
from sweeps.jobs.requeue import STARTED
from sweeps.resources import Resources

ASK_SECONDS = 30
JOBS_A_CALL = 500
# How long before its time limit a job is warned, which Slurm does up to a minute earlier.
MAX_WARNING_SECONDS = 90


Jobs = Mapping[str, Callable[[], None]]


class SlurmError(Exception):
    """Slurm has refused a job, or does not answer."""


def submit_jobs(
    study_dir: Path,
    resources: Resources,
    jobs: Jobs,
    max_array_size: int,
    *,
    dependency: str | None = None,
    last_act: str | None = None,
) -> Iterator[dict[str, str]]:
    """As few job arrays as `max_array_size` allows; of each, once submitted, the job ids.

    Where only so many jobs may run at a time, an array follows the one before it: Slurm knows
    that limit for each array alone.

    They start after `dependency`, and are taken from the queue where that cannot come true any
    more; `last_act` is a module that each batch script runs at its end, with the study's folder.
    Raises SlurmError.
    """
    names = list(jobs)
    waits = dependency
    for start in range(0, len(names), max_array_size):
        part = {name: jobs[name] for name in names[start : start + max_array_size]}
        found = _submit_array(study_dir, resources, part, waits, last_act)
        if resources.parallel:
            before = f"afterany:{array_of(found[names[start]])}"
            waits = f"{dependency},{before}" if dependency else before
        yield found


def array_of(job_id: str) -> str:
    """The job id of the array that an element belongs to, or of the job itself.

    >>> array_of("17_3")
    '17'
    """
    return job_id.partition("_")[0]


def after_each(job_ids: Mapping[str, str]) -> str:
    """The dependency of an array whose every element follows the same element of another one."""
    first = next(iter(job_ids.values()))
    return f"aftercorr:{array_of(first)}" if "_" in first else f"afterok:{first}"


def cancel(job_ids: list[str]) -> None:
    """Takes jobs back, many with each call; those that are gone already are no error."""
    for start in range(0, len(job_ids), JOBS_A_CALL):
        command = ["scancel", "--quiet", *job_ids[start : start + JOBS_A_CALL]]
        subprocess.run(command, capture_output=True, check=False, timeout=ASK_SECONDS)


def parameters(resources: Resources) -> dict[str, Any]:
    """The resources in submitit's words: a task a device, no ssh, no host file."""
    found: dict[str, Any] = {
        "name": "scalestudy",
        "nodes": resources.nodes,
        "tasks_per_node": resources.devices_per_node,
        "cpus_per_task": resources.cpus_per_task,
        "timeout_min": resources.timeout_min,
        "slurm_signal_delay_s": min(MAX_WARNING_SECONDS, resources.timeout_min * 60 // 4),
        # Since 22.05 srun does not take the number of cores from sbatch.
        "slurm_srun_args": [
            "--kill-on-bad-exit=1",
            f"--cpus-per-task={resources.cpus_per_task}",
        ],
    }
    if resources.gpus_per_node:
        found["gpus_per_node"] = resources.gpus_per_node
    if resources.mem_gb:
        found["mem_gb"] = resources.mem_gb
    if resources.parallel:
        found["slurm_array_parallelism"] = resources.parallel
    for key in ("partition", "account", "qos", "constraint", "exclude"):
        if getattr(resources, key) is not None:
            found[f"slurm_{key}"] = getattr(resources, key)
    clock = [
        f"export {STARTED}=$(date +%s)",
        f"export {END_TIME}=$(({STARTED} + {60 * resources.timeout_min}))",
    ]
    found["slurm_setup"] = [*clock, *resources.setup]
    found["slurm_additional_parameters"] = {"requeue": True, **resources.sbatch}
    return found


def _submit_array(
    study_dir: Path,
    resources: Resources,
    jobs: Jobs,
    dependency: str | None,
    last_act: str | None,
) -> dict[str, str]:
    found = parameters(resources)
    # submitit's own default is 256.
    found.setdefault("slurm_array_parallelism", len(jobs))
    if dependency:
        found["slurm_dependency"] = dependency
        found["slurm_additional_parameters"]["kill-on-invalid-dep"] = "yes"
    if last_act:
        words = [sys.executable, "-m", last_act, str(study_dir)]
        found["slurm_teardown"] = [shlex.join(words)]
    executor = submitit.AutoExecutor(study_dir / "log" / "slurm-%A", cluster="slurm")
    executor.update_parameters(**found)
    try:
        # submitit repeats what sbatch says.
        with redirect_stderr(io.StringIO()), executor.batch():
            started = [executor.submit(job) for job in jobs.values()]
    except (subprocess.CalledProcessError, submitit.core.utils.FailedJobError) as error:
        said = str(error).strip().splitlines()[-1]
        raise SlurmError(f"sbatch has refused {len(jobs)} jobs: {said}") from error
    return {name: job.job_id for name, job in zip(jobs, started, strict=True)}
