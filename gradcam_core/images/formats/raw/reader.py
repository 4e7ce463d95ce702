"""Raw photos of cameras: shows the preview that the camera embeds, if it is of full size.

rawpy (LibRaw) reads the files. The raw values themselves are not developed: how bright and
colourful they become is the photographer's choice, and developing takes more memory and time than a
picture may.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.formats import pillow
from gradcam_core.images.limits import DAMAGED, NO_MEMORY
from gradcam_core.images.pixels.orientation import upright
from gradcam_core.images.pixels.upright_rgb import upright_rgb

LEAST_SHARE = 0.9
"""A preview is of full size if its sides are at least this share of the raw picture's, which
cameras crop a little."""

_END_BYTES = 2**16  # a shorter end may be all zeros, which occur elsewhere in the file, too
"""How much of a preview's end is searched for in the file, at most."""

_BLOCK_BYTES = 2**22

_ORIENTATIONS = {3: 3, 5: 8, 6: 6}  # EXIF orientation by LibRaw's `flip`

_EXPORT = "Export it as JPEG from your camera or photo program, and use that."

_SMALL = (
    "This is a raw photo of {width} x {height} pixels with only a small preview in it ({preview}), "
    "and raw photos are not developed here. " + _EXPORT
)
_NONE = "This is a raw photo without a preview in it, and raw photos are not developed here. " + (
    _EXPORT
)
_UNKNOWN = "This looks like a camera's raw photo of an unsupported kind. " + _EXPORT

_NOTICE = "This is a raw photo; its full-size preview, as the camera has developed it, is shown."


def decode(file: IO[bytes], window: Window | None = None) -> Decoded:
    """The preview, upright. Raises ImageError, also if the preview is missing or too small."""
    import rawpy

    try:
        with rawpy.imread(_source(file)) as raw:
            sizes = raw.sizes
            thumbnail = raw.extract_thumb()
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        raise ImageError(_NONE) from None
    except rawpy.LibRawFileUnsupportedError:
        raise ImageError(_UNKNOWN) from None
    except rawpy.LibRawUnsufficientMemoryError:
        raise ImageError(NO_MEMORY) from None
    except (rawpy.LibRawError, OSError, ValueError):
        raise ImageError(DAMAGED) from None
    if not _has_end_of(file, thumbnail.data):
        raise ImageError(DAMAGED)
    if thumbnail.format == rawpy.ThumbFormat.JPEG:
        decoded = _jpeg(thumbnail.data, sizes, window)
    else:
        preview = Image.fromarray(thumbnail.data)
        _check(preview.size, sizes)
        decoded = upright_rgb(upright(preview, _orientation(sizes)), window, is_ours=True)
    return decoded.noting(_NOTICE)


def _has_end_of(file: IO[bytes], preview: bytes | np.ndarray) -> bool:
    """Whether the file contains the end of its preview. If it is cut off, LibRaw fills the preview
    up with memory that may still hold another picture."""
    values = np.frombuffer(preview, np.uint8) if isinstance(preview, bytes) else preview.ravel()
    end = values[-min(_END_BYTES, len(values) // 2) :].tobytes()  # LibRaw may change the beginning
    file.seek(0)
    before = b""
    while part := file.read(_BLOCK_BYTES):
        if end in before + part:
            return True
        before = part[-len(end) :]
    return False


def _source(file: IO[bytes]) -> str | IO[bytes]:
    """The file's path if it has one, of which LibRaw reads only the parts that it needs, else the
    file itself."""
    name = getattr(file, "name", None)
    with suppress(UnicodeError):  # LibRaw only takes names that can be encoded
        if isinstance(name, str) and name.encode() and os.path.isfile(name):
            return name
    file.seek(0)
    return file


def _jpeg(data: bytes, sizes: Any, window: Window | None) -> Decoded:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as preview:
            size, exif = preview.size, preview.getexif()
    except Exception as error:  # Pillow raises almost anything
        raise ImageError(DAMAGED) from error
    _check(size, sizes)
    decoded = pillow.decode(io.BytesIO(data), window)
    if ExifTags.Base.Orientation in exif:
        return decoded
    return replace(decoded, image=upright(decoded.image, _orientation(sizes)))


def _check(preview: tuple[int, int], sizes: Any) -> None:
    """Raises ImageError if the preview, (width, height), is too small."""
    raw = sizes.width, sizes.height
    if min(max(preview) / max(*raw, 1), min(preview) / max(min(raw), 1)) < LEAST_SHARE:
        text = f"{preview[0]} x {preview[1]}"
        raise ImageError(_SMALL.format(width=raw[0], height=raw[1], preview=text))


def _orientation(sizes: Any) -> int:
    return _ORIENTATIONS.get(sizes.flip, 1)
