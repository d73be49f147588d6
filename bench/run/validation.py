"""Check names, and explain config errors in one line."""

import re

from pydantic import BaseModel, ValidationError

from bench.run.errors import SettingError
from results.schema import near_matches

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """Return the first complaint of `error` in one line: key, given value, expected value."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
    where = ".".join(keys)
    given = first.get("input")
    kind = first["type"]
    if kind == "json_invalid":
        return first["msg"]
    if kind == "extra_forbidden":
        return f"{where}: unknown key{_near(keys, root)}"
    if kind == "missing":
        return f"{where}: missing"
    if kind == "value_error":
        return f"{where}: {first['ctx']['error']}" if where else str(first["ctx"]["error"])
    expected = first["msg"].removeprefix("Input should be ")
    complaint = f"given {given!r}, expected {expected}"
    return f"{where}: {complaint}" if where else complaint


def _near(keys: list[str], root: type[BaseModel]) -> str:
    choices = known_keys(root, keys[:-1])
    near = near_matches(keys[-1], choices)
    return f"{near and '; '}{near} (expected one of {', '.join(choices)})"


def known_keys(root: type[BaseModel], path: list[str]) -> list[str]:
    """Return the field names of the config at `path` below `root`; [] if there is none."""
    here: type[BaseModel] = root
    for key in path:
        field = here.model_fields.get(key)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        here = inner
    return list(here.model_fields)


def check_name(name: str, what: str) -> str:
    """Return `name` if it is safe as a folder name; raise SettingError otherwise."""
    if not NAME_PATTERN.fullmatch(name):
        raise SettingError(
            f"{what}: given {name!r}, expected letters, digits, '.', '_' and '-', "
            "the first a letter or digit, at most 101"
        )
    return name
