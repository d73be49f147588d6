"""Resize and augment images into uint8 batches; B batch, C channels, H W pixels."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from bench.data.augment import pipeline
from bench.data.sources import Image
from bench.run import seeds
from bench.run.recipe import Recipe

MIN_AREA = 0.05
ASPECT = (3 / 4, 4 / 3)
CROP_PADDING = 4
NUM_TRIES = 10
DEFAULTS = Recipe()


def evaluation_batch(images: Sequence[Image], size: int) -> torch.Tensor:
    """Resize each image to `size` × `size` without a crop, as the published code does.

    Returns uint8 (B, 3, H, W).
    """
    return _stack([_resize(image, size) for image in images])


def training_batch(
    images: Sequence[Image],
    size: int,
    augment: str,
    seed: int,
    keys: npt.NDArray[np.int64],
    recipe: Recipe = DEFAULTS,
) -> torch.Tensor:
    """Augment and resize the images; returns uint8 (B, 3, H, W).

    `augment` is "none"; "flip" (left-right, with probability 1/2); "crop_flip" (4 pixels of
    padding, random crop, flip: He et al. 2016, section 4.2); or "inception" (a box of 5 to 100 % of
    the area and an aspect ratio of 3/4 to 4/3, flip: the ViT paper's pre-processing). The random
    numbers of an image depend on (seed, key) alone, not on its batch or worker. The augmentations
    of `recipe` follow (`bench.data.augment.pipeline`).
    """
    crops = _crops(images, size, augment, seed, keys)
    return _stack(pipeline.augment(crops, recipe, seed, keys))


def normalize(batch: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Map a uint8 batch to [-1, 1]: (x - 127.5) / 127.5."""
    return batch.to(dtype).sub_(127.5).div_(127.5)


def _stack(images: Sequence[Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def _crops(
    images: Sequence[Image], size: int, augment: str, seed: int, keys: npt.NDArray[np.int64]
) -> list[Image]:
    if augment == "none":
        return [_resize(image, size) for image in images]
    draws = seeds.uniforms(seed, keys, 3 * NUM_TRIES + 3)
    crops = []
    for image, draw in zip(images, draws, strict=True):
        if augment == "inception":
            image = _inception_crop(image, draw[1:])
        crop = _resize(image, size)
        if augment == "crop_flip":
            crop = _padded_crop(crop, draw[1:])
        crops.append(crop[:, ::-1] if draw[0] < 0.5 else crop)
    return crops


def _resize(image: Image, size: int) -> Image:
    if image.shape[:2] == (size, size):
        return image
    # A channels-last view: torch's uint8 kernel for it is the fastest without torchvision.
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    out = F.interpolate(tensor, (size, size), mode="bilinear", antialias=True)
    return out[0].permute(1, 2, 0).numpy()


def _inception_crop(image: Image, draw: npt.NDArray[np.float64]) -> Image:
    height, width = image.shape[:2]
    for area_draw, aspect_draw, place in draw[: 3 * NUM_TRIES].reshape(NUM_TRIES, 3):
        area = height * width * (MIN_AREA + (1 - MIN_AREA) * area_draw)
        aspect = math.exp(
            math.log(ASPECT[0]) + aspect_draw * (math.log(ASPECT[1]) - math.log(ASPECT[0]))
        )
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            # One number gives both offsets: an index into all positions of the box.
            position = int(place * (height - h + 1) * (width - w + 1))
            top, left = divmod(position, width - w + 1)
            return image[top : top + h, left : left + w]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def _padded_crop(image: Image, draw: npt.NDArray[np.float64]) -> Image:
    size, pad = image.shape[0], CROP_PADDING
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    top, left = (draw[:2] * (2 * pad + 1)).astype(int)
    return padded[top : top + size, left : left + size]
