"""Reads pictures that are too large at a half, a quarter or an eighth of their size.

JPEG is decoded at that size, which saves the memory and most of the time (ITU-T T.81 divides a
picture into blocks of 8 x 8 pixels; libjpeg decodes each to 4 x 4, 2 x 2 or 1). Other formats are
decoded whole, in as little memory as possible, and averaged some rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import IO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from gradcam_core.errors import ImageError
from gradcam_core.images.formats.webp.header import WebP
from gradcam_core.images.limits import MAX_PIXELS, MAX_REDUCED_PIXELS, check_size, too_large

_SCALES = {2: "half", 4: "a quarter of", 8: "an eighth of"}

_MAX_BYTES = 365 * 2**20
"""Memory for decoding a picture, which leaves some of the process's limit for everything else."""

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_KEPT_PIXEL_BYTES = 4  # of RGB in Pillow, and of all other modes
_COEFFICIENT_BYTES = 2

_BAND_PIXELS = 2**20  # averaged at once

_IN_PILLOW = {"AVIF": 8.4}
"""Formats for which Pillow may take more than `_MAX_BYTES`: bytes per pixel, as measured."""

_PROGRESSIVE = (
    "The picture is a progressive JPEG of {width} x {height} pixels, which takes too much memory "
    "to decode. Save it as an ordinary (baseline) JPEG, or make it smaller."
)

Convert = Callable[[Image.Image], Image.Image]
"""Converts some rows of a picture to RGB."""

Bands = Callable[[int, int], Image.Image]
"""Gives the rows of a decoded picture from the first number up to, but without, the second."""


def scale_of(image: Image.Image) -> int:
    """What each side of a picture has to be divided by: 1, 2, 4 or 8. image: opened, not yet
    decoded. Raises ImageError if it is too large even for 8."""
    encoding = str(image.format)
    width, height = image.size
    check_size(width, height, MAX_REDUCED_PIXELS)
    if isinstance(image, JpegImageFile):
        if image.info.get("progressive"):
            return _progressive_scale(image)
        return _scale(image.size, lambda kept: _KEPT_PIXEL_BYTES * kept)
    in_pillow = _IN_PILLOW.get(encoding, 0) * width * height
    if width * height <= MAX_PIXELS and in_pillow <= _MAX_BYTES:
        return 1
    if encoding in _WHOLE:
        return scale_of_whole(encoding, image.size)
    held = _PIXEL_BYTES.get(image.mode, _KEPT_PIXEL_BYTES) * width * height
    return _scale(image.size, lambda kept: held + _KEPT_PIXEL_BYTES * kept)


def scale_of_whole(encoding: str, size: tuple[int, int]) -> int:
    """`scale_of` for a picture that `bands_of` decodes. Raises ImageError."""
    check_size(*size, MAX_REDUCED_PIXELS)
    _, meanwhile, then = _WHOLE[encoding]
    pixels = size[0] * size[1]
    return _scale(
        size, lambda kept: max(meanwhile * pixels, then * pixels + _KEPT_PIXEL_BYTES * kept), 2
    )


def scale_of_webp(webp: WebP) -> int:
    """`scale_of` for a picture that `decode_scaled` decodes. Raises ImageError."""
    check_size(*webp.size, MAX_REDUCED_PIXELS)
    # libwebp holds all pixels of a lossless picture, and all of the alpha of an ordinary one.
    held = (4 if webp.is_lossless else 1) * webp.size[0] * webp.size[1] + webp.file_bytes
    pixel = _KEPT_PIXEL_BYTES
    return _scale(webp.size, lambda kept: max(held + pixel * kept, 2 * pixel * kept), 2)


def smaller(size: tuple[int, int], scale: int) -> tuple[int, int]:
    return math.ceil(size[0] / scale), math.ceil(size[1] / scale)


