"""The columns of every table of a study, by table and by role. Imports nothing heavy.

`TABLES` is the registry: a program adds a column with `TABLES["runs"] += (Column(...),)`.
"""

import difflib
import numbers
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from results.schema.column import Column as Column
from results.schema.column import Display as Display
from results.schema.column import Role as Role
from results.schema.column import Total as Total
from results.schema.column import Type, View
from results.schema.runs import RUNS as RUNS
from results.schema.runs import SOFTWARE as SOFTWARE
from results.schema.tables import CURVE as CURVE
from results.schema.tables import OTHERS
from results.schema.tables import STUDY_TABLES as STUDY_TABLES
from results.schema.tables import TABLES as TABLES

# 2 adds code_hash to runs and attempts. Files of any version load (`results.store`).
SCHEMA_VERSION = 2
WRITER_VERSION = "0.1.0"

Row = dict[str, Any]

EXPECTED = {
    "text": "text",
    "int": "a whole number of 64 bits",
    "float": "a number",
    "bool": "True or False",
    "time": "a datetime with a time zone",
}


class ResultsError(Exception):
    """Base of every error of this package: a table, file or figure is not what was expected."""


class NoAnswer(ResultsError):
    """What was asked is right, but the runs there are do not answer it."""


class SchemaError(ResultsError):
    """A table, column or value is not in the schema."""


# Keys of `evals` that every protocol has. The others are options of protocols, such as shots: they
# tell evaluations apart wherever scores are shown.
SHARED_KEYS = frozenset(
    {"study", "run_id", "protocol", "dataset", "split", "metric", "seed", "lr", "step"}
    | {"image_size", "manifest"}
)


def protocol_keys() -> tuple[str, ...]:
    """Return the columns of `evals` that hold options of protocols."""
    keys = (column.name for column in columns("evals") if column.key)
    return tuple(name for name in keys if name not in SHARED_KEYS)


def near_matches(name: str, choices: Iterable[str]) -> str:
    """Return a question after an unknown name, empty without a near match.

    >>> near_matches("epoch", ["epochs", "steps"])
    'did you mean epochs?'
    """
    near = difflib.get_close_matches(name, list(choices))
    return f"did you mean {' or '.join(near)}?" if near else ""


def suggestion(name: str, choices: Iterable[str]) -> str:
    """Return a hint after an unknown name: the near matches, or else all choices."""
    known = list(choices)
    return near_matches(name, known) or f"choices: {', '.join(known)}"


def columns(table: str) -> tuple[Column, ...]:
    """Return the columns of `table`; raise SchemaError for an unknown one."""
    if table not in TABLES:
        raise SchemaError(f"table {table!r} is unknown; {suggestion(table, TABLES)}")
    return TABLES[table]


def column(name: str) -> Column | None:
    """Return a column by its name, that of `runs` first; None if no table has it."""
    for known in (*TABLES.values(), OTHERS):
        for one in known:
            if one.name == name:
                return one
    return None


def of_role(*roles: Role, shown: View | None = None) -> tuple[Column, ...]:
    """Return the columns of `runs` with one of `roles`, role by role in the order given.

    With `shown` only those which that view shows by default.

    >>> [one.name for one in of_role("size", "metric", shown="report")]
    ['top1_accuracy', 'loss']
    """
    found = [one for one in columns("runs") if one.role in roles]
    found = [one for one in found if shown is None or shown in one.shown]
    return tuple(sorted(found, key=lambda one: (roles.index(one.role), one.rank)))


def _typed(value: Any, kind: Type) -> Any:
    """`value` as a plain Python value of the column's type; raises TypeError or ValueError."""
    if kind == "text" and isinstance(value, str):
        value.encode()  # lone surrogates, as of undecodable file names, cannot be stored
        return str(value)
    if kind == "bool" and (isinstance(value, bool) or type(value).__name__ == "bool"):
        return bool(value)
    if kind == "time" and isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC)
    if not isinstance(value, bool):
        if kind == "int" and isinstance(value, numbers.Integral) and int(value).bit_length() < 64:
            return int(value)
        if kind == "float" and isinstance(value, numbers.Real):
            return float(value)
    raise TypeError


def check(table: str, rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows with every column of `table` in order as plain Python values, or None.

    Numbers of numpy are accepted, whole numbers also where a float is due; times become UTC.
    Raises SchemaError naming table, row, column and value.
    """
    known = columns(table)
    names = [column.name for column in known]
    checked = []
    for number, row in enumerate(rows):
        where = f"table {table}, row {number}"
        for name in row:
            if name not in names:
                raise SchemaError(
                    f"{where}: column {name!r} is unknown; {suggestion(str(name), names)}"
                )
        made: Row = {}
        for column in known:
            value = row.get(column.name)
            if value is None:
                if column.required:
                    raise SchemaError(f"{where}: column {column.name} is missing, it has no null")
                made[column.name] = None
                continue
            try:
                made[column.name] = _typed(value, column.type)
            except (TypeError, ValueError) as error:
                raise SchemaError(
                    f"{where}: column {column.name} is given {value!r}, "
                    f"expected {EXPECTED[column.type]}"
                ) from error
        checked.append(made)
    return checked
