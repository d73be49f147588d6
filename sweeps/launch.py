"""Hands the graph of a study to a scheduler: training, evaluations of what is trained, analysis."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.run.protocols import EvaluationRequest
from sweeps.jobs import snapshot
from sweeps.jobs.job import AnalyseJob, EvaluateJob, TrainJob
from sweeps.resources import Resources, runs_at_a_time
from sweeps.schedulers import nodes, slurm, submissions
from sweeps.schedulers.state import Held

LAST_ACT = "sweeps.jobs.requeue"


@dataclass(frozen=True)
class Work:
    """What a study lacks: runs to train, runs to evaluate by evaluation, whether to analyse.

    `train` has each run's last attempt until now.
    """

    train: dict[str, int]
    evaluate: list[tuple[EvaluationRequest, list[str]]]
    analyse: bool

    def __bool__(self) -> bool:
        return bool(self.train or self.evaluate or self.analyse)

    def within(self, room: int | None) -> "Work":
        """As much of it as are at most `room` jobs, a run together with its evaluations.

        The analysis is left as well where anything is.
        """
        evaluations = Counter(run_id for _, run_ids in self.evaluate for run_id in run_ids)
        jobs = {run_id: evaluations[run_id] + 1 for run_id in self.train}
        jobs |= {run_id: count for run_id, count in evaluations.items() if run_id not in jobs}
        if room is None or sum(jobs.values()) + self.analyse <= room:
            return self
        taken = set()
        for run_id, count in jobs.items():
            if count <= room:
                taken.add(run_id)
                room -= count
        return Work(
            {run_id: attempt for run_id, attempt in self.train.items() if run_id in taken},
            [
                (wanted, chosen)
                for wanted, run_ids in self.evaluate
                if (chosen := [run_id for run_id in run_ids if run_id in taken])
            ],
            analyse=False,
        )


def launch(
    study_dir: Path,
    resources: Resources,
    placed: Mapping[str, Resources],
    work: Work,
    held: Held,
    max_array_size: int,
) -> None:
    """Submits the work; what depends on jobs that are `held` already waits for these.

    `placed` are the resources of each run, `resources` those of the study and its evaluations.
    Raises slurm.SlurmError; what has been submitted by then is written down.
    """
    if not work:
        return
    code = snapshot.take(study_dir)
    groups = _groups(work.train, placed)
    if resources.cluster == "slurm":
        lines = snapshot.shell_lines(study_dir, code)
        lost = nodes.excluded(study_dir)
        groups = [(_complete(given, lines, lost), run_ids) for given, run_ids in groups]
        resources = _complete(resources, lines, lost)
        _launch_on_slurm(study_dir, resources, groups, work, held, max_array_size)
    else:
        _launch_here(study_dir, resources, groups, work, code)


def _groups(
    run_ids: Iterable[str], placed: Mapping[str, Resources]
) -> list[tuple[Resources, list[str]]]:
    """The runs that have the same resources, together."""
    found: dict[int, tuple[Resources, list[str]]] = {}
    for run_id in run_ids:
        found.setdefault(id(placed[run_id]), (placed[run_id], []))[1].append(run_id)
    return list(found.values())


def _complete(resources: Resources, lines: list[str], lost: Iterable[str]) -> Resources:
    """With what each of the study's batch scripts has: the code's place, nodes to be avoided."""
    excluded = [*filter(None, [resources.exclude]), *lost]
    changes = {"setup": [*resources.setup, *lines], "exclude": ",".join(excluded) or None}
    return resources.model_copy(update=changes)


def for_one_device(resources: Resources) -> Resources:
    """The resources of an evaluation: one process, with a GPU if the runs have any."""
    gpus = min(1, resources.gpus_per_node)
    return resources.model_copy(update={"nodes": 1, "tasks_per_node": 1, "gpus_per_node": gpus})


def _launch_on_slurm(
    study_dir: Path,
    resources: Resources,
    groups: list[tuple[Resources, list[str]]],
    work: Work,
    held: Held,
    size: int,
) -> None:
    arrays: list[dict[str, str]] = []
    for given, run_ids in groups:
        train = {run_id: TrainJob(study_dir / run_id) for run_id in run_ids}
        for array in slurm.submit_jobs(study_dir, given, train, size, last_act=LAST_ACT):
            known = {run_id: work.train[run_id] for run_id in array}
            submissions.write(study_dir, "slurm", known, given.model_dump(), array)
            arrays.append(array)

    single = for_one_device(resources)
    ends = [slurm.array_of(job) for array in arrays for job in array.values()]
    ends += [slurm.array_of(job) for job in held.jobs if job in held.job_ids.values()]
    for wanted, run_ids in work.evaluate:
        for part, dependency in _parts(run_ids, arrays, held):
            jobs = {run_id: EvaluateJob(study_dir / run_id, wanted) for run_id in part}
            for array in slurm.submit_jobs(study_dir, single, jobs, size, dependency=dependency):
                submissions.write(
                    *(study_dir, "slurm", dict.fromkeys(array, 0), single.model_dump(), array),
                    kind="evaluate",
                    evaluation=wanted.as_json(),
                )
                ends += [slurm.array_of(job) for job in array.values()]

    if work.analyse:
        analysis = held.job_ids.get((submissions.STUDY, ""))
        if analysis in held.jobs:
            # It would not wait for what has just been submitted.
            slurm.cancel([analysis])
            ends = [end for end in ends if end != slurm.array_of(analysis)]
        alone = single.model_copy(update={"gpus_per_node": 0})
        after = f"afterany:{':'.join(sorted(set(ends)))}" if ends else None
        job = {submissions.STUDY: AnalyseJob(study_dir)}
        for array in slurm.submit_jobs(study_dir, alone, job, size, dependency=after):
            known = {submissions.STUDY: 0}
            submissions.write(study_dir, "slurm", known, alone.model_dump(), array, kind="analyse")


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


def _launch_here(
    study_dir: Path,
    resources: Resources,
    groups: list[tuple[Resources, list[str]]],
    work: Work,
    code: str,
) -> None:
    cores = len(os.sched_getaffinity(0))

    def settings(wanted: Resources) -> dict[str, object]:
        parallel = runs_at_a_time(wanted) or 1
        return wanted.model_dump() | {
            "devices_per_node": wanted.devices_per_node,
            "parallel": parallel,
            "code": code,
            "threads": max(1, cores // (parallel * wanted.devices_per_node)),
        }

    single = settings(for_one_device(resources))
    before = max((s.name for s in submissions.read(study_dir)), default="")
    for given, run_ids in groups:
        attempts = {run_id: work.train[run_id] for run_id in run_ids}
        submissions.write(study_dir, "local", attempts, settings(given), {})
    for wanted, run_ids in work.evaluate:
        submissions.write(
            *(study_dir, "local", dict.fromkeys(run_ids, 0), single, {}),
            kind="evaluate",
            evaluation=wanted.as_json(),
        )
    if work.analyse:
        submissions.write(study_dir, "local", {submissions.STUDY: 0}, single, {}, kind="analyse")
    _start_dispatcher(study_dir, before, snapshot.variables(study_dir, code))


def _start_dispatcher(study_dir: Path, after: str, variables: Mapping[str, str]) -> None:
    """Starts the local scheduler, which outlives this process, unless one is at work."""
    lock = submissions.take_dispatch(study_dir)
    if lock is None:
        return
    log_dir = study_dir / "log"
    log_dir.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "sweeps.jobs.dispatch", str(study_dir)]
    command += ["--after", after, "--lock", str(lock)]
    newest = submissions.read(study_dir)[-1].name
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
