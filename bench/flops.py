"""Counting a registered network's multiply-adds: by fvcore, and by torch's own counter.

`models.cost.macs` has the same figures in closed form. Three counts that share no code and agree to
the last unit are the reason to believe each of them.
"""

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import models
from models.cost.counted import (
    MAC_OPERATORS,
    NORM_OPERATORS,
    FlopCount,
    ModuleCount,
    UncountedOperator,
    count_config,
    count_network,
    on_meta,
)

__all__ = [
    "MAC_OPERATORS",
    "NORM_OPERATORS",
    "FlopCount",
    "ModuleCount",
    "UncountedOperator",
    "count",
    "count_meta",
    "count_network",
]


def count(
    model_name: str,
    image_size: int | tuple[int, int] | None = None,
    *,
    num_classes: int = 1000,
    **overrides: Any,
) -> FlopCount:
    """Return the count by fvcore of a registered network, built for it.

    `count("vit_b16").forward_macs` is 17 563 828 224. It allocates the network's real size;
    `count_meta` and `models.cost.macs` do not. Raises UncountedOperator and the errors of
    `models.config`.
    """
    config = models.config(model_name, **_with_size(overrides, image_size))
    return count_config(config, num_classes)


def count_meta(
    model_name: str,
    image_size: int | tuple[int, int] | None = None,
    *,
    num_classes: int = 1000,
    **overrides: Any,
) -> int:
    """Forward MACs by torch's own counter, on the meta device: any size, at once, no memory."""
    config = models.config(model_name, **_with_size(overrides, image_size))
    images = torch.zeros(1, 3, config.image.rows, config.image.columns, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        on_meta(config, num_classes)(images)
    return counter.get_total_flops() // 2


def _with_size(
    overrides: dict[str, Any], image_size: int | tuple[int, int] | None
) -> dict[str, Any]:
    return overrides if image_size is None else {**overrides, "image_size": image_size}
