"""Conditions on columns, as `--where` takes them: family=vit,bit, seed!=0, epochs>=7, loss=null."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from results.columns import configurations
from results.schema import ResultsError

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
NULL = "null"
MOST_SHOWN = 8  # values of a column that a complaint lists
_PATTERN = re.compile(r"(?P<column>[^=!<>]+?)\s*(?P<operator>!=|<=|>=|=|<|>)\s*(?P<value>.*)", re.S)
_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


class FilterError(ResultsError):
    """A condition that cannot be read, does not suit its column, or that no row meets."""


@dataclass(frozen=True)
class Condition:
    """One condition: a column, how it is compared, and the value or values as they were given."""

    column: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        """Return the condition as it is typed."""
        return f"{self.column}{self.operator}{self.value}"


def parse(text: str) -> Condition:
    """Return the condition of a text such as "family=vit,bit"; raise FilterError.

    >>> parse("train_flops>=1e18")
    Condition(column='train_flops', operator='>=', value='1e18')
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None or not found["value"]:
        raise FilterError(
            f"--where: given {text!r}, expected COLUMN=VALUE, as family=vit,bit, seed!=0, "
            "epochs>=7 or energy_joules=null"
        )
    return Condition(found["column"], found["operator"], found["value"])  # type: ignore[arg-type]


def keep(rows: pd.DataFrame, condition: Condition) -> pd.DataFrame:
    """Return the rows (N,) that meet the condition, in their order.

    `=` and `!=` take several values with commas between them; a value that stands in the column
    as a whole, comma included, is one. An unknown value meets `=null` and nothing else. Raises
    MissingColumn, and FilterError where the value does not suit the column or no row is left.
    """
    configurations.check_columns(rows, [condition.column])
    column = rows[condition.column]
    if condition.operator in _ORDERS:
        value = _ordered(column, condition)
        mask = _ORDERS[condition.operator](column, value)
    else:
        mask = _equal(column, condition)
    chosen: pd.DataFrame = rows[mask.fillna(False).astype(bool)]
    if chosen.empty and not rows.empty:
        raise FilterError(f"--where {condition}: no row is left; {_what_there_is(column)}")
    return chosen


def select(
    runs: pd.DataFrame, evals: pd.DataFrame | None, texts: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the runs and evaluations that meet all conditions.

    With `evals`, a column that both have is the evaluation's, `draw` is the evaluation's seed,
    and `pretrain_dataset` the run's data set. Raises as `parse` and `keep` do.
    """
    for condition in map(parse, texts):
        name = condition.column
        own = "seed" if name == "draw" else name
        if evals is not None and own in evals and name not in ("study", "run_id", "seed"):
            evals = keep(evals, Condition(own, condition.operator, condition.value))
        else:
            of_run = name.removeprefix("pretrain_") if name not in runs else name
            runs = keep(runs, Condition(of_run, condition.operator, condition.value))
    return runs, evals


def columns_of(texts: Sequence[str]) -> set[str]:
    """Return the columns that conditions name; raise FilterError."""
    return {parse(text).column for text in texts}


def _equal(column: pd.Series, condition: Condition) -> pd.Series:
    is_whole = column.astype("string") == condition.value
    whole = bool(is_whole.fillna(False).any())
    given = [condition.value] if whole else condition.value.split(",")
    mask = pd.Series(False, index=column.index)
    for text in given:
        mask |= column.isna() if text == NULL else _same(column, text, condition).fillna(False)
    if condition.operator == "=":
        return mask
    return ~mask & (column.notna() if NULL not in given else True)


def _same(column: pd.Series, text: str, condition: Condition) -> pd.Series:
    if pd.api.types.is_bool_dtype(column):
        if text.lower() not in ("true", "false"):
            raise FilterError(f"--where {condition}: given {text!r}, expected true, false or null")
        return column == (text.lower() == "true")
    if pd.api.types.is_numeric_dtype(column):
        return column == _number(text, condition)
    return column.astype("string") == text


def _ordered(column: pd.Series, condition: Condition) -> float | pd.Timestamp:
    if pd.api.types.is_datetime64_any_dtype(column):
        try:
            moment = pd.Timestamp(condition.value)
        except ValueError:
            expected = "a date, as 2026-11-27"
            raise FilterError(_unsuited(condition, expected)) from None
        return moment if moment.tzinfo else moment.tz_localize("UTC")
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        raise FilterError(
            f"--where {condition}: {condition.column} is not a column of numbers or times, "
            "expected = or !="
        )
    return _number(condition.value, condition)


def _number(text: str, condition: Condition) -> float:
    try:
        return float(text)
    except ValueError:
        raise FilterError(_unsuited(condition, "a number", text)) from None


def _unsuited(condition: Condition, expected: str, text: str | None = None) -> str:
    given = condition.value if text is None else text
    return f"--where {condition}: given {given!r}, expected {expected}"


def _what_there_is(column: pd.Series) -> str:
    """Return what the column holds, in words: its values, or the range of many numbers."""
    known = column.dropna()
    if known.empty:
        return f"{column.name} is null everywhere"
    values = known.drop_duplicates()
    if pd.api.types.is_numeric_dtype(values) and len(values) > MOST_SHOWN:
        return f"{column.name} is between {values.min():g} and {values.max():g}"
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        texts = [f"{value:g}" for value in sorted(values)]
    else:
        texts = sorted(map(str, values))
    more = "" if len(texts) <= MOST_SHOWN else f" and {len(texts) - MOST_SHOWN} more"
    return f"{column.name} is {', '.join(texts[:MOST_SHOWN])}{more}"
