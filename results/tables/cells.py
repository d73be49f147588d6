"""The cells of a comparison table: which score stands where, how it is written, what is best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from results.columns import families, formatting

Columns = list[tuple[str, list[str]]]  # header and texts


def keys(values: pd.Series) -> list[str]:
    """Return the values of a key column as text: thousands separated, families by name."""
    if values.name == "family":
        values = values.map(families.title)
    if values.name == "metric":
        values = values.map(formatting.header)
    known = values.notna()
    is_number = pd.api.types.is_numeric_dtype(values)

    def text(value: Any) -> str:
        if not is_number:
            return str(value)
        return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"

    return [text(value) if ok else "" for value, ok in zip(values, known, strict=True)]


def _places(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the distinct values of `names`: numbers by size, words in order of appearance."""
    found = frame[list(names)].drop_duplicates()
    ranks = [
        found[name].rank(method="dense").to_numpy(float)
        if pd.api.types.is_numeric_dtype(found[name])
        else pd.factorize(found[name], use_na_sentinel=False)[0]
        for name in reversed(names)
    ]
    return found.iloc[np.lexsort(ranks)].reset_index(drop=True) if ranks else found


@dataclass(frozen=True)
class Scores:
    """The scores of a table as arrays (R, C): its `lines` by its `sides`; NaN and None for none."""

    lines: pd.DataFrame
    sides: pd.DataFrame
    value: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    n: npt.NDArray[np.float64]
    metric: npt.NDArray[np.object_]

    @property
    def most(self) -> int:
        """The largest number of runs behind a cell."""
        return int(np.nanmax(self.n, initial=0))

    @property
    def n_is_same(self) -> bool:
        """Whether the same number of runs stands behind every cell that there is."""
        return self.n.size > 0 and np.nanmin(self.n) == np.nanmax(self.n) > 0


def arrange(
    frame: pd.DataFrame, rows: Sequence[str], columns: Sequence[str], aggregate: str
) -> Scores:
    """Arrange the scores of `frame`, one row per `rows` and `columns`, as lines and sides."""
    lines, sides = _places(frame, rows), _places(frame, columns)
    every = lines.merge(sides, how="cross") if columns else lines
    found = every.merge(frame, how="left", on=list(every.columns))
    if aggregate != "mean":
        found["value_std"] = np.nan

    def array(name: str, kind: type) -> Any:
        return found[name].to_numpy(dtype=kind).reshape(len(lines), len(sides) if columns else 1)

    return Scores(
        lines,
        sides,
        array(f"value_{aggregate}", float),
        array("value_std", float),
        array("value_n", float),
        array("metric", object),
    )


def _best(values: Sequence[float], metrics: Sequence[Any]) -> list[int]:
    """Return the indices of the best of several scores of one metric; none of a single score."""
    known = [place for place, value in enumerate(values) if np.isfinite(value)]
    if len(known) < 2 or len({metrics[place] for place in known}) > 1:
        return []
    pick = max if formatting.higher_is_better(metrics[known[0]]) else min
    best = pick(values[place] for place in known)
    return [place for place in known if values[place] == best]


def bold(scores: Scores, along_rows: bool) -> set[tuple[int, int]]:
    """Return the (row, side) of the best scores, along each row or down each column."""
    if along_rows:
        pairs = zip(scores.value, scores.metric, strict=True)
        return {(row, at) for row, pair in enumerate(pairs) for at in _best(*pair)}
    pairs = zip(scores.value.T, scores.metric.T, strict=True)
    return {(at, side) for side, pair in enumerate(pairs) for at in _best(*pair)}


def titles(sides: pd.DataFrame) -> list[str]:
    """Return the headers of the columns of scores: the values of the keys, joined."""
    parts = [
        [f"{text}-shot" if text else "" for text in keys(sides[name])]
        if name == "shots"
        else keys(sides[name])
        for name in sides
    ]
    return [", ".join(filter(None, values)) for values in zip(*parts, strict=True)]


def texts(scores: Scores, side: int) -> list[str]:
    """One column of scores; beside several, a cell of fewer runs than most says its n.

    Except n = 1 where others have a ±: the missing ± implies it.
    """
    made, told_from = [], 2 if np.isfinite(scores.std).any() else 1
    for row in range(len(scores.lines)):
        n, metric = scores.n[row, side], scores.metric[row, side]
        if not n > 0:
            made.append("")
            continue
        text = formatting.score(scores.value[row, side], scores.std[row, side], metric)
        fewer = len(scores.sides.columns) > 0 and told_from <= n < scores.most
        made.append(f"{text} (n = {n:.0f})" if fewer else text)
    return made


def costs(frame: pd.DataFrame, names: Sequence[str], places: pd.DataFrame) -> Columns:
    """Return each cost's header with unit and texts at `places`: the mean over their cells."""
    if not names:
        return []
    by = list(places.columns)
    means = frame.groupby(by, dropna=False, sort=False)[list(names)].mean().reset_index()
    found = places.merge(means, how="left", on=by)
    return [formatting.scaled(name, found[name]) for name in names]
