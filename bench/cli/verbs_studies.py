"""The verbs that make and run studies; like all, they import what they call, inside."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import output
from bench.cli.evaluate import request
from bench.cli.lists import ListingCommand, Verbs
from bench.cli.options import (
    RUNS,
    Json,
    Profile,
    Root,
    Settings,
    Spec,
    Studies,
    Study,
    Values,
    Where,
    between,
    study_dir,
)

if TYPE_CHECKING:
    from sweeps.status import RunStatus, StudyStatus

app = Verbs()


@app.command()
def plan(
    spec: Spec,
    values: Values = None,
    settings: Settings = None,
    profile: Profile = None,
    max_accelerator_days: Annotated[
        float | None, typer.Option(help="Refuse (exit 1) a study that needs more.")
    ] = None,
    probe: Annotated[
        int,
        typer.Option(
            callback=between(0),
            metavar="STEPS",
            help="Train this many steps of each run whose speed was not measured; 0 for none.",
        ),
    ] = 0,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Show every run of a study with its cost, before anything is submitted."""
    from bench.data import sources
    from bench.run.init import Inits
    from sweeps import expand, points
    from sweeps import spec as specs
    from sweeps.forecast import plan
    from sweeps.schedulers import SCHEDULERS

    study, folder = specs.load(spec, [*(values or ()), *(settings or ())], profile, sources.names())
    describe = sources.describe_from(folder)
    with specs.naming(spec):
        planned = expand.expand(study, describe, Inits(folder, root / study.study))
        expand.evaluations(study, describe)
    rows = plan.plan(study, planned, root, probe_steps=probe)
    output.plan(study.study, plan.totals(rows, study.resources), rows, json=json)
    room = SCHEDULERS[study.resources.cluster].limits(study.resources).room
    for line in points.idle(study) + plan.warnings(rows, planned, room):
        output.note(f"warning: {line}")
    limit = plan.limit(study.resources, max_accelerator_days)
    plan.check_limit(rows, limit)


