"""Configurations of each group of runs, and the line of cost against score through them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import configurations as summary
from results.columns.families import LOOKS
from results.schema import ResultsError, suggestion

Floats = npt.NDArray[np.float64]
EDGE = 1e-12  # relative; a value this close to the end of a line is on it


class UnknownGroup(ResultsError):
    """Error raised for a group without runs."""


def column(runs: pd.DataFrame, name: str) -> str:
    """Return the column of that name, or the accuracy that it abbreviates.

    `column(reference.table6(), "real")` is "imagenet_real_accuracy". Raises MissingColumn.
    """
    if name in runs:
        return name
    full = [known for known in map(str, runs) if known.endswith(f"{name}_accuracy")]
    exact = [known for known in full if known == f"{name}_accuracy"] or full
    if len(exact) != 1:
        summary.check_columns(runs, [name])
    return exact[0]


def cost(runs: pd.DataFrame, name: str) -> str:
    """Return the column of that name, or the only one that begins or ends with it as a word.

    `cost(runs, "energy")` is "energy_joules". Of two of which one ends with the other, the shorter
    is meant: "seen" is "examples_seen", not "init_examples_seen". Raises MissingColumn.
    """
    if name in runs:
        return name
    full = [c for c in map(str, runs) if c.startswith(f"{name}_") or c.endswith(f"_{name}")]
    shortest = min(full, key=len, default="")
    if not full or not all(c == shortest or c.endswith(f"_{shortest}") for c in full):
        summary.check_columns(runs, [name])
    return shortest


def _names(table: pd.DataFrame, model: str, varied: list[str]) -> list[str]:
    """Return a name per row: the model, and what varies between the rows of this model."""
    parts = [table[model].astype(str).tolist()]
    for name in varied:
        differs = table.groupby(model)[name].transform("nunique", dropna=False) > 1
        values = zip(table[name], differs, strict=True)
        parts.append([summary.difference(name, v) if d and pd.notna(v) else "" for v, d in values])
    return [", ".join(filter(None, texts)) for texts in zip(*parts, strict=True)]


def _rounded(values: pd.Series) -> Floats:
    """Round to 12 digits, so that means do not depend on the order of summation."""
    return np.array([float(f"{value:.12g}") for value in values], dtype=float)


def configurations(runs: pd.DataFrame, *, metric: str, x: str, by: str = "family") -> pd.DataFrame:
    """Return one row per configuration, which is everything but the seed, by ascending x.

    Columns: `group` (the value of `by`), `label`, `name` (unique, as "ViT-L/16, 14 ep"), `x` and
    `y` (means over the seeds), `n` and `scores` (of each run), and what varies. Only finished
    runs that have both count, and a row that is there twice counts once. Raises MissingColumn.
    """
    model = summary.model_column(runs)
    summary.check_columns(runs, [metric, x, by, model])
    if "state" in runs:
        runs = runs[runs["state"].isna() | (runs["state"] == "done")]
    values = runs[[x, metric]].apply(pd.to_numeric).astype(float)
    runs = runs[np.isfinite(values).all(axis=1) & (values[x] > 0)]
    varied = list(summary.varying(runs, [by, model]))
    keys = list(dict.fromkeys([by, model, *varied]))
    same = [name for name in ("run_id", "seed") if name in runs]
    runs = runs.drop_duplicates(list(dict.fromkeys([*keys, *same, x, metric])))
    grouped = runs.sort_values([metric, x]).groupby(keys, dropna=False, sort=False)
    table = grouped.agg(
        x_mean=(x, "mean"), y_mean=(metric, "mean"), scores=(metric, tuple)
    ).reset_index()
    table["group"] = table[by].fillna("").astype(str)
    table["label"] = table[model].astype(str)
    table["name"] = _names(table, model, [name for name in varied if name in table])
    table["x"], table["y"] = _rounded(table.pop("x_mean")), _rounded(table.pop("y_mean"))
    table["n"] = table["scores"].map(len)
    return table.sort_values(["x", "y", "group", "name"]).reset_index(drop=True)


def select(table: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """Return the configurations of a group, of a model, or the one of that name.

    `wanted` is a group ("vit"), a displayed family ("ResNet"), a label ("ViT-L/16"), a
    name ("ViT-L/16, 14 ep") or a label with epochs ("ViT-L/16@14"); case does not matter.
    Raises UnknownGroup.
    """
    text = wanted.casefold()
    families = {look.title.casefold(): name for name, look in LOOKS.items()}
    keys = [table["group"], table["label"], table["name"]]
    if "model" in table:
        keys.append(table["model"])
    if "epochs" in table:
        epochs = table["epochs"].map(lambda value: "" if pd.isna(value) else f"@{value:g}")
        keys.append(table["label"] + epochs)
    for key in keys:
        lower = key.astype(str).str.casefold()
        found = lower == (families.get(text, text) if key is keys[0] else text)
        if found.any():
            return table[found].reset_index(drop=True)
    known = list(dict.fromkeys([*table["group"], *table["label"], *table["name"]]))
    raise UnknownGroup(f"{wanted!r}: no finished run has it; {suggestion(wanted, known)}")


@dataclass(frozen=True)
class Polyline:
    """A line through points of ascending x, linear in y against log x, without extrapolation.

    `x` and `y` (K,); `sign` is 1 where a higher y is better and -1 where a lower one is.
    """

    x: Floats
    y: Floats
    sign: int

    def at(self, x: npt.ArrayLike) -> Floats:
        """Return y at x (M,), NaN outside of the line."""
        return _between(np.log(np.asarray(x, dtype=float)), np.log(self.x), self.y)

    def reach(self, y: npt.ArrayLike) -> Floats:
        """Return the x at which a frontier reaches y (M,), NaN outside of its range."""
        wanted = self.sign * np.asarray(y, dtype=float)
        return np.exp(_between(wanted, self.sign * self.y, np.log(self.x)))


def _between(wanted: Floats, known: Floats, values: Floats) -> Floats:
    if not len(known):
        return np.full(np.shape(wanted), np.nan)
    margin = EDGE * np.maximum(np.abs(known[[0, -1]]), 1e-3)
    inside = (wanted >= known[0] - margin[0]) & (wanted <= known[-1] + margin[1])
    return np.where(inside, np.interp(wanted, known, values), np.nan)


def frontier_line(x: Floats, y: Floats, sign: int) -> Polyline:
    """Return the line through the Pareto frontier (`frontier.frontier`) of points (N,)."""
    order = np.lexsort((-sign * y, x))
    best = np.maximum.accumulate(sign * y[order])
    on = order[:1] if len(x) < 2 else order[np.append(True, best[1:] > best[:-1])]
    return Polyline(x[on], y[on], sign)


def best_line(x: Floats, y: Floats, sign: int) -> Polyline:
    """Return the line through the best y at each x of points (N,)."""
    order = np.lexsort((-sign * y, x))
    xs, first = np.unique(x[order], return_index=True)
    return Polyline(xs, y[order][first], sign)


def cheapest(table: pd.DataFrame, accuracy: float, sign: int = 1) -> pd.Series | None:
    """Return the configuration that reaches an accuracy at the least cost, the better of equals.

    `table` is that of `configurations`; None if none reaches it.
    """
    enough = table[sign * table["y"] >= sign * accuracy - EDGE]
    ranked = enough.assign(_=-sign * enough["y"]).sort_values(["x", "_", "name"])
    return None if ranked.empty else ranked.drop(columns="_").iloc[0]


def best(table: pd.DataFrame, cost: float, sign: int = 1) -> pd.Series | None:
    """Return the best configuration of at most this cost, the cheaper of equals, or None."""
    paid = table[table["x"] <= cost * (1 + EDGE)]
    ranked = paid.assign(_=-sign * paid["y"]).sort_values(["_", "x", "name"])
    return None if ranked.empty else ranked.drop(columns="_").iloc[0]
