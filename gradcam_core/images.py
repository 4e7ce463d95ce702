"""Untrusted picture data to an upright RGB picture, or an `ImageError` that a person can read."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

Photo = str | os.PathLike[str] | bytes | Image.Image | np.ndarray

MAX_PIXELS = 100_000_000
"""Largest picture that is decoded, in pixels: room for a 12000 x 8000 photo, 300 MB as RGB."""

MAX_SIDE = 65_500
"""Longest side of such a picture, in pixels: JPEG, in which it is shown again, has no more."""

_DAMAGED = "The picture is damaged or incomplete, it cannot be decoded."

_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class ImageError(ValueError):
    """A picture cannot be used. The message says what is wrong with it, in words for its owner."""


def read_image(photo: Photo) -> Image.Image:
    """The picture as upright 8-bit RGB, of its own size.

    photo: a path, the bytes of a file, a PIL image, or a uint8 array [H, W], [H, W, 3] or
    [H, W, 4]. The EXIF orientation is applied, transparency is composited on white, 16-bit values
    keep their upper 8 bits, and of an animated picture the first frame is taken. Colour profiles
    are ignored, as they were when the networks were trained.

    Raises ImageError if it is no picture, is damaged, or is larger than `MAX_PIXELS` or `MAX_SIDE`.
    """
    if isinstance(photo, np.ndarray):
        return _from_array(photo)
    if isinstance(photo, Image.Image):
        return _upright_rgb(photo)
    if isinstance(photo, bytes):
        return _decode(io.BytesIO(photo))
    path = Path(photo)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder, not a picture.")
        with path.open("rb") as file:
            return _decode(file)
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(f"The file {path} cannot be read: {reason}.") from error


def _decode(file: IO[bytes]) -> Image.Image:
    with warnings.catch_warnings():
        # `_upright_rgb` has a limit of its own, below the size at which Pillow only warns.
        warnings.simplefilter("ignore")
        try:
            with Image.open(file) as image:
                return _upright_rgb(image)
        except UnidentifiedImageError:
            raise ImageError(
                "This is not a picture in a format that can be read (JPEG, PNG, WebP, GIF, …)."
            ) from None
        except Image.DecompressionBombError:
            raise ImageError(_too_large("The picture")) from None
        except ImageError:
            raise
        except Exception as error:
            raise ImageError(_DAMAGED) from error


def _upright_rgb(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageError(_too_large(f"The picture has {width} x {height} pixels; it"))
    if width == 0 or height == 0:
        raise ImageError("The picture is empty: it has no pixels.")
    try:
        image.load()
        return _rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(_too_large("The picture")) from None
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, struct.error, zlib.error and others.
        raise ImageError(_DAMAGED) from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        return _from_sixteen_bit(np.asarray(image))
    if image.mode == "F":
        return _from_float(np.asarray(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
        return ImageCms.applyTransform(image, transform) or image
    # `copy` so that the result outlives the file that it was read from.
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _from_sixteen_bit(values: np.ndarray) -> Image.Image:
    """Pillow's own conversion clips at 255, which turns most 16-bit pictures white."""
    top = 65535 if values.max(initial=0) > 255 else 255
    scaled = np.clip(values.astype(np.float32) * (255 / top), 0, 255)
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")


def _from_float(values: np.ndarray) -> Image.Image:
    """Float pictures (TIFF) have no agreed range: up to 1 they are shares, else 8-bit levels."""
    values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
    top = 1.0 if values.max(initial=0) <= 1 else 255.0
    scaled = np.clip(values * (255 / top), 0, 255)
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")


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
        f"{what} is too large: up to {MAX_PIXELS // 1_000_000} million pixels are read, "
        f"and up to {MAX_SIDE} a side. "
        "Make it smaller and try again."
    )
