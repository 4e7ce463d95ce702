"""The header of a WebP: its size and EXIF, which Pillow only gives after allocating all pixels.

RFC 9649 (WebP image format), section 2; RFC 6386 (VP8), section 9.1.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_HEAD = struct.Struct("<4sL4s")
_CHUNK = struct.Struct("<4sL")
_SHOWN_BYTES = 16  # of a chunk with pixels, enough for its size


@dataclass(frozen=True)
class WebP:
    """size: (width, height) in pixels. exif: content of its EXIF chunk, b"" if there is none.
    is_lossless: libwebp then holds all pixels while decoding. is_animated: whether it has several
    frames. file_bytes: size of the file."""

    size: tuple[int, int]
    exif: bytes
    is_lossless: bool
    is_animated: bool
    file_bytes: int


def webp_of(file: IO[bytes]) -> WebP | None:
    """The header of a file, None if it is no valid WebP. Leaves the file at its beginning."""
    try:
        file.seek(0)
        name, _, kind = _HEAD.unpack(file.read(_HEAD.size))
        if (name, kind) != (b"RIFF", b"WEBP"):
            return None
        size, exif, names = None, b"", set()
        for chunk, start in _chunks(file):
            size = size or _size(chunk, start)
            names.add(chunk)
            if chunk == b"EXIF":
                exif = start
        if not size:
            return None
        return WebP(size, exif, b"VP8L" in names, b"ANMF" in names, file.seek(0, os.SEEK_END))
    except struct.error:
        return None
    finally:
        file.seek(0)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yields the name and content of each chunk; of all but EXIF only the first bytes."""
    while len(head := file.read(_CHUNK.size)) == _CHUNK.size:
        name, length = _CHUNK.unpack(head)
        end = file.tell() + length + length % 2
        yield name, file.read(min(length, 2**16 if name == b"EXIF" else _SHOWN_BYTES))
        file.seek(end)


def _size(name: bytes, start: bytes) -> tuple[int, int] | None:
    if name == b"VP8X":
        width, height = (int.from_bytes(start[n : n + 3], "little") for n in (4, 7))
        return width + 1, height + 1
    if name == b"VP8 ":
        width, height = struct.unpack_from("<HH", start, 6)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<L", start, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None
