"""Networks of the ViT paper and small variants: names, configs, weights and published files.

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
    """Return a freshly initialized network: (B, 3, H, W) in [-1, 1] to (B, num_classes).

    Its `features` gives the representation before the head, (B, D). `overrides` are fields of
    its config, as in `build("vit_b16", num_classes=10, image_size=64, pooling="gap")`; for an
    image that is not square, `image_size` is (height, width). Raises UnknownModel and ConfigError.
    """
    if image_size is not None:
        overrides["image_size"] = image_size
    return assemble(config(name, **overrides), num_classes=num_classes)


def load_checkpoint(
    path: str | Path,
    *,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int | None = None,
    new_head: bool = False,
    num_heads: int | None = None,
    gelu: str | None = None,
    pooling: str | None = None,
) -> "nn.Module":
    """Load a network from a weights file and infer its architecture from it.

    Takes a published `.npz` (ViT and hybrids of vit_jax and big_vision, BiT), a `.safetensors` of
    timm or of ours, shards with their index, or a state dict of `torch.save` (`.pth`, `.bin`), of
    which nothing but tensors is unpickled. With another `image_size` (one number, or height
    and width) the position embedding is resized like the original; a timm file whose grid is
    not square needs the image size that it was trained at. With another `num_classes`, or with
    `new_head`, the head is replaced by one initialized to zero. Every array is used exactly once.

    Names and shapes do not say everything: `num_heads`, `gelu` ("erf" or "tanh") and `pooling`
    ("token" or "gap") of a timm file do. What all of timm's networks of that size have is assumed,
    and logged in one line; what would be a guess is refused unless it is given.

    Raises CheckpointError if arrays are missing, unexpected or misshaped, or the file is damaged
    or of another format.
    """
    from models.checkpoints.convert import load_checkpoint

    return load_checkpoint(
        path,
        image_size=image_size,
        num_classes=num_classes,
        new_head=new_head,
        num_heads=num_heads,
        gelu=gelu,
        pooling=pooling,
    )


def save_checkpoint(network: "nn.Module", path: str | Path) -> None:
    """Save a network as `.safetensors`, or as an `.npz` in the published layout.

    Loading either restores the network bit for bit. Raises CheckpointError for any other
    extension, and for a network that an `.npz` cannot represent.
    """
    from models.checkpoints.convert import save_checkpoint

    save_checkpoint(network, path)
