"""The verb `plot`: read what a figure is drawn from, draw it, write it to a file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.cli import ledgers
from bench.cli import output as show
from bench.cli.table import AnswerError, Question, select
from results import plot as plots
from results.columns import filters, scores
from results.comparison import lines
from results.figures.frontier import cost_column
from results.figures.kinds import KINDS, FigureData, FigureKind
from results.ledger import parquet

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


def plot(
    kind: str,
    studies: Sequence[Path],
    question: Question,
    *,
    output: Path,
    with_published: bool = False,
    published: str | None = None,
) -> None:
    """Draw a figure of some studies into `output`, a .png, .pdf or .svg.

    Several metrics or evaluations stand side by side. `published` is a table of the ViT paper to
    draw instead of a study. Raises AnswerError.
    """
    if kind not in KINDS:
        raise AnswerError(f"plot: given {kind!r}, expected one of {', '.join(KINDS)}")
    if output.suffix.lower() not in FIGURE_SUFFIXES:
        raise AnswerError(f"-o: given {output}, expected a name in {', '.join(FIGURE_SUFFIXES)}")
    chosen = KINDS[kind]
    if chosen.reads == "measurements":
        data = FigureData(_measurements(kind, studies, question))
    else:
        beside = ledgers.PAPER[chosen.published]() if with_published and chosen.published else None
        data = _runs(studies, question, beside, published)
        if chosen.takes_cost and question.costs:
            data = replace(data, cost=lines.cost(data.rows, data.cost))
        data = replace(data, published=_drawable(data, chosen))
    plots.save(chosen.draw(data), output)
    _note_unused(chosen, question, with_published)
    show.note(f"{output}: {len(data.rows)} rows")


def _runs(
    studies: Sequence[Path],
    question: Question,
    beside: pd.DataFrame | None,
    published: str | None,
) -> FigureData:
    """Return the runs of studies, or of a table of the paper, with the columns to draw.

    Raises AnswerError.
    """
    if published is not None:
        rows = filters.select(ledgers.published(published, studies), None, question.where)[0]
        return _own_scores(rows, question, None, "train_flops_valid")
    runs, evals = select(ledgers.load(studies), question)
    if evals is None:
        return _own_scores(runs, question, beside, "train_flops")
    if beside is not None:
        raise AnswerError("--with-published: of evaluations the paper has no figures to lay beside")
    runs, metrics = scores.wide(runs, evals, question.metrics)
    if not metrics:
        raise AnswerError("no evaluation is of this kind; see scalestudy table --evals")
    return FigureData(runs, metrics, _cost(question, "train_flops"))


def _own_scores(
    runs: pd.DataFrame, question: Question, beside: pd.DataFrame | None, usual_cost: str
) -> FigureData:
    """Return runs with their own scores; metrics may have the short names of `compare`."""
    known = dict.fromkeys([*runs, *(() if beside is None else beside)])
    columns = pd.DataFrame(columns=list(known))
    metrics = tuple(lines.column(columns, name) for name in question.metrics)
    return FigureData(runs, metrics, _cost(question, usual_cost), beside)


def _cost(question: Question, usual: str) -> str:
    return question.costs[0] if question.costs else usual


def _drawable(data: FigureData, kind: FigureKind) -> pd.DataFrame | None:
    """Return the paper's rows if they have the columns of the figure; note what they lack."""
    if data.published is None:
        return None
    lacking = [name for name in data.metrics if name not in data.published]
    if kind.takes_cost and cost_column(data.published, data.cost) not in data.published:
        lacking.append(data.cost)
    if not lacking:
        return data.published
    show.note(f"without {data.published.attrs['label']}, which has no {' and no '.join(lacking)}")
    return None


def _measurements(kind: str, paths: Sequence[Path], question: Question) -> pd.DataFrame:
    """Return the rows of Parquet files, or of folders of them. Raises AnswerError."""
    files = [
        file
        for path in paths
        for file in ([path] if path.is_file() else sorted(path.glob("*.parquet")))
    ]
    if not files:
        raise AnswerError(f"plot {kind}: expected Parquet files, or a folder: runs/throughput")
    table = pd.DataFrame([row for file in files for row in parquet.read_rows(file)])
    return filters.select(table, None, question.where)[0]


def _note_unused(kind: FigureKind, question: Question, with_published: bool) -> None:
    """Note the options that were given and have no effect on this kind of figure."""
    options = []
    if question.costs and not kind.takes_cost:
        options.append("--cost")
    if with_published and kind.published is None:
        options.append("--with-published")
    if len(question.metrics) > 1 and not kind.takes_metrics:
        options.append("more than one --metric")
    for option in options:
        show.note(f"plot {kind.name}: {option} has no effect")
