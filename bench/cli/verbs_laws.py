"""The verbs that draw conclusions from ledgers; like all, they import what they call, inside."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.lists import ListingCommand, Verbs
from bench.cli.options import (
    RUNS,
    Json,
    Level,
    Metric,
    PublishedRuns,
    Replicas,
    Root,
    StudiesIfAny,
    Study,
    Where,
    WithPublished,
    positive,
    study_dir,
)

app = Verbs()


@app.command()
def fit(
    study: StudiesIfAny = None,
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
    study: StudiesIfAny = None,
    families: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two families, models or single runs: vit bit, ViT-L/16 hybrid, ViT-L/16@14 bit."
        ),
    ] = None,
    metric: Metric = "top1_accuracy",
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
    output: Annotated[
        Path | None, typer.Option("-o", help="A .yaml file for the spec; a missing folder is made.")
    ] = None,
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
