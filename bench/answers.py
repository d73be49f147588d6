"""The verbs that read a ledger and answer: `table`, `plot` and `report`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench import show
from bench.config import BenchError
from results import plot as plots
from results import reference, store
from results import table as tables
from results.files import write_whole
from results.forms import COSTS
from results.render import RENDERERS

KINDS = ("frontier", "data-scale")
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


class AnswerError(BenchError):
    """What was asked of a ledger does not exist, or there is nothing to answer from."""


def table(
    studies: Sequence[Path],
    *,
    format: str,
    metric: str = "top1_accuracy",
    output: Path | None = None,
    published: bool = False,
) -> None:
    """Prints or writes the comparison table of some studies; `format` may also be "json".

    With `published`, the ViT paper's Table 6 stands under them. Raises AnswerError.
    """
    if format not in (*RENDERERS, "json"):
        raise AnswerError(f"--format: given {format!r}, expected one of {', '.join(RENDERERS)}")
    runs, costs = _runs(studies), None
    if published:
        paper = reference.table6()
        runs = pd.concat([runs, paper.assign(dataset="JFT-300M, then ImageNet")])
        costs = [*COSTS[:2], "train_flops_valid", "accelerator_days"]
    made = tables.comparison(runs, metric=metric, costs=costs)
    if format == "json":
        rows = made.frame.astype(object).where(made.frame.notna(), None)
        show.document(rows.to_dict(orient="records"))
        return
    text = RENDERERS[format](made)
    if output is None:
        sys.stdout.write(text)
    else:
        write_whole(output, lambda file: file.write(text.encode()))
        show.note(f"{output}: {len(made.frame)} rows")


def plot(
    kind: str,
    studies: Sequence[Path],
    *,
    output: Path,
    cost: str = "train_flops",
    metric: str = "top1_accuracy",
    published: bool = False,
) -> None:
    """Draws a figure of some studies into `output`, a .png, .pdf or .svg; raises AnswerError."""
    if kind not in KINDS:
        raise AnswerError(f"plot: given {kind!r}, expected one of {', '.join(KINDS)}")
    if output.suffix not in FIGURE_SUFFIXES:
        raise AnswerError(f"-o: given {output}, expected a name in {', '.join(FIGURE_SUFFIXES)}")
    runs = _runs(studies)
    if kind == "frontier":
        paper = reference.table6() if published else None
        axes = plots.frontier(runs, cost=cost, metric=metric, published=paper)
    else:
        paper = reference.table5() if published else None
        axes = plots.data_scale(runs, metric=metric, published=paper)
    plots.save(axes, output)
    show.note(f"{output}: {len(runs)} runs")


def report(
    studies: Sequence[Path], *, output: Path, cost: str, metric: str, published: bool
) -> None:
    """Writes the report of some studies into `output`, an .html file; raises AnswerError."""
    from results import report as reports  # plotly and jinja2 are for this verb alone

    if output.suffix not in (".html", ".htm"):
        raise AnswerError(f"-o: given {output}, expected a name in .html")
    study = _load(studies)
    reports.write(study, output, cost=cost, metric=metric, published=published)
    show.note(f"{output}: {len(study.runs)} runs")


def _load(studies: Sequence[Path]) -> store.Study:
    study = store.load(studies)
    for skipped in study.skipped:
        show.note(f"skipped: {skipped}")
    if study.runs.empty:
        names = ", ".join(str(path) for path in studies)
        raise AnswerError(f"{names}: no run has ended yet; see scalebench status")
    return study


def _runs(studies: Sequence[Path]) -> pd.DataFrame:
    return _load(studies).runs
