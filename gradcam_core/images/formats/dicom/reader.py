"""Which frame of a DICOM file is read, and the notices about it."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Brightness, Decoded, Window, square_notice
from gradcam_core.images.formats.dicom.frames import read_frame
from gradcam_core.images.formats.dicom.header import Header, read_header
from gradcam_core.images.formats.dicom.shades import GREYS, KINDS, coloured, grey
from gradcam_core.images.limits import (
    DAMAGED,
    DAMAGED_OR_LARGE,
    LARGE_PIXELS,
    NO_MEMORY,
    check_size,
)

_NO_PICTURE = "This DICOM file has no picture in it{what}. Choose a file with the picture itself."

_OBJECTS = {
    "1.2.840.10008.1.3.10": "the file list of a disc (DICOMDIR)",
    "1.2.840.10008.5.1.4.1.1.104": "a document",
    "1.2.840.10008.5.1.4.1.1.88": "a report",
    "1.2.840.10008.5.1.4.1.1.481": "part of a radiotherapy plan",
    "1.2.840.10008.5.1.4.1.1.11": "display settings for another file",
    "1.2.840.10008.5.1.4.1.1.9": "a waveform, such as an ECG",
    "1.2.840.10008.5.1.4.1.1.66": "a set of measurements",
}
"""What an object without pixels is, by the beginning of its SOP class (PS3.6, table A-1)."""

_OTHER_COLOURS = (
    "The colours of this DICOM file are stored in an unsupported way. Save it as RGB or as a "
    "greyscale picture, and try again."
)


def decode(file: IO[bytes], window: Window | None = None) -> Decoded:
    """The middle frame of a file. window: replaces the file's own window, in units after rescaling
    such as Hounsfield units; unused for colour pictures. Raises ImageError."""
    pixels = 0
    with _silence():
        try:
            header = read_header(file)
            pixels = header.whole("Rows") * header.whole("Columns")
            return _decode(header, window)
        except ImageError:
            raise
        except MemoryError:
            raise ImageError(NO_MEMORY) from None
        except Exception:  # pydicom raises almost anything, and quotes values of the file
            raise ImageError(DAMAGED if pixels < LARGE_PIXELS else DAMAGED_OR_LARGE) from None


def _decode(header: Header, window: Window | None) -> Decoded:
    if not header.has_pixels:
        what = next((text for uid, text in _OBJECTS.items() if _is_a(header.of_what, uid)), "")
        raise ImageError(_NO_PICTURE.format(what=f": it is {what}" if what else ""))
    check_size(header.whole("Columns"), header.whole("Rows"))
    if header.photometric not in KINDS:
        raise ImageError(_OTHER_COLOURS)
    frame = read_frame(header)
    notices: list[str] = []
    brightness: Brightness | None = None
    if frame.count > 1:
        notices.append(_which_frame(header, frame.index + 1, frame.count))
    if frame.photometric in GREYS:
        image, notice, brightness = grey(header, frame, window)
        notices.append(notice)
    else:
        image = coloured(header, frame)
        if window:
            notices.append("The window was not used: this picture is in colour.")
    notices.append(square_notice(header.pixel_height))
    del frame  # the next step may need its memory
    return Decoded(image.convert("RGB"), tuple(filter(None, notices)), brightness)


def _is_a(uid: str, kind: str) -> bool:
    return uid == kind or uid.startswith(f"{kind}.")


def _which_frame(header: Header, number: int, count: int) -> str:
    columns, rows = header.whole("TotalPixelMatrixColumns"), header.whole("TotalPixelMatrixRows")
    if columns > header.whole("Columns") or rows > header.whole("Rows"):
        return (
            f"The file is a slide of {columns} x {rows} pixels in {count} tiles: only the middle "
            f"one, number {number}, was read."
        )
    return f"The file has {count} frames: the middle one, number {number}, was read."


_lock = threading.Lock()
_readers = 0  # how many read a file now
_level = logging.NOTSET


@contextmanager
def _silence() -> Iterator[None]:
    """Silences pydicom's warnings and logs, which quote values of the file."""
    global _readers, _level
    logger = logging.getLogger("pydicom")
    with _lock:
        if not _readers:
            import pydicom.config  # noqa: F401  # its import sets the level

            _level = logger.level
            logger.setLevel(logging.CRITICAL + 1)
        _readers += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers:
                logger.setLevel(_level)
