"""Read the scheduler's environment variables of a job. Standard library only."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

# Set for every job by what hands it to a scheduler.
END_TIME = "SCALESTUDY_END_TIME"  # seconds since 1970: a run saves and exits before
HOSTS = "SCALESTUDY_HOSTS"  # names of the job's hosts, with commas between them
STARTED = "SCALESTUDY_STARTED"  # seconds since 1970 at which the batch script began


@dataclass(frozen=True)
class Environment:
    """The job that a process belongs to; None and empty where there is none, or it is not known.

    `cluster` is the scheduler that the job was submitted to, `restarts` how often it has been
    requeued, `end_time` its time limit in seconds since 1970. `can_requeue` holds inside a job
    that the scheduler starts again under the same id.
    """

    cluster: str | None = None
    job_id: str | None = None
    restarts: int = 0
    end_time: float | None = None
    hosts: tuple[str, ...] = ()
    can_requeue: bool = False


Reader = Callable[[Mapping[str, str]], Environment | None]


def _slurm(variables: Mapping[str, str]) -> Environment | None:
    """Return a Slurm job's environment; an element of an array is named as squeue names it."""
    if "SLURM_JOB_ID" not in variables:
        return None
    job_id = variables["SLURM_JOB_ID"]
    if "SLURM_ARRAY_JOB_ID" in variables:
        job_id = f"{variables['SLURM_ARRAY_JOB_ID']}_{variables['SLURM_ARRAY_TASK_ID']}"
    return replace(
        _any(variables),
        job_id=job_id,
        restarts=int(variables.get("SLURM_RESTART_COUNT", "0")),
        can_requeue=True,
    )


def _local(variables: Mapping[str, str]) -> Environment | None:
    """Return the environment of a job of submitit's local executor."""
    job_id = variables.get("SUBMITIT_LOCAL_JOB_ID")
    return None if job_id is None else replace(_any(variables), job_id=job_id)


def _any(variables: Mapping[str, str]) -> Environment:
    """Return the fields that do not depend on the scheduler."""
    end_time = variables.get(END_TIME) or variables.get("SLURM_JOB_END_TIME")
    return Environment(
        cluster=variables.get("SUBMITIT_EXECUTOR"),
        end_time=float(end_time) if end_time else None,
        hosts=tuple(filter(None, variables.get(HOSTS, "").split(","))),
    )


# A scheduler's name and how its jobs are recognized; the first that answers counts.
ENVIRONMENTS: dict[str, Reader] = {"slurm": _slurm, "local": _local}


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Return the environment of this process's job, read from environment variables.

    >>> environment({"SLURM_JOB_ID": "12", "SLURM_JOB_END_TIME": "1800000000"}).job_id
    '12'
    """
    seen = os.environ if variables is None else variables
    for read in ENVIRONMENTS.values():
        found = read(seen)
        if found is not None:
            return found
    return _any(seen)
