"""Untrusted picture data to an upright RGB picture, or an `ImageError` that a person can read."""

from __future__ import annotations

import importlib
import io
import os
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window, window_of
from gradcam_core.images.formats.pillow import upright_rgb
from gradcam_core.images.formats.signatures import family_of
from gradcam_core.images.limits import EMPTY
from gradcam_core.wording import kind_of

Photo = str | os.PathLike[str] | bytes | Image.Image | np.ndarray


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
    return read_picture(photo).image


def read_picture(photo: Photo, window: Window | tuple[float, float] | str | None = None) -> Decoded:
    """`read_image`, with the notices that belong beside the picture.

    window: the range of values that is shown from black to white, instead of the file's own; see
    `gradcam_core.images.decoded`. Raises ImageError as `read_image` does, and ChoiceError for what
    is no window.
    """
    window = window_of(window)
    if isinstance(photo, np.ndarray):
        return Decoded(_from_array(photo))
    if isinstance(photo, Image.Image):
        return Decoded(upright_rgb(photo))
    if isinstance(photo, bytes):
        return _decode(io.BytesIO(photo), window)
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
            return _decode(file, window)
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(f"The file {path} cannot be read: {reason}.") from error


def _decode(file: IO[bytes], window: Window | None) -> Decoded:
    family = importlib.import_module(f"gradcam_core.images.formats.{family_of(file)}")
    return family.decode(file, window)


def _from_array(values: np.ndarray) -> Image.Image:
    shape = values.shape
    known = values.ndim == 2 or (values.ndim == 3 and shape[2] in (3, 4))
    if values.dtype != np.uint8 or not known:
        raise ImageError(
            "An array must be uint8 of shape [H, W], [H, W, 3] or [H, W, 4]; "
            f"this one is {values.dtype} of shape {list(shape)}."
        )
    if values.size == 0:
        raise ImageError(EMPTY)
    return upright_rgb(Image.fromarray(values))
