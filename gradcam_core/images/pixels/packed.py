"""Large pictures in three bytes per pixel while Pillow, which takes four, makes another picture of
them: two at a time in Pillow would take more memory than one picture may."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from gradcam_core.images.limits import LARGE_PIXELS

_BAND_PIXELS = 2**20  # that are copied at once


def is_worth_it(picture: Image.Image) -> bool:
    """Whether a picture is so large that two at a time take too much memory."""
    is_of_one_byte = len(picture.getbands()) == 1
    return not is_of_one_byte and picture.width * picture.height >= LARGE_PIXELS


def packed(
    picture: Image.Image, convert: Callable[[Image.Image], Image.Image] | None = None
) -> np.ndarray:
    """The pixels of a picture that nobody else holds: uint8 [H, W, 3]. Closes the picture, which
    frees its memory. convert: converts rows of it to RGB; None if it is RGB."""
    width, height = picture.size
    found = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = picture.crop((0, top, width, min(top + rows, height)))
        found[top : top + rows] = np.asarray(convert(band) if convert else band)
    picture.close()
    return found


def unpacked(values: np.ndarray) -> Image.Image:
    """An RGB picture. values: uint8 [H, W, 3], in any memory layout."""
    height, width = values.shape[:2]
    picture = Image.new("RGB", (width, height), None)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        picture.paste(Image.fromarray(np.ascontiguousarray(values[top : top + rows])), (0, top))
    return picture
