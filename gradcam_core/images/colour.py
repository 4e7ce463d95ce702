"""Colour spaces of 8 bits a sample, as RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

_OFFSET = 128  # of a and b, where they are stored without signs


def cmyk_to_rgb(values: np.ndarray) -> Image.Image:
    """uint8 [H, W, 4]: cyan, magenta, yellow, black, 255 for the most ink."""
    return _picture("CMYK", values).convert("RGB")


def ycbcr_to_rgb(values: np.ndarray) -> Image.Image:
    """uint8 [H, W, 3], of the full range."""
    return _picture("YCbCr", values).convert("RGB")


def lab_to_rgb(values: np.ndarray, has_signs: bool) -> Image.Image:
    """uint8 [H, W, 3]: L*, a* and b* of CIE 1976. has_signs: whether a* and b* are stored as two's
    complements, which Pillow expects; else with 128 for 0."""
    if not has_signs:
        values = values ^ np.array([0, _OFFSET, _OFFSET], np.uint8)
    return rgb_of_lab(_picture("LAB", values))


def rgb_of_lab(picture: Image.Image) -> Image.Image:
    """A picture of Pillow's mode LAB."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
    return ImageCms.applyTransform(picture, transform) or picture


def _picture(mode: str, values: np.ndarray) -> Image.Image:
    return Image.frombytes(mode, values.shape[1::-1], values.tobytes())
