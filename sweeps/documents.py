"""YAML files: read safely and strictly, written without aliases."""

import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_000_000
# Of a date that does not exist PyYAML says ValueError, of a thousand brackets RecursionError.
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)

Values = dict[str, Any]


class SpecError(Exception):
    """A spec is missing, unreadable or wrong; the message names file, key and value."""


class _Dumper(yaml.SafeDumper):
    """YAML without aliases, which `load` refuses."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and aliases, and reads 1e-3 as a number."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise SpecError(f"line {event.start_mark.line + 1}: an alias, expected plain values")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise SpecError(f"line {key_node.start_mark.line + 1}: given {key}, expected a key")
            if key in seen:
                line = key_node.start_mark.line + 1
                raise SpecError(f"line {line}: {key} is given twice, expected once")
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read(path: Path) -> Values:
    """Return the keys and values of a YAML file; raise SpecError naming file and line."""
    text = path.read_bytes()
    if len(text) > MAX_BYTES:
        raise SpecError(f"{path}: {len(text)} bytes, expected at most {MAX_BYTES}")
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    except NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise SpecError(f"{path}:{where} {getattr(error, 'problem', error)}") from error
    if not isinstance(values, dict):
        raise SpecError(f"{path}: given {type(values).__name__}, expected keys such as study, base")
    return values


def value(text: str, setting: str) -> Any:
    """Return the value of a `key=value` setting; raise SpecError."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except NOT_YAML as error:
        raise SpecError(f"{setting}: {text!r} is not a YAML value") from error


def write(values: Values) -> str:
    """Return the values as YAML that `read` reads back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
