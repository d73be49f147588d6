"""The command line: each verb imports what it calls, inside, so that starting up costs little."""

import errno
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bench import cli_models, cli_results, show
from bench.options import RUNS, Json, Profile, Root, Settings, Spec, Study, study_dir

# The verbs in the order of a study.
SECTIONS = {
    "Models and cost": ("models", "cost", "throughput", "convert"),
    "Studies": ("plan", "submit", "status", "cancel", "train", "evaluate", "compact", "trace"),
    "Answers": ("table", "plot", "fit", "compare", "next", "report"),
    "This machine": ("doctor",),
}

# A path that the user could have given better; other errors of the disk are failures.
BAD_PATH = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class Sections(TyperGroup):
    """Help with the verbs in sections, each with its whole first line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                helps = [(self.commands[name].help or "").split("\n\n")[0] for name in names]
                formatter.write_dl(list(zip(names, helps, strict=True)))


app = typer.Typer(
    name="scalebench",
    cls=Sections,
    # Plain help, for importing rich's costs more than all the rest of it.
    rich_markup_mode=None,
    help="Scaling studies of image classifiers (ViT, hybrid, BiT-ResNet): what they cost, what "
    "they reach, in one ledger.\n\nStart with: scalebench submit demo --wait, then scalebench "
    "table demo.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_models.app)
app.add_typer(cli_results.app)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"scalebench {version('scalebench')}")
        raise typer.Exit


@app.callback(help=app.info.help)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Takes the options that no verb has."""


