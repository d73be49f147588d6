"""The verb `plot`: which figure is drawn of which rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench import show
from bench.answers import AnswerError, Question, load, select
from results import plot as plots
from results import reference, scores

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


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
        return _Rows(PAPER[published](), question.metrics, None)
    runs, evals = select(load(studies), question)
    if evals is None:
        return _Rows(runs, question.metrics, None if beside is None else beside())
    if beside is not None:
        raise AnswerError("--with-published: of evaluations the paper has no figures to lay beside")
    runs, metrics = scores.wide(runs, evals, question.metrics)
    if not metrics:
        raise AnswerError("no evaluation is of this kind; see scalebench table --evals")
    return _Rows(runs, metrics, None)


PAPER = {"table5": reference.table5, "table6": reference.table6}


def _frontier(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> tuple[plots.Figure, int]:
    """Compute against error, Figure 5 of the ViT paper; of its own rows in its own count."""
    rows = _rows(studies, question, reference.table6 if with_published else None, published)
    usual = "train_flops" if published is None else "train_flops_valid"
    cost = question.costs[0] if question.costs else usual
    return plots.frontiers(rows.runs, rows.metrics, cost=cost, published=rows.published), len(
        rows.runs
    )


def _data_scale(
    studies: Sequence[Path], question: Question, with_published: bool, published: str | None
) -> tuple[plots.Figure, int]:
    """Training images against accuracy, Figures 3 and 4 of the ViT paper."""
    rows = _rows(studies, question, reference.table5 if with_published else None, published)
    return plots.data_scales(rows.runs, rows.metrics, published=rows.published), len(rows.runs)


KINDS = {"frontier": _frontier, "data-scale": _data_scale}
