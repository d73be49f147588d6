"""Operations on one image, as Pillow defines them; images are uint8 (H, W, 3).

The pixels that a geometric operation leaves empty, and those of a cutout, become GREY.
"""

import numpy as np
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageFilter, ImageOps

from bench.data.sources import Image

GREY = 128  # of google-research/big_vision, pp/autoaugment.py (`replace_value`)


def autocontrast(image: Image) -> Image:
    """Stretch each channel linearly to 0 … 255."""
    return np.asarray(ImageOps.autocontrast(Pillow.fromarray(image)))


def equalize(image: Image) -> Image:
    """Equalize the histogram of each channel."""
    return np.asarray(ImageOps.equalize(Pillow.fromarray(image)))


def invert(image: Image) -> Image:
    """Return 255 minus each level."""
    return 255 - image


def posterize(image: Image, bits: int) -> Image:
    """Keep the highest 1 to 8 `bits` of each level."""
    return image & np.uint8(256 - 2 ** (8 - bits))


def solarize(image: Image, threshold: int) -> Image:
    """Invert the levels from `threshold` on; 256 or more inverts none."""
    return np.where(image.astype(np.int16) < threshold, image, 255 - image)


def solarize_add(image: Image, addition: int) -> Image:
    """Add to the levels below 128, up to 255 at most."""
    added = np.clip(image.astype(np.int16) + addition, 0, 255).astype(np.uint8)
    return np.where(image < 128, added, image)


def color(image: Image, factor: float) -> Image:
    """Blend with the greyscale image: 0 is grey, 1 the image, more is more colourful."""
    return np.asarray(ImageEnhance.Color(Pillow.fromarray(image)).enhance(factor))


def contrast(image: Image, factor: float) -> Image:
    """Blend with the image's mean grey level: 0 is that level everywhere, 1 the image."""
    return np.asarray(ImageEnhance.Contrast(Pillow.fromarray(image)).enhance(factor))


def brightness(image: Image, factor: float) -> Image:
    """Multiply by `factor`, up to 255 at most."""
    return np.asarray(ImageEnhance.Brightness(Pillow.fromarray(image)).enhance(factor))


def sharpness(image: Image, factor: float) -> Image:
    """Blend with a smoothed image: 0 is smooth, 1 the image, more is sharper."""
    return np.asarray(ImageEnhance.Sharpness(Pillow.fromarray(image)).enhance(factor))


def greyscale(image: Image) -> Image:
    """Return the luma (ITU-R 601-2) in all three channels."""
    return np.asarray(Pillow.fromarray(image).convert("L").convert("RGB"))


def blur(image: Image, radius: float) -> Image:
    """Blur with a Gaussian of standard deviation `radius` in pixels."""
    return np.asarray(Pillow.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def rotate(image: Image, degrees: float) -> Image:
    """Rotate about the middle, counter-clockwise, to the nearest pixel."""
    picture = Pillow.fromarray(image)
    nearest = Pillow.Resampling.NEAREST
    return np.asarray(picture.rotate(degrees, nearest, fillcolor=(GREY, GREY, GREY)))


def shear_x(image: Image, slope: float) -> Image:
    """Move row y to the left by `slope` · y pixels; row 0 stays."""
    return _affine(image, (1, slope, 0, 0, 1, 0))


def shear_y(image: Image, slope: float) -> Image:
    """Move column x up by `slope` · x pixels; column 0 stays."""
    return _affine(image, (1, 0, 0, slope, 1, 0))


def translate_x(image: Image, pixels: float) -> Image:
    """Move the image to the left."""
    return _affine(image, (1, 0, pixels, 0, 1, 0))


def translate_y(image: Image, pixels: float) -> Image:
    """Move the image up."""
    return _affine(image, (1, 0, 0, 0, 1, pixels))


def cutout(image: Image, half: int, row: float, column: float) -> Image:
    """Grey out a square of side 2 · `half` around (`row`, `column`) in [0, 1).

    What lies outside the image is left out (arXiv:1708.04552).
    """
    height, width = image.shape[:2]
    y, x = int(row * height), int(column * width)
    out = image.copy()
    out[max(0, y - half) : y + half, max(0, x - half) : x + half] = GREY
    return out


def _affine(image: Image, matrix: tuple[float, float, float, float, float, float]) -> Image:
    """Fill output pixel (x, y) from the pixel nearest to (a x + b y + c, d x + e y + f)."""
    a, b, c, d, e, f = matrix
    # Pillow's coordinates are those of a pixel's corner, half a pixel before its middle.
    moved = (a, b, c + (1 - a - b) / 2, d, e, f + (1 - d - e) / 2)
    picture = Pillow.fromarray(image)
    transformed = picture.transform(
        picture.size,
        Pillow.Transform.AFFINE,
        moved,
        resample=Pillow.Resampling.NEAREST,
        fillcolor=(GREY, GREY, GREY),
    )
    return np.asarray(transformed)
