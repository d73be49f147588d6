"""The command line: each verb imports what it calls, inside, so that starting up costs little."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bench import show

app = typer.Typer(
    name="scalebench",
    help="Scaling studies of image classifiers (ViT, hybrid, BiT-ResNet): what they cost, what "
    "they reach, in one ledger.\n\nStart with: scalebench submit demo --wait, then scalebench "
    "table demo.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value of the spec: epochs=3, data=PATH, 'model=[vit_s16, bit_r50x1]', "
        "recipe.lr=1e-3, resources.parallel=1. May be given several times.",
    ),
]
Root = Annotated[Path, typer.Option("--root", metavar="FOLDER", help="Where studies are kept.")]
Spec = Annotated[str, typer.Argument(metavar="SPEC", help="A YAML file, or a bundled spec: demo.")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name or its folder.")]
Studies = Annotated[
    list[str], typer.Argument(metavar="STUDY…", help="Studies, by name or by folder.")
]
Published = Annotated[
    bool, typer.Option("--with-published", help="Lay the ViT paper's figures beside them.")
]
RUNS = Path("runs")


@app.command()
def models(
    name: Annotated[list[str] | None, typer.Argument(metavar="[NAME…]")] = None,
    json: Json = False,
) -> None:
    """List the registered models with their parameters and forward multiply-adds."""
    from bench import costs

    show.rows(costs.of_registry(name or ()), json=json, columns=show.MODELS)


@app.command()
def cost(
    model: Annotated[list[str] | None, typer.Argument(metavar="[MODEL…]")] = None,
    image_size: Annotated[int | None, typer.Option(help="Pixels a side.", min=1)] = None,
    num_classes: Annotated[int, typer.Option(help="Outputs of the head.", min=1)] = 1000,
    examples: Annotated[int | None, typer.Option(help="Images an epoch.", min=1)] = None,
    epochs: Annotated[float | None, typer.Option(help="Epochs of the training.")] = None,
    by_module: Annotated[
        bool, typer.Option("--by-module", help="Count module by module, with fvcore.")
    ] = False,
    published: Annotated[
        str | None,
        typer.Option(help="table6: the ViT paper's exaFLOPs beside ours; timm: its GMACs."),
    ] = None,
    json: Json = False,
) -> None:
    """Parameters, multiply-adds and FLOPs of models, and of a whole training.

    One multiply-add is 2 FLOPs, training is 3 × forward. "valid" leaves out the kernel taps that
    fall on zero padding, as the ViT paper's figures do.
    """
    from bench import costs

    names = model or []
    if published is not None:
        from bench import published as papers

        rows = papers.rows(published)
        show.rows(rows, json=json, columns=show.PUBLISHED)
        for line in papers.implausible(rows):
            show.note(f"warning: {line}")
    elif not names:
        raise typer.BadParameter("missing MODEL…, expected a registered name or --published")
    elif by_module:
        rows = costs.by_module(names, image_size, num_classes)
        show.rows(rows, json=json, columns=show.BY_MODULE)
    else:
        rows = costs.of_models(names, image_size, num_classes, examples, epochs)
        show.rows(rows, json=json, columns=show.COST)


@app.command()
def plan(
    spec: Spec,
    settings: Settings = None,
    max_accelerator_days: Annotated[
        float | None, typer.Option(help="Refuse (exit 1) a study that needs more.")
    ] = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Show every run of a study with its cost, before anything is submitted."""
    from sweeps import expand, plan
    from sweeps import spec as specs

    study, folder = specs.load(spec, settings or ())
    rows = plan.plan(study, expand.expand(study, folder), root)
    totals = plan.totals(rows)
    show.plan(study.study, totals, rows, json=json)
    for line in plan.warnings(rows, study.resources):
        show.note(f"warning: {line}")
    limit = max_accelerator_days or study.resources.max_accelerator_days
    plan.check_limit(rows, limit)


