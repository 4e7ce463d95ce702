"""Formats that Pillow reads: photos and graphics of 8 bits a channel, most of all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.limits import (
    DAMAGED,
    DAMAGED_OR_LARGE,
    LARGE_PIXELS,
    NO_MEMORY,
    check_size,
    too_large,
)
from gradcam_core.upstream import without_decoder

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "HEIF", "PPM")
"""Formats that are decoded, by Pillow's names. It knows three dozen more, which are rare; one of
them, EPS, starts a program."""

_NO_FORMAT = (
    "This is not a picture in a format that can be read (JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF …)."
)

_BAND_PIXELS = 2**20  # whose values are converted at once

_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


@cache
def _register_heif() -> None:
    """Teach Pillow the format of iPhones' photos."""
    from pi_heif import register_heif_opener

    register_heif_opener()


def decode(file: IO[bytes], window: Window | None = None) -> Decoded:
    """The first frame of a file, upright. Raises ImageError."""
    _register_heif()
    with warnings.catch_warnings():
        # `upright_rgb` has a limit of its own, below the size at which Pillow only warns.
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as image:
                return Decoded(upright_rgb(image, is_ours=True))
        except UnidentifiedImageError:
            raise ImageError(_NO_FORMAT) from None
        except Image.DecompressionBombError:
            raise ImageError(too_large("The picture")) from None
        except ImageError:
            raise
        except MemoryError:
            raise ImageError(NO_MEMORY) from None
        except Exception as error:
            raise ImageError(DAMAGED) from error


def upright_rgb(image: Image.Image, *, is_ours: bool = False) -> Image.Image:
    """A PIL image as upright 8-bit RGB. is_ours: nobody else holds it, so that it may itself be
    turned. Raises ImageError."""
    width, height = image.size
    check_size(width, height)
    try:
        image.load()
        upright = _upright(image, is_ours)
        if upright.mode == "RGB" and not upright.has_transparency_data:
            # Without its decoder, which may hold as much memory again.
            return without_decoder(image) if is_ours else upright
        converted = _converted(upright)
        if is_ours:
            image.close()  # gives its pixels back at once
        return converted
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others.
        raise ImageError(DAMAGED if width * height < LARGE_PIXELS else DAMAGED_OR_LARGE) from error


def _upright(image: Image.Image, is_ours: bool) -> Image.Image:
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image
        if is_ours:
            ImageOps.exif_transpose(image, in_place=True)
            return image
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # of EXIF data almost anything, too
        return image  # the picture itself is whole


def _converted(image: Image.Image) -> Image.Image:
    """As RGB. Some rows at a time, because the steps between take several times the memory."""
    convert = _conversion(image)
    width, height = image.size
    rows = max(1, _BAND_PIXELS // width)
    picture = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        picture.paste(convert(band), (0, top))
    return picture


def _conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What makes RGB of any rows of this image."""
    if image.mode in _SIXTEEN_BIT:
        return _levels(65535 if _highest(image) > 255 else 255)
    if image.mode == "F":
        # Float pictures (TIFF) have no agreed range: up to 1 they are shares, else 8-bit levels.
        return _levels(1 if _highest(image) <= 1 else 255)
    if image.has_transparency_data:
        return _on_white
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
        return lambda rows: ImageCms.applyTransform(rows, transform) or rows
    return lambda rows: rows.convert("RGB")


def _highest(image: Image.Image) -> float:
    """The highest value that is a number."""
    values = np.asarray(image)
    return float(np.max(values, where=np.isfinite(values), initial=0))


def _levels(top: float) -> Callable[[Image.Image], Image.Image]:
    """Grey levels of values from 0 to `top`. Pillow's own conversion clips at 255, which turns
    most 16-bit pictures white."""

    def convert(rows: Image.Image) -> Image.Image:
        values = np.nan_to_num(np.asarray(rows, dtype=np.float32), nan=0, posinf=top, neginf=0)
        levels = np.clip(values * (255 / top), 0, 255).round().astype(np.uint8)
        return Image.fromarray(levels).convert("RGB")

    return convert


def _on_white(rows: Image.Image) -> Image.Image:
    rgba = rows.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rows.size, "white"), rgba).convert("RGB")
