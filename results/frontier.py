"""Which points nothing else beats in both cost and error, and what beats the others."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations, formatting

TIE_BITS = 40  # values that agree in so many binary digits (1e-12) tie: a mean's rounding is less


def settled(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The values (N,) without the digits in which two ways of adding up may differ.

    >>> 0.1 + 0.2 == 0.3, bool(settled([0.1 + 0.2]) == settled([0.3]))
    (False, True)
    """
    mantissas, exponents = np.frexp(np.asarray(values, dtype=float))
    return np.ldexp(np.round(np.ldexp(mantissas, TIE_BITS)), exponents - TIE_BITS)


def frontier(cost: npt.ArrayLike, error: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """The mask (N,) of the points on the Pareto frontier of cost and error (N,), both minimised.

    A point is on it if no other has both at most as large and at least one of them smaller. So of
    two points with equal error only the cheaper one is on it, and exact duplicates both are or
    both are not. Values that agree to 1e-12 are equal. A point with a null, NaN or infinite value
    is never on it. Raises ValueError where the lengths differ.

    >>> frontier([55, 224, 196], [0.1927, 0.1585, 0.1563])  # B/32, B/16, L/32 of the ViT paper
    array([ True, False,  True])
    """
    costs, errors = settled(cost), settled(error)
    if costs.ndim != 1 or costs.shape != errors.shape:
        raise ValueError(f"given cost {costs.shape} and error {errors.shape}, expected (N,) twice")
    on = np.zeros(len(costs), dtype=bool)
    known = np.flatnonzero(np.isfinite(costs) & np.isfinite(errors))
    order = known[np.lexsort((errors[known], costs[known]))]
    best_cost, best_error = np.nan, np.inf
    for point in order:
        if errors[point] < best_error:
            best_cost, best_error = costs[point], errors[point]
        on[point] = (costs[point], errors[point]) == (best_cost, best_error)
    return on


def _dominators(
    cost: npt.NDArray[np.float64], error: npt.NDArray[np.float64], names: npt.NDArray[np.object_]
) -> tuple[npt.NDArray[np.bool_], list[tuple[object, ...]]]:
    """The frontier's mask, and for each point the members that beat it, the cheapest first."""
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
    """`table` with what is on the frontier of `cost` and `metric`, over all rows and within `by`.

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
