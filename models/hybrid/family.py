"""Family of hybrids: ResNet stages under a Vision Transformer."""

from typing import TYPE_CHECKING

from models.family import by_name
from models.hybrid.config import HybridConfig
from models.hybrid.operators import operators
from models.hybrid.sizes import MODELS
from models.operators import Numerics, Part
from models.vit.family import TransformerFamily

if TYPE_CHECKING:
    from torch import nn

    from models.hybrid.checkpoints import HybridFiles


class HybridTransformer(TransformerFamily[HybridConfig]):
    """Hybrids of arXiv:2010.11929, section 3.1."""

    name = "hybrid"
    config = HybridConfig
    models = by_name(MODELS)

    def network(self, config: HybridConfig, num_classes: int) -> "nn.Module":
        """Return a freshly initialized hybrid."""
        from models.hybrid.network import Hybrid

        return Hybrid(config, num_classes)

    def operators(self, config: HybridConfig, num_classes: int, numerics: Numerics) -> list[Part]:
        """Return root, units, embedding, blocks and head."""
        return operators(config, num_classes, numerics)

    def published_files(self) -> "HybridFiles":
        """Return the files of vit_jax and timm."""
        from models.hybrid.checkpoints import HybridFiles

        return HybridFiles()
