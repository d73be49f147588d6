"""Keys of a spec: which of them a run's config or a run's own resources have."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from bench.run.config import RunConfig
from bench.run.errors import SettingError
from bench.run.validation import known_keys
from results.schema import near_matches
from sweeps.resources import STUDY_WIDE, Resources

Values = Mapping[str, Any]


def _refuse(complaint: str, given: str, choices: list[str]) -> NoReturn:
    """Raise SettingError with near matches and all choices."""
    near = near_matches(given, choices)
    expected = f"(expected one of {', '.join(choices)})"
    raise SettingError(f"{complaint}; {near} {expected}" if near else f"{complaint}; {expected}")


def _check_own_resource(place: str, key: str, name: str) -> None:
    """Refuse what is not a resource, or one that a single run cannot have for itself."""
    choices = [field for field in Resources.model_fields if field not in STUDY_WIDE]
    if name not in choices:
        _refuse(f"{place}.{key}: no resource of a single run", name, choices)


def _check_key(place: str, key: str) -> None:
    """Raise SettingError for a key of `place` that no run's config and no resource has."""
    path = key.split(".")
    if path[0] == "model_options" and len(path) == 2:
        return
    if path[0] == "init" and len(path) > 1:  # keys of the run to start from
        _check_key(place, ".".join(path[1:]))
        return
    if place.endswith(".set") and path[0] == "resources" and len(path) == 2:
        _check_own_resource(place, key, path[1])
        return
    choices = known_keys(RunConfig, path[:-1])
    if path[-1] in choices:
        return
    dotted = [".".join([*path[:-1], choice]) for choice in choices or RunConfig.model_fields]
    _refuse(f"{place}.{key}: unknown key", key, dotted)


def check_keys(
    base: Values,
    grid: Values,
    exclude: Sequence[Values],
    overrides: Sequence[tuple[Values, Values]],
) -> None:
    """Refuse keys that no run's config has; `expand` checks their values.

    `overrides` are pairs of `match` and `set`. Raises SettingError.
    """
    places: dict[str, Values] = {"base": base, "grid": grid}
    places |= {f"exclude.{i}": match for i, match in enumerate(exclude)}
    for i, (match, given) in enumerate(overrides):
        places |= {f"overrides.{i}.match": match, f"overrides.{i}.set": given}
    for place, values in places.items():
        for key, value in values.items():
            _check_key(place, str(key))
            if key == "init" and isinstance(value, dict):
                for inner in value:
                    _check_key(f"{place}.init", str(inner))
