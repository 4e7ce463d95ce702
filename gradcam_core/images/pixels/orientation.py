"""Turning a picture upright by its orientation number, as in TIFF and Exif."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gradcam_core.images.pixels.packed import is_worth_it, packed, unpacked

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_VIEWS = {
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.swapaxes(0, 1),
    6: lambda values: np.rot90(values, -1),
    7: lambda values: values.swapaxes(0, 1)[::-1, ::-1],
    8: lambda values: np.rot90(values),
}
"""The same for arrays [H, W, 3]."""


def upright(picture: Image.Image, orientation: object) -> Image.Image:
    """The picture turned upright. orientation: from 1 to 8 (TIFF 6.0, page 36); with anything else,
    the picture is returned as it is."""
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def turned_upright(picture: Image.Image, orientation: object) -> Image.Image:
    """Like `upright`, in less memory, for a picture that nobody else holds. The picture must not be
    used afterwards."""
    if not isinstance(orientation, int) or orientation not in _VIEWS:
        return picture
    if picture.mode != "RGB" or not is_worth_it(picture):
        return upright(picture, orientation)
    return unpacked(_VIEWS[orientation](packed(picture)))
