"""Colour jitter and three-augment by hand."""

import numpy as np
import pytest

from bench.data.augment import operations as ops
from bench.data.augment.color import color_jitter, three_augment

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (0.0, ("brightness", "contrast", "color")),
        (0.99, ("color", "contrast", "brightness")),
    ],
)
def test_jitter_applies_three_factors_in_a_random_order(
    order: float, names: tuple[str, ...]
) -> None:
    operations = {"brightness": ops.brightness, "contrast": ops.contrast, "color": ops.color}
    # 0.5 + draw · 1: the range of a strength of 0.5 is 0.5 to 1.5.
    expected = IMAGE
    for name, factor in zip(names, (0.5, 1.0, 1.25), strict=True):
        expected = operations[name](expected, factor)
    found = color_jitter(IMAGE, 0.5, np.array([order, 0.0, 0.5, 0.75]))
    assert np.array_equal(found, expected)


def test_a_strength_above_one_has_factors_from_zero() -> None:
    # 0 + 0 · 3 = 0 for brightness, the first operation: black, and it stays black.
    assert not color_jitter(IMAGE, 2.0, np.array([0.0, 0.0, 0.9, 0.9])).any()


def test_three_augment_chooses_one_of_three() -> None:
    assert np.array_equal(three_augment(IMAGE, np.array([0.1, 0.5])), ops.greyscale(IMAGE))
    assert np.array_equal(three_augment(IMAGE, np.array([0.5, 0.5])), ops.solarize(IMAGE, 128))
    large = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    # At 224 pixels the radius is 0.1 + 0.5 · 1.9; at 112 half of that.
    assert np.array_equal(three_augment(large, np.array([0.9, 0.5])), ops.blur(large, 1.05))
    half = large[:112, :112]
    assert np.array_equal(three_augment(half, np.array([0.9, 0.5])), ops.blur(half, 0.525))


def test_each_of_the_three_has_a_third() -> None:
    draws = np.random.default_rng(2).random((3000, 2))
    chosen = np.array(
        [np.array_equal(three_augment(IMAGE, d), ops.greyscale(IMAGE)) for d in draws]
    )
    # Exactly the draws below 1/3, and so a third of them within five standard deviations.
    assert np.array_equal(chosen, draws[:, 0] < 1 / 3)
    assert abs(chosen.sum() - 1000) < 5 * np.sqrt(3000 * 2 / 9)
