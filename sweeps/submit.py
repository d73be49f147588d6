"""Submit: bring a study to its wanted state by running what is missing or has failed."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.run.config import Run, read_run
from bench.run.protocols import EvaluationRequest, read_record
from bench.run.provenance import software
from sweeps import cancel, launch, study
from sweeps.documents import SpecError
from sweeps.expand import Planned
from sweeps.jobs import snapshot
from sweeps.schedulers import SCHEDULERS, submissions
from sweeps.schedulers.base import Limits
from sweeps.schedulers.state import is_pending
from sweeps.spec import StudySpec
from sweeps.status import RunStatus, StudyStatus, look
from sweeps.study import StudyRecord

TO_DO = ("missing", "failed", "cancelled")


@dataclass(frozen=True)
class Submitted:
    """Run ids handed to the scheduler, and those left alone: done, running or queued.

    `evaluations` counts the evaluations handed over, `cancelled` are runs the spec has no more.
    `left` are runs that the queue does not take now: the next submit hands them over.
    """

    study_dir: Path
    submitted: list[str]
    skipped: list[str]
    evaluations: int = 0
    cancelled: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


Agree = Callable[[StudyStatus, list[RunStatus]], None]


def submit(
    spec: StudySpec,
    planned: Sequence[Planned],
    root: Path,
    evaluations: Sequence[EvaluationRequest] = (),
    agree: Agree = lambda before, removed: None,
) -> Submitted:
    """Submit the runs of a study that are missing or have failed; its folder is `root`/study.

    With them go the evaluations that they lack, and the analysis. The study's files are looked at
    once, and its schedulers asked once. `agree` is called with what was found, and the queued
    runs that the spec no longer has, which are cancelled; what it raises ends the submit before
    anything has changed. Raises SpecError where an id exists with another config.
    """
    study_dir = (root / spec.study).resolve()
    if not str(study_dir).isprintable():
        # It would reach the header of a batch script, where the next line runs as shell.
        raise SpecError(f"--root: given {str(study_dir)!r}, expected printable text")
    runs = [one.run for one in planned]
    unwritten = _unwritten(study_dir, runs)
    record = _record(spec, runs, evaluations)
    if not study_dir.exists():
        agree(look(study_dir, record), [])
    study_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    with submissions.exclusive(study_dir / submissions.SUBMIT_LOCK) as is_ours:
        if not is_ours:
            raise SpecError(f"{study_dir}: another submit has been at work here for a minute")
        before, removed = _look(study_dir, record)
        agree(before, removed)
        cancel.take_back(study_dir, removed, before.held)
        record.write(study_dir)
        # What has been trained keeps the config that it was trained with.
        kept = {run.run_id for run in before.runs if run.state in ("running", "done")}
        for run in unwritten:
            if run.run_id not in kept:
                write_config(study_dir, run)
        trunks = {run.run_id: run.init.run_id for run in runs if run.init and run.init.run_id}
        lacking = replace(_lacking(study_dir, spec, before, evaluations), trunks=trunks)
        limits = SCHEDULERS[spec.resources.cluster].limits(spec.resources) if lacking else Limits()
        work = lacking.fit_into(limits.room)
        placed = {one.run_id: one.resources for one in planned}
        own = snapshot.own_modules({run.network for run in runs})
        launch.launch(study_dir, spec.resources, placed, work, before.held, limits, own)
    return Submitted(
        study_dir,
        list(work.train),
        [run.run_id for run in runs if run.run_id not in lacking.train],
        sum(len(run_ids) for _, run_ids in work.evaluate),
        tuple(run.run_id for run in removed),
        tuple(run_id for run_id in lacking.train if run_id not in work.train),
    )


def _look(study_dir: Path, record: StudyRecord) -> tuple[StudyStatus, list[RunStatus]]:
    """Return the study's state, and the queued runs of its last submit that `record` lacks."""
    wanted = {run.run_id for run in record.runs}
    there = study.read(study_dir).runs if (study_dir / study.NAME).exists() else ()
    others = tuple(run for run in there if run.run_id not in wanted)
    found = look(study_dir, replace(record, runs=(*record.runs, *others)))
    removed = [r for r in found.runs if r.run_id not in wanted and r.state == "queued"]
    return replace(found, runs=[r for r in found.runs if r.run_id in wanted]), removed


def _lacking(
    study_dir: Path, spec: StudySpec, before: StudyStatus, evaluations: Sequence[EvaluationRequest]
) -> launch.Work:
    train = {run.run_id: run.attempts for run in before.runs if run.state in TO_DO}
    evaluate = []
    for wanted in evaluations:
        run_ids = []
        for run in before.runs:
            record = read_record(study_dir / run.run_id, wanted.key)
            is_done = record is not None and record.ended == "done"
            submitted_at = before.held.evaluations.get((run.run_id, wanted.key))
            if not is_done and not is_pending(record, submitted_at):
                run_ids.append(run.run_id)
        if run_ids:
            evaluate.append((wanted, run_ids))
    is_made = before.analysis is None or before.analysis["state"] in ("done", "queued", "running")
    return launch.Work(
        train, evaluate, bool(spec.analysis) and bool(train or evaluate or not is_made)
    )


def _unwritten(study_dir: Path, runs: list[Run]) -> list[Run]:
    """Return the runs without a config yet; raise SpecError if an id has another config."""
    there = set(os.listdir(study_dir)) if study_dir.is_dir() else set()
    return [run for run in runs if run.run_id not in there or not _is_written(study_dir, run)]


def _is_written(study_dir: Path, run: Run) -> bool:
    run_dir = study_dir / run.run_id
    try:
        text = (run_dir / "config.json").read_text()
    except FileNotFoundError:
        return False
    if text == _config_text(run) or not text:
        return bool(text)
    there = read_run(run_dir)
    if there.identity != run.identity:
        raise SpecError(
            f"{run_dir} holds another config with the same id: "
            f"there {json.dumps(there.identity)}, here {json.dumps(run.identity)}"
        )
    return False


def write_config(study_dir: Path, run: Run) -> None:
    """Write the resolved config of a run into its folder, whole.

    It is not flushed to the disk, which takes 10,000 runs a minute: a power cut may leave an empty
    file behind, whose run cannot start, and which the next submit writes again.
    """
    folder = f"{study_dir}/{run.run_id}"
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 (10,000 of them)
    with open(f"{folder}/.config.json.tmp", "w") as file:  # noqa: PTH123
        file.write(_config_text(run))
    os.replace(f"{folder}/.config.json.tmp", f"{folder}/config.json")  # noqa: PTH105


def _config_text(run: Run) -> str:
    return run.model_dump_json(indent=2)


def _record(
    spec: StudySpec, runs: Sequence[Run], evaluations: Sequence[EvaluationRequest]
) -> StudyRecord:
    return StudyRecord(
        study=spec.study,
        runs=tuple(run.summary() for run in runs),
        spec=spec.model_dump(mode="json"),
        evaluations=tuple(evaluation.key for evaluation in evaluations),
        submitted_at=datetime.now(UTC).isoformat(),
        software=software(),
    )


def write_study(
    study_dir: Path,
    spec: StudySpec,
    runs: Sequence[Run],
    evaluations: Sequence[EvaluationRequest] = (),
) -> None:
    """Write `study.json` of runs that are started by other means than `submit`."""
    _record(spec, runs, evaluations).write(study_dir)
