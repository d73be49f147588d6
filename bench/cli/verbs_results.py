"""The verbs that read ledgers and answer; like all, they import what they call, inside."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.lists import ListingCommand, Verbs
from bench.cli.options import (
    RUNS,
    Json,
    Level,
    Metric,
    Replicas,
    Root,
    Studies,
    Study,
    Where,
    WithPublished,
    positive,
    study_dir,
)
from results.figures.kinds import KINDS

app = Verbs()
PublishedRuns = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE", help="Use the ViT paper's runs instead of studies: table5 or table6."
    ),
]
Evals = Annotated[bool, typer.Option("--evals", help="Scores of evaluations, such as few-shot.")]


@app.command(cls=ListingCommand)
def table(
    study: Annotated[
        list[str] | None, typer.Argument(metavar="STUDY", help="Studies, by name or by folder.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", help="Format: text, markdown, latex, csv or html.")
    ] = "text",
    form: Annotated[
        str | None, typer.Option(help="Layout of the ViT paper's table2, table5 or table6.")
    ] = None,
    rows: Annotated[
        list[str] | None, typer.Option(help="Columns of the ledger: label,train_examples.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="Columns to stand side by side: dataset, shots.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Columns of metrics.  [default: top1_accuracy]")
    ] = None,
    cost: Annotated[list[str] | None, typer.Option(help="Columns of costs:")] = None,
    aggregate: Annotated[
        str, typer.Option(help="Over seeds: mean, median, min, max or best.")
    ] = "mean",
    evals: Evals = False,
    where: Where = None,
    output: Annotated[Path | None, typer.Option("-o", help="A file instead of the screen.")] = None,
    with_published: WithPublished = False,
    published: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="Show the ViT paper's own table instead of studies: table2, table5 or table6.",
        ),
    ] = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Compare the runs of studies: cost and accuracy, mean ± standard deviation over seeds."""
    from bench.cli import table as answers

    answers.table(
        [study_dir(name, root) for name in study or ()],
        answers.Question(
            rows=answers.names(rows),
            columns=answers.names(columns),
            metrics=answers.names(metric) or ("top1_accuracy",),
            costs=answers.names(cost),
            aggregate=aggregate,
            form=form,
            where=tuple(where or ()),
            evals=evals,
        ),
        format="json" if json else format,
        output=output,
        with_published=with_published,
        published=published,
    )


class PlotCommand(ListingCommand):
    """Help of `plot`, with a section that lists the kinds of figures."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Kinds"):
            formatter.write_dl([(kind.name, kind.help) for kind in KINDS.values()])


@app.command(cls=PlotCommand)
def plot(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="A kind of figure, from the list below."),
    ],
    output: Annotated[Path, typer.Option("-o", help="A .png, .pdf or .svg file.")],
    study: Annotated[
        list[str] | None, typer.Argument(metavar="STUDY", help="Studies, by name or by folder.")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="The cost axis of frontier:")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Columns of metrics or data sets, an axes each."),
    ] = None,
    evals: Evals = False,
    where: Where = None,
    with_published: WithPublished = False,
    published: PublishedRuns = None,
    root: Root = RUNS,
) -> None:
    """Draw a figure of studies: error over compute, accuracy over data, laws, measured speed."""
    from bench.cli import plot as figures
    from bench.cli import table as answers

    figures.plot(
        kind,
        [study_dir(name, root) for name in study or ()],
        answers.Question(
            metrics=answers.names(metric) or ("top1_accuracy",),
            costs=answers.names([cost] if cost else None),
            where=tuple(where or ()),
            evals=evals,
        ),
        output=output,
        with_published=with_published,
        published=published,
    )


@app.command(cls=ListingCommand)
def report(
    study: Studies,
    output: Annotated[Path, typer.Option("-o", help="An .html file.")],
    cost: Annotated[str, typer.Option(help="The cost the charts show first:")] = "train_flops",
    metric: Metric = "top1_accuracy",
    where: Where = None,
    with_published: WithPublished = False,
    root: Root = RUNS,
) -> None:
    """Write one HTML file that opens offline: charts, ledger, tables, costs, provenance."""
    from bench.cli import table as answers

    answers.report(
        [study_dir(name, root) for name in study],
        output=output,
        cost=cost,
        metric=metric,
        published=with_published,
        where=where or (),
    )


@app.command()
def fit(
    study: Annotated[
        list[str] | None, typer.Argument(metavar="STUDY", help="Studies, by name or by folder.")
    ] = None,
    x: Annotated[str, typer.Option(help="The column of x: a cost, params, train_examples.")] = (
        "train_flops"
    ),
    metric: Metric = "top1_accuracy",
    form: Annotated[
        str,
        typer.Option(help="Law: auto, power, shifted, saturating or double_saturating."),
    ] = "auto",
    by: Annotated[list[str] | None, typer.Option(help="Columns of a group: family.")] = None,
    at: Annotated[
        list[float] | None, typer.Option(callback=positive, help="Predict the error at this x.")
    ] = None,
    points: Annotated[str, typer.Option(help="Runs to fit: all, or frontier (Pareto's).")] = "all",
    isoflop: Annotated[
        bool, typer.Option("--isoflop", help="The best size at each budget, x being the budget.")
    ] = False,
    joint: Annotated[
        bool, typer.Option("--joint", help="Size and data together, --at being budgets.")
    ] = False,
    size: Annotated[str, typer.Option(help="The size of --isoflop and --joint.")] = "params",
    data: Annotated[str, typer.Option(help="The data of --joint.")] = "examples_seen",
    replicas: Replicas = 1000,
    level: Level = 0.9,
    constants: Annotated[
        bool, typer.Option("--constants", help="Fit the points behind published constants again.")
    ] = False,
    where: Where = None,
    with_published: WithPublished = False,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Fit error = a·(C + d)^-b + e or a simpler form, with intervals, hold-out and warnings."""
    from bench.cli import fit as fits

    if constants:
        fits.constants(replicas=replicas, level=level, json=json)
        return
    folders = [study_dir(name, root) for name in study or ()]
    groups, places = by or ["family"], at or []
    chosen = where or ()
    common = {"metric": metric, "replicas": replicas, "level": level}
    if isoflop:
        fits.profiles(
            folders, by=groups, at=places, json=json, where=chosen, size=size, budget=x, **common
        )
    elif joint:
        fits.joint(
            folders, by=groups, at=places, json=json, where=chosen, n=size, d=data, cost=x, **common
        )
    else:
        fits.law(
            folders,
            by=groups,
            at=places,
            published=with_published,
            json=json,
            where=chosen,
            x=x,
            form=form,
            points=points,
            **common,
        )