def _progressive_scale(image: JpegImageFile) -> int:
    """`scale_of` for a progressive JPEG, which holds all coefficients until its last scan."""
    areas = [across * down for _, across, down, _ in image.layer]
    held = _COEFFICIENT_BYTES * image.width * image.height * sum(areas) / max(areas)
    try:
        return _scale(image.size, lambda kept: held + _KEPT_PIXEL_BYTES * kept)
    except ImageError:
        sentence = _PROGRESSIVE.format(width=image.width, height=image.height)
        raise ImageError(sentence) from None


def _scale(size: tuple[int, int], most_bytes: Callable[[int], float], least: int = 1) -> int:
    """The lowest scale, from `least` on, that is within all limits. most_bytes: pixels that are
    kept -> bytes of memory that this takes. Raises ImageError if there is none."""
    width, height = size
    for scale in (1, *_SCALES):
        kept = math.ceil(width / scale) * math.ceil(height / scale)
        if scale >= least and kept <= MAX_PIXELS and most_bytes(kept) <= _MAX_BYTES:
            return scale
    raise ImageError(too_large(f"The picture has {width} x {height} pixels; it"))


def notice_of(size: tuple[int, int], scale: int) -> str:
    """The notice for a scale above 1. size: of the upright picture in the file."""
    return f"The picture of {size[0]} x {size[1]} pixels was read at {_SCALES[scale]} its size."


def draft(image: Image.Image, scale: int) -> bool:
    """Sets an opened JPEG to be decoded at that scale; False for any other format."""
    if not isinstance(image, JpegImageFile):
        return False
    image.draft(image.mode, (image.width // scale, image.height // scale))
    return True


def averaged(size: tuple[int, int], scale: int, bands: Bands, convert: Convert) -> Image.Image:
    """The picture as RGB, its sides divided by `scale`. size: (width, height) before. Raises
    whatever the decoder raises."""
    width, height = size
    rows = max(1, _BAND_PIXELS // (scale * width)) * scale
    picture = Image.new("RGB", smaller(size, scale))
    for top in range(0, height, rows):
        band = convert(bands(top, min(top + rows, height)))
        picture.paste(band.reduce(scale), (0, top // scale))
    return picture


def bands_of(encoding: str, file: IO[bytes]) -> Bands | None:
    """Decodes a file whose format takes less memory here than in Pillow; None for any other."""
    return _WHOLE[encoding][0](file) if encoding in _WHOLE else None


def bands_in_pillow(image: Image.Image) -> Bands:
    """Decodes an opened picture with Pillow."""
    image.load()
    return lambda top, bottom: image.crop((0, top, image.width, bottom))


def _heif(file: IO[bytes]) -> Bands:
    import pi_heif

    file.seek(0)
    images = pi_heif.open_heif(file)
    image = images[images.primary_index]
    data, (width, _), stride = image.data, image.size, image.stride

    def bands(top: int, bottom: int) -> Image.Image:
        part = data[top * stride : bottom * stride]
        size = width, bottom - top
        return Image.frombuffer(image.mode, size, part, "raw", image.mode, stride, 1)

    return bands


def _of_array(decode: Callable[[bytes], np.ndarray]) -> Callable[[IO[bytes]], Bands]:
    """decode: content of a file -> uint8 [H, W], [H, W, 3] or [H, W, 4]."""

    def decoded(file: IO[bytes]) -> Bands:
        file.seek(0)
        values = decode(file.read())
        if values.dtype != np.uint8:
            raise ValueError("a picture of 8 bits is expected")
        return lambda top, bottom: Image.fromarray(values[top:bottom])

    return decoded


def _webp(data: bytes) -> np.ndarray:
    import imagecodecs

    return imagecodecs.webp_decode(data)


def _avif(data: bytes) -> np.ndarray:
    import imagecodecs

    return imagecodecs.avif_decode(data, index=0, numthreads=2)


_WHOLE: dict[str, tuple[Callable[[IO[bytes]], Bands], float, float]] = {
    "HEIF": (_heif, 5.4, 3),
    "WEBP": (_of_array(_webp), 4, 4),
    "AVIF": (_of_array(_avif), 5, 4),
}
"""Formats that take less memory here than in Pillow: the decoder, and the bytes per pixel during
and after decoding, as measured."""
