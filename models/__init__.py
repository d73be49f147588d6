"""Networks of the ViT paper and small kin: `names`, `config`, `build`.

Importing this package does not import torch; building a network does.
"""

from typing import TYPE_CHECKING, Any

from models.configs import (
    BiTConfig,
    Config,
    ConfigError,
    HybridConfig,
    ModelsError,
    UnknownModel,
    ViTConfig,
)
from models.registry import config, names

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "BiTConfig",
    "Config",
    "ConfigError",
    "HybridConfig",
    "ModelsError",
    "UnknownModel",
    "ViTConfig",
    "assemble",
    "build",
    "config",
    "names",
]


def build(
    name: str, *, num_classes: int, image_size: int | None = None, **overrides: Any
) -> "nn.Module":
    """A freshly initialised network: (B, 3, H, W) in [-1, 1] to (B, num_classes).

    Its `features` gives the representation before the head, (B, D). `overrides` are fields of
    its config, as in `build("vit_b16", num_classes=10, image_size=64, pooling="gap")`. Raises
    UnknownModel and ConfigError.
    """
    if image_size is not None:
        overrides["image_size"] = image_size
    return assemble(config(name, **overrides), num_classes=num_classes)


def assemble(config: Config, *, num_classes: int) -> "nn.Module":
    """The network of a config that need not be registered; otherwise like `build`."""
    from models.bit import BiT
    from models.hybrid import Hybrid
    from models.vit import ViT

    if num_classes < 1:
        raise ConfigError(f"model {config.name}: num_classes = {num_classes}: expected 1 or more")
    if isinstance(config, BiTConfig):
        return BiT(config, num_classes)
    if isinstance(config, HybridConfig):
        return Hybrid(config, num_classes)
    return ViT(config, num_classes)
