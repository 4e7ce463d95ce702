"""Netpbm pictures and PFM. Pillow reads 8-bit PNM; PAM, PFM and more bits are read here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import IO

import numpy as np

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.formats import pillow
from gradcam_core.images.limits import DAMAGED, NO_MEMORY, check_size
from gradcam_core.images.pixels.brightness import Block, Raster, as_picture, full_range, raster_of

_HEAD_BYTES = 4096
_BLOCK_VALUES = 2**20

_SPACE = rb"(?:\s|#[^\n]*\n)+"
_NUMBER = rb"(\d{1,6})"
_PNM = re.compile(rb"(P[2356])" + 3 * (_SPACE + _NUMBER) + rb"\s")
_PFM = re.compile(rb"(P[fF])\s+(\d{1,6})\s+(\d{1,6})\s+(-?[\d.eE+-]{1,40})\s")
_PAM = re.compile(rb"P7\n(?:[^\n]{0,200}\n){1,40}?ENDHDR\n")
_OTHER_PAM = re.compile(rb"^TUPLTYPE +(?!(?:BLACKANDWHITE|GRAYSCALE|RGB)(?:_ALPHA)?\s*$)", re.M)
_SEVERAL = "The file has several pictures; the first one is shown."

_ODD_PAM = (
    "This PAM picture is not grey or RGB (with or without transparency) of up to 16 bits. Save "
    "it as PNG, JPEG or TIFF."
)

_COMMENT = re.compile(rb"#[^\n]*")


def decode(file: IO[bytes], window: Window | None = None) -> Decoded:
    """The first picture of a file. Raises ImageError."""
    try:
        raster = _raster(file)
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    except (ValueError, OverflowError, OSError, DeprecationWarning) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(DAMAGED) from error
    if raster is None:
        file.seek(0)
        decoded = pillow.decode(file, window)
    else:
        decoded = as_picture(raster, window)
    return decoded.noting(_SEVERAL if _is_followed(file) else "")


def _is_followed(file: IO[bytes]) -> bool:
    """Whether another picture follows the first one (pnm(5)); False if its end is not known."""
    file.seek(0)
    found = _PNM.match(file.read(_HEAD_BYTES))
    if found is None or found[1] not in (b"P5", b"P6"):
        return False
    width, height, highest = (int(number) for number in found.groups()[1:])
    row_bytes = width * (3 if found[1] == b"P6" else 1) * (1 if highest < 2**8 else 2)
    file.seek(found.end() + height * row_bytes)
    return _PNM.match(file.read(_HEAD_BYTES)) is not None


def _raster(file: IO[bytes]) -> Raster | None:
    """The values of a picture; None for PNM of 8 bits, or a header that is not understood, which
    are left to Pillow. Raises ImageError."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if found := _PNM.match(head):
        width, height, highest = (int(number) for number in found.groups()[1:])
        if not 255 < highest < 2**16:
            return None
        channels = 3 if found[1] in (b"P3", b"P6") else 1
        check_size(width, height)
        if found[1] in (b"P2", b"P3"):
            return _plain(file, found.end(), (height, width, channels), highest)
        return _binary(file, found.end(), (height, width, channels), ">u2", highest)
    if found := _PFM.match(head):
        width, height, scale = int(found[2]), int(found[3]), float(found[4])
        check_size(width, height)
        shape = height, width, 3 if found[1] == b"PF" else 1
        order = "<f4" if scale < 0 else ">f4"
        return _binary(file, found.end(), shape, order, None, is_upward=True)
    if found := _PAM.match(head):
        fields = dict(re.findall(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL) +(\d{1,6})\s*$", found[0], re.M))
        names = (b"HEIGHT", b"WIDTH", b"DEPTH", b"MAXVAL")
        height, width, depth, highest = (int(fields.get(name, 0)) for name in names)
        is_other = depth > 1 and _OTHER_PAM.search(found[0])
        if not 0 < highest < 2**16 or not 1 <= depth <= 4 or is_other:
            raise ImageError(_ODD_PAM)
        check_size(width, height)
        stored = "u1" if highest < 2**8 else ">u2"
        return _binary(file, found.end(), (height, width, depth), stored, highest)
    return None


def _plain(file: IO[bytes], start: int, shape: tuple[int, int, int], highest: int) -> Raster:
    """Reads numbers written as text. shape: (height, width, samples). highest: that of white."""
    file.seek(start)
    text = _COMMENT.sub(b"", file.read())
    count = shape[0] * shape[1] * shape[2]
    if len(text) < 2 * count - 1:
        raise ImageError(DAMAGED)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # issued for text that is no number
        values = np.fromstring(text, np.uint16, sep=" ")
    if len(values) < count:
        raise ImageError(DAMAGED)
    values = values[:count].reshape(shape)
    colour = values if shape[2] == 3 else values[:, :, 0]
    return raster_of(colour, full=(0.0, float(highest)))


def _binary(
    file: IO[bytes],
    start: int,
    shape: tuple[int, int, int],
    stored: str,
    highest: int | None,
    is_upward: bool = False,
) -> Raster:
    """Reads binary numbers. shape: (height, width, samples). stored: their dtype. highest: that of
    white; None if there is no such. is_upward: whether the first row is the lowest."""
    height, width, samples = shape
    row_bytes = width * samples * np.dtype(stored).itemsize
    rows = max(1, _BLOCK_VALUES // (width * samples))
    has_alpha, colours = samples in (2, 4), 3 if samples >= 3 else 1
    dtype = np.dtype(stored).newbyteorder("=")

    def blocks() -> Iterator[Block]:
        for top in range(0, height, rows):
            count = min(rows, height - top)
            first = height - top - count if is_upward else top
            file.seek(start + first * row_bytes)
            data = file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise ImageError(DAMAGED)
            values = np.frombuffer(data, stored).reshape(count, width, samples).astype(dtype)
            values = values[::-1] if is_upward else values
            colour = values[:, :, :3] if colours == 3 else values[:, :, 0]
            # A block wants alpha over the full range of its type.
            alpha = (
                values[:, :, -1] * (full_range(dtype)[1] / (highest or 1)) if has_alpha else None
            )
            yield Block(0, top, colour, alpha)

    full = None if highest is None else (0.0, float(highest))
    is_plain = dtype.itemsize == 1
    return Raster((width, height), colours == 3, dtype, blocks, full=full, is_plain=is_plain)
