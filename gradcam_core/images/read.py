"""Untrusted picture data to an upright RGB picture, or an `ImageError` that a person can read."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from gradcam_core.errors import ImageError
from gradcam_core.upstream import without_decoder
from gradcam_core.wording import kind_of

Photo = str | os.PathLike[str] | bytes | Image.Image | np.ndarray

MAX_PIXELS = 48_800_000
"""Size of the largest picture that is decoded: a phone's 48 megapixels, 195 MB as RGB in Pillow."""

MAX_SIDE_PX = 65_500
"""Longest side of a picture that is decoded. JPEG, which the page shows it as, has no more."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "AVIF", "HEIF", "PPM")
"""Formats that are decoded, by Pillow's names. It knows three dozen more, which are rare; one of
them, EPS, starts a program."""

LARGE_PIXELS = 12_000_000
"""Size from which on a picture may fail to decode for lack of memory: decoders do not always say
so."""

DAMAGED = "The picture is damaged or incomplete, it cannot be decoded."

_NO_MEMORY = "The picture takes too much memory to decode. Make it smaller, or save it as JPEG."

_DAMAGED_OR_LARGE = (
    "The picture is damaged or incomplete, or takes too much memory to decode. "
    "Make it smaller, or save it as JPEG."
)

_NO_FORMAT = (
    "This is not a picture in a format that can be read (JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF …)."
)

_BAND_PIXELS = 2**20  # whose values are converted at once

_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


def read_image(photo: Photo) -> Image.Image:
    """The picture as upright 8-bit RGB, of its own size.

    photo: a path, the bytes of a file, a PIL image, or a uint8 array [H, W], [H, W, 3] or
    [H, W, 4]. The EXIF orientation is applied, transparency is composited on white, 16-bit values
    keep their upper 8 bits, and of an animated picture the first frame is taken. Colour profiles
    are ignored, as they were when the networks were trained. A PIL image that is upright RGB
    already is given back itself.

    Raises ImageError if it is no picture, is damaged, or has more than `MAX_PIXELS` or
    `MAX_SIDE_PX`.
    """
    if isinstance(photo, np.ndarray):
        return _from_array(photo)
    if isinstance(photo, Image.Image):
        return _upright_rgb(photo)
    if isinstance(photo, bytes):
        return _decode(io.BytesIO(photo))
    if not isinstance(photo, str | os.PathLike):
        raise ImageError(
            f"{kind_of(photo)} is no picture. Give a path, the bytes of a file, a PIL image, or a "
            "uint8 array [H, W, 3]."
        )
    path = Path(photo)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder, not a picture.")
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is no file but a pipe or a device. Save it to a file first.")
        with path.open("rb") as file:
            return _decode(file)
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(f"The file {path} cannot be read: {reason}.") from error


@cache
def _register_heif() -> None:
    """Teach Pillow the format of iPhones' photos."""
    from pi_heif import register_heif_opener

    register_heif_opener()


def _decode(file: IO[bytes]) -> Image.Image:
    _register_heif()
    with warnings.catch_warnings():
        # `_upright_rgb` has a limit of its own, below the size at which Pillow only warns.
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as image:
                return _upright_rgb(image, is_ours=True)
        except UnidentifiedImageError:
            raise ImageError(_NO_FORMAT) from None
        except Image.DecompressionBombError:
            raise ImageError(_too_large("The picture")) from None
        except ImageError:
            raise
        except MemoryError:
            raise ImageError(_NO_MEMORY) from None
        except Exception as error:
            raise ImageError(DAMAGED) from error


def _upright_rgb(image: Image.Image, *, is_ours: bool = False) -> Image.Image:
    """is_ours: nobody else holds it, so that it may itself be turned."""
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
        raise ImageError(_too_large(f"The picture has {width} x {height} pixels; it"))
    if width == 0 or height == 0:
        raise ImageError("The picture is empty: it has no pixels.")
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
        raise ImageError(_NO_MEMORY) from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others.
        raise ImageError(DAMAGED if width * height < LARGE_PIXELS else _DAMAGED_OR_LARGE) from error


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


def _from_array(values: np.ndarray) -> Image.Image:
    shape = values.shape
    known = values.ndim == 2 or (values.ndim == 3 and shape[2] in (3, 4))
    if values.dtype != np.uint8 or not known:
        raise ImageError(
            "An array must be uint8 of shape [H, W], [H, W, 3] or [H, W, 4]; "
            f"this one is {values.dtype} of shape {list(shape)}."
        )
    if values.size == 0:
        raise ImageError("The picture is empty: it has no pixels.")
    return _upright_rgb(Image.fromarray(values))


def _too_large(what: str) -> str:
    return (
        f"{what} is too large: up to {MAX_PIXELS / 1_000_000:.1f} million pixels are read, "
        f"and up to {MAX_SIDE_PX} a side. "
        "Make it smaller and try again."
    )
