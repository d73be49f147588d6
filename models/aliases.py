"""Names that people bring for registered networks: papers', file names, timm's, Hugging Face's."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from models.configs import Config
from models.families import FAMILIES

# Who publishes on Hugging Face under these names.
PUBLISHERS = ("google", "timm", "facebook", "microsoft")


def registered(name: str) -> list[str]:
    """Return the registered networks that `name` may mean: one, none, or several.

    A tag after a point, as timm has it, and the publisher before a slash do not matter.

    >>> registered("B/16"), registered("vit_base_patch16_224.augreg_in21k"), registered("R50x1")
    (['vit_b16'], ['vit_b16'], ['bit_r50x1'])
    """
    if ":" in name:  # a network of the user's own
        return []
    plain = re.sub(rf"^({'|'.join(PUBLISHERS)})/", "", name).split(".")[0]
    forms = (name, plain, plain.removesuffix("-in21k").replace("-", "_"))
    known = _known(len(FAMILIES))
    return next((known[form] for form in forms if form in known), [])


@lru_cache(maxsize=1)
def _known(num_families: int) -> dict[str, list[str]]:
    """Return the registered names by each of their other names, anew when a family is added."""
    found: dict[str, list[str]] = {}
    for family in FAMILIES.values():
        for config in family.models.values():
            for alias in set(_aliases(config)):
                found.setdefault(alias, []).append(config.name)
    return found


def _aliases(config: Config) -> Iterator[str]:
    """Yield the label and the published names in the spellings that papers and files have."""
    for spelled in _shortened((config.label, *config.published_names)):
        # Files are called ViT-B_16 and R50-ViT-B_16, as a slash and a plus cannot be.
        yield spelled
        yield spelled.replace("/", "_")
        yield spelled.replace("/", "_").replace("+", "-")


def _shortened(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield name
        yield name.replace("ViT-", "")
        yield name.replace("R50x1+", "R50+")
        yield name.replace("R50x1+", "R50+").replace("ViT-", "")
        if name.startswith("BiT-"):
            yield name.removeprefix("BiT-")
            yield from (name.replace("BiT-", f"BiT-{size}-") for size in "SML")
