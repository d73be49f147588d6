"""Submits the graph of a study: training, evaluations of what is trained, analysis."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.run.protocols import EvaluationRequest
from sweeps.jobs import snapshot
from sweeps.jobs.job import AnalyseJob, EvaluateJob, TrainJob
from sweeps.resources import Resources
from sweeps.schedulers import SCHEDULERS, nodes, submissions
from sweeps.schedulers.base import After, Jobs, Limits, Scheduler
from sweeps.schedulers.state import SchedulerState

EPILOGUE = "sweeps.jobs.requeue"


@dataclass(frozen=True)
class Work:
    """Work that a study lacks: runs to train, runs to evaluate by evaluation, the analysis.

    `train` has each run's last attempt until now. `trunks` has the run of the study that a run
    starts from.
    """

    train: dict[str, int]
    evaluate: list[tuple[EvaluationRequest, list[str]]]
    analyse: bool
    trunks: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.train or self.evaluate or self.analyse)

    def fit_into(self, room: int | None) -> "Work":
        """Return the part of at most `room` jobs, a run together with its evaluations.

        A run whose trunk is left for later is left too, as is the analysis where anything is.
        """
        evaluations = Counter(run_id for _, run_ids in self.evaluate for run_id in run_ids)
        jobs = {run_id: evaluations[run_id] + 1 for run_id in self.train}
        jobs |= {run_id: count for run_id, count in evaluations.items() if run_id not in jobs}
        if room is None or sum(jobs.values()) + self.analyse <= room:
            return self
        taken: set[str] = set()
        for run_id in (run_id for level in self.levels() for run_id in level):
            trunk, count = self.trunks.get(run_id), jobs[run_id]
            if count <= room and (trunk not in self.train or trunk in taken):
                taken.add(run_id)
                room -= count
        for run_id, count in jobs.items():
            if run_id not in self.train and count <= room:
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
            trunks=self.trunks,
        )

    def levels(self) -> list[list[str]]:
        """Return the runs to train, those first that start from none of the others."""
        found: list[list[str]] = []
        left = list(self.train)
        while left:
            waiting = set(left)
            found.append([run_id for run_id in left if self.trunks.get(run_id) not in waiting])
            left = [run_id for run_id in left if self.trunks.get(run_id) in waiting]
        return found


def launch(
    study_dir: Path,
    resources: Resources,
    placed: Mapping[str, Resources],
    work: Work,
    before: SchedulerState,
    limits: Limits,
    own: Iterable[Path] = (),
) -> None:
    """Submit the work; what depends on jobs submitted `before` waits for these.

    `placed` are the resources of each run, `resources` those of the study and its evaluations.
    The jobs run a copy of the code, with the user's `own` modules and packages. Raises
    SchedulerError; what has been submitted by then is recorded.
    """
    if not work:
        return
    code = snapshot.take(study_dir, own)
    newest = max((s.name for s in submissions.read(study_dir)), default="")
    launcher = _Launcher(study_dir, SCHEDULERS[resources.cluster], limits, code)
    for level in work.levels():
        for given, run_ids in _groups(level, placed):
            after = launcher.after_trunks([work.trunks.get(i) for i in run_ids], before)
            launcher.train(given, {run_id: work.train[run_id] for run_id in run_ids}, after)
    for wanted, run_ids in work.evaluate:
        launcher.evaluate(for_one_device(resources), wanted, run_ids, before)
    if work.analyse:
        launcher.analyse(for_one_device(resources), before)
    launcher.scheduler.start(study_dir, newest, snapshot.variables(study_dir, code))


def _groups(
    run_ids: Iterable[str], placed: Mapping[str, Resources]
) -> list[tuple[Resources, list[str]]]:
    """Return the runs that have the same resources, together."""
    found: dict[int, tuple[Resources, list[str]]] = {}
    for run_id in run_ids:
        found.setdefault(id(placed[run_id]), (placed[run_id], []))[1].append(run_id)
    return list(found.values())


def for_one_device(resources: Resources) -> Resources:
    """Return the resources of an evaluation: one process, with a GPU if the runs have any."""
    gpus = min(1, resources.gpus_per_node)
    return resources.model_copy(update={"nodes": 1, "tasks_per_node": 1, "gpus_per_node": gpus})


class _Launcher:
    """Jobs of one study as they are submitted, each batch recorded as soon as it is."""

    def __init__(self, study_dir: Path, scheduler: Scheduler, limits: Limits, code: str) -> None:
        self._study_dir, self.scheduler, self._limits, self._code = (
            study_dir,
            scheduler,
            limits,
            code,
        )
        self._lines = snapshot.shell_lines(study_dir, code)
        self._lost = nodes.excluded(study_dir)
        self._trained: list[dict[str, str]] = []  # job ids by run id, a batch each
        self._evaluated: list[str] = []

    def after_trunks(self, trunks: Iterable[str | None], before: SchedulerState) -> After:
        """Return the jobs that train `trunks`, as far as their ids are known."""
        jobs = {i: run.job_id for i, run in before.runs.items() if run.job_id in before.jobs}
        jobs |= {run_id: job for batch in self._trained for run_id, job in batch.items()}
        return After(tuple(dict.fromkeys(str(jobs[i]) for i in trunks if i in jobs)))

    def train(self, resources: Resources, attempts: dict[str, int], after: After) -> None:
        jobs = {run_id: TrainJob(self._study_dir / run_id) for run_id in attempts}
        for batch in self._submit(resources, jobs, after, attempts, epilogue=EPILOGUE):
            if batch:
                self._trained.append(batch)

    def evaluate(
        self,
        resources: Resources,
        wanted: EvaluationRequest,
        run_ids: Sequence[str],
        before: SchedulerState,
    ) -> None:
        for part, after in _parts(run_ids, self._trained, before):
            jobs = {run_id: EvaluateJob(self._study_dir / run_id, wanted) for run_id in part}
            for batch in self._submit(resources, jobs, after, kind="evaluate", wanted=wanted):
                self._evaluated += batch.values()

    def analyse(self, resources: Resources, before: SchedulerState) -> None:
        ends = [job for batch in self._trained for job in batch.values()]
        ends += [job for job in before.jobs if job in before.job_ids.values()]
        ends += self._evaluated
        earlier = before.job_ids.get((submissions.STUDY, ""))
        if earlier is not None and earlier in before.jobs:
            # It would not wait for what has just been submitted.
            self.scheduler.cancel([earlier])
            ends = [end for end in ends if end != earlier]
        alone = resources.model_copy(update={"gpus_per_node": 0})
        jobs = {submissions.STUDY: AnalyseJob(self._study_dir)}
        for _ in self._submit(alone, jobs, After(tuple(ends)), kind="analyse"):
            pass

    def _submit(
        self,
        resources: Resources,
        jobs: Jobs,
        after: After,
        attempts: Mapping[str, int] | None = None,
        *,
        epilogue: str | None = None,
        kind: submissions.Kind = "train",
        wanted: EvaluationRequest | None = None,
    ) -> Iterator[dict[str, str]]:
        """Submit and record jobs; yield the ids of each batch, as far as they are known yet."""
        given = self.scheduler.complete(resources, self._lines, self._lost)
        for batch in self.scheduler.submit(
            self._study_dir, given, jobs, after, self._limits, epilogue=epilogue
        ):
            known = {run_id: job_id for run_id, job_id in batch.items() if job_id}
            submissions.write(
                self._study_dir,
                self.scheduler.name,
                {run_id: (attempts or {}).get(run_id, 0) for run_id in batch},
                self.scheduler.settings(given, self._code),
                known,
                kind=kind,
                evaluation=None if wanted is None else wanted.as_json(),
            )
            yield known


def _parts(
    run_ids: Sequence[str], batches: Sequence[Mapping[str, str]], before: SchedulerState
) -> Iterator[tuple[list[str], After]]:
    """Yield runs to be evaluated together, with what they wait for.

    Those of a batch that has just been submitted follow it one by one; those that an earlier job
    still trains wait for all such jobs; those that are done wait for nothing.
    """
    left = set(run_ids)
    for batch in batches:
        if left >= batch.keys():
            left -= batch.keys()
            yield list(batch), After(tuple(batch.values()), each=True)
    jobs = {i: run.job_id for i, run in before.runs.items() if run.job_id in before.jobs}
    jobs |= {run_id: job for batch in batches for run_id, job in batch.items()}
    waiting = [run_id for run_id in run_ids if run_id in left and run_id in jobs]
    if waiting:
        yield waiting, After(tuple(str(jobs[run_id]) for run_id in waiting))
    ready = [run_id for run_id in run_ids if run_id in left and run_id not in jobs]
    if ready:
        yield ready, After()
