"""Turns untrusted picture data into an upright RGB picture, or an `ImageError` for people."""

from __future__ import annotations

import importlib
import io
import os
import re
from pathlib import Path

import numpy as np
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window, window_of
from gradcam_core.images.formats.completeness.endings import Open, decoded_to_the_end
from gradcam_core.images.formats.signatures import family_of
from gradcam_core.images.limits import EMPTY, check_size
from gradcam_core.images.pixels.brightness import as_picture, raster_of
from gradcam_core.images.pixels.upright_rgb import upright_rgb
from gradcam_core.system.files import broken_link
from gradcam_core.wording import file_name, kind_of, printable

BLANK = "The picture is blank: it has only one colour."

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)

Photo = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Decoded


def read_image(photo: Photo) -> Image.Image:
    """The picture as upright 8-bit RGB, at its own size or reduced to at most `MAX_PIXELS`.

    photo: a path, the bytes of a file, a PIL image, an array [H, W], [H, W, 3] or [H, W, 4] of real
    numbers, or the result of `read_picture`. The EXIF orientation is applied, transparency is
    composited on white, and one of several frames or pages is used. Values of more than 8 bits are
    shown on a linear scale from black to white: `gradcam_core.images.pixels.brightness` has the
    range. Colour profiles are ignored, as in the networks' training. A PIL image that is already
    upright RGB is returned itself.

    Raises ImageError if it is not a picture, is damaged, or is larger than
    `gradcam_core.images.limits` allows.
    """
    return read_picture(photo).image


def read_picture(photo: Photo, window: Window | tuple[float, float] | str | None = None) -> Decoded:
    """`read_image`, together with the notices that belong beside the picture.

    window: the values shown black and white, in the units of the file: (low, high), or the text
    "LOW,HIGH". For an 8-bit picture, these are levels from 0 to 255. A result of `read_picture` is
    returned as it is. Raises ImageError like `read_image`, and ChoiceError for an invalid window.
    """
    limits = window_of(window)
    if isinstance(photo, Decoded):
        return photo
    decoded = _read(photo, limits)
    return decoded.noting(after=BLANK) if _is_blank(decoded.image) else decoded


def _read(photo: Photo, window: Window | None) -> Decoded:
    if isinstance(photo, np.ndarray):
        return _from_array(photo, window)
    if isinstance(photo, Image.Image):
        return upright_rgb(photo, window)
    if isinstance(photo, bytes):
        return _decode(lambda: io.BytesIO(photo), window)
    if not isinstance(photo, str | os.PathLike):
        raise ImageError(
            f"{kind_of(photo)} is not a picture. Give a path, the bytes of a file, a PIL image, "
            "or an array [H, W] or [H, W, 3]."
        )
    if not str(photo).strip():
        raise ImageError("The name of the picture is empty. Give the path of its file.")
    if _ADDRESS.match(str(photo)):
        raise ImageError(
            f"{file_name(photo)} is an address, but nothing is fetched here. Save the picture, "
            "and give the path of its file."
        )
    path = Path(photo)
    shown = printable(str(path))
    try:
        if path.is_dir():
            raise ImageError(f"{shown} is a folder, not a picture.")
        if path.exists() and not path.is_file():
            raise ImageError(
                f"{shown} is not a file, but a pipe or a device. Save it to a file first."
            )
        return _decode(lambda: path.open("rb"), window)
    except FileNotFoundError:
        link = printable(broken_link(path))
        raise ImageError(f"{link}." if link else f"There is no file {shown}.") from None
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(f"No file can have the name {shown}. Give the path of one.") from error
    except OSError as error:
        reason = error.strerror or error
        raise ImageError(f"The file {shown} cannot be read: {reason}.") from error


def _decode(opened: Open, window: Window | None) -> Decoded:
    with opened() as file:
        family = importlib.import_module(f"gradcam_core.images.formats.{family_of(file)}")
    return decoded_to_the_end(opened, lambda file: family.decode(file, window))


def _is_blank(picture: Image.Image) -> bool:
    """Whether the whole picture has one colour."""
    width, height = picture.size
    places = [(width * x // 8, height * y // 8) for x in range(8) for y in range(8)]
    if len({picture.getpixel(place) for place in places}) > 1:
        return False
    return all(low == high for low, high in picture.getextrema())  # type: ignore[misc]


def _from_array(values: np.ndarray, window: Window | None) -> Decoded:
    shape, dtype = values.shape, values.dtype
    if values.ndim == 3 and shape[2] == 1:
        values = values[:, :, 0]
    is_picture = values.ndim == 2 or (values.ndim == 3 and shape[2] in (3, 4))
    if not is_picture or dtype.kind not in "buif":
        raise ImageError(
            "An array must have real numbers, and the shape [H, W], [H, W, 3] or [H, W, 4]; "
            f"this one is {dtype} of shape {list(shape)}."
        )
    if values.size == 0:
        raise ImageError(EMPTY)
    if isinstance(values, np.ma.MaskedArray):
        is_whole = not np.ma.is_masked(values)
        values = values.data if is_whole else np.ma.filled(values.astype(np.float64), np.nan)
        dtype = values.dtype
    check_size(shape[1], shape[0])
    if dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8:
        return upright_rgb(Image.fromarray(values), window)
    if dtype.itemsize > 8:  # no file has longer numbers
        values = values.astype(np.float64)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    alpha = values[:, :, 3] if values.ndim == 3 and values.shape[2] == 4 else None
    return as_picture(raster_of(values[:, :, :3] if alpha is not None else values, alpha), window)
