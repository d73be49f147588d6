"""Family of ResNets of Big Transfer."""

from typing import TYPE_CHECKING

from models.bit.config import BiTConfig
from models.bit.operators import operators
from models.bit.sizes import MODELS
from models.family import Family, by_name
from models.operators import Numerics, Part

if TYPE_CHECKING:
    from torch import nn

    from models.bit.checkpoints import BiTFiles


class BigTransfer(Family[BiTConfig]):
    """BiT-ResNets (arXiv:1912.11370)."""

    name = "bit"
    config = BiTConfig
    models = by_name(MODELS)

    def network(self, config: BiTConfig, num_classes: int) -> "nn.Module":
        """Return a freshly initialized ResNet."""
        from models.bit.network import BiT

        return BiT(config, num_classes)

    def operators(self, config: BiTConfig, num_classes: int, numerics: Numerics) -> list[Part]:
        """Return root, units and head."""
        return operators(config, num_classes, numerics)

    def published_files(self) -> "BiTFiles":
        """Return the published files of BiT, big_vision's and timm's."""
        from models.bit.checkpoints import BiTFiles

        return BiTFiles()
