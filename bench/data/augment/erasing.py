"""Random erasing (arXiv:1708.04896) of one image; images are uint8 (H, W, 3)."""

import math

import numpy as np
import numpy.typing as npt

from bench.data.sources import Image

# Shares of the image's area, and height / width: timm's RandomErasing, which DeiT uses. The paper
# has an area of 0.02 to 0.4 and a ratio of 0.3 to 1 / 0.3 (section 4.2).
AREA = (0.02, 1 / 3)
ASPECT = (0.3, 1 / 0.3)
NUM_TRIES = 10
NUM_DRAWS = 1 + 4 * NUM_TRIES
# timm draws standard normal pixels after normalization by ImageNet's mean and deviation.
MEAN = 255 * np.array([0.485, 0.456, 0.406])
DEVIATION = 255 * np.array([0.229, 0.224, 0.225])

Box = tuple[int, int, int, int]


def choose_box(
    height: int, width: int, probability: float, draw: npt.NDArray[np.float64]
) -> Box | None:
    """Return top, left, height and width of the box to erase; None for none.

    The share of the area is uniform, the ratio uniform in its logarithm. A box that does not fit is
    drawn again, NUM_TRIES times at most. `draw`: NUM_DRAWS numbers in [0, 1).
    """
    if draw[0] >= probability:
        return None
    low, high = (math.log(ratio) for ratio in ASPECT)
    for area_draw, aspect_draw, row, column in draw[1:].reshape(NUM_TRIES, 4):
        area = height * width * (AREA[0] + area_draw * (AREA[1] - AREA[0]))
        aspect = math.exp(low + aspect_draw * (high - low))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h < height and w < width:
            return int(row * (height - h + 1)), int(column * (width - w + 1)), h, w
    return None


def erase(image: Image, box: Box, random: np.random.Generator) -> Image:
    """Fill the box with normal noise, independent for each pixel and channel.

    Mean and deviation are those of ImageNet's levels; noise outside 0 … 255 is clipped.
    """
    top, left, height, width = box
    noise = MEAN + DEVIATION * random.standard_normal((height, width, 3))
    out = image.copy()
    out[top : top + height, left : left + width] = np.clip(np.rint(noise), 0, 255)
    return out
