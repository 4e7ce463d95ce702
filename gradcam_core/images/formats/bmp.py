"""BMP files that Pillow misreads or does not support (BITMAPINFOHEADER and its successors)."""

from __future__ import annotations

import struct
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from gradcam_core.errors import ImageError
from gradcam_core.images.limits import INCOMPLETE, check_size
from gradcam_core.upstream import give_palette

UNKNOWN = tuple(f"Unsupported BMP {what}" for what in ("bitfields", "pixel depth", "compression"))
"""The beginnings of Pillow's messages about BMPs that it does not support."""

_FILE_HEAD_BYTES = 14  # before the bitmap's own header; a DIB has none
_OLD_HEAD_BYTES = 12
_RAW_MODES = {1: "P;1", 4: "P;4", 8: "P"}
_BITS = {"1": 1, "L": 8}

_BITFIELDS = (3, 6)  # compressions; the second has transparency
_ALPHA_HEAD_BYTES = 56  # of a header that has a mask for alpha
_BAND_PIXELS = 2**20


def mend_palette(image: Image.Image, file: IO[bytes]) -> None:
    """Makes Pillow read an opened BMP with its own number of bits, which Pillow gets wrong if the
    palette has only greys."""
    place = file.tell()
    file.seek(0)
    head = file.read(_FILE_HEAD_BYTES + 40)
    start = _FILE_HEAD_BYTES if head.startswith(b"BM") else 0
    size = int.from_bytes(head[start : start + 4], "little")
    is_old = size == _OLD_HEAD_BYTES
    bits = head[start + (10 if is_old else 14)]
    if bits != _BITS.get(image.mode, bits) and bits in _RAW_MODES:
        file.seek(start + size)
        palette = file.read((3 if is_old else 4) * 2**bits)
        give_palette(image, _RAW_MODES[bits], palette, "BGR" if is_old else "BGRX")
    file.seek(place)


def show_if_clear(image: Image.Image) -> None:
    """Makes a fully transparent RGBA picture opaque, as browsers do: some programs leave the alpha
    bytes at zero."""
    image.load()
    if image.getchannel("A").getextrema() == (0, 0):
        image.putalpha(255)


def with_bitfields(file: IO[bytes]) -> Image.Image:
    """A BMP of 16 or 32 bits a pixel with bit masks for its colours, as RGB or RGBA. Raises
    ImageError for other kinds and a file that is cut off, UnidentifiedImageError for no BMP."""
    file.seek(0)
    head = file.read(_FILE_HEAD_BYTES + _ALPHA_HEAD_BYTES)
    if not head.startswith(b"BM"):  # its first number made it look like a DIB
        raise UnidentifiedImageError
    head = head.ljust(_FILE_HEAD_BYTES + 56, b"\0")
    start, size, width, height = struct.unpack_from("<IIii", head, 10)
    bits, compression = struct.unpack_from("<HI", head, 28)
    masks = struct.unpack_from("<4I", head, _FILE_HEAD_BYTES + 40)
    if size < _ALPHA_HEAD_BYTES and compression == _BITFIELDS[0]:
        masks = masks[:3]
    masks = masks if masks[-1] else masks[:3]
    if compression not in _BITFIELDS or bits not in (16, 32) or not all(masks):
        raise ImageError(
            f"This is a BMP of {bits} bits a pixel in the encoding {compression}, which is not "
            "supported. Save it as PNG or JPEG."
        )
    rows = abs(height)
    check_size(width, rows)
    picture = Image.new("RGBA" if len(masks) == 4 else "RGB", (width, rows))
    stride = (width * bits + 31) // 32 * 4
    most = max(1, _BAND_PIXELS // width)
    file.seek(start)
    for top in range(0, rows, most):
        count = min(most, rows - top)
        data = file.read(count * stride)
        if len(data) < count * stride:
            raise ImageError(INCOMPLETE)
        values = np.frombuffer(data, f"<u{bits // 8}").reshape(count, -1)[:, :width]
        levels = np.stack([_levels(values, mask) for mask in masks], axis=2)
        upright = levels if height < 0 else levels[::-1]
        at = top if height < 0 else rows - top - count
        picture.paste(Image.fromarray(np.ascontiguousarray(upright)), (0, at))
    return picture


def _levels(values: np.ndarray, mask: int) -> np.ndarray:
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    return np.rint(((values & mask) >> shift) * (255 / most)).astype(np.uint8)
