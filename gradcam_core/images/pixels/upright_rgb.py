"""A PIL image as upright 8-bit RGB, in as little memory as Pillow allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import ExifTags, Image, ImageOps

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.limits import (
    DAMAGED,
    DAMAGED_OR_LARGE,
    LARGE_PIXELS,
    NO_MEMORY,
    check_size,
)
from gradcam_core.images.pixels.brightness import Block, Raster, as_picture, windowed
from gradcam_core.images.pixels.colour import rgb_of_lab
from gradcam_core.images.pixels.orientation import turned_upright
from gradcam_core.images.pixels.packed import is_worth_it, packed, unpacked
from gradcam_core.upstream import without_decoder

NUMBERS = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
"""Pillow's modes of more than 8 bits."""

_BAND_PIXELS = 2**20  # that are converted at once


def upright_rgb(
    image: Image.Image, window: Window | None = None, *, is_ours: bool = False
) -> Decoded:
    """A PIL image as upright 8-bit RGB. window: the values to show as black and white; None for the
    default. is_ours: nobody else holds the image, so that it may be turned in place. Raises
    ImageError if it is damaged or too large."""
    width, height = image.size
    check_size(width, height)
    try:
        # Otherwise Pillow would turn a TIFF while decoding it.
        taken = _orientation(image, is_taken=True) if is_ours and image.format == "TIFF" else 1
        image.load()
        if image.mode in NUMBERS:
            return as_picture(_raster(image, _upright(image, is_ours)), window, taken)
        if is_ours:
            picture = _own_upright(image, taken)
        else:
            picture = _upright(image, is_ours=False)
            if picture.mode != "RGB" or picture.has_transparency_data:
                picture = converted(picture)
        return in_window(picture, window)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others.
        raise ImageError(DAMAGED if width * height < LARGE_PIXELS else DAMAGED_OR_LARGE) from error


def in_window(picture: Image.Image, window: Window | None, bits: int = 8) -> Decoded:
    """The picture seen through a window; as it is if that is None. bits: see `windowed`."""
    return Decoded(picture) if window is None else windowed(picture, window, bits)


def _raster(image: Image.Image, upright: Image.Image) -> Raster:
    """The values of a grey picture of more than 8 bits. image: as it was opened, with its format
    and tags. upright: the same, turned upright."""
    tags = getattr(image, "tag_v2", {})  # only of a TIFF that a caller opened
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
        full=(0, 65535) if image.format in ("PNG", "HEIF") else None,
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
    except Exception:  # damaged Exif data can raise almost anything
        return image  # the picture itself is whole


def _own_upright(image: Image.Image, taken: object) -> Image.Image:
    """A decoded picture that nobody else holds, as upright RGB. Closes the image, which frees its
    pixels at once. taken: its orientation if that was removed from its Exif data, otherwise 1."""
    orientation = _orientation(image) if taken == 1 else taken
    picture = without_decoder(image)  # the decoder may hold as much memory again
    image.close()
    if picture.mode != "RGB" or picture.has_transparency_data:
        is_large = is_worth_it(picture)
        convert = conversion(picture)
        picture = unpacked(packed(picture, convert)) if is_large else converted(picture)
    picture.info = {}  # it contains the orientation
    return turned_upright(picture, orientation)


def _orientation(image: Image.Image, is_taken: bool = False) -> object:
    """The orientation in the Exif data; 1 without one. is_taken: whether to remove it there."""
    try:
        exif = image.getexif()
        read = exif.pop if is_taken else exif.get
        return read(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # as above
        return 1  # the picture itself is whole


def converted(image: Image.Image) -> Image.Image:
    """The image as RGB. Converts some rows at a time, as steps between take several times the
    memory."""
    convert = conversion(image)
    width, height = image.size
    rows = max(1, _BAND_PIXELS // width)
    picture = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height)))
        picture.paste(convert(band), (0, top))
    return picture


def conversion(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """A function that converts any rows of this image to RGB."""
    if image.has_transparency_data:
        return _on_white
    if image.mode == "LAB":
        return rgb_of_lab
    return lambda rows: rows.convert("RGB")


def _on_white(rows: Image.Image) -> Image.Image:
    rgba = (rows.convert("LA") if rows.mode == "La" else rows).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rows.size, "white"), rgba).convert("RGB")
