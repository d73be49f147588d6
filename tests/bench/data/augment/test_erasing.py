"""Boxes of random erasing and what fills them."""

import numpy as np
import pytest

from bench.data.augment.erasing import DEVIATION, MEAN, NUM_DRAWS, choose_box, erase
from bench.run import seeds


def draw(*numbers: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """These numbers, then zeros."""
    return np.array([*numbers, *[0.0] * (NUM_DRAWS - len(numbers))])


def test_a_box_by_hand() -> None:
    # A share of 0.02 of 100 × 100 is 200 pixels; the middle of 0.3 … 1/0.3 in the logarithm is a
    # square: sides of round(14.14). 0.5 of the 87 places a side has is 43.
    assert choose_box(100, 100, 0.5, draw(0.4, 0.0, 0.5, 0.5, 0.99)) == (43, 86, 14, 14)
    # A height of 0.3 of the width: sqrt(200 · 0.3), sqrt(200 / 0.3).
    assert choose_box(100, 100, 0.5, draw(0.0, 0.0, 0.0, 0.0, 0.0)) == (0, 0, 8, 26)
    assert choose_box(100, 100, 0.5, draw(0.5)) is None


def test_a_box_that_does_not_fit_is_drawn_again() -> None:
    # A third of 10 × 10 at 3.33 is 11 high; the second try is a square of round(sqrt(2)).
    tries = (0.999, 0.999, 0.0, 0.0), (0.0, 0.5, 0.0, 0.0)
    assert choose_box(10, 10, 1.0, draw(0.0, *tries[0], *tries[1])) == (0, 0, 1, 1)
    assert choose_box(10, 10, 1.0, np.array([0.0, *tries[0] * 10])) is None


@pytest.mark.parametrize(("height", "width"), [(224, 224), (120, 200)])
def test_boxes_stay_within_their_bounds(height: int, width: int) -> None:
    draws = seeds.uniforms(3, np.arange(4000), NUM_DRAWS)
    boxes = [choose_box(height, width, 0.25, d) for d in draws]
    assert [box is not None for box in boxes] == (draws[:, 0] < 0.25).tolist()
    assert abs(sum(box is not None for box in boxes) - 1000) < 5 * np.sqrt(4000 * 3 / 16)
    top, left, h, w = np.array([box for box in boxes if box is not None]).T
    assert np.all(top >= 0) and np.all(top + h <= height)
    assert np.all(left >= 0) and np.all(left + w <= width)
    # Sides are rounded by at most half a pixel.
    assert np.all((h + 0.5) * (w + 0.5) >= 0.02 * height * width)
    assert np.all((h - 0.5) * (w - 0.5) <= height * width / 3)
    assert np.all((h + 0.5) / (w - 0.5) >= 0.3) and np.all((h - 0.5) / (w + 0.5) <= 1 / 0.3)
    share = h * w / (height * width)
    assert share.min() < 0.03 and share.max() > 0.3


def test_noise_fills_the_box_alone() -> None:
    image = np.full((200, 200, 3), 7, np.uint8)
    filled = erase(image, (20, 30, 100, 150), np.random.default_rng(0))
    assert np.all(image == 7)
    inside = filled[20:120, 30:180].astype(float)
    outside = np.ones((200, 200), bool)
    outside[20:120, 30:180] = False
    assert np.all(filled[outside] == 7)
    # ImageNet's mean and deviation, up to the clipping of what is beyond two deviations.
    assert inside.mean((0, 1)) == pytest.approx(MEAN, abs=2)
    assert inside.std((0, 1)) == pytest.approx(DEVIATION, rel=0.05)
    # Channels and neighbours are independent.
    flat = inside.reshape(-1, 3)
    assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 0.04
    assert abs(np.corrcoef(inside[:, :-1].ravel(), inside[:, 1:].ravel())[0, 1]) < 0.1
