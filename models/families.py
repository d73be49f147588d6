"""Registry of the families of models. A new family is one line here."""

from typing import TYPE_CHECKING, Any

from models.bit.family import BigTransfer
from models.configs import Config, check_classes
from models.custom.family import Custom
from models.family import Family
from models.hybrid.family import HybridTransformer
from models.vit.family import VisionTransformer

if TYPE_CHECKING:
    from torch import nn

# In the order of tables. Published files are recognized by the last family that knows them.
FAMILIES: dict[str, Family[Any]] = {
    family.name: family
    for family in (VisionTransformer(), HybridTransformer(), BigTransfer(), Custom())
}


def family_of(config: Config) -> Family[Any]:
    """Return the family that a config belongs to."""
    return FAMILIES[config.family]


def assemble(config: Config, *, num_classes: int) -> "nn.Module":
    """Build the network of a config, registered or not; otherwise like `models.build`."""
    check_classes(config.name, num_classes)
    return family_of(config).network(config, num_classes)
