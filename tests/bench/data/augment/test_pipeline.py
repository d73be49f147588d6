"""Order and seeds of the augmentations of a recipe."""

from typing import Any

import numpy as np
import pytest
import torch

from bench.data.augment import operations
from bench.data.augment.color import THREE_DRAWS, three_augment
from bench.data.augment.pipeline import augment
from bench.data.augment.randaugment import randaugment
from bench.data.sources import Image
from bench.data.transforms import training_batch
from bench.run import seeds
from bench.run.recipe import Recipe

SEED = 2**62 + 3
KEYS = np.arange(100, 140)
ALL: dict[str, Any] = {
    "randaugment_layers": 2,
    "randaugment_magnitude": 10.0,
    "random_erasing": 0.5,
    "color_jitter": 0.3,
    "three_augment": True,
}
RECIPES: dict[str, dict[str, Any]] = {
    "three": {"three_augment": True},
    "jitter": {"color_jitter": 0.3},
    "randaugment": {"randaugment_layers": 2, "randaugment_magnitude": 15.0},
    "erasing": {"random_erasing": 0.5},
    "all": ALL,
}


def noise(count: int, side: int) -> list[Image]:
    random = np.random.default_rng(side)
    return list(random.integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def test_a_recipe_without_returns_the_images_themselves() -> None:
    images = noise(4, 8)
    assert augment(images, Recipe(), SEED, KEYS[:4]) is images


@pytest.mark.parametrize("crop", ["none", "flip", "crop_flip", "inception"])
def test_the_draws_of_crop_and_flip_stay_as_they_are(crop: str) -> None:
    images = noise(len(KEYS), 12)
    plain = training_batch(images, 8, crop, SEED, KEYS)
    other = Recipe(lr=0.5, mixup=0.2)
    assert torch.equal(training_batch(images, 8, crop, SEED, KEYS, other), plain)
    recipe = Recipe(**ALL)
    further = augment(list(plain.permute(0, 2, 3, 1).numpy()), recipe, SEED, KEYS)
    batch = training_batch(images, 8, crop, SEED, KEYS, recipe)
    assert np.array_equal(batch.permute(0, 2, 3, 1).numpy(), np.stack(further))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("crop", ["none", "flip", "crop_flip", "inception"])
def test_an_image_depends_on_seed_and_key_alone(name: str, crop: str) -> None:
    recipe, images = Recipe(**RECIPES[name]), noise(len(KEYS), 12)
    batch = training_batch(images, 8, crop, SEED, KEYS, recipe)
    assert batch.shape == (len(KEYS), 3, 8, 8) and batch.dtype == torch.uint8
    for i in (0, 7, 39):
        alone = training_batch(images[i : i + 1], 8, crop, SEED, KEYS[i : i + 1], recipe)
        assert torch.equal(alone[0], batch[i])
    order = np.array([5, 0, 21, 2])
    shuffled = training_batch([images[i] for i in order], 8, crop, SEED, KEYS[order], recipe)
    assert torch.equal(shuffled, batch[order])
    assert torch.equal(training_batch(images, 8, crop, SEED, KEYS, recipe), batch)
    assert not torch.equal(training_batch(images, 8, crop, SEED + 1, KEYS, recipe), batch)
    # The same images an epoch later: the key is the place in the whole run.
    assert not torch.equal(training_batch(images, 8, crop, SEED, KEYS + 40, recipe), batch)


def test_an_augmentation_does_not_move_the_draws_of_another() -> None:
    images = noise(len(KEYS), 8)
    erased = augment(images, Recipe(random_erasing=0.5), SEED, KEYS)
    both = augment(images, Recipe(random_erasing=0.5, color_jitter=0.3), SEED, KEYS)
    jittered = augment(images, Recipe(color_jitter=0.3), SEED, KEYS)
    for i, image in enumerate(images):
        outside = np.all(erased[i] == image, axis=-1)
        assert np.array_equal(np.asarray(both[i])[outside], np.asarray(jittered[i])[outside])


def test_the_order_is_three_augment_then_randaugment() -> None:
    images = noise(len(KEYS), 8)
    recipe = Recipe(three_augment=True, randaugment_layers=1, randaugment_magnitude=5.0)
    three = seeds.uniforms(seeds.derive(SEED, "three_augment"), KEYS, THREE_DRAWS)
    layer = seeds.uniforms(seeds.derive(SEED, "randaugment"), KEYS, 4)[:, None]
    expected = [
        randaugment(three_augment(image, a), 5.0, b)
        for image, a, b in zip(images, three, layer, strict=True)
    ]
    found = augment(images, recipe, SEED, KEYS)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_erasing_comes_last_and_meets_its_probability() -> None:
    black = [np.zeros((16, 16, 3), np.uint8)] * 2000
    keys = np.arange(2000)
    found = augment(black, Recipe(random_erasing=0.25), 5, keys)
    draws = seeds.uniforms(seeds.derive(5, "random_erasing"), keys, 41)[:, 0]
    assert [bool(np.any(image)) for image in found] == (draws < 0.25).tolist()
    assert abs((draws < 0.25).sum() - 500) < 5 * np.sqrt(2000 * 3 / 16)
    # Noise has colour, so greyscale cannot have followed it.
    grey_and_erased = augment(black, Recipe(three_augment=True, random_erasing=0.9), 5, keys)
    coloured = [np.any(x != operations.greyscale(np.asarray(x))) for x in grey_and_erased]
    assert sum(coloured) > 1500


def test_grey_images_of_eight_pixels_stay_grey_until_erased() -> None:
    side = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    images = list(np.repeat(side, 3, axis=-1))
    for image in augment(images, Recipe(**ALL | {"random_erasing": 0.0}), SEED, KEYS):
        channels = np.asarray(image).astype(int)
        assert np.ptp(channels, axis=-1).max() == 0
