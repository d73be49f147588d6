"""What is handed to Slurm, and what it is asked: few calls, none for each run."""

import re
import subprocess
from pathlib import Path
from typing import Any

import submitit

from sweeps.job import TrainJob
from sweeps.spec import Resources

# Slurm's own default, for a site that does not say.
MAX_ARRAY_SIZE = 1001
ASK_SECONDS = 30
JOBS_A_CALL = 500


def submit_runs(study_dir: Path, resources: Resources, run_ids: list[str]) -> list[dict[str, str]]:
    """As few job arrays as the site's MaxArraySize allows; of each array the job id of each run."""
    limit = max_array_size()
    parts = [run_ids[start : start + limit] for start in range(0, len(run_ids), limit)]
    return [_submit_array(study_dir, resources, part) for part in parts]


def max_array_size() -> int:
    """The most elements of a job array here, which is one more than the largest index."""
    command = ["scontrol", "show", "config"]
    try:
        shown = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=ASK_SECONDS
        ).stdout
    except (subprocess.SubprocessError, OSError):
        return MAX_ARRAY_SIZE
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", shown, re.MULTILINE)
    return int(found[1]) if found else MAX_ARRAY_SIZE


def cancel(job_ids: list[str]) -> None:
    """Takes jobs back, many with each call; those that are gone already are no error."""
    for start in range(0, len(job_ids), JOBS_A_CALL):
        command = ["scancel", "--quiet", *job_ids[start : start + JOBS_A_CALL]]
        subprocess.run(command, capture_output=True, check=False, timeout=ASK_SECONDS)


def parameters(resources: Resources) -> dict[str, Any]:
    """The resources in submitit's words: a task a device, no ssh, no host file."""
    found: dict[str, Any] = {
        "name": "scalebench",
        "nodes": resources.nodes,
        "tasks_per_node": resources.devices_per_node,
        "cpus_per_task": resources.cpus_per_task,
        "timeout_min": resources.timeout_min,
        "slurm_srun_args": ["--kill-on-bad-exit=1"],
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
    if resources.setup:
        found["slurm_setup"] = list(resources.setup)
    if resources.sbatch:
        found["slurm_additional_parameters"] = dict(resources.sbatch)
    return found


def _submit_array(study_dir: Path, resources: Resources, run_ids: list[str]) -> dict[str, str]:
    executor = submitit.AutoExecutor(
        study_dir / "log" / "slurm-%A",
        cluster="slurm",
        slurm_max_num_timeout=resources.max_timeouts,
    )
    executor.update_parameters(**parameters(resources))
    with executor.batch():
        jobs = [executor.submit(TrainJob(study_dir / run_id)) for run_id in run_ids]
    return {run_id: job.job_id for run_id, job in zip(run_ids, jobs, strict=True)}
