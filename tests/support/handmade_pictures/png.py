"""PNG."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def file(*chunks: bytes) -> bytes:
    return b"".join((SIGNATURE, *chunks, chunk(b"IEND")))


def deflated(parts: Iterable[bytes], level: int = 9) -> bytes:
    packer = zlib.compressobj(level)
    return b"".join([packer.compress(part) for part in parts] + [packer.flush()])


def repeated(part: bytes, count: int, level: int = 9) -> bytes:
    """The same as `deflated` for `count` repetitions of a part, but compresses only some of them:
    hundreds of megabytes in a tenth of the time."""
    many = max(1, min(count, 2**20 // len(part)))
    times, rest = divmod(count, many)
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(part * many) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(part * rest) + packer.flush()
    checksum = 1
    for _ in range(times):
        checksum = zlib.adler32(part * many, checksum)
    checksum = zlib.adler32(part * rest, checksum)
    return b"\x78\xda" + block * times + end + struct.pack(">I", checksum)


def rows(width: int, height: int, bits: int, value: int = 0x80) -> Iterator[bytes]:
    """Yields the rows of a PNG in which all bytes have one value, each after its filter byte."""
    yield from [_row(width, bits, value)] * height


def _row(width: int, bits: int, value: int = 0x80) -> bytes:
    return b"\0" + bytes([value]) * ((width * bits + 7) // 8)


def flat(width: int, height: int, depth: int = 8, colour: int = 2, *before: bytes) -> bytes:
    """A PNG in which all bytes have one value. before: chunks before the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    level = 9 if width * height < 2_000_000 else 1
    pixels = repeated(_row(width, depth * channels), height, level)
    return file(ihdr(width, height, depth, colour), *before, chunk(b"IDAT", pixels))


def animation(frames: int, size: int = 8) -> bytes:
    """An animated PNG: the first frame is grey, all others are black."""
    pixels = deflated(rows(size, size, 24))
    black = deflated(rows(size, size, 24, 0))
    parts = [ihdr(size, size), chunk(b"acTL", struct.pack(">II", frames, 0))]
    number = 0
    for frame in range(frames):
        control = struct.pack(">IIIIIHHBB", number, size, size, 0, 0, 1, 100, 0, 0)
        parts.append(chunk(b"fcTL", control))
        number += 1
        if frame == 0:
            parts.append(chunk(b"IDAT", pixels))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + black))
            number += 1
    return file(*parts)
