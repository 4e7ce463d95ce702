"""Conversion of 8-bit colour spaces to RGB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

_BAND_PIXELS = 2**20  # that are converted at once
_OFFSET = 128  # of a* and b* that are stored without signs


def cmyk_to_rgb(values: np.ndarray) -> Image.Image:
    """values: uint8 [H, W, 4]: cyan, magenta, yellow, black, 255 for the most ink."""
    return _picture("CMYK", values).convert("RGB")


@dataclass(frozen=True)
class YCbCr:
    """How colours are stored as brightness and two differences (TIFF 6.0, sections 20 and 21).

    luma: shares of red, green and blue in the brightness. reference: codes of Y for black and
    white, then of Cb and of Cr for no and the largest difference.
    """

    luma: tuple[float, float, float] = (0.299, 0.587, 0.114)
    reference: tuple[float, float, float, float, float, float] = (0, 255, 128, 255, 128, 255)

    @property
    def is_usual(self) -> bool:
        """Whether these are the values of JPEG, which Pillow uses, up to rounding by programs."""
        near = zip((*self.luma, *self.reference), (*_USUAL.luma, *_USUAL.reference), strict=True)
        return all(abs(mine - usual) < 0.001 * max(1, usual) for mine, usual in near)


_USUAL = YCbCr()


def ycbcr_to_rgb(values: np.ndarray, kind: YCbCr = _USUAL) -> Image.Image:
    """values: uint8 [H, W, 3]: Y, Cb and Cr."""
    if kind.is_usual:
        return _picture("YCbCr", values).convert("RGB")
    height, width = values.shape[:2]
    picture = Image.new("RGB", (width, height))
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        picture.paste(Image.fromarray(_rgb_of(values[top : top + rows], kind)), (0, top))
    return picture


def _rgb_of(values: np.ndarray, kind: YCbCr) -> np.ndarray:
    """uint8 [H, W, 3] to the same in RGB: TIFF 6.0, section 20, "ReferenceBlackWhite", and section
    21, "YCbCrCoefficients"."""
    lows, highs = np.asarray(kind.reference, np.float32).reshape(3, 2).T
    parts = (values - lows) * np.asarray([255, 127, 127], np.float32) / (highs - lows)
    of_red, of_green, of_blue = kind.luma
    y, cb, cr = np.moveaxis(parts, 2, 0)
    red = cr * (2 - 2 * of_red) + y
    blue = cb * (2 - 2 * of_blue) + y
    green = (y - of_blue * blue - of_red * red) / of_green
    return np.rint(np.stack([red, green, blue], axis=2)).clip(0, 255).astype(np.uint8)


def lab_to_rgb(values: np.ndarray, has_signs: bool) -> Image.Image:
    """values: uint8 [H, W, 3]: L*, a* and b* of CIE 1976. has_signs: whether a* and b* are stored
    as two's complements, which Pillow expects; otherwise 128 stands for 0."""
    if not has_signs:
        values = values ^ np.array([0, _OFFSET, _OFFSET], np.uint8)
    return rgb_of_lab(_picture("LAB", values))


def rgb_of_lab(picture: Image.Image) -> Image.Image:
    """The picture, of Pillow's mode LAB, in sRGB."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
    return ImageCms.applyTransform(picture, transform) or picture


def _picture(mode: str, values: np.ndarray) -> Image.Image:
    return Image.frombytes(mode, values.shape[1::-1], values.tobytes())
