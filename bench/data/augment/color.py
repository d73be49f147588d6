"""Colour jitter and three-augment of one image; images are uint8 (H, W, 3)."""

from itertools import permutations

import numpy as np
import numpy.typing as npt

from bench.data.augment import operations as ops
from bench.data.sources import Image

JITTER_DRAWS = 4
THREE_DRAWS = 2
# facebookresearch/deit, augment.py: standard deviation of the blur, for 224-pixel images.
BLUR_RADIUS = (0.1, 2.0)
BLUR_SIDE = 224
SOLARIZE_THRESHOLD = 128  # the default of PIL.ImageOps.solarize, which DeiT III leaves as it is

_ORDERS = tuple(permutations((ops.brightness, ops.contrast, ops.color)))


def color_jitter(image: Image, strength: float, draw: npt.NDArray[np.float64]) -> Image:
    """Change brightness, contrast and saturation, in a random order.

    Each factor is uniform in [max(0, 1 - strength), 1 + strength], as in torchvision's
    ColorJitter(strength, strength, strength), which timm and DeiT use. `draw`: JITTER_DRAWS
    numbers in [0, 1).
    """
    low = max(0.0, 1 - strength)
    factors = low + draw[1:] * (1 + strength - low)
    order = _ORDERS[int(draw[0] * len(_ORDERS))]
    for operation, factor in zip(order, factors, strict=True):
        image = operation(image, float(factor))
    return image


def three_augment(image: Image, draw: npt.NDArray[np.float64]) -> Image:
    """Apply greyscale, solarization or Gaussian blur, each with probability 1/3.

    DeiT III (arXiv:2204.07118, section 3.3). The blur's radius is scaled by side / 224. `draw`:
    THREE_DRAWS numbers in [0, 1).
    """
    choice = int(draw[0] * 3)
    if choice == 0:
        return ops.greyscale(image)
    if choice == 1:
        return ops.solarize(image, SOLARIZE_THRESHOLD)
    low, high = BLUR_RADIUS
    radius = low + float(draw[1]) * (high - low)
    side: int = min(image.shape[0], image.shape[1])
    return ops.blur(image, radius * side / BLUR_SIDE)
