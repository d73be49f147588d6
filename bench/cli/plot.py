"""The verb `plot`: which figure is drawn of which rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.cli import output as show
from bench.cli.table import (
    AnswerError,
    Question,
    load,
    select,
    where,
)
from results import fit, reference
from results import plot as plots
from results.columns import configurations, scores
from results.comparison import lines
from results.figures import laws as plot_laws
from results.figures import throughput
from results.laws import isoflop
from results.ledger import parquet

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


_Made = tuple[plots.Drawing, int]  # and of how many rows it is


@dataclass(frozen=True)
class _Rows:
    """What a figure is drawn of: runs, the columns of their scores, and the paper's beside."""

    runs: pd.DataFrame
    metrics: tuple[str, ...]
    published: pd.DataFrame | None


def plot(
    kind: str,
    studies: Sequence[Path],
    question: Question,
    *,
    output: Path,
    with_published: bool = False,
    published: str | None = None,
) -> None:
    """Draws a figure of some studies into `output`, a .png, .pdf or .svg.

    Several metrics or evaluations stand side by side. `published` is a table of the ViT paper to
    draw instead of a study. Raises AnswerError.
    """
    if kind not in KINDS:
        raise AnswerError(f"plot: given {kind!r}, expected one of {', '.join(KINDS)}")
    if output.suffix.lower() not in FIGURE_SUFFIXES:
        raise AnswerError(f"-o: given {output}, expected a name in {', '.join(FIGURE_SUFFIXES)}")
    figure, num_rows = KINDS[kind](studies, question, with_published, published)
    plots.save(figure, output)
    show.note(f"{output}: {num_rows} rows")


def _rows(
    studies: Sequence[Path],
    question: Question,
    beside: Callable[[], pd.DataFrame] | None,
    published: str | None,
) -> _Rows:
    if published is not None:
        if published not in PAPER or studies:
            expected = f"{' or '.join(PAPER)}, without STUDY"
            raise AnswerError(f"--published: given {published!r}, expected {expected}")
        return _of_runs(PAPER[published](), question, None)
    runs, evals = select(load(studies), question)
    if evals is None:
        return _of_runs(runs, question, None if beside is None else beside())
    if beside is not None:
        raise AnswerError("--with-published: of evaluations the paper has no figures to lay beside")
    runs, metrics = scores.wide(runs, evals, question.metrics)
    if not metrics:
        raise AnswerError("no evaluation is of this kind; see scalestudy table --evals")
    return _Rows(runs, metrics, None)


def _of_runs(runs: pd.DataFrame, question: Question, beside: pd.DataFrame | None) -> _Rows:
    """The rows of runs with their own scores, whose names may be short as those of `compare`."""
    known = dict.fromkeys([*runs, *(() if beside is None else beside)])
    columns = pd.DataFrame(columns=list(known))
    return _Rows(runs, tuple(lines.column(columns, name) for name in question.metrics), beside)


def _beside(rows: _Rows, cost: str | None = None) -> pd.DataFrame | None:
    """The paper's rows if they have what the figure shows; what they lack is said."""
    if rows.published is None:
        return None
    lacking = [name for name in rows.metrics if name not in rows.published]
    if cost is not None and plots.paid_in(rows.published, cost) not in rows.published:
        lacking.append(cost)
    if not lacking:
        return rows.published
    show.note(f"without {rows.published.attrs['label']}, which has no {' and no '.join(lacking)}")
    return None


PAPER = {"table5": reference.table5, "table6": reference.table6}


def _frontier(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> _Made:
    """Compute against error, Figure 5 of the ViT paper; of its own rows in its own count."""
    rows = _rows(studies, question, reference.table6 if with_published else None, published)
    usual = "train_flops" if published is None else "train_flops_valid"
    cost = question.costs[0] if question.costs else usual
    beside = _beside(rows, cost)
    return plots.frontiers(rows.runs, rows.metrics, cost=cost, published=beside), len(rows.runs)


def _data_scale(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> _Made:
    """Training images against accuracy, Figures 3 and 4 of the ViT paper."""
    rows = _rows(studies, question, reference.table5 if with_published else None, published)
    return plots.data_scales(rows.runs, rows.metrics, published=_beside(rows)), len(rows.runs)


def _fit(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> _Made:
    """A law per family, with its bands, those of the paper's runs after those of the study."""
    rows = _rows(studies, question, reference.table6 if with_published else None, published)
    usual = "train_flops" if published is None else "train_flops_valid"
    cost = question.costs[0] if question.costs else usual
    laws = fit.fit_groups(rows.runs, x=cost, metric=rows.metrics[0])
    if (beside := _beside(rows, cost)) is not None:
        paid = beside.assign(**{cost: beside[plots.paid_in(beside, cost)]})
        theirs = fit.fit_groups(paid, x=cost, metric=rows.metrics[0])
        laws |= {f"{name}{configurations.THEIRS}": made for name, made in theirs.items()}
    return plot_laws.fit_panels(laws), len(rows.runs)


def _isoflop(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> _Made:
    """Error over parameters at equal compute, with the minima."""
    rows = _rows(studies, question, None, published)
    budget = question.costs[0] if question.costs else "train_flops"
    found = isoflop.profiles(rows.runs, budget=budget, metric=rows.metrics[0])
    ax = plot_laws.isoflop(found, metric=rows.metrics[0], budget=budget)
    return ax, len(rows.runs)


def _throughput(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> _Made:
    """Images a second and the largest batch, Figure 12 of the ViT paper; of Parquet files."""
    files = [
        file
        for path in studies
        for file in ([path] if path.is_file() else sorted(path.glob("*.parquet")))
    ]
    if not files:
        raise AnswerError("plot throughput: expected Parquet files, or a folder: runs/throughput")
    table = pd.DataFrame([row for file in files for row in parquet.read_rows(file)])
    for text in question.where:
        key, _, value = text.partition("=")
        table = where(table, key, value)
    return throughput.throughput(table), len(table)


KINDS = {
    "frontier": _frontier,
    "data-scale": _data_scale,
    "fit": _fit,
    "isoflop": _isoflop,
    "throughput": _throughput,
}
