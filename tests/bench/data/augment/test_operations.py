"""Each operation on arrays small enough to follow by hand."""

import numpy as np
import numpy.typing as npt
import pytest

from bench.data.augment import operations as ops
from bench.data.augment.operations import GREY
from bench.data.sources import Image

Levels = list[list[int]]


def grey(levels: Levels) -> Image:
    """An image whose three channels are these levels."""
    return np.repeat(np.array(levels, np.uint8)[..., None], 3, axis=-1)


def levels_of(image: Image) -> Levels:
    assert image.dtype == np.uint8
    assert np.array_equal(image[..., 0], image[..., 1])
    assert np.array_equal(image[..., 0], image[..., 2])
    found: Levels = image[..., 0].tolist()
    return found


def numbered(side: int) -> npt.NDArray[np.int64]:
    return np.arange(1, side * side + 1).reshape(side, side)


def test_autocontrast_stretches_from_lowest_to_highest() -> None:
    # (x - 50) * 255 / 100
    assert levels_of(ops.autocontrast(grey([[50, 70, 150]]))) == [[0, 51, 255]]
    assert levels_of(ops.autocontrast(grey([[9, 9]]))) == [[9, 9]]


def test_equalize_gives_each_level_its_share() -> None:
    # 512 pixels: 256 of level 10, 256 of level 20. step = (512 - 256) // 255 = 1, so level 10
    # becomes 0 and level 20 the 256 pixels below it, clipped to 255.
    image = grey([[10] * 256, [20] * 256])
    assert levels_of(ops.equalize(image)) == [[0] * 256, [255] * 256]
    # With fewer than 255 pixels below the highest level the step is 0: nothing changes.
    assert levels_of(ops.equalize(grey([[10, 20]]))) == [[10, 20]]


def test_pointwise_operations() -> None:
    image = grey([[0, 1, 127, 128, 255]])
    assert levels_of(ops.invert(image)) == [[255, 254, 128, 127, 0]]
    assert levels_of(ops.solarize(image, 128)) == [[0, 1, 127, 127, 0]]
    assert levels_of(ops.solarize(image, 0)) == levels_of(ops.invert(image))
    assert levels_of(ops.solarize(image, 256)) == levels_of(image)
    assert levels_of(ops.solarize_add(image, 110)) == [[110, 111, 237, 128, 255]]
    assert levels_of(ops.solarize_add(image, 220)) == [[220, 221, 255, 128, 255]]
    # 0b11111111 and 0b01111111 with the highest 1, 4 and 8 bits.
    assert levels_of(ops.posterize(image, 1)) == [[0, 0, 0, 128, 128]]
    assert levels_of(ops.posterize(image, 4)) == [[0, 0, 112, 128, 240]]
    assert levels_of(ops.posterize(image, 8)) == levels_of(image)


def test_brightness_multiplies() -> None:
    image = grey([[0, 10, 200]])
    assert levels_of(ops.brightness(image, 0.5)) == [[0, 5, 100]]
    assert levels_of(ops.brightness(image, 2.0)) == [[0, 20, 255]]
    assert levels_of(ops.brightness(image, 0.0)) == [[0, 0, 0]]


def test_contrast_blends_with_the_mean() -> None:
    image = grey([[40, 60, 110]])  # mean 70
    assert levels_of(ops.contrast(image, 0.0)) == [[70, 70, 70]]
    assert levels_of(ops.contrast(image, 0.5)) == [[55, 65, 90]]
    assert levels_of(ops.contrast(image, 2.0)) == [[10, 50, 150]]


