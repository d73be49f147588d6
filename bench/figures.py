"""The verb `plot`: which figure is drawn of which rows."""

from collections.abc import Sequence
from pathlib import Path

from bench import show
from bench.answers import AnswerError, load
from results import plot as plots
from results import reference

KINDS = ("frontier", "data-scale")
FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


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
    runs = load(studies).runs
    if kind == "frontier":
        paper = reference.table6() if published else None
        axes = plots.frontier(runs, cost=cost, metric=metric, published=paper)
    else:
        paper = reference.table5() if published else None
        axes = plots.data_scale(runs, metric=metric, published=paper)
    plots.save(axes, output)
    show.note(f"{output}: {len(runs)} runs")
