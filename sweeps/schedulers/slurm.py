"""Slurm: job arrays through submitit, questions to its commands; few calls, none for each run."""

import io
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr
from itertools import islice
from pathlib import Path
from typing import Any

from bench.run.environment import END_TIME, STARTED
from sweeps.resources import Resources
from sweeps.schedulers import commands, limits
from sweeps.schedulers.base import After, Answer, Job, Jobs, Limits, Scheduler, SchedulerError

JOBS_A_CALL = 500
SQUEUE_SECONDS, ACCOUNTING_SECONDS = 20.0, 5.0
MAX_ACCOUNTED = 1000
# How long before its time limit a job is warned, which Slurm does up to a minute earlier.
MAX_WARNING_SECONDS = 90


def array_of(job_id: str) -> str:
    """Return the job id of the array that an element belongs to, or of the job itself.

    >>> array_of("17_3")
    '17'
    """
    return job_id.partition("_")[0]


def dependency_of(after: After) -> str | None:
    """Return a dependency as sbatch takes it.

    >>> dependency_of(After(("17_0", "17_1", "9"))), dependency_of(After(("17_0",), each=True))
    ('afterany:17:9', 'aftercorr:17')
    """
    if not after.jobs:
        return None
    if after.each:
        first = after.jobs[0]
        return f"aftercorr:{array_of(first)}" if "_" in first else f"afterok:{first}"
    return f"afterany:{':'.join(sorted(set(map(array_of, after.jobs))))}"


class Slurm(Scheduler):
    """A site's Slurm. Its batch scripts requeue their own job in an epilogue."""

    name = "slurm"

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
        """Submit as few job arrays as the largest size allows; yield each one's job ids.

        Where only so many jobs may run at a time, an array follows the one before it: Slurm
        applies that limit to each array alone. Jobs whose dependency can never be satisfied are
        cancelled. Raises SchedulerError.
        """
        names, size = list(jobs), limits.max_array_size
        dependency = waits = dependency_of(after)
        for start in range(0, len(names), size):
            part = {name: jobs[name] for name in names[start : start + size]}
            found = _submit_array(study_dir, resources, part, waits, epilogue)
            if resources.parallel:
                before = f"afterany:{array_of(found[names[start]])}"
                waits = f"{dependency},{before}" if dependency else before
            yield found

    def state(self, study_dir: Path) -> Answer:
        """Return the user's jobs, elements of arrays one by one, as squeue lists them."""
        wanted = ("--me", "--noheader", "--array", "--format=%i|%T|%N|%r")
        shown = commands.ask("squeue", *wanted, seconds=SQUEUE_SECONDS)
        if shown is None:
            return Answer(is_answered=False, holds_all=True)
        rows = [line.split("|", 3) for line in shown.splitlines()]
        return Answer({row[0]: Job(*row[1:]) for row in rows if len(row) == 4})

    def ended(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return how jobs have ended, as one call to sacct tells; {} without accounting."""
        asked = list(islice(job_ids, MAX_ACCOUNTED))
        if not asked:
            return {}
        wanted = ("-X", "--noheader", "--parsable2", "--format=JobID,State,ExitCode")
        shown = commands.ask(
            "sacct", *wanted, "--jobs", ",".join(asked), seconds=ACCOUNTING_SECONDS
        )
        rows = [line.split("|") for line in (shown or "").splitlines()]
        return {row[0]: f"{row[1]}, exit {row[2]}" for row in rows if len(row) == 3}

    def cancel(self, job_ids: Iterable[str]) -> None:
        ids = list(job_ids)
        for start in range(0, len(ids), JOBS_A_CALL):
            commands.ask("scancel", "--quiet", *ids[start : start + JOBS_A_CALL])

    def requeue(self, job_id: str, without: Iterable[str] = ()) -> None:
        """Requeue a running job, an element of an array by itself. Raises SchedulerError."""
        nodes = ",".join(without)
        if not nodes:
            commands.order("scontrol", "requeue", job_id)
            return
        commands.order("scontrol", "requeuehold", job_id)
        commands.order("scontrol", "update", f"JobId={job_id}", f"ExcNodeList={nodes}")
        commands.order("scontrol", "release", job_id)

    def limits(self, resources: Resources) -> Limits:
        return limits.ask(resources)

    def complete(self, resources: Resources, lines: list[str], lost: list[str]) -> Resources:
        excluded = [*filter(None, [resources.exclude]), *lost]
        changes = {"setup": [*resources.setup, *lines], "exclude": ",".join(excluded) or None}
        return resources.model_copy(update=changes)


def parameters(resources: Resources) -> dict[str, Any]:
    """Return the resources as submitit's parameters: one task a device, no ssh, no host file."""
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
    epilogue: str | None,
) -> dict[str, str]:
    """Submit one job array; return its jobs' ids by run id."""
    import submitit

    found = parameters(resources)
    # submitit's own default is 256.
    found.setdefault("slurm_array_parallelism", len(jobs))
    if dependency:
        found["slurm_dependency"] = dependency
        found["slurm_additional_parameters"]["kill-on-invalid-dep"] = "yes"
    if epilogue:
        words = [sys.executable, "-m", epilogue, str(study_dir)]
        found["slurm_teardown"] = [shlex.join(words)]
    executor = submitit.AutoExecutor(study_dir / "log" / "slurm-%A", cluster="slurm")
    executor.update_parameters(**found)
    try:
        # submitit repeats what sbatch says.
        with redirect_stderr(io.StringIO()), executor.batch():
            started = [executor.submit(job) for job in jobs.values()]
    except (subprocess.CalledProcessError, submitit.core.utils.FailedJobError) as error:
        complaint = str(error).strip().splitlines()[-1]
        raise SchedulerError(f"sbatch has refused {len(jobs)} jobs: {complaint}") from error
    return {name: job.job_id for name, job in zip(jobs, started, strict=True)}
