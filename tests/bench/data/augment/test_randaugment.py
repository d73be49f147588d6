"""Ranges of RandAugment by hand, and its choice of operations."""

import numpy as np
import pytest

from bench.data.augment import operations as ops
from bench.data.augment.operations import GREY
from bench.data.augment.randaugment import OPERATIONS, Draw, randaugment
from bench.data.sources import Image
from bench.run import seeds

# big_vision, pp/autoaugment.py, `available_ops` of distort_image_with_randaugment.
PUBLISHED = [
    "AutoContrast",
    "Equalize",
    "Invert",
    "Rotate",
    "Posterize",
    "Solarize",
    "Color",
    "Contrast",
    "Brightness",
    "Sharpness",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Cutout",
    "SolarizeAdd",
]


def noise(side: int) -> Image:
    return np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)


def applied(name: str, image: Image, level: float, sign: int = 1) -> Image:
    return OPERATIONS[name](image, level, Draw(0.0, sign, 0.5, 0.5))


def test_operations_are_the_published_ones_in_their_order() -> None:
    assert list(OPERATIONS) == PUBLISHED


# level -> the argument that the published `level_to_arg` gives, by hand.
@pytest.mark.parametrize(
    ("level", "degrees", "bits", "threshold", "addition", "factor", "slope"),
    [
        (0, 0.0, 1, 0, 0, 0.1, 0.0),  # 0 bits would leave a black image
        (5, 15.0, 2, 128, 55, 1.0, 0.15),
        (9, 27.0, 3, 230, 99, 1.72, 0.27),  # int(3.6), int(230.4)
        (10, 30.0, 4, 256, 110, 1.9, 0.3),
        (15, 45.0, 6, 384, 165, 2.8, 0.45),
        (20, 60.0, 8, 512, 220, 3.7, 0.6),
        (30, 90.0, 8, 768, 330, 5.5, 0.9),  # at most 8 bits
    ],
)
def test_magnitudes_give_the_published_arguments(
    level: int,
    degrees: float,
    bits: int,
    threshold: int,
    addition: int,
    factor: float,
    slope: float,
) -> None:
    image = noise(32)
    for sign in (-1, 1):
        same = {
            "Rotate": ops.rotate(image, sign * degrees),
            "Posterize": ops.posterize(image, bits),
            "Solarize": ops.solarize(image, threshold),
            "SolarizeAdd": ops.solarize_add(image, addition),
            "ShearX": ops.shear_x(image, sign * slope),
            "ShearY": ops.shear_y(image, sign * slope),
            "AutoContrast": ops.autocontrast(image),
            "Equalize": ops.equalize(image),
            "Invert": ops.invert(image),
        }
        for name, expected in same.items():
            assert np.array_equal(applied(name, image, level, sign), expected), name
    for name, operation in {
        "Color": ops.color,
        "Contrast": ops.contrast,
        "Brightness": ops.brightness,
        "Sharpness": ops.sharpness,
    }.items():
        # The factor is a float: an image's levels may differ by one where it is rounded.
        found, expected = applied(name, image, level).astype(int), operation(image, factor)
        assert np.abs(found - expected).max() <= 1, name


def test_lengths_are_the_published_pixels_at_224_and_scaled_elsewhere() -> None:
    image = noise(224)
    assert np.array_equal(applied("TranslateX", image, 10), ops.translate_x(image, 100))
    assert np.array_equal(applied("TranslateX", image, 10, -1), ops.translate_x(image, -100))
    assert np.array_equal(applied("TranslateY", image, 15), ops.translate_y(image, 150))
    assert np.array_equal(applied("Cutout", image, 10), ops.cutout(image, 40, 0.5, 0.5))
    assert np.array_equal(applied("Cutout", image, 20), ops.cutout(image, 80, 0.5, 0.5))
    small = noise(8)  # 100 · 8 / 224 = 3.6 pixels to the nearest; a half-side of int(1.4)
    assert np.array_equal(applied("TranslateX", small, 10), ops.translate_x(small, 4))
    cut = applied("Cutout", small, 10)
    assert np.all(cut[3:5, 3:5] == GREY)
    cut[3:5, 3:5] = small[3:5, 3:5]
    assert np.array_equal(cut, small)


def test_layers_apply_one_operation_each_in_turn() -> None:
    image = noise(8)
    invert, solarize = (PUBLISHED.index(name) + 0.5 for name in ("Invert", "Solarize"))
    draws = np.array([[solarize / 16, 0, 0, 0], [invert / 16, 0, 0, 0]])
    expected = ops.invert(ops.solarize(image, 128))
    assert np.array_equal(randaugment(image, 5, draws), expected)
    assert np.array_equal(randaugment(image, 5, draws[:0]), image)


def test_choices_and_signs_are_uniform() -> None:
    count = 16_000
    draws = seeds.uniforms(1, np.arange(count), 4)
    chosen = np.bincount((draws[:, 0] * 16).astype(int), minlength=16)
    # Five standard deviations of a binomial count.
    assert np.all(np.abs(chosen - count / 16) < 5 * np.sqrt(count * 15 / 256))
    rotate = np.column_stack(
        [np.full(100, (PUBLISHED.index("Rotate") + 0.5) / 16), draws[:100, 1:]]
    )
    image = noise(9)
    turned = [randaugment(image, 10, draw[None]) for draw in rotate]
    left, right = ops.rotate(image, 30), ops.rotate(image, -30)
    signs = np.array([1 if np.array_equal(x, left) else -1 for x in turned])
    assert all(
        np.array_equal(x, left if s > 0 else right) for x, s in zip(turned, signs, strict=True)
    )
    assert abs(signs.sum()) < 5 * np.sqrt(100)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("level", [0, 10, 30])
@pytest.mark.parametrize("side", [1, 8, 33])
def test_images_of_any_size_keep_shape_and_type(name: str, level: int, side: int) -> None:
    image = noise(side)
    before = image.copy()
    found = applied(name, image, level)
    assert found.shape == image.shape and found.dtype == np.uint8
    assert np.array_equal(image, before)
