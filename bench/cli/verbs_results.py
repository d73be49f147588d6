"""The verbs that show what a ledger contains; like all, they import what they call, inside."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.lists import ListingCommand, Verbs
from bench.cli.options import (
    RUNS,
    Json,
    Metric,
    Metrics,
    PublishedRuns,
    Root,
    Studies,
    StudiesIfAny,
    Where,
    WithPublished,
    study_dir,
)
from results.figures.kinds import KINDS

app = Verbs()
Evals = Annotated[bool, typer.Option("--evals", help="Scores of evaluations, such as few-shot.")]


@app.command(cls=ListingCommand)
def table(
    study: StudiesIfAny = None,
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
    metric: Metrics = None,
    cost: Annotated[list[str] | None, typer.Option(help="Columns of costs:")] = None,
    aggregate: Annotated[
        str, typer.Option(help="Over seeds: mean, median, min, max or best.")
    ] = "mean",
    evals: Evals = False,
    where: Where = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", help="A file instead of the screen; a missing folder is made."),
    ] = None,
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
    output: Annotated[
        Path, typer.Option("-o", help="A .png, .pdf or .svg file; a missing folder is made.")
    ],
    study: StudiesIfAny = None,
    cost: Annotated[str | None, typer.Option(help="The cost axis of frontier:")] = None,
    metric: Metrics = None,
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
    output: Annotated[Path, typer.Option("-o", help="An .html file; a missing folder is made.")],
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