@app.command()
def submit(
    spec: Spec,
    settings: Settings = None,
    cluster: Annotated[
        str | None, typer.Option(help="local or slurm; default: what the spec says.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress until the last run has ended.")
    ] = False,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Run what is missing of a study, or has failed; what is done is left alone."""
    from sweeps import expand, plan, progress, submit
    from sweeps import spec as specs

    chosen = list(settings or ()) + ([f"resources.cluster={cluster}"] if cluster else [])
    study, folder = specs.load(spec, chosen)
    runs = expand.expand(study, folder)
    if study.resources.max_accelerator_days is not None:
        plan.check_limit(plan.plan(study, runs, root), study.resources.max_accelerator_days)
    done = submit.submit(study, runs, root)
    if json:
        show.document({"study": study.study, "submitted": done.submitted, "skipped": done.skipped})
    show.note(
        f"study {study.study}: {len(done.submitted)} runs submitted, "
        f"{len(done.skipped)} left alone (done, running or queued)"
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

    folder = _study_dir(study, root)
    if watch and not json:
        progress.watch(folder)
        return
    runs = status.status(folder)
    totals = {"runs": len(runs), **status.counts(runs)}
    show.status(folder.name, totals, [run.as_json() for run in runs], json=json)


@app.command()
def train(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="A run's folder.")],
) -> None:
    """Train one run in this process, as a job does; an interrupted one goes on."""
    from bench.config import read_run
    from sweeps.job import start_logging

    read_run(run_dir)
    start_logging()
    from bench.train import train

    train(run_dir)


@app.command()
def table(
    study: Studies,
    format: Annotated[
        str, typer.Option("--format", "-f", help="text, markdown, csv or latex.")
    ] = "text",
    metric: Annotated[str, typer.Option(help="A metric's column.")] = "top1_accuracy",
    output: Annotated[Path | None, typer.Option("-o", help="A file instead of the screen.")] = None,
    published: Published = False,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Compare the runs of studies: cost and accuracy, mean ± standard deviation over seeds."""
    from bench import answers

    answers.table(
        [_study_dir(name, root) for name in study],
        format="json" if json else format,
        metric=metric,
        output=output,
        published=published,
    )


@app.command()
def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="frontier or data-scale.")],
    study: Studies,
    output: Annotated[Path, typer.Option("-o", help="A .png, .pdf or .svg file.")],
    cost: Annotated[str, typer.Option(help="The cost axis of frontier.")] = "train_flops",
    metric: Annotated[str, typer.Option(help="A metric's column.")] = "top1_accuracy",
    published: Published = False,
    root: Root = RUNS,
) -> None:
    """Draw compute against accuracy (frontier), or data against accuracy (data-scale)."""
    from bench import answers

    answers.plot(
        kind,
        [_study_dir(name, root) for name in study],
        output=output,
        cost=cost,
        metric=metric,
        published=published,
    )


@app.command()
def throughput(
    model: Annotated[list[str], typer.Argument(metavar="MODEL…")],
    batch_sizes: Annotated[
        str, typer.Option(help="Such as 1,8,64; default on a GPU: up to the largest that fits.")
    ] = "",
    mode: Annotated[str, typer.Option(help="train or infer.")] = "train",
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    image_size: Annotated[int | None, typer.Option(help="Pixels a side.", min=1)] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    seconds: Annotated[float, typer.Option(help="Time for each batch size.", min=0)] = 5.0,
    output: Annotated[Path | None, typer.Option("-o", help="A Parquet file.")] = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Measure images a second at each batch size, memory and utilisation; rows go to Parquet."""
    from bench import throughput

    sizes = throughput.parse_sizes(batch_sizes)
    rows = []
    for name in model:
        for row in throughput.measure(
            name,
            sizes,
            mode=mode,
            precision=precision,
            image_size=image_size,
            compiled=compiled,
            seconds=seconds,
        ):
            rows.append(row)
            show.note(throughput.describe(row))
    path = throughput.write(rows, output, root)
    show.rows(rows, json=json, columns=show.THROUGHPUT)
    show.note(f"{path}: {len(rows)} rows")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A .npz or .safetensors.")],
    output: Annotated[Path, typer.Option("-o", help="A .safetensors or .npz file.")],
    image_size: Annotated[
        int | None, typer.Option(help="Resize the position embedding for it.", min=1)
    ] = None,
) -> None:
    """Turn a published checkpoint into ours, or back, without loss."""
    import models as registry

    network = registry.load_checkpoint(source, image_size=image_size)
    registry.save_checkpoint(network, output)
    show.note(f"{output}: {sum(p.numel() for p in network.parameters()):,} parameters")


@app.command()
def doctor(json: Json = False) -> None:
    """Say what this machine can do, and what is missing for a study."""
    from bench import doctor

    checks = doctor.examine()
    show.doctor(checks, json=json)
    if not all(check["ok"] for check in checks if check["needed"]):
        raise typer.Exit(1)


def _study_dir(study: str, root: Path) -> Path:
    """The folder of a study given by its name or by its path."""
    path = Path(study)
    is_study = (path / "study.json").exists() or not (root / study).is_dir()
    return path if is_study else root / study


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
        from bench.config import BenchError
        from models import ModelsError
        from results.schema import ResultsError
        from sweeps.plan import LimitExceeded
        from sweeps.spec import SpecError

        if isinstance(error, LimitExceeded):
            show.note(f"scalebench: {error}")
            sys.exit(1)
        if isinstance(error, BenchError | ModelsError | ResultsError | SpecError):
            _refuse(str(error))
        raise
    sys.exit(code or 0)


def _refuse(message: str) -> NoReturn:
    """One line on standard error, exit 2."""
    show.note("scalebench: " + " ".join(message.split()))
    sys.exit(2)
