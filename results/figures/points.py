"""Points of a figure: one per configuration, with its standard deviation, count and label."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from results.columns import configurations, formatting
from results.schema import ResultsError

SMALLEST_ERROR = 1e-3  # where a point without error is drawn if there is no other
NO_ERROR = 1e-12  # rounding error of 1 - 1.0


class NothingToDraw(ResultsError):
    """Error raised where no run has the columns that a figure shows."""


def _texts(points: pd.DataFrame, varied: Sequence[str]) -> list[str]:
    """Return a label per point: the model, what varies between its points, n if it is fewer."""
    models = points.groupby("model", dropna=False)
    differs = {name: models[name].transform("nunique", dropna=False) > 1 for name in varied}
    texts, most = [], points["n"].max()
    for at, row in enumerate(points.to_dict("records")):
        shown = [name for name in varied if differs[name].iat[at]]
        parts = [str(row["model"]), *(configurations.difference(name, row[name]) for name in shown)]
        if row["n"] < most:
            parts.append(f"n = {row['n']}")
        texts.append(", ".join(parts))
    return texts


def _points(
    runs: pd.DataFrame, metric: str, across: str, by: Sequence[str], varied: Sequence[str]
) -> pd.DataFrame:
    """Return one row per model and `by`: `family`, `model`, `x`, `mean`, `std`, `n`, `text`.

    `x` is the mean of `across`; the text names what is in `varied`. Raises MissingColumn, and
    NothingToDraw where no configuration has both x and a mean.
    """
    configurations.check_columns(runs, [across, metric])
    runs = runs.assign(model=runs[configurations.model_column(runs)])
    if "family" not in runs:
        runs = runs.assign(family="")
    keys = list(dict.fromkeys(["family", "model", *by]))
    points = configurations.over_seeds(runs, keys, metric, [] if across in keys else [across])
    points = points.rename(columns={f"{metric}_{part}": part for part in ("mean", "std", "n")})
    points["x"] = points[across].astype(float)
    scored, paid = points["mean"].notna(), points["x"] > 0
    drawable = scored & paid
    if not drawable.any():
        raise NothingToDraw(
            f"nothing to draw: of {len(points)} configurations ({len(runs)} runs), "
            f"{(~scored).sum()} have no finished run with {metric}, "
            f"{(scored & ~paid).sum()} have one, but no {across}"
        )
    points = points[drawable].reset_index(drop=True)
    points["text"] = _texts(points, varied)
    return points


def of_error(runs: pd.DataFrame, metric: str, cost: str) -> pd.DataFrame:
    """Return points of `error` over `cost`, with `y`, where it is drawn, and `down`, the lower bar.

    The error is 1 - accuracy, or the loss itself. A logarithmic axis has no zero: a point without
    error is drawn below all others, with a text that says so. Raises MissingColumn and
    NothingToDraw.
    """
    configurations.check_columns(runs, [cost, metric])
    varied = configurations.varying(runs, [configurations.model_column(runs)])
    points = _points(runs, metric, cost, varied, varied)
    error = 1 - points["mean"] if formatting.higher_is_better(metric) else points["mean"]
    some = error > NO_ERROR
    floor = error[some].min() / 2 if some.any() else SMALLEST_ERROR
    y = error.where(some, floor)
    text = points["text"].where(some, points["text"] + ", no error")
    return points.assign(error=error, y=y, down=np.minimum(points["std"], 0.9 * y), text=text)


def by_data_scale(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return points of `metric` against training images, with `line`, the number of a point's line.

    A line is a model and whatever else was varied at one training-set size; also a data set,
    where one of them comes in several sizes. Raises MissingColumn and NothingToDraw.
    """
    size = "train_examples"
    configurations.check_columns(runs, [size, metric])
    varied = list(configurations.varying(runs, [configurations.model_column(runs), size]))
    if "dataset" in runs and "dataset" not in varied:
        sizes = runs.groupby("dataset")[size].nunique()
        varied += ["dataset"] if len(sizes) > 1 and sizes.max() > 1 else []
    points = _points(runs, metric, size, [*varied, size], varied)
    groups = points.groupby(["family", "model", *varied], dropna=False, sort=False)
    return points.assign(line=groups.ngroup())
