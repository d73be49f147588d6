"""Family of Vision Transformers."""

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from models.family import Family, by_name
from models.operators import Numerics, Part
from models.vit.config import ViTConfig
from models.vit.operators import operators
from models.vit.sizes import MODELS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.vit.checkpoints import ViTFiles

V = TypeVar("V", bound=ViTConfig)


class TransformerFamily(Family[V]):
    """Base family of ViTs and hybrids: position embeddings and the pre-training head."""

    def resize(self, state: "dict[str, Tensor]", old: V, new: V) -> None:
        """Resize the position embedding."""
        from models.vit.checkpoints import resize

        resize(state, old, new)

    def without_representation(self, config: V) -> V:
        """Return the config without the hidden layer of the pre-training head."""
        return replace(config, representation_size=None)


class VisionTransformer(TransformerFamily[ViTConfig]):
    """ViT (arXiv:2010.11929)."""

    name = "vit"
    config = ViTConfig
    models = by_name(MODELS)

    def network(self, config: ViTConfig, num_classes: int) -> "nn.Module":
        """Return a freshly initialized ViT."""
        from models.vit.network import ViT

        return ViT(config, num_classes)

    def operators(self, config: ViTConfig, num_classes: int, numerics: Numerics) -> list[Part]:
        """Return embedding, blocks and head."""
        return operators(config, num_classes, numerics)

    def published_files(self) -> "ViTFiles":
        """Return the files of vit_jax, big_vision and timm."""
        from models.vit.checkpoints import ViTFiles

        return ViTFiles()
