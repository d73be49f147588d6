"""From a spec to runs, each checked before anything starts."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import models
from bench.run.config import Describe, Init, Run, RunConfig
from bench.run.errors import BenchError, SettingError
from bench.run.init import Inits
from bench.run.micro_batch import micro_batches
from bench.run.protocols import EvaluationRequest, resolve
from bench.run.trackers import check_packages
from bench.run.validation import explain
from models.families import family_of
from sweeps.documents import SpecError
from sweeps.recipes import named
from sweeps.resources import Resources, check
from sweeps.spec import StudySpec

Values = dict[str, Any]

# What a key of an override that is no run's config, but a resource, begins with.
OWN = "resources."


@dataclass(frozen=True)
class Planned:
    """A run of a study with the resources that it is given.

    Runs with the same resources have the same object.
    """

    run: Run
    resources: Resources

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id


def expand(spec: StudySpec, describe: Describe, inits: Inits | None = None) -> list[Planned]:
    """Return every run of the study, in the order of the grid, the last axis fastest.

    `describe` finds out what a data set holds, `inits` where initial weights come from (by default
    from the current folder). Raises SpecError naming the run's values where a config is wrong, a
    model or a data set unknown, a batch does not divide, or two runs are the same.
    """
    planned: dict[str, Planned] = {}
    resolver = _Resolver(spec, describe, inits or Inits(Path.cwd()))
    for number, point in enumerate(resolver.points):
        made = resolver.planned(number)
        if made.run_id in planned:
            raise SpecError(
                f"study {spec.study}: two runs are the same, {made.run_id}: "
                f"{_words(point.chosen)} repeats an earlier point of the grid"
            )
        planned[made.run_id] = made
    if not planned:
        raise SpecError(f"study {spec.study}: no runs are left after exclude")
    return list(planned.values())


def evaluations(spec: StudySpec, describe: Describe) -> list[EvaluationRequest]:
    """Return the evaluations that every run of the study is to have; raise SpecError."""
    found = {}
    for number, options in enumerate(spec.evaluations):
        try:
            request = resolve(options, describe)
        except BenchError as error:
            raise SpecError(f"study {spec.study}, evaluations.{number}: {error}") from error
        found[request.key] = request
    return list(found.values())


@dataclass(frozen=True)
class _Point:
    """The grid's own values of a run, all its config's values, and resources of its own."""

    chosen: Values
    values: Values
    placed: Values


class _Resources:
    """The resources of single runs, each set of them made and checked once."""

    def __init__(self, spec: StudySpec) -> None:
        self._shared = spec.resources
        self._made: dict[str, Resources] = {}

    def of(self, own: Values) -> Resources:
        """Return the study's resources with `own` ones; raise ValidationError or SettingError."""
        if not own:
            return self._shared
        key = json.dumps(own, sort_keys=True, default=str)
        if key not in self._made:
            made = Resources.model_validate(self._shared.model_dump() | own)
            check(made)
            self._made[key] = self._shared if made == self._shared else made
        return self._made[key]


def _has_own_resources(spec: StudySpec) -> bool:
    return any(key.startswith(OWN) for override in spec.overrides for key in override.set)


def _points(spec: StudySpec) -> Iterator[_Point]:
    """Yield the points of the grid, with base and overrides."""
    keys, is_placed = list(spec.grid), _has_own_resources(spec)
    excluded = [_flat(match) for match in spec.exclude]
    overrides = [(_flat(override.match), override.set) for override in spec.overrides]
    base, has_names = DEFAULTS | _flat(spec.base), _names_recipes(spec)
    for combination in itertools.product(*spec.grid.values()):
        chosen = dict(zip(keys, combination, strict=True))
        values = spec.base | chosen
        flat = DEFAULTS | _with_recipe(values) if has_names else base | _flat(chosen)
        if any(_matches(flat, match) for match in excluded):
            continue
        for match, changes in overrides:
            if _matches(flat, match):
                values = values | changes
                flat = DEFAULTS | _with_recipe(values) if has_names else flat | _flat(changes)
        if has_names:
            values = _with_recipe(values)
        placed = {}
        if is_placed:
            own = [key for key in values if key.startswith(OWN)]
            placed = {key.removeprefix(OWN): values[key] for key in own}
            values = {key: value for key, value in values.items() if key not in own}
        yield _Point(chosen, values, placed)


def _names_recipes(spec: StudySpec) -> bool:
    """Return whether any run may have a recipe by its name, instead of its keys alone."""
    given = [spec.base.get("recipe"), *spec.grid.get("recipe", [])]
    given += [override.set.get("recipe") for override in spec.overrides]
    return any(isinstance(one, str) for one in given)


def _with_recipe(values: Values) -> Values:
    """Return dotted keys, under which lie those of a recipe that is given by its name."""
    flat = _flat(values)
    name = flat.get("recipe")
    if not isinstance(name, str):
        return flat
    del flat["recipe"]
    return named.read(name).values(flat) | flat


