"""Checks whether a PNG has the data of all its rows: decoders show missing rows in black."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples of a pixel, by colour type
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Passes of an interlaced PNG: first column, first row, and the steps between columns and rows."""

_UNPACKED_BYTES = 2**20  # at once


def lacks_rows(file: IO[bytes]) -> bool:
    """Whether rows are missing: PNG Specification, third edition (W3C 2025), sections 7.2, 8.1 and
    10. file: a PNG that could be decoded."""
    file.seek(16)
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", file.read(13))
    bits = depth * _CHANNELS[colour]
    expected = 0
    for left, top, across, down in _PASSES if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + -(-columns * bits // 8))
    return not _unpacks_to(file, expected)


def _unpacks_to(file: IO[bytes], expected: int) -> bool:
    """Whether the data unpacks to at least `expected` bytes; no more than these are unpacked, as
    there may be gigabytes."""
    unpacker, count = zlib.decompressobj(), 0
    for part in _data(file):
        while unpacked := unpacker.decompress(part, _UNPACKED_BYTES):
            count += len(unpacked)
            if count >= expected:
                return True
            part = unpacker.unconsumed_tail
    return False


def _data(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        place = file.tell()
        if kind == b"IDAT":
            yield file.read(length)
        file.seek(place + length + 4)
