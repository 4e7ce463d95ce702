"""Formats that Pillow reads: photos and graphics of 8 bits a channel, most of all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from gradcam_core.errors import ImageError
from gradcam_core.images.brightness import Block, Raster, shown, windowed
from gradcam_core.images.colour import rgb_of_lab
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.formats.frames import frames_notice
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

_NUMBERS = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Modes of more than 8 bits."""


class UnknownFormatError(ImageError):
    """It is in no format that Pillow is let read."""


@cache
def _register_heif() -> None:
    """Teach Pillow the format of iPhones' photos."""
    from pi_heif import register_heif_opener

    register_heif_opener()


def decode(
    file: IO[bytes],
    window: Window | None = None,
    sixteen_bits: Callable[[Image.Image, Window | None], Decoded | None] = lambda *_: None,
) -> Decoded:
    """The first frame of a file, upright.

    sixteen_bits: called with the picture before its orientation is applied; gives what is shown of
    values that Pillow has not kept, or None. Raises ImageError.
    """
    _register_heif()
    with warnings.catch_warnings():
        # `upright_rgb` has a limit of its own, below the size at which Pillow only warns.
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as image:
                check_size(*image.size)
                notice = frames_notice(image, file)
                decoded = sixteen_bits(image, window) or upright_rgb(image, window, is_ours=True)
                return Decoded(decoded.image, tuple(filter(None, (notice, *decoded.notices))))
        except UnidentifiedImageError:
            raise UnknownFormatError(_NO_FORMAT) from None
        except Image.DecompressionBombError:
            raise ImageError(too_large("The picture")) from None
        except ImageError:
            raise
        except MemoryError:
            raise ImageError(NO_MEMORY) from None
        except Exception as error:
            raise ImageError(DAMAGED) from error


def upright_rgb(
    image: Image.Image, window: Window | None = None, *, is_ours: bool = False
) -> Decoded:
    """A PIL image as upright 8-bit RGB. is_ours: nobody else holds it, so that it may itself be
    turned. Raises ImageError."""
    width, height = image.size
    check_size(width, height)
    try:
        image.load()
        if image.mode in _NUMBERS:
            return shown(_raster(image, _upright(image, is_ours)), window)
        upright = _upright(image, is_ours)
        if upright.mode == "RGB" and not upright.has_transparency_data:
            # Without its decoder, which may hold as much memory again.
            picture = without_decoder(image) if is_ours else upright
        else:
            picture = _converted(upright)
            if is_ours:
                image.close()  # gives its pixels back at once
        return Decoded(picture) if window is None else windowed(picture, window)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others.
        raise ImageError(DAMAGED if width * height < LARGE_PIXELS else DAMAGED_OR_LARGE) from error


def _raster(image: Image.Image, upright: Image.Image) -> Raster:
    """The values of a grey picture of more than 8 bits. image: as it was opened, with what its file
    says of them."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF that somebody else opened
    is_unsigned = image.mode == "I" and tags.get(339, (0,)) == (1,) and tags.get(258) == (32,)
    dtype = np.dtype({"I": "u4" if is_unsigned else "i4", "F": "f4"}.get(image.mode, "u2"))
    width, height = upright.size
    rows = max(1, _BAND_PIXELS // width)

    def blocks() -> Iterator[Block]:
        for top in range(0, height, rows):
            values = np.asarray(upright.crop((0, top, width, min(top + rows, height))))
            yield Block(0, top, values.view(dtype) if is_unsigned else values.astype(dtype))

    return Raster(
        upright.size,
        False,
        dtype,
        blocks,
        full=(0, 65535) if image.format == "PNG" else None,
        is_negative=tags.get(262) == 0,
    )


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
    if image.has_transparency_data:
        return _on_white
    if image.mode == "LAB":
        return rgb_of_lab
    return lambda rows: rows.convert("RGB")


def _on_white(rows: Image.Image) -> Image.Image:
    rgba = rows.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rows.size, "white"), rgba).convert("RGB")