def idle(spec: StudySpec) -> list[str]:
    """Return the excludes and overrides that match no run, in words: mostly a slip in a value."""
    matches = {f"exclude.{i}": match for i, match in enumerate(spec.exclude)}
    matches |= {f"overrides.{i}.match": one.match for i, one in enumerate(spec.overrides)}
    # Each axis on its own: cheap, and enough to tell a value that is nowhere.
    given = [_flat({key: value}) for key, axis in spec.grid.items() for value in axis]
    varied = {key for values in given for key in values}
    given.append({k: v for k, v in (DEFAULTS | _flat(spec.base)).items() if k not in varied})
    given += [_flat(one.set) for one in spec.overrides]
    given += [values for one in given for values in _of_recipe(one.get("recipe"))]
    return [
        f"{place}: no run has {key}={wanted}"
        for place, match in matches.items()
        for key, wanted in _flat(match).items()
        if not any(key in values and _matches(values, {key: wanted}) for values in given)
    ]


def _of_recipe(name: Any) -> list[Values]:
    """Return all that a recipe may give to a run, case by case; [] without a recipe's name."""
    if not isinstance(name, str):
        return []
    recipe = named.read(name)
    return [recipe.base, *(given for _, given in recipe.cases)]


def _flat(values: Values, before: str = "") -> Values:
    """Inner keys as dotted ones: {"recipe": {"lr": 1}} becomes {"recipe.lr": 1}."""
    found: Values = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


# What a run has of which a spec says nothing.
DEFAULTS = _flat(RunConfig.model_construct().model_dump())


def _matches(values: Values, match: Values) -> bool:
    """Return whether all of `match` holds, where a list means any of its values; dotted keys."""
    return all(
        values.get(key) in wanted if isinstance(wanted, list) else values.get(key) == wanted
        for key, wanted in match.items()
    )


class _Resolver:
    """Makes each point of the grid a run, after the run of the study that it starts from."""

    def __init__(self, spec: StudySpec, describe: Describe, inits: Inits) -> None:
        self._spec, self._describe, self._inits = spec, describe, inits
        self.points = list(_points(spec))
        self._placed = _Resources(spec)
        self._made: dict[int, Planned] = {}
        self._pending: set[int] = set()

    def planned(self, number: int) -> Planned:
        """Return the run of a point; raise SpecError."""
        if number not in self._made:
            self._pending.add(number)
            self._made[number] = self._resolve(number)
            self._pending.remove(number)
        return self._made[number]

    def _resolve(self, number: int) -> Planned:
        point, spec = self.points[number], self._spec
        try:
            config = RunConfig.model_validate(_nest(point.values))
            check_packages(config.engine.trackers)
            family_of(config.network).check(config.network)
            info = self._describe(config.data)
            resources = _place(self._placed, point.placed)
            micro_batches(config, resources.num_devices)
            if config.train_examples and config.train_examples > info.num_train:
                raise SpecError(
                    f"train_examples: given {config.train_examples}, "
                    f"expected at most {info.num_train}, what {info.name} has"
                )
            init = self._init(number, config)
        except ValidationError as error:
            raise SpecError(f"{_where(spec, point.chosen)}: {explain(error, RunConfig)}") from error
        except (models.ModelsError, BenchError, SpecError) as error:
            raise SpecError(f"{_where(spec, point.chosen)}: {error}") from error
        # Its parts have been validated; once more is a tenth of the time of planning 100,000 runs.
        run = Run.model_construct(study=spec.study, config=config, data=info, init=init)
        return Planned(run, resources)

    def _init(self, number: int, config: RunConfig) -> Init | None:
        if config.init is None:
            if config.init_head is not None:
                raise SpecError("init_head: not used without init")
            return None
        if isinstance(config.init, str):
            return self._inits.find(config.init)
        wanted = {"model": config.model, "seed": config.seed} | _flat(config.init)
        others = [
            other
            for other, point in enumerate(self.points)
            if other != number and _matches(DEFAULTS | _flat(point.values), wanted)
        ]
        if len(others) != 1:
            raise SpecError(
                f"init: {len(others)} runs of the study have {_words(wanted)}, expected one"
            )
        (trunk,) = others
        if trunk in self._pending:
            raise SpecError(f"init: the run with {_words(wanted)} starts from this one itself")
        return self._inits.of_run(self.planned(trunk).run)


def _place(placed: _Resources, own: Values) -> Resources:
    try:
        return placed.of(own)
    except ValidationError as error:
        raise SpecError(f"resources.{explain(error, Resources)}") from error
    except SettingError as error:
        raise SpecError(f"resources.{error}") from error


def _where(spec: StudySpec, chosen: Values) -> str:
    return f"study {spec.study}" + (f", run {_words(chosen)}" if chosen else "")


def _nest(values: Values) -> Values:
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


def _words(values: Values) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items()) or "(no grid)"
