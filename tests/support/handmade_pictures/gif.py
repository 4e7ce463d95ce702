"""GIF."""

from __future__ import annotations

import struct

from tests.support.handmade_pictures.lzw import lzw_run


def blocks(data: bytes) -> bytes:
    """Data split into GIF's sub-blocks, with the empty block at the end."""
    cut = (data[n : n + 255] for n in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in cut) + b"\0"


def frame(
    width: int, height: int, data: bytes | None = None, left: int = 0, top: int = 0, bits: int = 2
) -> bytes:
    """A frame. data: LZW; None for a frame of the first colour."""
    packed = lzw_run(width * height, bits) if data is None else data
    head = b"," + struct.pack("<HHHHB", left, top, width, height, 0)
    return head + bytes([bits]) + blocks(packed)


def file(width: int, height: int, *frames: bytes, has_palette: bool = True) -> bytes:
    """A GIF with four colours: the grey 128, black, white and red."""
    palette = bytes([128] * 3 + [0] * 3 + [255] * 3 + [255, 0, 0]) if has_palette else b""
    flags = 0xF1 if has_palette else 0x70
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, 0, 0)
    return head + palette + b"".join(frames) + b";"
