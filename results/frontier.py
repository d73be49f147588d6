"""Pareto frontiers of cost and error, and which points dominate the others."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations, formatting
from results.columns.pareto import frontier as frontier
from results.columns.pareto import settled


def _dominators(
    cost: npt.NDArray[np.float64], error: npt.NDArray[np.float64], names: npt.NDArray[np.object_]
) -> tuple[npt.NDArray[np.bool_], list[tuple[object, ...]]]:
    """Return the frontier's mask, and the members that dominate each point, cheapest first."""
    cost, error = settled(cost), settled(error)
    on = frontier(cost, error)
    members = np.flatnonzero(on)
    members = members[np.lexsort((names[members].astype(str), cost[members]))]
    beaten = []
    for c, e in zip(cost, error, strict=True):
        at_most = (cost[members] <= c) & (error[members] <= e)
        less = (cost[members] < c) | (error[members] < e)
        beaten.append(tuple(dict.fromkeys(names[members[at_most & less]])))
    return on, beaten


def mark(
    table: pd.DataFrame,
    *,
    cost: str,
    metric: str,
    by: str = "family",
    name: str | None = None,
    higher_is_better: bool | None = None,
) -> pd.DataFrame:
    """Mark the rows on the frontier of `cost` and `metric`, over all rows and within each `by`.

    Adds `on_frontier` and `on_{by}_frontier`, and `dominated_by` and `dominated_by_in_{by}`: the
    members of that frontier which cost at most as much and are at least as good, and better in
    one of the two, the cheapest first, by their column `name` (by default the table's index).
    Rows that lack a value are on no frontier and dominated by none. The rule is `frontier`'s;
    accuracies are better when higher, losses when lower. Raises MissingColumn.

    >>> runs = reference.table6().query("epochs == 7 and family == 'vit'").set_index("label")
    >>> mark(runs, cost="train_flops_valid", metric="imagenet_accuracy").dominated_by.to_dict()
    {'ViT-B/32': (), 'ViT-B/16': ('ViT-L/32',), 'ViT-L/32': (), 'ViT-L/16': ()}
    """
    configurations.check_columns(table, [cost, metric, by, *([name] if name else [])])
    higher = formatting.higher_is_better(metric) if higher_is_better is None else higher_is_better
    costs = table[cost].to_numpy(float, na_value=np.nan)
    errors = table[metric].to_numpy(float, na_value=np.nan) * (-1 if higher else 1)
    names = (table.index if name is None else table[name]).to_numpy(object)
    on, beaten = _dominators(costs, errors, names)
    inside = np.zeros(len(table), dtype=bool)
    beaten_inside: list[tuple[object, ...]] = [()] * len(table)
    for _, rows in table.reset_index(drop=True).groupby(by, dropna=False):
        at = rows.index.to_numpy()
        inside[at], found = _dominators(costs[at], errors[at], names[at])
        for row, dominators in zip(at, found, strict=True):
            beaten_inside[row] = dominators
    marked = table.assign(on_frontier=on)
    marked[f"on_{by}_frontier"] = inside
    marked["dominated_by"] = pd.Series(beaten, index=table.index, dtype=object)
    marked[f"dominated_by_in_{by}"] = pd.Series(beaten_inside, index=table.index, dtype=object)
    return marked