@app.command()
def plan(
    spec: Spec,
    settings: Settings = None,
    profile: Profile = None,
    max_accelerator_days: Annotated[
        float | None, typer.Option(help="Refuse (exit 1) a study that needs more.")
    ] = None,
    probe: Annotated[
        int,
        typer.Option(min=0, metavar="STEPS", help="Train so many steps of what was not measured."),
    ] = 0,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Show every run of a study with its cost, before anything is submitted."""
    from sweeps import expand, limits, plan
    from sweeps import spec as specs

    study, folder = specs.load(spec, settings or (), profile)
    with specs.naming(spec):
        runs = expand.expand(study, folder)
    rows = plan.plan(study, runs, root, probe)
    show.plan(study.study, plan.totals(rows, study.resources), rows, json=json)
    room = limits.ask(study.resources).room
    for line in plan.warnings(rows, expand.resources(study, runs), room):
        show.note(f"warning: {line}")
    limit = max_accelerator_days or study.resources.max_accelerator_days
    plan.check_limit(rows, limit)


@app.command()
def submit(
    spec: Spec,
    settings: Settings = None,
    profile: Profile = None,
    cluster: Annotated[
        str | None, typer.Option(help="local or slurm; default: what the spec says.")
    ] = None,
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
    from sweeps import expand, plan, progress, submit
    from sweeps import spec as specs

    chosen = list(settings or ()) + ([f"resources.cluster={cluster}"] if cluster else [])
    study, folder = specs.load(spec, chosen, profile)
    with specs.naming(spec):
        runs = expand.expand(study, folder)
    limit = max_accelerator_days or study.resources.max_accelerator_days
    if limit is not None:
        plan.check_limit(plan.plan(study, runs, root), limit)
    removed = [run.run_id for run in submit.removed(root / study.study, runs)]
    if removed:
        _ask(f"{len(removed)} queued runs that the spec has no more", yes)
    done = submit.submit(study, runs, root, expand.evaluations(study, folder), removed)
    if json:
        keys = ("submitted", "skipped", "cancelled", "left")
        lists = {key: getattr(done, key) for key in keys}
        show.document({"study": study.study, **lists, "evaluations": done.evaluations})
    show.note(
        f"study {study.study}: {len(done.submitted)} runs submitted, "
        f"{len(done.skipped)} left alone (done, running or queued)"
        + f", {done.evaluations} evaluations" * bool(study.evaluations)
        + f", {len(done.cancelled)} cancelled" * bool(removed)
        + f", {len(done.left)} left for the next submit: the queue is full" * bool(done.left)
    )
    if not wait:
        show.note(f"next: scalebench status {root / study.study} --watch")
        return
    problems = progress.wait(done.study_dir)
    for problem in problems:
        show.note(problem)
    if problems:
        raise typer.Exit(1)


@app.command()
def status(
    study: Study,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until all have ended.")] = False,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Show the state of every run: from the disk first, from the scheduler second."""
    from sweeps import progress, status

    folder = study_dir(study, root)
    if watch and not json:
        progress.watch(folder)
        return
    found = status.study_status(folder)
    totals = {"runs": len(found.runs), **status.counts(found.runs)}
    rows = [run.as_json() for run in found.runs]
    show.status(folder.name, totals, rows, found.analysis, json=json)
    if not found.held.is_answered:
        show.note("Slurm does not answer: what it was given counts as queued")


@app.command()
def cancel(
    study: Study,
    run: Annotated[list[str] | None, typer.Argument(metavar="[RUN…]")] = None,
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
    ids = cancel.cancel(folder, [one.run_id for one in found]) if found else []
    if json:
        show.document({"study": folder.name, "cancelled": ids})
    show.note(f"study {folder.name}: {len(ids)} runs cancelled")


@app.command()
def evaluate(
    study: Study,
    protocol: Annotated[str, typer.Option(help="fewshot: ridge regression on few images.")],
    source: Annotated[
        str | None, typer.Option("--data", help="Another data set than the runs' own.")
    ] = None,
    shots: Annotated[str, typer.Option(help="Images of each class.")] = "1,5,10,25",
    seeds: Annotated[str, typer.Option(help="Draws of these images.")] = "0,1,2",
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Evaluate what has been trained: each finished run, unless its result is there already."""
    from bench import data, evaluations, fewshot, protocols
    from sweeps import progress, status

    evaluations.check_protocol(protocol)
    wanted = protocols.FewShot(
        data=None if source is None else data.describe(source),
        shots=fewshot.parse_numbers(shots, "--shots"),
        seeds=fewshot.parse_numbers(seeds, "--seeds"),
    )
    folder = study_dir(study, root)
    done = [run for run in status.status(folder) if run.state == "done"]
    if not done:
        raise evaluations.EvaluationError(f"{folder}: no run is done; nothing can be evaluated")
    found = []
    for run in progress.track(done, "evaluating"):
        found += evaluations.evaluate_run(folder / run.run_id, wanted)
    show.evaluations([run.as_json() for run in done], found, json=json)


@app.command()
def train(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run's folder.")],
) -> None:
    """Train one run in this process, as a job does; an interrupted one goes on."""
    from bench.config import read_run
    from sweeps.job import start_logging

    read_run(run_dir)
    start_logging()
    from bench.signals import Stopped
    from bench.train import train

    try:
        train(run_dir)
    except Stopped as stopped:
        show.note(f"{stopped}; the same command goes on from there")
        raise typer.Exit(128 + stopped.signum) from None


def _ask(what: str, yes: bool) -> None:
    """Goes on if the user agrees that something is cancelled; without a terminal none can."""
    from bench.errors import ConfigError

    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"{what} would be cancelled; give --yes")
    typer.confirm(f"Cancel {what}?", abort=True, err=True)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits: 0 done, 1 the work failed, 2 what was given is wrong."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=arguments or ["--help"], prog_name="scalebench", standalone_mode=False)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        show.note("interrupted; what was submitted goes on")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except typer.TyperException as error:
        # Usage errors say more in format_message, which the public base class lacks.
        _refuse(getattr(error, "format_message", error.__str__)())
    except Exception as error:
        from bench.errors import BenchError
        from models import ModelsError
        from results.compact import NotWritten
        from results.schema import NoAnswer, ResultsError
        from sweeps.plan import LimitExceeded
        from sweeps.probe import ProbeFailed
        from sweeps.slurm import SlurmError
        from sweeps.spec import SpecError

        if isinstance(error, LimitExceeded | NoAnswer | NotWritten | ProbeFailed | SlurmError):
            show.note(f"scalebench: {error}")
            sys.exit(1)
        if isinstance(error, BenchError | ModelsError | ResultsError | SpecError):
            _refuse(str(error))
        if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
            show.note(f"scalebench: {error.filename or 'output'}: {error.strerror}")
            sys.exit(2 if error.errno in BAD_PATH else 1)
        raise
    sys.exit(code or 0)


def _refuse(message: str) -> NoReturn:
    """One line on standard error, exit 2."""
    show.note("scalebench: " + " ".join(message.split()))
    sys.exit(2)
