"""Brings a study to its wanted state: what is missing or failed runs, what is done stays."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.attempt import read_disk
from bench.config import Run, read_run
from bench.provenance import software
from results.files import write_whole
from sweeps import queue, slurm, snapshot
from sweeps.spec import Resources, SpecError, StudySpec
from sweeps.status import status

TO_DO = ("missing", "failed", "cancelled")


@dataclass(frozen=True)
class Submitted:
    """Run ids handed to the scheduler, and those left alone: done, running or queued."""

    study_dir: Path
    submitted: list[str]
    skipped: list[str]


def submit(spec: StudySpec, runs: list[Run], root: Path) -> Submitted:
    """Submits what of `runs` is missing or has failed; the study's folder is `root`/study.

    Raises SpecError where an id exists with another config, before anything is started.
    """
    study_dir = (root / spec.study).resolve()
    for run in runs:
        _refuse_other(study_dir, run)
    study_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    with queue.exclusive(study_dir / queue.SUBMIT_LOCK) as held:
        if not held:
            raise SpecError(f"{study_dir}: another submit has been at work here for a minute")
        write_study(study_dir, spec, runs)
        for run in runs:
            write_config(study_dir, run)
        state = {run.run_id: run.state for run in status(study_dir)}
        wanted = [run.run_id for run in runs if state[run.run_id] in TO_DO]
        if wanted:
            _launch(study_dir, spec.resources, wanted)
    skipped = [run.run_id for run in runs if run.run_id not in set(wanted)]
    return Submitted(study_dir, wanted, skipped)


def about(run: Run) -> dict[str, Any]:
    """What of a run's config the plan and the status show."""
    return {
        "run_id": run.run_id,
        "model": run.config.model,
        "dataset": run.data.name,
        "image_size": run.image_size,
        "train_examples": run.train_examples,
        "examples_seen": run.examples_seen,
        "steps": run.num_steps,
        "batch_size": run.config.batch_size,
        "seed": run.config.seed,
        "recipe": run.config.recipe.label,
    }


def _refuse_other(study_dir: Path, run: Run) -> None:
    run_dir = study_dir / run.run_id
    if not (run_dir / "config.json").exists():
        return
    there = read_run(run_dir)
    if there.identity != run.identity:
        raise SpecError(
            f"{run_dir} holds another config with the same id: "
            f"there {json.dumps(there.identity)}, here {json.dumps(run.identity)}"
        )


def write_study(study_dir: Path, spec: StudySpec, runs: list[Run]) -> None:
    """Writes `study.json`: the spec as given and resolved, its runs, the code, the time."""
    content = {
        "study": spec.study,
        "spec": spec.model_dump(mode="json"),
        "submitted_at": datetime.now(UTC).isoformat(),
        **software(),
        "runs": [about(run) for run in runs],
    }
    _write_json(study_dir / "study.json", content)


def write_config(study_dir: Path, run: Run) -> None:
    """Writes the resolved config of a run into its folder, unless the same is there."""
    path = study_dir / run.run_id / "config.json"
    text = run.model_dump_json(indent=2)
    if not path.exists() or path.read_text() != text:
        write_whole(path, lambda file: file.write(text.encode()))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2).encode()
    write_whole(path, lambda file: file.write(text))


def _launch(study_dir: Path, resources: Resources, run_ids: list[str]) -> None:
    attempts = {run_id: read_disk(study_dir / run_id).attempt for run_id in run_ids}
    code = snapshot.take(study_dir)
    if resources.cluster == "slurm":
        setup = [*resources.setup, *snapshot.shell_lines(study_dir, code)]
        resources = resources.model_copy(update={"setup": setup})
        for job_ids in slurm.submit_runs(study_dir, resources, run_ids):
            known = {run_id: attempts[run_id] for run_id in job_ids}
            queue.write(study_dir, "slurm", known, resources.model_dump(), job_ids)
        return
    parallel = _parallel(resources)
    settings = resources.model_dump() | {
        "devices_per_node": resources.devices_per_node,
        "parallel": parallel,
        "code": code,
        "threads": max(1, _num_cores() // (parallel * resources.devices_per_node)),
    }
    submission = queue.write(study_dir, "local", attempts, settings, {})
    _start_dispatcher(study_dir, submission, os.environ | snapshot.variables(study_dir, code))


def _parallel(resources: Resources) -> int:
    """Runs at a time on this machine: as asked, else so many that each process has its cores."""
    each = resources.devices_per_node * resources.cpus_per_task
    return resources.parallel or max(1, _num_cores() // each)


def _num_cores() -> int:
    return len(os.sched_getaffinity(0))


def _start_dispatcher(
    study_dir: Path, submission: queue.Submission, environment: dict[str, str]
) -> None:
    """Starts the local scheduler, which outlives this process, unless one is at work."""
    lock = queue.take_dispatch(study_dir)
    if lock is None:
        return
    log_dir = study_dir / "log"
    log_dir.mkdir(exist_ok=True)
    before = max((s.name for s in queue.read(study_dir) if s.name < submission.name), default="")
    command = [sys.executable, "-m", "sweeps.dispatch", str(study_dir)]
    command += ["--after", before, "--lock", str(lock)]
    with (log_dir / f"dispatch-{submission.name}.log").open("wb") as log:
        # Returns when the dispatcher stands on its own: it forks once it has loaded.
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment,
            pass_fds=[lock],
        )
    os.close(lock)
