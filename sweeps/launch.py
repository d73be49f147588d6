"""Hands the graph of a study to a scheduler: training, evaluations of what is trained, analysis."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.attempt import read_disk
from bench.protocols import FewShot
from sweeps import nodes, queue, slurm, snapshot
from sweeps.held import Held
from sweeps.job import AnalyseJob, EvaluateJob, TrainJob
from sweeps.resources import Resources

LAST_ACT = "sweeps.requeue"


@dataclass(frozen=True)
class Work:
    """What a study lacks: runs to train, runs to evaluate by evaluation, whether to analyse."""

    train: list[str]
    evaluate: list[tuple[FewShot, list[str]]]
    analyse: bool

    def __bool__(self) -> bool:
        return bool(self.train or self.evaluate or self.analyse)


def launch(study_dir: Path, resources: Resources, work: Work, held: Held) -> None:
    """Submits the work; what depends on jobs that are `held` already waits for these.

    Raises slurm.SlurmError; what has been submitted by then is written down.
    """
    if not work:
        return
    code = snapshot.take(study_dir)
    if resources.cluster == "slurm":
        setup = [*resources.setup, *snapshot.shell_lines(study_dir, code)]
        changed = resources.model_copy(update={"setup": setup})
        _launch_on_slurm(study_dir, changed, work, held)
    else:
        _launch_here(study_dir, resources, work, code)


def for_one_device(resources: Resources) -> Resources:
    """The resources of an evaluation: one process, with a GPU if the runs have any."""
    gpus = min(1, resources.gpus_per_node)
    return resources.model_copy(update={"nodes": 1, "tasks_per_node": 1, "gpus_per_node": gpus})


def _launch_on_slurm(study_dir: Path, resources: Resources, work: Work, held: Held) -> None:
    lost = [*filter(None, [resources.exclude]), *nodes.excluded(study_dir)]
    resources = resources.model_copy(update={"exclude": ",".join(lost) or None})
    before = _attempts(study_dir, work.train)
    arrays: list[dict[str, str]] = []
    train = {run_id: TrainJob(study_dir / run_id) for run_id in work.train}
    for array in slurm.submit_jobs(study_dir, resources, train, last_act=LAST_ACT):
        known = {run_id: before[run_id] for run_id in array}
        queue.write(study_dir, "slurm", known, resources.model_dump(), array)
        arrays.append(array)

    single = for_one_device(resources)
    ends = [slurm.array_of(job) for array in arrays for job in array.values()]
    ends += [slurm.array_of(job) for job in held.jobs if job in held.job_ids.values()]
    for wanted, run_ids in work.evaluate:
        for part, dependency in _parts(run_ids, arrays, held):
            jobs = {run_id: EvaluateJob(study_dir / run_id, wanted) for run_id in part}
            for array in slurm.submit_jobs(study_dir, single, jobs, dependency=dependency):
                queue.write(
                    *(study_dir, "slurm", dict.fromkeys(array, 0), single.model_dump(), array),
                    kind="evaluate",
                    evaluation=wanted.as_json(),
                )
                ends += [slurm.array_of(job) for job in array.values()]

    if work.analyse:
        analysis = held.job_ids.get((queue.STUDY, ""))
        if analysis in held.jobs:
            # It would not wait for what has just been submitted.
            slurm.cancel([analysis])
            ends = [end for end in ends if end != slurm.array_of(analysis)]
        alone = single.model_copy(update={"gpus_per_node": 0})
        after = f"afterany:{':'.join(sorted(set(ends)))}" if ends else None
        job = {queue.STUDY: AnalyseJob(study_dir)}
        for array in slurm.submit_jobs(study_dir, alone, job, dependency=after):
            known = {queue.STUDY: 0}
            queue.write(study_dir, "slurm", known, alone.model_dump(), array, kind="analyse")


def _parts(
    run_ids: Sequence[str], arrays: Sequence[Mapping[str, str]], held: Held
) -> Iterable[tuple[list[str], str | None]]:
    """Runs to be evaluated together, with what they wait for.

    Those of an array that has just been submitted follow it element by element; those that an
    earlier job still trains wait for all such arrays; those that are done wait for nothing.
    """
    left = set(run_ids)
    for array in arrays:
        if left >= array.keys():
            left -= array.keys()
            yield list(array), slurm.after_each(array)
    new = {run_id: job for array in arrays for run_id, job in array.items()}
    earlier = {run_id: run.job_id for run_id, run in held.runs.items() if run.job_id in held.jobs}
    jobs = earlier | new
    waiting = [run_id for run_id in run_ids if run_id in left and run_id in jobs]
    if waiting:
        ends = sorted({slurm.array_of(str(jobs[run_id])) for run_id in waiting})
        yield waiting, f"afterany:{':'.join(ends)}"
    ready = [run_id for run_id in run_ids if run_id in left and run_id not in jobs]
    if ready:
        yield ready, None


def _launch_here(study_dir: Path, resources: Resources, work: Work, code: str) -> None:
    parallel = _parallel(resources)
    cores = _num_cores()

    def settings(wanted: Resources) -> dict[str, object]:
        return wanted.model_dump() | {
            "devices_per_node": wanted.devices_per_node,
            "parallel": parallel,
            "code": code,
            "threads": max(1, cores // (parallel * wanted.devices_per_node)),
        }

    single = settings(for_one_device(resources))
    before = max((s.name for s in queue.read(study_dir)), default="")
    if work.train:
        attempts = _attempts(study_dir, work.train)
        queue.write(study_dir, "local", attempts, settings(resources), {})
    for wanted, run_ids in work.evaluate:
        queue.write(
            *(study_dir, "local", dict.fromkeys(run_ids, 0), single, {}),
            kind="evaluate",
            evaluation=wanted.as_json(),
        )
    if work.analyse:
        queue.write(study_dir, "local", {queue.STUDY: 0}, single, {}, kind="analyse")
    _start_dispatcher(study_dir, before, snapshot.variables(study_dir, code))


def _attempts(study_dir: Path, run_ids: Iterable[str]) -> dict[str, int]:
    return {run_id: read_disk(study_dir / run_id).attempt for run_id in run_ids}


def _parallel(resources: Resources) -> int:
    """Runs at a time on this machine: as asked, else so many that each process has its cores."""
    each = resources.devices_per_node * resources.cpus_per_task
    return resources.parallel or max(1, _num_cores() // each)


def _num_cores() -> int:
    return len(os.sched_getaffinity(0))


def _start_dispatcher(study_dir: Path, after: str, variables: Mapping[str, str]) -> None:
    """Starts the local scheduler, which outlives this process, unless one is at work."""
    lock = queue.take_dispatch(study_dir)
    if lock is None:
        return
    log_dir = study_dir / "log"
    log_dir.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "sweeps.dispatch", str(study_dir)]
    command += ["--after", after, "--lock", str(lock)]
    newest = queue.read(study_dir)[-1].name
    with (log_dir / f"dispatch-{newest}.log").open("wb") as log:
        # Returns when the dispatcher stands on its own: it forks once it has loaded.
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
