"""Batches of one size from images of any, with augmentation that is a function of the key."""

import math

import numpy as np
import pytest
import torch

from bench.data.sources import Image
from bench.data.transforms import (
    CROP_PADDING,
    evaluation_batch,
    normalize,
    training_batch,
)

SEED = 2**62 + 1


def index_image(height: int, width: int) -> Image:
    """Its channels are the row, the column and a constant: a crop of it says where it was."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, 200)], axis=-1).astype(np.uint8)


def augmented(image: Image, size: int, augment: str, keys: range, seed: int = SEED) -> torch.Tensor:
    numbers = np.arange(keys.start, keys.stop)
    return training_batch([image] * len(keys), size, augment, seed, numbers)


def test_an_image_of_the_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    batch = evaluation_batch([image, image[::-1]], 8)
    assert batch.shape == (2, 3, 8, 8) and batch.dtype == torch.uint8
    assert np.array_equal(batch[0].permute(1, 2, 0).numpy(), image)
    assert np.array_equal(batch[1].permute(1, 2, 0).numpy(), image[::-1])
    assert torch.equal(augmented(image, 8, "none", range(3))[2], batch[0])


def test_images_are_resized_straight_to_the_size() -> None:
    halves = np.zeros((20, 30, 3), np.uint8)
    halves[:, 15:] = 240
    (small,) = evaluation_batch([halves], 10)
    assert small.shape == (3, 10, 10)
    # Columns far from the edge keep their level: neither cropped nor padded.
    assert torch.all(small[:, :, :4] == 0) and torch.all(small[:, :, 6:] == 240)
    (large,) = evaluation_batch([np.full((3, 5, 3), 77, np.uint8)], 16)
    assert torch.all(large == 77)


def test_reducing_averages_instead_of_leaving_pixels_out() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 254
    (small,) = evaluation_batch([np.repeat(board[..., None], 3, -1).astype(np.uint8)], 8)
    assert torch.all((small.float() - 127).abs() <= 4)


@pytest.mark.parametrize(("level", "expected"), [(0, -1.0), (255, 1.0), (51, -0.6), (204, 0.6)])
def test_levels_become_numbers_from_minus_one_to_one(level: int, expected: float) -> None:
    batch = torch.full((1, 3, 2, 2), level, dtype=torch.uint8)
    assert torch.allclose(normalize(batch), torch.full((1, 3, 2, 2), expected))
    assert normalize(batch).dtype == torch.float32
    assert normalize(batch, torch.bfloat16).dtype == torch.bfloat16
    assert torch.all(batch == level)


@pytest.mark.parametrize("augment", ["flip", "crop_flip", "inception"])
def test_a_draw_depends_on_seed_and_key_alone(augment: str) -> None:
    images = [index_image(12 + i, 20 - i) for i in range(8)]
    keys = np.arange(100, 108)
    batch = training_batch(images, 8, augment, SEED, keys)
    for i in (0, 3, 7):
        alone = training_batch(images[i : i + 1], 8, augment, SEED, keys[i : i + 1])
        assert torch.equal(alone[0], batch[i])
    order = np.array([5, 0, 7, 2])
    shuffled = training_batch([images[i] for i in order], 8, augment, SEED, keys[order])
    assert torch.equal(shuffled, batch[order])
    assert not torch.equal(training_batch(images, 8, augment, SEED + 1, keys), batch)
    assert not torch.equal(training_batch(images, 8, augment, SEED, keys + 8), batch)


@pytest.mark.parametrize("augment", ["flip", "crop_flip", "inception"])
def test_about_half_of_the_images_are_flipped(augment: str) -> None:
    count = 2000
    batch = augmented(index_image(32, 32), 32, augment, range(count)).float()
    middle = slice(CROP_PADDING, -CROP_PADDING)  # without padding
    columns = batch[:, 1, 16, middle]
    flipped = int((columns[:, 0] > columns[:, -1]).sum())
    # Five standard deviations of a fair coin.
    assert abs(flipped - count / 2) < 5 * math.sqrt(count) / 2
    if augment == "flip":
        image = torch.from_numpy(index_image(32, 32)).permute(2, 0, 1)
        whole = [torch.equal(x, image.byte()) or torch.equal(x, image.flip(-1)) for x in batch]
        assert all(whole)


def test_a_padded_crop_moves_the_image_by_up_to_four_pixels() -> None:
    image = index_image(16, 16)
    image[..., :2] += 1  # so that 0 is padding alone
    batch = augmented(image, 16, "crop_flip", range(3000)).numpy().astype(int)
    offsets = set()
    for rows, columns, _ in batch:
        row, column = rows.max(axis=1), columns.max(axis=0)
        column = column if column[8] < column[9] else column[::-1]
        top, left = row[8] - 9, column[8] - 9  # 0 where the image was not moved
        offsets.add((int(top), int(left)))
        expected = np.arange(16) + top + 1
        assert np.array_equal(row, np.where((expected < 1) | (expected > 16), 0, expected))
    places = range(-CROP_PADDING, CROP_PADDING + 1)
    assert offsets == {(top, left) for top in places for left in places}


def box(crop: torch.Tensor, size: int) -> tuple[float, float, float, float]:
    """Height, width, top and left of the box in an index image that fills a crop, resized.

    The crop's values rise linearly from the box's first pixel to its last one. The slope away
    from the edges, where resizing repeats pixels, is box side / `size`.
    """
    rows, columns = crop[0].float().mean(1), crop[1].float().mean(0)
    if columns[0] > columns[-1]:
        columns = columns.flip(0)
    span = slice(size // 4, 3 * size // 4)
    sides, starts = [], []
    for line in (rows, columns):
        x = torch.arange(size)[span].float()
        y = line[span]
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
        sides.append(slope * size)
        # Output pixel x shows the input at (x + 1/2) · slope - 1/2 from the box's start.
        starts.append(float(y.mean()) - (float(x.mean()) + 0.5) * slope + 0.5)
    return sides[0], sides[1], starts[0], starts[1]


@pytest.mark.parametrize(("height", "width"), [(200, 200), (120, 240)])
def test_inception_crops_keep_area_and_aspect_within_their_bounds(height: int, width: int) -> None:
    size, count = 240, 400
    image = index_image(height, width)
    crops = augmented(image, size, "inception", range(count))
    boxes = np.array([box(crop, size) for crop in crops])
    h, w, top, left = boxes.T
    pixel = 1.5  # sides are rounded to whole pixels, and measured to about one
    assert np.all((h + pixel) * (w + pixel) >= 0.05 * height * width)
    assert np.all((w + pixel) / (h - pixel) >= 3 / 4)
    assert np.all((w - pixel) / (h + pixel) <= 4 / 3)
    assert np.all(top >= -pixel) and np.all(top + h <= height + pixel)
    assert np.all(left >= -pixel) and np.all(left + w <= width + pixel)
    # They reach into every part of the range and of the image.
    area = h * w / (height * width)
    assert area.min() < 0.1 and area.max() > 0.45
    assert (w / h).min() < 0.85 and (w / h).max() > 1.2
    assert top.min() < 0.05 * height and (top + h).max() > 0.95 * height
    assert left.min() < 0.05 * width and (left + w).max() > 0.95 * width


def test_an_image_that_no_box_fits_is_cropped_in_its_middle() -> None:
    # A box of at least 5 % of 4 × 400 pixels is 8 wide at 3/4, and so 10 high: it never fits.
    crops = augmented(index_image(4, 240), 4, "inception", range(20))
    middle = torch.arange(118, 122, dtype=torch.uint8)
    for crop in crops:
        assert torch.equal(crop[1, 0].sort().values, middle)
