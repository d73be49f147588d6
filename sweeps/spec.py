"""A study as a person writes it: base values, a grid over any of them, excludes, resources."""

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import resources as packaged
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from bench.run.config import DURATIONS, RunConfig
from bench.run.errors import SettingError
from bench.run.fields import Frozen
from bench.run.protocols import AnyOptions
from bench.run.validation import check_name, explain
from sweeps import documents, spec_keys
from sweeps.documents import SpecError, Values
from sweeps.jobs import analysis
from sweeps.recipes import named
from sweeps.resources import Resources, check
from sweeps.schedulers import SCHEDULERS


class Override(Frozen):
    """Values for the runs that agree with `match`, as for a learning rate that differs by model.

    Among them may be resources: `resources.nodes: 4`.
    """

    match: Values
    set: Values


class StudySpec(Frozen):
    """One study. Keys of `base`, `grid`, `exclude` and `overrides` are those of a run's config.

    Inner keys are written with dots: `recipe.lr`. `analysis` names files and what makes them:
    `frontier.png: plot frontier`, once all runs and evaluations have ended. `evaluations` are made
    of every run, once it is done; without `data` on the run's own images.
    """

    study: str
    base: Values = Field(default_factory=dict)
    grid: dict[str, list[Any]] = Field(default_factory=dict)
    exclude: list[Values] = Field(default_factory=list)
    overrides: list[Override] = Field(default_factory=list)
    evaluations: list[AnyOptions] = Field(default_factory=list)
    analysis: dict[str, str] = Field(default_factory=dict)
    resources: Resources = Resources()


def load(
    spec: str,
    settings: Iterable[str] = (),
    profile: str | None = None,
    data_names: Collection[str] = (),
) -> tuple[StudySpec, Path]:
    """Return the spec in a file, or the bundled one of that name, and the folder of its paths.

    Under the spec's resources lie those of a site's `profile`: a file, or a name that is a file of
    $XDG_CONFIG_HOME/scalestudy (~/.config/scalestudy); it goes before `resources.profile`.
    `settings` are `key=value` pairs that override it: `resources.parallel=2`, `base.data=PATH`,
    or simply a run's key, `epochs=3`, which takes the place of whatever the spec says of it (and
    of another duration); a list becomes a grid axis. Paths of data in them start where the user
    is, but for `data_names`, which are no paths. Raises SpecError.
    """
    path = _find(spec)
    values = documents.read(path)
    for setting in settings:
        _apply(values, setting, data_names)
    _name_recipes(path, values)
    folder = path.parent if not _is_bundled(path) else Path.cwd()
    _lay_under(values, profile, folder)
    try:
        made = StudySpec.model_validate(values)
    except ValidationError as error:
        raise SpecError(f"{path}: {explain(error, StudySpec)}") from error
    try:
        check_name(made.study, "study")
        for name in made.analysis:
            check_name(name, "analysis")
        pairs = [(override.match, override.set) for override in made.overrides]
        spec_keys.check_keys(made.base, made.grid, made.exclude, pairs)
        _check_resources(made.resources)
    except SettingError as error:
        raise SpecError(f"{path}: {error}") from error
    if complaint := analysis.check(made.analysis):
        raise SpecError(f"{path}: {complaint}")
    for key, axis in made.grid.items():
        if not axis:
            raise SpecError(f"{path}: grid.{key}: given an empty list, expected at least one value")
    return made, folder


def _name_recipes(path: Path, values: Values) -> None:
    """Put the keys of recipes that evaluations name in the place of their names."""
    evaluations = values.get("evaluations")
    if not isinstance(evaluations, list):
        return
    for number, options in enumerate(evaluations):
        if isinstance(options, dict):
            try:
                evaluations[number] = named.of_evaluation(options)
            except SpecError as error:
                raise SpecError(f"{path}: evaluations.{number}: {error}") from error


