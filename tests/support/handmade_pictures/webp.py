"""WebP."""

from __future__ import annotations

import struct

from tests.support.handmade_pictures.lzw import codes


def riff(*chunks: tuple[bytes, bytes], length: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def vp8l(width: int, height: int, grey: int = 128) -> bytes:
    """The data of a lossless WebP of one colour: its codes have no bits, so size costs nothing."""
    head = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    symbols = (grey, grey, grey, 255, 0)  # green, red, blue, alpha, distance
    trees = [part for value in symbols for part in ((1, 1), (0, 1), (1, 1), (value, 8))]
    return codes([*head, *trees])


def flat(width: int, height: int) -> bytes:
    return riff((b"VP8L", vp8l(width, height)))


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + canvas


def frame(data: bytes, width: int, height: int, left: int = 0) -> tuple[bytes, bytes]:
    """A frame of an animation, as (chunk name, content). data: its VP8L."""
    place = (left // 2).to_bytes(3, "little") + bytes(3)
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    inner = b"VP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"ANMF", place + sizes + (40).to_bytes(3, "little") + b"\0" + inner