@app.command(cls=ListingCommand)
def submit(
    spec: Spec,
    values: Values = None,
    settings: Settings = None,
    profile: Profile = None,
    cluster: Annotated[str | None, typer.Option(metavar="NAME", help="Where jobs run:")] = None,
    max_accelerator_days: Annotated[
        float | None, typer.Option(help="Refuse (exit 1) a study that needs more.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress until the last run has ended.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before queued runs are cancelled.")
    ] = False,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Run what is missing of a study, or has failed; what is done is left alone."""
    from bench.cli import progress
    from bench.data import sources
    from bench.run.init import Inits
    from sweeps import expand, submit
    from sweeps import spec as specs
    from sweeps.forecast import plan

    chosen = [*(values or ()), *(settings or ())] + (
        [f"resources.cluster={cluster}"] if cluster else []
    )
    study, folder = specs.load(spec, chosen, profile, sources.names())
    describe = sources.describe_from(folder)
    with specs.naming(spec):
        planned = expand.expand(study, describe, Inits(folder, root / study.study))
        wanted = expand.evaluations(study, describe)
    limit = plan.limit(study.resources, max_accelerator_days)

    def agree(before: "StudyStatus", removed: "list[RunStatus]") -> None:
        if limit is not None:
            states = {run.run_id: run.state for run in before.runs}
            plan.check_limit(plan.plan(study, planned, root, states=states), limit)
        if removed:
            _ask(f"{len(removed)} queued runs that the spec no longer has", yes)

    done = submit.submit(study, planned, root, wanted, agree)
    if json:
        keys = ("submitted", "skipped", "cancelled", "left")
        lists = {key: getattr(done, key) for key in keys}
        output.document({"study": study.study, **lists, "evaluations": done.evaluations})
    output.note(
        f"study {study.study}: {len(done.submitted)} runs submitted, "
        f"{len(done.skipped)} left alone (done, running or queued)"
        + f", {done.evaluations} evaluations" * bool(study.evaluations)
        + f", {len(done.cancelled)} cancelled" * bool(done.cancelled)
        + f", {len(done.left)} left for the next submit: the queue is full" * bool(done.left)
    )
    if not wait:
        output.note(f"next: scalestudy status {root / study.study} --watch")
        return
    problems = progress.wait(done.study_dir)
    for problem in problems:
        output.note(problem)
    if problems:
        raise typer.Exit(1)


@app.command()
def status(
    study: Study,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until all have ended.")] = False,
    where: Where = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Show the state of every run: from the disk first, from the scheduler second."""
    from bench.cli import progress
    from sweeps import status

    folder = study_dir(study, root)
    if watch and not json:
        progress.watch(folder, where or ())
        return
    found = progress.only(status.study_status(folder), folder, where or ())
    totals = {"runs": len(found.runs), **status.counts(found.runs)}
    rows = [run.as_json() for run in found.runs]
    output.status(folder.name, totals, rows, found.analysis, json=json)
    for name in found.held.unanswered:
        output.note(f"{name.capitalize()} does not answer: what it was given counts as queued")


@app.command()
def cancel(
    study: Study,
    run: Annotated[list[str] | None, typer.Argument(metavar="RUN")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Cancel what is queued or running, of a study or of the runs named; they save and stop."""
    from sweeps import cancel

    folder = study_dir(study, root)
    found = cancel.cancellable(folder, run or ())
    if found:
        _ask(f"{len(found)} runs", yes)
    ids = cancel.cancel(folder, run or ())
    if json:
        output.document({"study": folder.name, "cancelled": ids})
    output.note(f"study {folder.name}: {len(ids)} runs cancelled")


@app.command(cls=ListingCommand)
def evaluate(
    study: Study,
    protocol: Annotated[str, typer.Option(help="What to measure.")],
    source: Annotated[
        str | None, typer.Option("--data", help="A data set other than the runs' own:")
    ] = None,
    shots: Annotated[
        str | None, typer.Option(help="Images of each class, such as 1,5; default 1,5,10,25.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Draws of these images; default 0,1,2.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any option of the protocol, such as shots=[1,5]."
        ),
    ] = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Evaluate what has been trained: each finished run, unless its result is there already."""
    from bench.cli import progress
    from sweeps import status

    wanted = request(protocol, source, {"shots": shots, "seeds": seeds}, settings or ())
    from bench.protocols import base, evaluations

    folder = study_dir(study, root)
    done = [run for run in status.status(folder) if run.state == "done"]
    if not done:
        raise base.EvaluationError(f"{folder}: no run is done; nothing can be evaluated")
    found = []
    for run in progress.track(done, "evaluating"):
        found += evaluations.evaluate_run(folder / run.run_id, wanted)
    varied = [name for name in wanted.options.cases()[0] if name != "seed"]
    output.evaluations([run.as_json() for run in done], found, varied, json=json)


@app.command()
def train(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run's folder.")],
) -> None:
    """Train one run in this process, as a job does; an interrupted run resumes."""
    from bench.run.config import read_run
    from sweeps.jobs.job import start_logging

    read_run(run_dir)
    start_logging()
    from bench.training.loop import train
    from bench.training.signals import Stopped

    try:
        train(run_dir)
    except Stopped as stopped:
        output.note(f"{stopped}; the same command resumes from there")
        raise typer.Exit(128 + stopped.signum) from None


@app.command()
def compact(study: Studies, root: Root = RUNS, json: Json = False) -> None:
    """Merge the many small files of studies into few, also while their runs are at work."""
    from bench.cli import ledger

    ledger.compact([study_dir(name, root) for name in study], json=json)


@app.command()
def trace(
    study: Study,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run's id, or its beginning.")
    ] = None,
    where: Where = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Show where a run's rows are from: code, environment, hosts, seeds, images, attempts."""
    from bench.cli import ledger

    folder = study_dir(study, root)
    if where:
        ledger.trace_chosen(folder, run, where, json=json)
    elif run is None:
        raise typer.BadParameter("missing RUN: expected a run's id, or --where")
    else:
        ledger.trace(folder, run, json=json)


def _ask(what: str, yes: bool) -> None:
    """Ask before something is cancelled; raise Abort on no, SettingError without a terminal."""
    from bench.run.errors import SettingError

    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingError(f"{what} would be cancelled; give --yes")
    typer.confirm(f"Cancel {what}?", abort=True, err=True)
