"""Networks of the ViT paper and small kin: their names, configs, weights and published files.

Importing this package does not import torch; building or loading a network does.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.bit.config import BiTConfig
from models.configs import CheckpointError, Config, ConfigError, ModelsError, UnknownModel
from models.families import FAMILIES, assemble
from models.family import Family
from models.hybrid.config import HybridConfig
from models.registry import config, names
from models.vit.config import ViTConfig

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "FAMILIES",
    "BiTConfig",
    "CheckpointError",
    "Config",
    "ConfigError",
    "Family",
    "HybridConfig",
    "ModelsError",
    "UnknownModel",
    "ViTConfig",
    "assemble",
    "build",
    "config",
    "load_checkpoint",
    "names",
    "save_checkpoint",
]


def build(
    name: str,
    *,
    num_classes: int,
    image_size: int | tuple[int, int] | None = None,
    **overrides: Any,
) -> "nn.Module":
    """Return a freshly initialised network: (B, 3, H, W) in [-1, 1] to (B, num_classes).

    Its `features` gives the representation before the head, (B, D). `overrides` are fields of
    its config, as in `build("vit_b16", num_classes=10, image_size=64, pooling="gap")`; an image
    that is no square has a pair, height and width. Raises UnknownModel and ConfigError.
    """
    if image_size is not None:
        overrides["image_size"] = image_size
    return assemble(config(name, **overrides), num_classes=num_classes)


def load_checkpoint(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int | None = None,
) -> "nn.Module":
    """Return the network in a file, its architecture inferred from the file.

    Takes a published `.npz` (ViT and hybrids of vit_jax and big_vision, BiT), a timm
    `.safetensors`, or a `.safetensors` of ours. With another `image_size` (one number, or height
    and width) the position embedding is resized like the original; a timm file whose grid is no
    square needs the image size that it was trained at. With another `num_classes` the whole head
    is dropped for one of zeros. Every array is used exactly once; what is missing, unexpected or
    of another shape is a CheckpointError, as is a file that is damaged or of another kind.
    """
    from models.checkpoints.convert import load_checkpoint

    return load_checkpoint(path, image_size=image_size, num_classes=num_classes)


def save_checkpoint(network: "nn.Module", path: str | Path) -> None:
    """Write a network to a `.safetensors` of ours, or to an `.npz` named like the published ones.

    Loading either gives the same network to the last bit. Raises CheckpointError for another
    ending, and for a network that an `.npz` cannot express.
    """
    from models.checkpoints.convert import save_checkpoint

    save_checkpoint(network, path)
