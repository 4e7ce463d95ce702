"""Large pictures in three bytes a pixel, while Pillow, which takes four, makes another of them: two
in Pillow at a time would be more than one picture may take."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from gradcam_core.images.limits import LARGE_PIXELS

_BAND_PIXELS = 2**20  # that are copied at once


def is_worth_it(picture: Image.Image) -> bool:
    """Whether it takes so much that two of them count."""
    is_of_one_byte = len(picture.getbands()) == 1
    return not is_of_one_byte and picture.width * picture.height >= LARGE_PIXELS


def packed(
    picture: Image.Image, convert: Callable[[Image.Image], Image.Image] | None = None
) -> np.ndarray:
    """A picture that nobody else holds, uint8 [H, W, 3]; its own memory is given back. convert: of
    any of its rows to RGB; None if it is."""
    width, height = picture.size
    found = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = picture.crop((0, top, width, min(top + rows, height)))
        found[top : top + rows] = np.asarray(convert(band) if convert else band)
    picture.close()
    return found


def unpacked(values: np.ndarray) -> Image.Image:
    """values: uint8 [H, W, 3], in any order of memory."""
    height, width = values.shape[:2]
    picture = Image.new("RGB", (width, height), None)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        picture.paste(Image.fromarray(np.ascontiguousarray(values[top : top + rows])), (0, top))
    return picture
