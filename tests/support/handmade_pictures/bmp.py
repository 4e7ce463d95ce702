"""BMP."""

from __future__ import annotations

import struct


def file(
    width: int,
    height: int,
    data: bytes,
    *,
    bits: int = 24,
    compression: int = 0,
    palette: bytes = b"",
    offset: int | None = None,
    colours: int | None = None,
) -> bytes:
    start = 54 + len(palette) if offset is None else offset
    used = len(palette) // 4 if colours is None else colours
    sizes = (compression, len(data), 2835, 2835, used, 0)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, *sizes)
    head = b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(data), 0, 0, start)
    return head + info + palette + data
