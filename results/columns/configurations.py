"""Runs that differ in their seed only, as one row: mean, standard deviation, number."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import formatting
from results.columns.families import LOOKS
from results.schema import ResultsError, of_role, suggestion

THEIRS = ", ViT paper"  # after a family of the paper's runs, where it stands beside a study's
# Two runs are of one configuration if they agree in model and these columns: they then differ in
# their seed only. What else a run has follows from these or is measured.
CONFIGURATION = (
    "dataset",
    "train_examples",
    "epochs",
    "image_size",
    "recipe",
    "init",
    "batch_size",
    "params",
    "study",
)
ORDER = ("family", "params", "train_examples", "epochs")


class MissingColumn(ResultsError):
    """A table lacks a column that was asked for."""


def check_columns(runs: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise MissingColumn unless `runs` has all of `names`."""
    for name in names:
        if name not in runs:
            raise MissingColumn(f"column {name!r} is missing; {suggestion(name, map(str, runs))}")


def model_column(runs: pd.DataFrame) -> str:
    """Return the column that names the models: `label`, or `model` without labels."""
    has_labels = "label" in runs and runs["label"].notna().all()
    return "label" if has_labels or "model" not in runs else "model"


def ids(runs: pd.DataFrame, apart_from: Sequence[str] = ()) -> npt.NDArray[np.int64]:
    """Return the number of each run's configuration, (N,), in the order of their first runs.

    Runs that differ in nothing but the seed and the columns of `apart_from` share one. Where no
    column tells configurations apart, every run is its own.

    >>> ids(pd.DataFrame({"model": ["a", "a", "b"], "seed": [0, 1, 0]}))
    array([0, 0, 1])
    """
    wanted = ("label", "model", *CONFIGURATION)
    columns = [name for name in wanted if name in runs and name not in apart_from]
    if not columns:
        return np.arange(len(runs), dtype=np.int64)
    return runs.groupby(columns, dropna=False, sort=False).ngroup().to_numpy().astype(np.int64)


def difference(column: str, value: object) -> str:
    """Return what tells a configuration from others of its model, in few letters.

    >>> difference("train_examples", 9e6), difference("epochs", 14.0)
    ('9M images', '14 ep')
    """
    if column in ("train_examples", "params"):
        unit = "images" if column == "train_examples" else "params"
        return f"{formatting.short_count(float(str(value)))} {unit}"
    if column in ("epochs", "image_size"):
        return f"{value:g} {'ep' if column == 'epochs' else 'px'}"
    return str(value)


def varying(
    runs: pd.DataFrame, within: Sequence[str], among: Sequence[str] = CONFIGURATION
) -> tuple[str, ...]:
    """Model and columns of `among` that still differ between runs which agree in `within`."""
    asked = [name for name in (model_column(runs), *among) if name in runs and name not in within]
    asked = [name for name in asked if runs[name].nunique(dropna=False) > 1]
    distinct = runs[list(dict.fromkeys([*within, *asked]))].drop_duplicates()
    found: list[str] = []
    for name in asked:
        groups = distinct.groupby([*within, *found], dropna=False)[name]
        if (groups.nunique(dropna=False) > 1).any():
            found.append(name)
    return tuple(found)


def _family_order(family: pd.Series) -> pd.Series:
    order = {name: place for place, name in enumerate(LOOKS)}
    return family.map(order).fillna(len(order))


def in_order(runs: pd.DataFrame) -> pd.DataFrame:
    """Sort `runs` by family, then model size, then training images, as far as known."""
    by = [name for name in ORDER if name in runs]
    if not by:
        return runs
    keys = runs[by].copy()
    if "family" in keys:
        keys["family"] = _family_order(keys["family"])
    if "params" in keys:
        keys["params"] = keys["params"].groupby(runs[model_column(runs)]).transform("min")
    return runs.loc[keys.sort_values(by, kind="stable").index]


def over_seeds(
    runs: pd.DataFrame,
    by: Sequence[str],
    metric: str,
    costs: Sequence[str] = (),
    aggregate: str = "mean",
) -> pd.DataFrame:
    """One row per `by`: means of `costs`, and `{metric}_mean`, `{metric}_std`, `{metric}_n`.

    `_n` counts the finished runs with a score, `_std` is the sample standard deviation (ddof 1),
    NaN for one run. What a run that did not finish had cost or scored does not count, nor what is
    not finite. With another `aggregate` (median, min, max) its column is named after it. Raises
    MissingColumn.
    """
    check_columns(runs, [*by, metric, *costs])
    runs = runs.reset_index(drop=True)
    values = runs[[*costs, metric]].astype(float)
    values = values.where(np.isfinite(values))
    if "state" in runs:
        beforehand = {"image_size", *(one.name for one in of_role("size"))}
        measured = [name for name in values if name not in beforehand]
        values.loc[runs["state"].notna() & (runs["state"] != "done"), measured] = np.nan
    groups = pd.concat([runs[list(by)], values.add_prefix("value ")], axis=1)
    grouped = groups.groupby(list(by), dropna=False, sort=False)
    scores = grouped[f"value {metric}"]
    table = {name: grouped[f"value {name}"].mean() for name in costs} | {
        f"{metric}_{aggregate}": scores.agg(aggregate),
        f"{metric}_std": scores.std(ddof=1),
        f"{metric}_n": scores.count(),
    }
    # Of a million runs only the few that differ in something are put in order.
    named = [name for name in (*ORDER, model_column(runs)) if name in runs]
    distinct = in_order(runs[list(dict.fromkeys([*by, *named]))].drop_duplicates())
    order = grouped.ngroup()[distinct.index].drop_duplicates()
    return pd.DataFrame(table).iloc[order].reset_index()