def _lay_under(values: Values, profile: str | None, folder: Path) -> None:
    """Take resources that the spec does not give from the profile, if there is one.

    The profile's lines of set-up come before the spec's, options of sbatch are joined.
    """
    own = _section(values, "resources")
    name = profile if profile is not None else own.get("profile")
    if not isinstance(name, str):
        return
    path = _find_profile(name, Path.cwd() if profile is not None else folder)
    given = documents.read(path)
    if "profile" in given:
        raise SpecError(f"{path}: profile: a profile has no profile of its own")
    try:
        _check_resources(Resources.model_validate(given))
    except ValidationError as error:
        raise SpecError(f"{path}: {explain(error, Resources)}") from error
    except SettingError as error:
        raise SpecError(f"{path}: {str(error).removeprefix('resources.')}") from error
    merged = given | own | {"profile": name}
    if isinstance(own.get("sbatch"), dict):
        merged["sbatch"] = given.get("sbatch", {}) | own["sbatch"]
    if isinstance(own.get("setup"), list):
        merged["setup"] = given.get("setup", []) + own["setup"]
    values["resources"] = merged


def _find_profile(name: str, folder: Path) -> Path:
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    site = home / "scalestudy" / f"{name}.yaml"
    former = home / "scalebench" / f"{name}.yaml"  # the name of the package before 0.2
    for path in (folder / Path(name).expanduser(), site, former):
        if path.is_file():
            return path
    raise SpecError(f"profile {name}: no such file, expected a YAML file or the name of {site}")


def _check_resources(resources: Resources) -> None:
    if resources.cluster not in SCHEDULERS:
        *first, last = map(repr, SCHEDULERS)
        expected = f"{', '.join(first)} or {last}"
        raise SettingError(f"resources.cluster: given {resources.cluster!r}, expected {expected}")
    try:
        check(resources)
    except SettingError as error:
        raise SettingError(f"resources.{error}") from error


def dump(spec: StudySpec) -> str:
    """Return the spec as YAML that `load` reads back to the same spec, without defaults."""
    return documents.write(spec.model_dump(mode="json", exclude_defaults=True))


def bundled() -> list[str]:
    """Return the names of the specs that come with the package."""
    folder = packaged.files("sweeps.specs")
    return sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".yaml"))


@contextmanager
def naming(spec: str) -> Iterator[None]:
    """Prefix errors raised inside with the name of the spec."""
    try:
        yield
    except SpecError as error:
        raise SpecError(f"{spec}: {error}") from error


def _bundled_folder() -> Path:
    return Path(str(packaged.files("sweeps.specs")))


def _is_bundled(path: Path) -> bool:
    return path.resolve().parent == _bundled_folder().resolve()


def _find(spec: str) -> Path:
    path = Path(spec)
    if path.is_file():
        return path
    if spec in bundled():
        return _bundled_folder() / f"{spec}.yaml"
    raise SpecError(f"{spec}: no such spec, expected a YAML file or one of {', '.join(bundled())}")


def _apply(values: Values, setting: str, data_names: Collection[str]) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise SpecError(f"given {setting!r}, expected KEY=VALUE")
    value = documents.value(text, setting)
    head, _, rest = key.partition(".")
    if key == "study":
        values["study"] = value
    elif key.startswith("resources.setup"):
        raise SpecError(f"{setting}: lines of shell come from a spec or a profile only")
    elif head in ("base", "grid", "resources") and rest:
        _section(values, head)[rest] = value
    elif head in RunConfig.model_fields:
        if key == "data":
            given = value if isinstance(value, list) else [value]
            found = [one if one in data_names else _from_here(one) for one in given]
            value = found if isinstance(value, list) else found[0]
        for replaced in DURATIONS if key in DURATIONS else (key,):
            _forget(values, replaced)
        _section(values, "grid" if isinstance(value, list) else "base")[key] = value
    else:
        choices = ", ".join(
            ["study", "base.KEY", "grid.KEY", "resources.KEY", *RunConfig.model_fields]
        )
        raise SpecError(f"{setting}: unknown key {key!r} (expected one of {choices})")


def _from_here(data: object) -> object:
    """Resolve a data path of the command line from where the user is, not from the spec."""
    if not isinstance(data, str) or not data:
        return data
    path = Path(data).expanduser()
    return str(path.resolve()) if path.exists() else data


def _forget(values: Values, key: str) -> None:
    """Remove a run's key wherever the spec gives it a value."""
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
