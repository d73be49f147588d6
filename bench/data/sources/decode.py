"""Decode image files to RGB pixels."""

import io

import numpy as np

from bench.data.sources.base import DataError, Image

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000


def decode(content: bytes | None, where: str) -> Image:
    """Return the RGB pixels (H, W, 3) of a JPEG, PNG or WebP; raises DataError naming `where`."""
    import PIL.Image

    if content is None:
        raise DataError(f"data: {where} has no image, expected the bytes of one")
    try:
        with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"data: {where} has {image.width} × {image.height} pixels, "
                    f"expected at most {MAX_PIXELS:,}"
                )
            # A copy, since torch wants arrays that it could write to.
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"data: {where} is not a readable {'/'.join(FORMATS)} image") from error