@app.command(cls=ListingCommand)
def compare(
    study: Annotated[
        list[str] | None, typer.Argument(metavar="STUDY", help="Studies, by name or by folder.")
    ] = None,
    families: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two families, models or single runs: vit bit, ViT-L/16 hybrid, ViT-L/16@14 bit."
        ),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="A metric's column, or a data set as imagenet.")
    ] = "top1_accuracy",
    cost: Annotated[
        str | None, typer.Option(help="A cost's column, by default training FLOPs:")
    ] = None,
    at_accuracy: Annotated[
        float | None, typer.Option(help="Costs at this value of the metric: 0.85.")
    ] = None,
    at_cost: Annotated[
        float | None, typer.Option(callback=positive, help="Values at this cost: 1e21.")
    ] = None,
    level: Level = 0.9,
    replicas: Replicas = 1000,
    method: Annotated[
        str, typer.Option(help="What is compared: frontier (the best runs) or law (fitted laws).")
    ] = "frontier",
    where: Where = None,
    with_published: WithPublished = False,
    published: PublishedRuns = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Frontiers, compute at equal accuracy, crossings: who is ahead, with intervals."""
    from bench.cli import compare as comparisons

    runs = comparisons.runs_of(
        [study_dir(name, root) for name in study or ()], published, with_published, where or ()
    )
    question = comparisons.ComparisonQuestion(
        families=families,
        metric=metric,
        cost=cost,
        accuracy=at_accuracy,
        budget=at_cost,
        level=level,
        replicas=replicas,
        method=method,
    )
    comparisons.answer(runs, question, json=json)


@app.command(name="next")
def propose(
    study: Study,
    budget_days: Annotated[
        float, typer.Option(callback=positive, help="What may be spent, in accelerator-days.")
    ],
    question: Annotated[
        str, typer.Option(help="What to narrow: ratio, crossing or law.")
    ] = "ratio",
    families: Annotated[tuple[str, str], typer.Option(help="Two families of the registry.")] = (
        "vit",
        "bit",
    ),
    metric: Metric = "top1_accuracy",
    x: Annotated[
        str, typer.Option(help="The axis: train_flops or train_examples.")
    ] = "train_flops",
    at: Annotated[
        float | None,
        typer.Option(callback=positive, help="The error of a ratio, or the x of a law."),
    ] = None,
    level: Level = 0.9,
    where: Where = None,
    output: Annotated[Path | None, typer.Option("-o", help="A .yaml file for the spec.")] = None,
    root: Root = RUNS,
    json: Json = False,
) -> None:
    """Propose the runs that would narrow an interval most per cost, as a spec for submit."""
    from bench.cli import ledgers, next
    from bench.data import sources
    from results.comparison import design as propose
    from results.ledger.files import write_bytes
    from sweeps import spec as specs
    from sweeps.forecast import candidates

    folder = study_dir(study, root)
    spec, runs = candidates.read(folder)
    wide = candidates.widen(spec, runs, families)
    possible, rows, known = candidates.costs(wide, folder.resolve().parent, sources.describe)
    if not known:
        raise propose.ProposeError(
            f"{folder}: no run has a cost in accelerator-days yet; one must be done first"
        )
    asked = next.Asked(question, families, metric, x, at, level, budget_days)
    made = next.find(ledgers.runs([folder], where or ()), rows, asked)
    text = specs.dump(candidates.only(wide, [possible[row] for row in made.chosen]))
    if output is not None:
        write_bytes(output, text.encode())
    next.show_all(made, [rows[row] for row in made.chosen], text, output, json=json)
