"""Kinds of figures that `scalestudy plot KIND` draws, and the dictionary that lists them.

Drawing functions import what they draw with when they are called, so that the command line can
list the kinds without loading matplotlib or pandas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Drawing = Figure | Axes


@dataclass(frozen=True, eq=False)
class FigureData:
    """Rows that a figure is drawn from, and the columns that it shows.

    `rows` are runs, of studies or of a table of the paper, or measurements of speed. `published`
    are the paper's runs to draw beside them; None where there are none to draw.
    """

    rows: "pd.DataFrame"
    metrics: tuple[str, ...] = ()
    cost: str = "train_flops"
    published: "pd.DataFrame | None" = None


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure: its name on the command line, what it shows, how it is drawn.

    `takes_cost` and `takes_metrics` (several, side by side) say which options have an effect;
    `published` names the table of the ViT paper that `--with-published` draws beside a study.
    """

    name: str
    help: str
    draw: "Callable[[FigureData], Drawing]"
    takes_cost: bool = False
    takes_metrics: bool = False
    published: Literal["table5", "table6"] | None = None
    reads: Literal["studies", "measurements"] = "studies"


def _frontier(data: FigureData) -> "Drawing":
    from results.figures import frontier

    return frontier.frontiers(data.rows, data.metrics, cost=data.cost, published=data.published)


def _data_scale(data: FigureData) -> "Drawing":
    from results.figures import data_scale

    return data_scale.data_scales(data.rows, data.metrics, published=data.published)


def _fit(data: FigureData) -> "Drawing":
    from results import fit
    from results.columns import configurations
    from results.figures import frontier, laws

    found = fit.fit_groups(data.rows, x=data.cost, metric=data.metrics[0])
    if data.published is not None:
        paid = data.published[frontier.cost_column(data.published, data.cost)]
        paper = data.published.assign(**{data.cost: paid})
        theirs = fit.fit_groups(paper, x=data.cost, metric=data.metrics[0])
        found |= {f"{name}{configurations.THEIRS}": made for name, made in theirs.items()}
    return laws.fit_panels(found)


def _isoflop(data: FigureData) -> "Drawing":
    from results.figures import laws
    from results.laws import isoflop

    found = isoflop.profiles(data.rows, budget=data.cost, metric=data.metrics[0])
    return laws.isoflop(found, metric=data.metrics[0], budget=data.cost)


def _throughput(data: FigureData) -> "Drawing":
    from results.figures import throughput

    return throughput.throughput(data.rows)


KINDS = {
    kind.name: kind
    for kind in (
        FigureKind(
            "frontier",
            "Error over compute with the Pareto frontier, as Figure 5 of the ViT paper.",
            _frontier,
            takes_cost=True,
            takes_metrics=True,
            published="table6",
        ),
        FigureKind(
            "data-scale",
            "Accuracy over training images, a line per model, as its Figures 3 and 4.",
            _data_scale,
            takes_metrics=True,
            published="table5",
        ),
        FigureKind(
            "fit",
            "A scaling law per family with its bands; see scalestudy fit.",
            _fit,
            takes_cost=True,
            published="table6",
        ),
        FigureKind(
            "isoflop",
            "Error over parameters at equal compute, with the best sizes.",
            _isoflop,
            takes_cost=True,
        ),
        FigureKind(
            "throughput",
            "Images per second and the largest batch, as Figure 12; STUDY is a Parquet file or "
            "folder of scalestudy throughput.",
            _throughput,
            reads="measurements",
        ),
    )
}
