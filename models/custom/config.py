"""Config of a network that a user's function builds.

`package.module:function`, or an entry point of the group `scalestudy.models`. The function takes
the keyword arguments `num_classes` and `image_size`, and options of its own, and returns a module
that turns images (B, 3, H, W) in [-1, 1] into logits (B, num_classes).
"""

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata, util
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Self

from models.configs import Config, ConfigError, UnknownModel

GROUP = "scalestudy.models"
FORM = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class CustomConfig(Config):
    """Config of a user-defined network: the function and its keyword arguments."""

    family = "custom"
    function: str
    options: tuple[tuple[str, Any], ...] = ()

    def with_options(self, given: dict[str, Any]) -> Self:
        """Return a copy with other arguments; `image_size` is one that every network has."""
        if "num_classes" in given:
            raise ConfigError(f"model {self.name}: num_classes is given by the data set")
        options = dict(self.options) | given
        size = options.pop("image_size", self.image_size)
        return replace(self, image_size=size, options=tuple(sorted(options.items())))


@lru_cache
def entry_points() -> dict[str, str]:
    """Return the functions of the entry points by their names."""
    return {point.name: point.value for point in metadata.entry_points(group=GROUP)}


def custom_config(name: str, function: str) -> CustomConfig:
    """Return the config of a function; raise UnknownModel if it is not named like one."""
    if not FORM.fullmatch(function):
        expected = "expected package.module:function"
        raise UnknownModel(f"unknown model {name!r}: given {function!r}, {expected}")
    return CustomConfig(name=name, label=name, function=function)


def find(config: CustomConfig) -> ModuleSpec:
    """Locate the function's top-level package or module; raise UnknownModel if there is none."""
    top = config.function.partition(":")[0].partition(".")[0]
    with_folder()
    found = util.find_spec(top)
    if found is None:
        raise UnknownModel(
            f"unknown model {config.name!r}: no module {top!r} is installed, or in {Path.cwd()}"
        )
    return found


def with_folder() -> None:
    """Append the working folder to the module search path, after installed packages."""
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)


def load(config: CustomConfig) -> Callable[..., Any]:
    """Import and return the function; raise ConfigError if that fails."""
    module, _, name = config.function.partition(":")
    with_folder()
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the user's module raises
        raise ConfigError(f"model {config.name}: cannot be imported: {error!r}") from error
    if not callable(found):
        kind = type(found).__name__
        raise ConfigError(f"model {config.name}: expected a function, found {kind}")
    function: Callable[..., Any] = found
    return function
