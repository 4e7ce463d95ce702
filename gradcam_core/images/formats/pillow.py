"""Formats that Pillow reads: mostly photos and graphics of 8 bits per channel."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import IO

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window, square_notice
from gradcam_core.images.formats.bmp import UNKNOWN, mend_palette, show_if_clear, with_bitfields
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
    too_large,
)
from gradcam_core.images.pixels.orientation import upright
from gradcam_core.images.pixels.upright_rgb import (
    NUMBERS,
    conversion,
    converted,
    in_window,
    upright_rgb,
)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "HEIF", "PPM")
"""Supported formats, by Pillow's names. Pillow knows three dozen more, which are rare; one of them,
EPS, starts a program."""

_NO_FORMAT = (
    "This is not a picture in a format that can be read (JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF …)."
    " If it is a picture, save it as PNG, JPEG or TIFF."
)

_OTHER_JPEG = "This is {kind}, which is not supported. Save it as an ordinary JPEG, PNG or TIFF."

RESOLUTION = (282, 283)
"""TIFF's tags XResolution and YResolution."""

_JPEG_HEAD = b"\xff\xd8"

_BEGINNINGS = (b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"\x89PNG")

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"avif", b"avis")
"""Brands of HEIC and AVIF (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6)."""


class UnknownFormatError(ImageError):
    """The file is in none of the `FORMATS`."""


@cache
def _register_heif() -> None:
    """Teaches Pillow HEIC, the format of iPhone photos."""
    from pi_heif import register_heif_opener

    register_heif_opener()


def decode(
    file: IO[bytes],
    window: Window | None = None,
    sixteen_bits: Callable[[Image.Image, Window | None], Decoded | None] = lambda *_: None,
) -> Decoded:
    """The first frame of a file, upright.

    sixteen_bits: called with the opened picture and the window; gives the picture with the bits
    that Pillow drops, or None to use Pillow's. Raises ImageError.
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
                notices = frames_notice(image, file), square_notice(*_resolution(image))
                if scale > 1:
                    decoded = _reduced(image, file, scale, window)
                else:
                    if image.mode == "RGBA" and image.format in ("BMP", "DIB", None):
                        show_if_clear(image)
                    decoded = (
                        sixteen_bits(image, window)
                        or in_own_levels(image, file, window)
                        or upright_rgb(image, window, is_ours=True)
                    )
                return decoded.noting(*notices)
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


def _resolution(image: Image.Image) -> tuple[float, float]:
    """Pixels per unit of length by the file, (across, down); (1, 1) if it does not say. Ratios
    without a unit in JPEG and PNG are ignored, because ffmpeg writes their inverse."""
    if isinstance(image, TiffImageFile) and not all(tag in image.tag_v2 for tag in RESOLUTION):
        return 1.0, 1.0  # for a missing tag Pillow gives 1
    for name in ("dpi", "resolution"):
        with suppress(KeyError, TypeError, ValueError):
            across, down = map(float, image.info[name])
            return across, down
    return 1.0, 1.0


def _begins_as_known(file: IO[bytes]) -> bool:
    """Whether the file begins like a supported format, so that the rest must be damaged."""
    file.seek(0)
    head = file.read(12)
    return head.startswith(_BEGINNINGS) or (head[4:8] == b"ftyp" and head[8:] in _HEIF_BRANDS)


def _opened(file: IO[bytes]) -> Image.Image:
    try:
        return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError:
        # Pillow's limit assumes full size, but a JPEG can be decoded at a reduced size.
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
    """The picture at a reduced size. Raises ImageError, and whatever Pillow and the decoders
    raise."""
    size = image.size
    if draft(image, scale):
        return _with_notice(upright_rgb(image, window, is_ours=True), size, scale)
    if image.mode in NUMBERS:
        raise ImageError(too_large(f"The picture has {size[0]} x {size[1]} pixels; it"))
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    bits = depth_of(image, file)
    bands = bands_of(str(image.format), file)
    if bands:
        picture = averaged(size, scale, bands, _each_converted)
    else:
        picture = averaged(size, scale, bands_in_pillow(image), conversion(image))
        image.close()  # frees its pixels at once
    return _with_notice(in_window(upright(picture, orientation), window, bits), size, scale)


def _reduced_webp(file: IO[bytes], webp: WebP, window: Window | None) -> Decoded:
    """A WebP at a reduced size. Pillow cannot open it, as it allocates all of its pixels at once.
    Raises ImageError, and whatever the decoders raise."""
    if is_available() and not webp.is_animated:
        scale = scale_of_webp(webp)
        values = decode_scaled(file, smaller(webp.size, scale))
        picture = converted(Image.fromarray(values))
        del values  # turning the picture may need their memory
    else:
        scale = scale_of_whole("WEBP", webp.size)
        bands = bands_of("WEBP", file)
        assert bands
        picture = averaged(webp.size, scale, bands, _each_converted)
    exif = Image.Exif()
    with suppress(Exception):  # damaged EXIF data raises almost anything
        exif.load(webp.exif)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return _with_notice(in_window(upright(picture, orientation), window), webp.size, scale)


def _with_notice(decoded: Decoded, size: tuple[int, int], scale: int) -> Decoded:
    picture = decoded.image
    is_turned = (size[0] > size[1]) != (picture.width > picture.height)
    notice = notice_of(size[::-1] if is_turned else size, scale)
    return decoded.noting(notice)


def _each_converted(rows: Image.Image) -> Image.Image:
    return conversion(rows)(rows)
