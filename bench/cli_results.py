"""The verbs that read ledgers and answer; like all, they import what they call, inside."""

from pathlib import Path
from typing import Annotated

import typer

from bench.options import RUNS, Json, Published, Root, Studies, study_dir

app = typer.Typer()


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
        [study_dir(name, root) for name in study],
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
        [study_dir(name, root) for name in study],
        output=output,
        cost=cost,
        metric=metric,
        published=published,
    )


@app.command()
def report(
    study: Studies,
    output: Annotated[Path, typer.Option("-o", help="An .html file.")],
    cost: Annotated[str, typer.Option(help="The cost the charts show first.")] = "train_flops",
    metric: Annotated[str, typer.Option(help="The metric shown first.")] = "top1_accuracy",
    published: Published = False,
    root: Root = RUNS,
) -> None:
    """Write one HTML file that opens offline: charts, ledger, tables, costs, provenance."""
    from bench import answers

    answers.report(
        [study_dir(name, root) for name in study],
        output=output,
        cost=cost,
        metric=metric,
        published=published,
    )
