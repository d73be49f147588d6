"""RandAugment (arXiv:1909.13719) with the operations and ranges of AugReg (arXiv:2106.10270).

Source: google-research/big_vision, big_vision/pp/autoaugment.py (`distort_image_with_randaugment`).
Differences: lengths in pixels, published for 224-pixel images, are scaled by side / 224; contrast
is Pillow's, which blends with the mean grey level (the published code takes the number of pixels
/ 256 for it); posterize keeps at least one bit.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.data.augment import operations as ops
from bench.data.sources import Image

MAX_LEVEL = 10  # the ranges are those of magnitude 10; AugReg goes to 20
PUBLISHED_SIDE = 224
NUM_DRAWS = 4


class Draw(NamedTuple):
    """Random numbers of one layer: three in [0, 1) and a sign, -1 or 1."""

    choice: float
    sign: int
    row: float
    column: float


def _factor(level: float) -> float:
    return level / MAX_LEVEL * 1.8 + 0.1


def _bits(level: float) -> int:
    return min(8, max(1, int(level / MAX_LEVEL * 4)))


def _pixels(image: Image, published: float) -> float:
    side: int = min(image.shape[0], image.shape[1])
    return published * side / PUBLISHED_SIDE


def _translation(image: Image, level: float, draw: Draw) -> float:
    return draw.sign * _pixels(image, level / MAX_LEVEL * 100)


def _cutout(image: Image, level: float, draw: Draw) -> Image:
    half = int(_pixels(image, level / MAX_LEVEL * 40))
    return ops.cutout(image, half, draw.row, draw.column)


# What each operation does with an image at a level.
OPERATIONS: dict[str, Callable[[Image, float, Draw], Image]] = {
    "AutoContrast": lambda image, level, draw: ops.autocontrast(image),
    "Equalize": lambda image, level, draw: ops.equalize(image),
    "Invert": lambda image, level, draw: ops.invert(image),
    "Rotate": lambda image, level, draw: ops.rotate(image, draw.sign * level / MAX_LEVEL * 30),
    "Posterize": lambda image, level, draw: ops.posterize(image, _bits(level)),
    "Solarize": lambda image, level, draw: ops.solarize(image, int(level / MAX_LEVEL * 256)),
    "Color": lambda image, level, draw: ops.color(image, _factor(level)),
    "Contrast": lambda image, level, draw: ops.contrast(image, _factor(level)),
    "Brightness": lambda image, level, draw: ops.brightness(image, _factor(level)),
    "Sharpness": lambda image, level, draw: ops.sharpness(image, _factor(level)),
    "ShearX": lambda image, level, draw: ops.shear_x(image, draw.sign * level / MAX_LEVEL * 0.3),
    "ShearY": lambda image, level, draw: ops.shear_y(image, draw.sign * level / MAX_LEVEL * 0.3),
    "TranslateX": lambda image, level, draw: ops.translate_x(
        image, _translation(image, level, draw)
    ),
    "TranslateY": lambda image, level, draw: ops.translate_y(
        image, _translation(image, level, draw)
    ),
    "Cutout": _cutout,
    "SolarizeAdd": lambda image, level, draw: ops.solarize_add(image, int(level / MAX_LEVEL * 110)),
}
_CHOICES = tuple(OPERATIONS.values())


def randaugment(image: Image, magnitude: float, draws: npt.NDArray[np.float64]) -> Image:
    """Apply one operation for each row of `draws` (layers, NUM_DRAWS), all equally probable."""
    for choice, sign, row, column in draws:
        draw = Draw(choice, 1 if sign < 0.5 else -1, row, column)
        image = _CHOICES[int(choice * len(_CHOICES))](image, magnitude, draw)
    return image
