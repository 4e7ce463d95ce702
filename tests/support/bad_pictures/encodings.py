"""The cat, which most bad pictures show, in every format."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pi_heif
import pillow_heif
import skimage
from PIL import Image, ImageCms

from tests.support.bad_pictures.bad_picture import SIZE
from tests.support.handmade_pictures import heif

pi_heif.register_heif_opener()


@cache
def cat() -> Image.Image:
    with Image.open(Path(skimage.__path__[0], "data", "chelsea.png")) as picture:
        small = picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    return Image.fromarray(np.asarray(small))  # drops the file's metadata


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    if format == "HEIC":
        pillow_heif.from_pillow(image).save(file, quality=80, **options)
    else:
        image.save(file, format, **options)
    return file.getvalue()


ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    "JPEG": ("JPEG", {"quality": 85}),
    "progressive JPEG": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {"quality": 80}),
    "lossless WebP": ("WEBP", {"lossless": True, "method": 0}),
    "GIF": ("GIF", {}),
    "TIFF": ("TIFF", {}),
    "LZW TIFF": ("TIFF", {"compression": "tiff_lzw"}),
    "JPEG TIFF": ("TIFF", {"compression": "jpeg"}),
    "BMP": ("BMP", {}),
    "AVIF": ("AVIF", {"quality": 70, "speed": 8}),
    "HEIC": ("HEIC", {}),
    "PPM": ("PPM", {}),
}


@cache
def as_file(encoding: str) -> bytes:
    """The cat in one of the encodings above."""
    encoder, options = ENCODINGS[encoding]
    return encoded(cat(), encoder, **options)


@cache
def tile(encoding: str, side: int = 64) -> bytes:
    encoder, options = ENCODINGS[encoding]
    return encoded(cat().resize((side, side)), encoder, **options)


def resized(encoding: str, width: int, height: int) -> bytes:
    """A small HEIC or AVIF that claims another size."""
    data = tile(encoding)
    wrong = heif.size_of(width, height)
    at = data.index(b"ispe") - 4
    return data[:at] + wrong + data[at + len(wrong) :]


def profile(kind: Literal["sRGB", "LAB"] = "sRGB") -> bytes:
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()
    return data[:24] + bytes(12) + data[36:]  # without its creation time