def test_color_blends_with_the_luma() -> None:
    image = np.array([[[255, 0, 0], [50, 50, 50]]], np.uint8)
    luma = round(255 * 0.299)
    assert ops.color(image, 0.0).tolist() == [[[luma] * 3, [50] * 3]]
    assert ops.greyscale(image).tolist() == [[[luma] * 3, [50] * 3]]
    half = [(luma + 255) // 2, luma // 2, luma // 2]
    assert ops.color(image, 0.5).tolist() == [[half, [50] * 3]]
    # luma + 2 (level - luma), clipped
    assert ops.color(image, 2.0).tolist() == [[[255, 0, 0], [50] * 3]]


def test_sharpness_moves_away_from_the_smooth_image() -> None:
    # Pillow's SMOOTH weighs the middle 5 of 13 and each neighbour 1 of 13: (5 * 130 + 0) / 13.
    image = grey([[0, 0, 0], [0, 130, 0], [0, 0, 0]])
    smooth = levels_of(ops.sharpness(image, 0.0))
    assert smooth == [[0, 0, 0], [0, 50, 0], [0, 0, 0]]  # borders keep their levels
    assert levels_of(ops.sharpness(image, 1.0)) == levels_of(image)
    assert levels_of(ops.sharpness(image, 1.5))[1][1] == 50 + 1.5 * (130 - 50)


def test_blur_keeps_what_is_even_and_spreads_a_point() -> None:
    even = grey([[77] * 9] * 9)
    assert np.array_equal(ops.blur(even, 2.0), even)
    point = np.zeros((9, 9, 3), np.uint8)
    point[4, 4] = 255
    spread = ops.blur(point, 1.0)[..., 0].astype(int)
    assert spread[4, 4] == spread.max() < 255
    for mirrored in (spread.T, spread[::-1], spread[:, ::-1]):
        assert np.abs(spread - mirrored).max() <= 1  # rows are rounded before columns
    assert abs(spread.sum() - 255) <= 81 / 2  # rounded once for each pixel
    # A Gaussian of deviation 1 has exp(0) / (2 pi) = 0.16 of its mass in its middle pixel.
    assert spread[4, 4] / 255 == pytest.approx(1 / (2 * np.pi), abs=0.02)


@pytest.mark.parametrize("side", [3, 4])
def test_rotation_by_quarters_moves_corners(side: int) -> None:
    image = grey(numbered(side).tolist())
    expected = np.rot90(numbered(side)).tolist()
    assert levels_of(ops.rotate(image, 90)) == expected
    assert levels_of(ops.rotate(image, -90)) == np.rot90(numbered(side), -1).tolist()
    assert levels_of(ops.rotate(image, 0)) == numbered(side).tolist()


def test_rotation_greys_the_corners() -> None:
    turned = ops.rotate(grey([[7] * 9] * 9), 45)
    assert [turned[y, x, 0] for y in (0, -1) for x in (0, -1)] == [GREY] * 4
    assert turned[4, 4, 0] == 7


def test_translations_to_the_left_and_up() -> None:
    image = grey([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    g = GREY
    assert levels_of(ops.translate_x(image, 1)) == [[2, 3, g], [5, 6, g], [8, 9, g]]
    assert levels_of(ops.translate_x(image, -2)) == [[g, g, 1], [g, g, 4], [g, g, 7]]
    assert levels_of(ops.translate_y(image, 1)) == [[4, 5, 6], [7, 8, 9], [g, g, g]]
    # The nearest pixel: less than a half moves nothing.
    assert levels_of(ops.translate_y(image, 0.4)) == levels_of(image)
    assert levels_of(ops.translate_x(image, 0.6)) == levels_of(ops.translate_x(image, 1))


def test_shears_about_the_first_row_and_column() -> None:
    image = grey([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    g = GREY
    # Output (x, y) shows input (x + y, y).
    assert levels_of(ops.shear_x(image, 1.0)) == [[1, 2, 3], [5, 6, g], [9, g, g]]
    assert levels_of(ops.shear_x(image, -1.0)) == [[1, 2, 3], [g, 4, 5], [g, g, 7]]
    assert levels_of(ops.shear_y(image, 1.0)) == [[1, 5, 9], [4, 8, g], [7, g, g]]
    # x + 0.3 y is nearest to x in rows 0 and 1, to x + 1 in row 2.
    assert levels_of(ops.shear_x(image, 0.3)) == [[1, 2, 3], [4, 5, 6], [8, 9, g]]


def test_cutout_is_clipped_at_the_edges() -> None:
    image = grey(numbered(4).tolist())
    middle = numbered(4)
    middle[1:3, 1:3] = GREY
    assert levels_of(ops.cutout(image, 1, 0.5, 0.5)) == middle.tolist()
    corner = numbered(4)
    corner[:2, 2:] = GREY  # centre (0, 3): rows -2 to 1, columns 1 to 4
    corner[:2, 1] = GREY
    assert levels_of(ops.cutout(image, 2, 0.0, 0.99)) == corner.tolist()
    assert levels_of(image) == numbered(4).tolist(), "the image itself is left as it was"
    assert levels_of(ops.cutout(image, 0, 0.5, 0.5)) == numbered(4).tolist()
