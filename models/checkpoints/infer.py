"""Infer the network of a weights file from names and shapes of arrays, or from metadata."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from models.configs import IDENTITY, CheckpointError, Config, ModelsError
from models.families import FAMILIES, family_of
from models.layouts.rules import Layout
from models.layouts.shapes import ImageSize, Inferred, Shapes
from models.registry import config


def infer(shapes: Shapes, image_size: ImageSize = None) -> Inferred:
    """Return the config of a published file, as far as names and shapes determine it.

    `image_size` is the size that the user asks for; it disambiguates timm grids that are not
    square. Raises CheckpointError if the names match no known layout.
    """
    for family in reversed(FAMILIES.values()):
        files = family.published_files()
        inferred = files and files.infer(shapes, image_size)
        if inferred:
            return replace(inferred, config=registered(inferred.config))
    raise CheckpointError(f"{len(shapes)} arrays, but not named like a ViT, hybrid or BiT network")


def registered(made: Config) -> Config:
    """Return the config under its registered name, if it has one."""
    family = family_of(made)
    files = family.published_files()
    if files is None:
        return made
    for known in family.models.values():
        if all(getattr(known, key) == getattr(made, key) for key in files.structure):
            return replace(made, **{key: getattr(known, key) for key in IDENTITY})
    return made


def describe(network_config: Config, num_classes: int) -> dict[str, str]:
    """Return the metadata that describes the network in one of our files."""
    values = {"family": network_config.family, **asdict(network_config)}
    return {"config": json.dumps(values), "num_classes": str(num_classes)}


def described(metadata: Mapping[str, str]) -> Inferred:
    """Return the config described by the metadata of one of our files.

    Accepts the output of `describe`, and the `model`, `image_size` and `model_options` stored
    with the weights of a run. Raises CheckpointError.
    """
    try:
        num_classes = int(metadata["num_classes"])
        if "model" in metadata:
            options = json.loads(metadata["model_options"])
            made = config(metadata["model"], image_size=int(metadata["image_size"]), **options)
        else:
            values = json.loads(metadata["config"])
            family = FAMILIES[values.pop("family")].config
            lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
            made = family(**{**values, **lists})
    except (KeyError, ValueError, TypeError, AttributeError, ModelsError) as error:
        raise CheckpointError(f"the metadata does not describe a network: {error!r}") from error
    return Inferred(made, num_classes, Layout("ours"))
