"""Recipes of papers, as data: a YAML file each, whose every number is cited."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import models
from bench.run.config import DURATIONS
from results.schema import suggestion
from sweeps import documents
from sweeps.documents import SpecError, Values

# Keys of a run that fine-tuning has too, besides those of `recipe`.
SHARED = ("steps", "batch_size", "image_size", "augment")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class NamedRecipe:
    """A recipe by its name: keys of a run's config, dotted, and where they are published.

    `cases` are pairs of what a run must have (`model`, `family`, or any key) and what it then
    gets; the last that agrees counts. `sources` cite each key.
    """

    name: str
    title: str
    base: Values
    cases: tuple[tuple[Values, Values], ...]
    sources: Mapping[str, str]

    def values(self, run: Values) -> Values:
        """Return the recipe's keys for a run with the dotted keys `run`, less those that it gives.

        A duration of the run's own takes the place of the recipe's.
        """
        known = dict(run) | _network(run.get("model"))
        found = dict(self.base)
        for match, given in self.cases:
            if all(_agrees(known.get(key), wanted) for key, wanted in match.items()):
                found |= given
        taken = set(run)
        if taken & set(DURATIONS):
            taken |= set(DURATIONS)
        return {key: value for key, value in found.items() if key not in taken}


def names() -> list[str]:
    """Return the names of all recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@lru_cache
def read(name: str) -> NamedRecipe:
    """Return the recipe of that name; raise SpecError for an unknown one."""
    path = FOLDER / f"{name}.yaml"
    if name not in names():
        raise SpecError(f"recipe: given {name!r}; {suggestion(name, names())}")
    content = documents.read(path)
    cases = tuple((case["match"], case["set"]) for case in content.get("cases", []))
    return NamedRecipe(name, content["title"], content["base"], cases, content["sources"])


def of_evaluation(options: Values) -> Values:
    """Return options of an evaluation with the keys of a recipe that they name, under their own.

    The recipe's learning rate is the only one tried, unless the options give several.
    """
    name = options.get("recipe")
    if not isinstance(name, str):
        return options
    found = read(name).values({})
    unknown = [key for key in found if key not in SHARED and not key.startswith("recipe.")]
    if unknown:
        raise SpecError(f"recipe: {name} gives {unknown[0]}, expected steps, as for fine-tuning")
    own = {key.removeprefix("recipe."): found[key] for key in found if key.startswith("recipe.")}
    shared = {key: found[key] for key in SHARED if key in found}
    rest = {key: value for key, value in options.items() if key != "recipe"}
    return shared | {"lrs": [own["lr"]], "recipe": own} | rest


def _agrees(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list) else value == wanted


def _network(model: Any) -> Values:
    """Return the registered name and the family of a model; {} for an unknown one."""
    try:
        config = models.config(model) if isinstance(model, str) else None
    except models.ModelsError:
        return {}  # `expand` refuses the model by its name
    return {} if config is None else {"model": config.name, "family": config.family}
