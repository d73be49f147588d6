"""What the verb `evaluate` is asked for, as a request, and what its help lists."""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.run.protocols import EvaluationRequest


def request(
    protocol: str, data: str | None, given: Mapping[str, str | None], settings: Iterable[str]
) -> "EvaluationRequest":
    """Return the request for words of the command line; raises SettingError.

    `given` are the options that have a flag of their own, lists of whole numbers.
    """
    from bench.data import sources
    from bench.run.errors import SettingError
    from bench.run.protocols import OPTIONS, check_options, resolve
    from sweeps.recipes import named

    if protocol not in OPTIONS:
        expected = ", ".join(OPTIONS)
        raise SettingError(f"--protocol: given {protocol!r}, expected one of {expected}")
    values: dict[str, Any] = {"protocol": protocol, "data": data}
    for name, text in given.items():
        if text is not None:
            values[name] = numbers(text, f"--{name}", 0 if name == "seeds" else 1)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise SettingError(f"--set {setting}: expected key=value")
        values[key] = _value(text)
    return resolve(check_options(named.of_evaluation(values)), sources.describe)


def numbers(text: str, option: str, least: int) -> list[int]:
    """Return the whole numbers in "1,5,10", none below `least`; raises SettingError."""
    from bench.run.errors import SettingError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) >= least for part in parts):
        raise SettingError(
            f"{option}: given {text!r}, expected whole numbers from {least} on, such as 1,5,10"
        )
    return [int(part) for part in parts]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
