"""A study as a person writes it: base values, a grid over any of them, excludes, resources."""

import difflib
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from bench.config import (
    ConfigError,
    Frozen,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    RunConfig,
    check_name,
    explain,
    known_keys,
)

MAX_SPEC_BYTES = 1_000_000
DURATIONS = ("epochs", "steps", "examples")

Values = dict[str, Any]


class SpecError(Exception):
    """A spec is missing, unreadable or wrong; the message names file, key and value."""


class Override(Frozen):
    """Values for the runs that agree with `match`, as for a learning rate that differs by model."""

    match: Values
    set: Values


class Resources(Frozen):
    """Where and how widely runs are executed; none of it changes a result or an id.

    `parallel` is how many runs go at a time (0: as many as the machine or the queue takes).
    `setup` are shell lines that a job runs first, `sbatch` further options of sbatch by name.
    A job at its time limit is started again at most `max_timeouts` times.
    A device is a GPU, or a process where `gpus_per_node` is 0. `accelerator` and `utilization`
    (model FLOPs utilisation) let `plan` predict accelerator-days before anything was measured.
    """

    cluster: Literal["local", "slurm"] = "local"
    parallel: NonNegativeInt = 0
    nodes: PositiveInt = 1
    gpus_per_node: NonNegativeInt = 0
    tasks_per_node: PositiveInt | None = None
    cpus_per_task: PositiveInt = 1
    mem_gb: PositiveFloat | None = None
    timeout_min: PositiveInt = 24 * 60
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    setup: list[str] = Field(default_factory=list)
    sbatch: dict[str, str | int] = Field(default_factory=dict)
    max_timeouts: NonNegativeInt = 20
    accelerator: str | None = None
    utilization: PositiveFloat | None = None
    max_accelerator_days: PositiveFloat | None = None

    @property
    def devices_per_node(self) -> int:
        """Processes on a node, one a GPU."""
        return self.tasks_per_node or self.gpus_per_node or 1

    @property
    def num_devices(self) -> int:
        """Processes of one run."""
        return self.nodes * self.devices_per_node


class StudySpec(Frozen):
    """One study. Keys of `base`, `grid`, `exclude` and `overrides` are those of a run's config.

    Inner keys are written with dots: `recipe.lr`.
    """

    study: str
    base: Values = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    exclude: list[Values] = Field(default_factory=list)
    overrides: list[Override] = Field(default_factory=list)
    resources: Resources = Resources()


def load(spec: str, settings: Iterable[str] = ()) -> tuple[StudySpec, Path]:
    """The spec in a file, or the bundled one of that name, and the folder its paths start from.

    `settings` are `key=value` pairs that override it: `resources.parallel=2`, `base.data=PATH`,
    or simply a run's key, `epochs=3`, which takes the place of whatever the spec says of it (and
    of another duration); a list becomes a grid axis. Raises SpecError.
    """
    path = _find(spec)
    values = _parse(path)
    for setting in settings:
        _apply(values, setting)
    try:
        made = StudySpec.model_validate(values)
    except ValidationError as error:
        raise SpecError(f"{path}: {explain(error, StudySpec)}") from error
    try:
        check_name(made.study, "study")
        _check_keys(made)
    except ConfigError as error:
        raise SpecError(f"{path}: {error}") from error
    for key, axis in made.grid.items():
        if not axis:
            raise SpecError(f"{path}: grid.{key}: given an empty list, expected at least one value")
    for key, value in made.resources.model_dump().items():
        for text in _texts(value):
            # A line break in a value of a batch script's header would run as shell.
            if not text.isprintable():
                raise SpecError(f"{path}: resources.{key}: given {text!r}, expected printable text")
    return made, path.parent if path.exists() and not _is_bundled(path) else Path.cwd()


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, the keys of a mapping included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.items():
            yield from _texts(list(item))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def bundled() -> list[str]:
    """The names of the specs that come with the package."""
    folder = resources.files("sweeps.specs")
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


def _bundled_folder() -> Path:
    return Path(str(resources.files("sweeps.specs")))


def _is_bundled(path: Path) -> bool:
    return path.resolve().parent == _bundled_folder().resolve()


def _find(spec: str) -> Path:
    path = Path(spec)
    if path.is_file():
        return path
    if spec in bundled():
        return _bundled_folder() / f"{spec}.yaml"
    raise SpecError(f"{spec}: no such spec, expected a YAML file or one of {', '.join(bundled())}")


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys and aliases, and reads 1e-3 as a number."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise SpecError(f"line {event.start_mark.line + 1}: an alias, expected plain values")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
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


def _parse(path: Path) -> Values:
    text = path.read_bytes()
    if len(text) > MAX_SPEC_BYTES:
        raise SpecError(f"{path}: {len(text)} bytes, expected at most {MAX_SPEC_BYTES}")
    try:
        values = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        raise SpecError(f"{path}:{where} {getattr(error, 'problem', error)}") from error
    if not isinstance(values, dict):
        raise SpecError(f"{path}: given {type(values).__name__}, expected keys such as study, base")
    return values


def _apply(values: Values, setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise SpecError(f"--set {setting}: expected key=value")
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise SpecError(f"--set {setting}: {text!r} is no YAML value") from error
    head, _, rest = key.partition(".")
    if key == "study":
        values["study"] = value
    elif head in ("base", "grid", "resources") and rest:
        _section(values, head)[rest] = value
    elif head in RunConfig.model_fields:
        for replaced in DURATIONS if key in DURATIONS else (key,):
            _forget(values, replaced)
        _section(values, "grid" if isinstance(value, list) else "base")[key] = value
    else:
        choices = ", ".join(
            ["study", "base.KEY", "grid.KEY", "resources.KEY", *RunConfig.model_fields]
        )
        raise SpecError(f"--set {setting}: unknown key {key!r} (expected one of {choices})")


def _forget(values: Values, key: str) -> None:
    """Removes a run's key wherever the spec gives it a value."""
    sections = [_section(values, "base"), _section(values, "grid")]
    overrides = values.get("overrides")
    for override in overrides if isinstance(overrides, list) else []:
        if isinstance(override, dict) and isinstance(override.get("set"), dict):
            sections.append(override["set"])
    for section in sections:
        section.pop(key, None)


def _section(values: Values, name: str) -> Values:
    section = values.setdefault(name, {})
    if not isinstance(section, dict):
        raise SpecError(f"{name}: given {section!r}, expected keys and values")
    return section


def _check_keys(spec: StudySpec) -> None:
    """Refuses keys that no run's config has; `expand` checks their values."""
    places = {"base": spec.base, "grid": spec.grid}
    places |= {f"exclude.{i}": match for i, match in enumerate(spec.exclude)}
    for i, override in enumerate(spec.overrides):
        places |= {f"overrides.{i}.match": override.match, f"overrides.{i}.set": override.set}
    for place, values in places.items():
        for key in values:
            _check_key(place, str(key))


def _check_key(place: str, key: str) -> None:
    path = key.split(".")
    if path[0] == "model_options" and len(path) == 2:
        return
    choices = known_keys(RunConfig, path[:-1])
    if path[-1] in choices:
        return
    dotted = [".".join([*path[:-1], choice]) for choice in choices or RunConfig.model_fields]
    close = difflib.get_close_matches(key, dotted, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ConfigError(f"{place}.{key}: unknown key; {hint}(expected one of {', '.join(dotted)})")
