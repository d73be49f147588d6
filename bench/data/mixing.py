"""Mixup and CutMix of training batches; B batch, C channels, H W pixels.

The images of a batch are mixed in pairs of neighbours, which a random order has brought together.
All pairs of a step are mixed alike. So the mix is a function of (seed, step), whatever the number
of processes and the size of micro-batches.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from bench.run import seeds
from bench.run.recipe import Recipe


@dataclass(frozen=True)
class Mix:
    """How two images become one: `weight` is the first one's share of the label.

    The pixels of `box` (top, bottom, left, right) come from the second image; without a box all
    pixels are averages with that weight.
    """

    weight: float
    box: tuple[int, int, int, int] | None = None


def draw(recipe: Recipe, image_size: int, *seed: int | str) -> Mix | None:
    """Return the mix of a step; None for a recipe without.

    The weight follows Beta(alpha, alpha), where alpha is `mixup` (arXiv:1710.09412; the larger
    of weight and 1 - weight, as in big_vision) or `cutmix` (arXiv:1905.04899, algorithm 1). With
    both, each has probability 1/2, as in DeiT (arXiv:2012.12877).
    """
    if not recipe.mixes:
        return None
    random = np.random.Generator(np.random.Philox(seeds.derive(*seed, "mix")))
    choice, row, column = random.random(3)
    cuts = bool(recipe.cutmix) and (not recipe.mixup or choice < 0.5)
    alpha = recipe.cutmix if cuts else recipe.mixup
    weight = float(random.beta(alpha, alpha))
    return cut(weight, row, column, image_size) if cuts else Mix(max(weight, 1 - weight))


def cut(weight: float, row: float, column: float, image_size: int) -> Mix:
    """Return CutMix with a box of 1 - `weight` of the area around (`row`, `column`) in [0, 1).

    The box is clipped to the image, and the weight is that of the pixels that are left.

    >>> cut(0.75, 0.5, 0.5, 8)
    Mix(weight=0.75, box=(2, 6, 2, 6))
    """
    half = int(image_size * math.sqrt(1 - weight)) // 2
    center = int(row * image_size), int(column * image_size)
    top, left = (max(0, place - half) for place in center)
    bottom, right = (min(image_size, place + half) for place in center)
    area = (bottom - top) * (right - left)
    return Mix(1 - area / image_size**2, (top, bottom, left, right))


def partners(batch: torch.Tensor) -> torch.Tensor:
    """Return a batch (B, …) in which the two of each pair have changed places; B is even."""
    return batch.reshape(-1, 2, *batch.shape[1:]).flip(1).reshape(batch.shape)


def mixed(images: torch.Tensor, mix: Mix) -> torch.Tensor:
    """Return the mixed images (B, C, H, W)."""
    others = partners(images)
    if mix.box is None:
        return images * mix.weight + others * (1 - mix.weight)
    top, bottom, left, right = mix.box
    out = images.clone()
    out[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return out
