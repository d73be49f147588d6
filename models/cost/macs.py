"""Parameters and multiply-adds of a network: sums over the operators of its family.

Plain arithmetic for planning on a host without torch, exact to the last unit. Only a network
whose family describes no operators is built, and counted by fvcore.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from models.configs import Config
from models.families import family_of
from models.operators import Numerics, Operator

FLOPS_PER_MAC = 2
TRAIN_PER_FORWARD = 3


@dataclass(frozen=True)
class ModuleCost:
    """Totals over the operators of one part of a network; see `models.operators.Operator`.

    `forward_macs_valid` is None where only the real network was counted.
    """

    name: str
    params: int = 0
    forward_macs: int = 0
    forward_macs_valid: int | None = 0
    norm_elements: int = 0
    standardized_weights: int = 0
    activations: int = 0


@dataclass(frozen=True)
class Cost(ModuleCost):
    """Cost of a network: totals, and its parts in forward order."""

    parts: tuple[ModuleCost, ...] = ()
    counted_norm_operations: int | None = None

    @property
    def norm_operations(self) -> int:
        """Norm work as fvcore counts it: 5 per element, and 4 per standardized weight.

        timm's GMACs are `forward_macs` plus this.
        """
        if self.counted_norm_operations is not None:
            return self.counted_norm_operations
        return 5 * self.norm_elements + 4 * self.standardized_weights


_SUMMED = [field.name for field in fields(ModuleCost) if field.name != "name"]


def _sums(operators: Iterable[Operator]) -> dict[str, int]:
    operators = tuple(operators)
    return {name: sum(getattr(one, name) for one in operators) for name in _SUMMED}


@lru_cache(maxsize=1024)
def count(
    config: Config,
    *,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int = 1000,
) -> Cost:
    """Return the cost of one forward pass over one image.

    `count(models.config("vit_b16")).forward_macs` is 17 563 828 224: L (4 n d^2 + 2 n^2 d +
    2 n d m) for L blocks, patches x 3 p^2 d and d x classes. Raises ConfigError for an image size
    that does not fit.
    """
    if image_size is not None:
        config = replace(config, image_size=image_size)
    parts = family_of(config).operators(config, num_classes, Numerics())
    if parts is None:
        return _counted(config, num_classes)
    modules: dict[str, list[Operator]] = {}
    for operator in (one for part in parts for one in part.operators):
        modules.setdefault(operator.module, []).append(operator)
    return Cost(
        config.name,
        **_sums(one for found in modules.values() for one in found),
        parts=tuple(ModuleCost(name, **_sums(found)) for name, found in modules.items()),
    )


def _counted(config: Config, num_classes: int) -> Cost:
    """Return the cost of a network that has no closed form; imports torch."""
    from models.cost.counted import count_config

    found = count_config(config, num_classes)
    return Cost(
        config.name,
        found.params,
        found.forward_macs,
        forward_macs_valid=None,
        counted_norm_operations=found.norm_operations,
    )


def train_flops(macs_per_image: int, examples_seen: int) -> float:
    """Return model FLOPs of training: 3 × forward, 2 a multiply-add, no recomputation.

    >>> train_flops(17_563_828_224, 1)  # ViT-B/16 at 224 px, one image
    105382969344.0
    """
    return float(TRAIN_PER_FORWARD * FLOPS_PER_MAC * macs_per_image * examples_seen)
