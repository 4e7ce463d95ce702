"""Formats that Pillow reads: photos and graphics of 8 bits per channel, most of all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.formats.bmp import UNKNOWN, mend_palette, with_bitfields
from gradcam_core.images.formats.deep import depth_of, in_own_levels
from gradcam_core.images.formats.frames import frames_notice
from gradcam_core.images.formats.jpeg import kind_of_jpeg
from gradcam_core.images.formats.reduced import (
    averaged,
    bands_in_pillow,
    bands_of,
    draft,
    notice_of,
    scale_of,
    scale_of_webp,
    scale_of_whole,
    smaller,
)
from gradcam_core.images.formats.webp.header import WebP, webp_of
from gradcam_core.images.formats.webp.scaled import decode_scaled, is_available
from gradcam_core.images.limits import (
    DAMAGED,
    DAMAGED_OR_LARGE,
    LARGE_PIXELS,
    MAX_PIXELS,
    NO_MEMORY,
    check_size,
    too_large,
)
from gradcam_core.images.pixels.brightness import Block, Raster, as_picture, windowed
from gradcam_core.images.pixels.colour import rgb_of_lab
from gradcam_core.images.pixels.orientation import turned_upright, upright
from gradcam_core.images.pixels.packed import is_worth_it, packed, unpacked
from gradcam_core.upstream import without_decoder

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "HEIF", "PPM")
"""Formats that are decoded, by Pillow's names. It knows three dozen more, which are rare; one of
them, EPS, starts a program."""

_NO_FORMAT = (
    "This is not a picture in a format that can be read (JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF …)."
)

_OTHER_JPEG = "This is {kind}, which is not supported. Save it as an ordinary JPEG, PNG or TIFF."

_JPEG_HEAD = b"\xff\xd8"

_BEGINNINGS = (b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"\x89PNG")

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"avif", b"avis")
"""Of files in HEIC and AVIF (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6)."""

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
        size_px = 0
        try:
            webp = webp_of(file)
            size_px = webp.size[0] * webp.size[1] if webp else 0
            if webp and size_px > MAX_PIXELS:
                return _reduced_webp(file, webp, window)
            with _opened(file) as image:
                if image.format in ("BMP", "DIB"):
                    mend_palette(image, file)
                size_px = image.width * image.height
                scale = scale_of(image)
                notice = frames_notice(image, file)
                if scale > 1:
                    decoded = _reduced(image, file, scale, window)
                else:
                    decoded = (
                        sixteen_bits(image, window)
                        or in_own_levels(image, file, window)
                        or upright_rgb(image, window, is_ours=True)
                    )
                return decoded.noting(notice)
        except UnidentifiedImageError:
            if kind := kind_of_jpeg(file):
                raise ImageError(_OTHER_JPEG.format(kind=kind)) from None
            if _begins_as_known(file):
                raise ImageError(DAMAGED) from None
            raise UnknownFormatError(_NO_FORMAT) from None
        except Image.DecompressionBombError:
            raise ImageError(too_large("The picture")) from None
        except ImageError:
            raise
        except MemoryError:
            raise ImageError(NO_MEMORY) from None
        except Exception as error:
            raise ImageError(DAMAGED if size_px < LARGE_PIXELS else DAMAGED_OR_LARGE) from error


def _begins_as_known(file: IO[bytes]) -> bool:
    """Whether it begins as a format that is read, so that what follows must be damaged."""
    file.seek(0)
    head = file.read(12)
    return head.startswith(_BEGINNINGS) or (head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS)


def _opened(file: IO[bytes]) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        # Pillow means all of a picture. Of a JPEG less may be decoded.
        file.seek(0)
        if file.read(2) != _JPEG_HEAD:
            raise
        file.seek(0)
        return JpegImageFile(file)
    except OSError as error:
        if not str(error).startswith(UNKNOWN):
            raise
        return with_bitfields(file)


def _reduced(image: Image.Image, file: IO[bytes], scale: int, window: Window | None) -> Decoded:
    """At less than its size. Raises whatever Pillow and the decoders do, and ImageError."""
    size = image.size
    if draft(image, scale):
        return _with_notice(upright_rgb(image, window, is_ours=True), size, scale)
    if image.mode in _NUMBERS:
        raise ImageError(too_large(f"The picture has {size[0]} x {size[1]} pixels; it"))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    bits = depth_of(image, file)
    bands = bands_of(str(image.format), file)
    if bands:
        picture = averaged(size, scale, bands, _each_converted)
    else:
        picture = averaged(size, scale, bands_in_pillow(image), _conversion(image))
        image.close()  # gives its pixels back at once
    return _with_notice(_in_window(upright(picture, orientation), window, bits), size, scale)


def _reduced_webp(file: IO[bytes], webp: WebP, window: Window | None) -> Decoded:
    """Pillow cannot open so large a one: it takes the memory for all of it at once."""
    if is_available() and not webp.is_animated:
        scale = scale_of_webp(webp)
        values = decode_scaled(file, smaller(webp.size, scale))
        picture = _converted(Image.fromarray(values))
        del values  # whose memory turning it may need
    else:
        scale = scale_of_whole("WEBP", webp.size)
        bands = bands_of("WEBP", file)
        assert bands
        picture = averaged(webp.size, scale, bands, _each_converted)
    exif = Image.Exif()
    with suppress(Exception):  # of EXIF data almost anything
        exif.load(webp.exif)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return _with_notice(_in_window(upright(picture, orientation), window), webp.size, scale)


def _with_notice(decoded: Decoded, size: tuple[int, int], scale: int) -> Decoded:
    picture = decoded.image
    is_turned = (size[0] > size[1]) != (picture.width > picture.height)
    notice = notice_of(size[::-1] if is_turned else size, scale)
    return decoded.noting(notice)


def _in_window(picture: Image.Image, window: Window | None, bits: int = 8) -> Decoded:
    return Decoded(picture) if window is None else windowed(picture, window, bits)


def _each_converted(rows: Image.Image) -> Image.Image:
    return _conversion(rows)(rows)


def upright_rgb(
    image: Image.Image, window: Window | None = None, *, is_ours: bool = False
) -> Decoded:
    """A PIL image as upright 8-bit RGB. is_ours: nobody else holds the image, so that it may be
    turned in place. Raises ImageError."""
    width, height = image.size
    check_size(width, height)
    try:
        # Pillow would turn a TIFF itself while it is decoded.
        taken = _orientation(image, is_taken=True) if is_ours and image.format == "TIFF" else 1
        image.load()
        if image.mode in _NUMBERS:
            return as_picture(_raster(image, _upright(image, is_ours)), window, taken)
        if is_ours:
            picture = _own_upright(image, taken)
        else:
            picture = _upright(image, is_ours=False)
            if picture.mode != "RGB" or picture.has_transparency_data:
                picture = _converted(picture)
        return _in_window(picture, window)
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
    except Exception:  # of EXIF data almost anything, too
        return image  # the picture itself is whole


def _own_upright(image: Image.Image, taken: object) -> Image.Image:
    """A decoded picture that nobody else holds, upright and RGB. It is closed, which gives its
    pixels back at once. taken: its orientation, if it does not say that any more."""
    orientation = _orientation(image) if taken == 1 else taken
    picture = without_decoder(image)  # which may hold as much memory again
    image.close()
    if picture.mode != "RGB" or picture.has_transparency_data:
        is_large = is_worth_it(picture)
        convert = _conversion(picture)
        picture = unpacked(packed(picture, convert)) if is_large else _converted(picture)
    picture.info = {}  # in which there is the orientation
    return turned_upright(picture, orientation)


def _orientation(image: Image.Image, is_taken: bool = False) -> object:
    """is_taken: whether the picture is to forget it."""
    try:
        exif = image.getexif()
        read = exif.pop if is_taken else exif.get
        return read(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # of EXIF data almost anything
        return 1  # the picture itself is whole


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
