"""The points of a spec's grid: keys and values of each run, with base, recipe and overrides."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.run.config import RunConfig
from sweeps.documents import SpecError
from sweeps.recipes import named
from sweeps.spec import StudySpec

Values = dict[str, Any]

# What a key of an override that is no run's config, but a resource, begins with.
OWN = "resources."


@dataclass(frozen=True)
class Point:
    """The grid's own values of a run, all its config's values, and resources of its own."""

    chosen: Values
    values: Values
    placed: Values


def _has_own_resources(spec: StudySpec) -> bool:
    return any(key.startswith(OWN) for override in spec.overrides for key in override.set)


def points(spec: StudySpec) -> Iterator[Point]:
    """Yield the points of the grid, with base and overrides."""
    keys, is_placed = list(spec.grid), _has_own_resources(spec)
    excluded = [flat(match) for match in spec.exclude]
    overrides = [(flat(override.match), override.set) for override in spec.overrides]
    base, has_names = DEFAULTS | flat(spec.base), _names_recipes(spec)
    for combination in itertools.product(*spec.grid.values()):
        chosen = dict(zip(keys, combination, strict=True))
        values = spec.base | chosen
        seen = DEFAULTS | _with_recipe(values) if has_names else base | flat(chosen)
        if any(matches(seen, match) for match in excluded):
            continue
        for match, changes in overrides:
            if matches(seen, match):
                values = values | changes
                seen = DEFAULTS | _with_recipe(values) if has_names else seen | flat(changes)
        if has_names:
            values = _with_recipe(values)
        placed = {}
        if is_placed:
            own = [key for key in values if key.startswith(OWN)]
            placed = {key.removeprefix(OWN): values[key] for key in own}
            values = {key: value for key, value in values.items() if key not in own}
        yield Point(chosen, values, placed)


def _names_recipes(spec: StudySpec) -> bool:
    """Return whether any run may have a recipe by its name, instead of its keys alone."""
    given = [spec.base.get("recipe"), *spec.grid.get("recipe", [])]
    given += [override.set.get("recipe") for override in spec.overrides]
    return any(isinstance(one, str) for one in given)


def _with_recipe(values: Values) -> Values:
    """Return dotted keys, under which lie those of a recipe that is given by its name."""
    own = flat(values)
    name = own.get("recipe")
    if not isinstance(name, str):
        return own
    del own["recipe"]
    return named.read(name).values(own) | own


def idle(spec: StudySpec) -> list[str]:
    """Return the excludes and overrides that match no run, in words: mostly a slip in a value."""
    places = {f"exclude.{i}": match for i, match in enumerate(spec.exclude)}
    places |= {f"overrides.{i}.match": one.match for i, one in enumerate(spec.overrides)}
    # Each axis on its own: cheap, and enough to tell a value that is nowhere.
    given = [flat({key: value}) for key, axis in spec.grid.items() for value in axis]
    varied = {key for values in given for key in values}
    given.append({k: v for k, v in (DEFAULTS | flat(spec.base)).items() if k not in varied})
    given += [flat(one.set) for one in spec.overrides]
    given += [values for one in given for values in _of_recipe(one.get("recipe"))]
    return [
        f"{place}: no run has {key}={wanted}"
        for place, match in places.items()
        for key, wanted in flat(match).items()
        if not any(key in values and matches(values, {key: wanted}) for values in given)
    ]


def _of_recipe(name: Any) -> list[Values]:
    """Return all that a recipe may give to a run, case by case; [] without a recipe's name."""
    if not isinstance(name, str):
        return []
    recipe = named.read(name)
    return [recipe.base, *(given for _, given in recipe.cases)]


def flat(values: Values, before: str = "") -> Values:
    """Return inner keys as dotted ones: {"recipe": {"lr": 1}} becomes {"recipe.lr": 1}."""
    found: Values = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


# What a run has of which a spec says nothing.
DEFAULTS = flat(RunConfig.model_construct().model_dump())


def matches(values: Values, match: Values) -> bool:
    """Return whether all of `match` holds, where a list means any of its values; dotted keys."""
    return all(
        values.get(key) in wanted if isinstance(wanted, list) else values.get(key) == wanted
        for key, wanted in match.items()
    )


def nest(values: Values) -> Values:
    """Nest dotted keys: {"recipe.lr": 1} becomes {"recipe": {"lr": 1}}."""
    nested: Values = {}
    for key, value in values.items():
        *path, last = key.split(".")
        here = nested
        for part in path:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise SpecError(f"{part}: given {here!r}, expected keys and values, for {key}")
        if isinstance(value, dict) and isinstance(here.get(last), dict):
            here[last] = here[last] | value
        else:
            here[last] = dict(value) if isinstance(value, dict) else value
    return nested


def words(values: Values) -> str:
    """Return the values in one line: `lr=0.1 seed=0`."""
    return " ".join(f"{key}={value}" for key, value in values.items()) or "(no grid)"
