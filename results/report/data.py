"""The ledger as compact columns that the report's page reads."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from results.columns import configurations, families, formatting
from results.figures import style
from results.schema import Role, column, of_role, protocol_keys

# Of a run's columns by their roles: axes of the charts, and what the ledger shows first.
AXES: tuple[Role, ...] = ("cost", "size", "scale", "performance")
SHOWN_FIRST: tuple[Role, ...] = (
    "identity",
    "scale",
    "setting",
    "state",
    "metric",
    "cost",
    "provenance",
)
SYMBOLS = {
    "o": "circle",
    "D": "diamond",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
}
DIGITS = 7  # of floating-point numbers: more than any chart or cell shows
IDENTITY = ("study", "run_id")
MISSING = -1  # the code of an unknown value


def _plain(value: Any) -> str | int | float | bool | None:
    """Convert a cell to JSON; unknown and non-finite values are null."""
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return str(value)


def encode(values: pd.Series) -> list[Any] | dict[str, Any]:
    """Encode a column in few bytes: `{"of": [...], "at": [...]}` for repeated values, else a list.

    >>> encode(pd.Series(["a", "a", None, "b", "a", "b"], dtype="string"))
    {'of': ['a', 'b'], 'at': [0, 0, -1, 1, 0, 1]}
    """
    codes, distinct = pd.factorize(values)
    if 2 * len(distinct) > len(values):
        return [_plain(value) for value in values.astype(object)]
    plain = [_plain(value) for value in distinct.astype(object)]
    if len(plain) == 1 and (codes == 0).all():
        return {"all": plain[0]}
    known = np.array([*(value is not None for value in plain), False])
    return {"of": plain, "at": np.where(known[codes], codes, MISSING).tolist()}


def _inner_keys() -> tuple[str, ...]:
    """Return the columns that distinguish evaluations of one protocol, data set and metric."""
    return ("split", *protocol_keys(), "lr", "image_size")


def _words(name: str, value: Any) -> str:
    known = {"split": f"{value}", "shots": f"{value} shots", "image_size": f"{value} px"}
    return known.get(name, f"{name} {value}")


def _evaluation_name(key: Sequence[Any], varying: Sequence[bool]) -> str:
    """Return the displayed name of an evaluation: "fewshot digits, 5 shots, top-1"."""
    protocol, dataset, *inner, metric = key
    parts = [f"{protocol} {dataset}"]
    wanted = zip(_inner_keys(), inner, varying, strict=True)
    parts += [_words(n, value) for n, value, varies in wanted if varies and not pd.isna(value)]
    return ", ".join([*parts, formatting.name(str(metric))])


def add_evaluations(runs: pd.DataFrame, evals: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Add a column per evaluation to `runs`; return the table and the columns' names.

    A value is the mean over the draws (seeds) of one evaluation at its last step. The upstream
    protocol is left out: `runs` has it.
    """
    found = evals[(evals["protocol"] != "upstream") & evals["value"].notna()]
    if found.empty:
        return runs, []
    inner = _inner_keys()
    found = found.assign(**{name: None for name in inner if name not in found})
    by = ["protocol", "dataset", *inner, "metric"]
    last = found.groupby([*IDENTITY, *by], dropna=False)["step"].transform("max")
    found = found[found["step"].isna() | (found["step"] == last)]
    varying = [True if c == "shots" else found[c].nunique(dropna=False) > 1 for c in inner]
    groups = found.groupby([*IDENTITY, *by], dropna=False, sort=False)["value"].mean().reset_index()
    keys = groups[by].drop_duplicates()
    names = [_evaluation_name(tuple(key), varying) for key in keys.itertuples(index=False)]
    # The ending tells the page that the numbers are fractions, as in every column of runs.
    named = keys.assign(name=[f"{n} accuracy" if "top-" in n else n for n in names])
    wide = groups.merge(named, on=by).pivot_table(
        index=list(IDENTITY), columns="name", values="value", sort=False
    )
    return runs.merge(wide.reset_index(), on=list(IDENTITY), how="left"), list(wide.columns)


def _column(name: str, values: pd.Series) -> dict[str, str | bool]:
    """Describe a column for the page: name, words, title with unit, kind, meaning.

    `prefixed` says whether its unit takes prefixes, as FLOPs do and days do not.
    """
    known = column(name)
    if formatting.is_fraction(name):
        kind = "fraction"
    elif known is not None and known.type in ("text", "bool", "time"):
        kind = known.type
    else:
        kind = "number" if pd.api.types.is_numeric_dtype(values) else "text"
    return {
        "name": name,
        "words": formatting.name(name),
        "title": formatting.name(name) if kind == "fraction" else formatting.title(name),
        "kind": kind,
        "prefixed": bool(formatting.display(name)) and formatting.unit(name) != "days",
        "meaning": known.meaning if known is not None else "",
    }


def _table(runs: pd.DataFrame) -> dict[str, Any]:
    scale = ("train_examples", "epochs", "study")
    hidden = {"configuration": configurations.ids(runs), "line": configurations.ids(runs, scale)}
    data = {str(name): encode(runs[name]) for name in runs if runs[name].notna().any()}
    return {"count": len(runs), "data": data | {k: encode(pd.Series(v)) for k, v in hidden.items()}}


def _families(frames: Sequence[pd.DataFrame]) -> list[dict[str, str]]:
    found = {str(name) for frame in frames for name in frame["family"].dropna().unique()}
    known = [name for name in families.LOOKS if name in found]
    made = []
    for name in [*known, *sorted(found - set(known))]:
        color, marker = style.style(name)
        words = families.title(name)
        made.append({"name": name, "words": words, "color": color, "symbol": SYMBOLS[marker]})
    return made


def payload(
    runs: pd.DataFrame,
    evals: pd.DataFrame,
    published: Mapping[str, pd.DataFrame],
    *,
    cost: str,
    metric: str,
) -> dict[str, Any]:
    """Return everything the page draws and lists; it shows `cost` and `metric` first.

    `published` holds the paper's runs for the charts "frontier" and "scale".
    """
    ordered = configurations.in_order(runs.reset_index(drop=True))
    wide, measured = add_evaluations(ordered, evals)
    known = [str(name) for name in wide if wide[name].notna().any()]
    metrics = {one.name for one in of_role("metric")}
    own = [name for name in known if name.endswith("accuracy") or name in metrics]
    several = runs["study"].nunique() > 1
    first = [one.name for one in of_role(*SHOWN_FIRST, shown="report") if one.name in known]
    return {
        "columns": [_column(name, wide[name]) for name in known],
        "shown": (["study"] if several else []) + first,
        "axes": [
            one.name for one in of_role(*AXES) if one.name in known and one.unit != "fraction"
        ],
        "metrics": list(dict.fromkeys([*own, *measured])),
        "cost": cost,
        "metric": metric,
        "families": _families([wide, *published.values()]),
        "runs": _table(wide),
        "published": {
            chart: _table(frame) | {"label": frame.attrs.get("label", "published")}
            for chart, frame in published.items()
        },
    }


def to_json(value: Any) -> str:
    """Write compact JSON that can neither end its script element nor begin a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
