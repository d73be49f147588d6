"""Registry of networks by name, and configs of user-defined networks.

Nothing here needs torch, so a login host can list, plan and count without it.
"""

from functools import lru_cache
from typing import Any

from models import aliases
from models.configs import Config, ConfigError, UnknownModel, suggestion
from models.custom.config import custom_config, entry_points
from models.families import FAMILIES


def names() -> list[str]:
    """Return every registered name: ViT, hybrid, BiT, each from small to large."""
    return [name for family in FAMILIES.values() for name in family.models]


def config(name: str, /, **overrides: Any) -> Config:
    """Return the registered config, or a copy with other values in the given fields.

    `config("vit_b16", image_size=384).grid.rows` is 24. Names of papers, timm and Hugging Face are
    known too: `config("ViT-B/16").name` is "vit_b16". A network of your own is named as
    "package.module:function", or by an entry point of the group `scalestudy.models`; overrides
    other than `image_size` are arguments of the function. Raises UnknownModel, or ConfigError for
    an unknown field and for a value that does not fit.
    """
    chosen = {key: tuple(v) if isinstance(v, list) else v for key, v in overrides.items()}
    try:
        return _override(_find(name), tuple(chosen.items()))
    except TypeError:  # a value that cannot be hashed
        expected = "expected numbers, words or lists of them"
        raise ConfigError(f"model {name}: given {overrides!r}, {expected}") from None


def _find(name: str) -> Config:
    for family in FAMILIES.values():
        if name in family.models:
            found: Config = family.models[name]
            return found
    others = entry_points()
    if ":" in name or name in others:
        return custom_config(name, others.get(name, name))
    meant = aliases.registered(name)
    if len(meant) == 1:
        return _find(meant[0])
    if meant:
        raise UnknownModel(f"model {name!r} may be {' or '.join(meant)}: give one of these names")
    choices = [*names(), *others]
    raise UnknownModel(f"unknown model {name!r}: {suggestion(name, choices)}")


@lru_cache(maxsize=4096)
def _override(known: Config, overrides: tuple[tuple[str, Any], ...]) -> Config:
    """Return the config, cached because a study requests the same ones thousands of times."""
    return known.with_options(dict(overrides))
