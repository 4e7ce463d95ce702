"""BMP whose palette has greys alone."""

from __future__ import annotations

from typing import IO

from PIL import Image

from gradcam_core.upstream import give_palette

_FILE_HEAD_BYTES = 14  # before the bitmap's own head; a DIB has none
_OLD_HEAD_BYTES = 12
_RAW_MODES = {1: "P;1", 4: "P;4", 8: "P"}
_BITS = {"1": 1, "L": 8}


def mend_palette(image: Image.Image, file: IO[bytes]) -> None:
    """Have Pillow read an opened BMP with the bits that it has (BITMAPINFOHEADER, biBitCount)."""
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
