"""Apply the augmentations of a recipe in their order."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.data.augment.color import JITTER_DRAWS, THREE_DRAWS, color_jitter, three_augment
from bench.data.augment.erasing import NUM_DRAWS as ERASING_DRAWS
from bench.data.augment.erasing import choose_box, erase
from bench.data.augment.randaugment import NUM_DRAWS as LAYER_DRAWS
from bench.data.augment.randaugment import randaugment
from bench.data.sources import Image
from bench.run import seeds
from bench.run.recipe import Recipe


def augment(
    images: Sequence[Image], recipe: Recipe, seed: int, keys: npt.NDArray[np.int64]
) -> Sequence[Image]:
    """Augment cropped and flipped images uint8 (H, W, 3) as the recipe says.

    In this order, where the recipe has them: three-augment, colour jitter (facebookresearch/deit,
    augment.py), RandAugment, and random erasing last (timm's `create_transform`). The random
    numbers of an image depend on (seed, key) and the augmentation alone.
    """
    if recipe.three_augment:
        draws = _draws(seed, "three_augment", keys, THREE_DRAWS)
        images = [three_augment(*pair) for pair in zip(images, draws, strict=True)]
    if strength := recipe.color_jitter:
        draws = _draws(seed, "color_jitter", keys, JITTER_DRAWS)
        images = [color_jitter(x, strength, draw) for x, draw in zip(images, draws, strict=True)]
    if layers := recipe.randaugment_layers:
        draws = _draws(seed, "randaugment", keys, layers * LAYER_DRAWS)
        by_layer = draws.reshape(len(keys), layers, LAYER_DRAWS)
        magnitude = recipe.randaugment_magnitude
        images = [randaugment(x, magnitude, draw) for x, draw in zip(images, by_layer, strict=True)]
    if recipe.random_erasing:
        images = _erased(images, recipe.random_erasing, seed, keys)
    return images


def _draws(
    seed: int, purpose: str, keys: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float64]:
    return seeds.uniforms(seeds.derive(seed, purpose), keys, count)


def _erased(
    images: Sequence[Image], probability: float, seed: int, keys: npt.NDArray[np.int64]
) -> list[Image]:
    erased = []
    draws = _draws(seed, "random_erasing", keys, ERASING_DRAWS)
    for image, key, draw in zip(images, keys.tolist(), draws, strict=True):
        box = choose_box(image.shape[0], image.shape[1], probability, draw)
        if box is not None:
            noise = np.random.Philox(seeds.derive(seed, "erasing_noise", key))
            image = erase(image, box, np.random.Generator(noise))
        erased.append(image)
    return erased
