"""JPEG."""

from __future__ import annotations

import struct
from collections.abc import Sequence

SOI, EOI = b"\xff\xd8", b"\xff\xd9"

BASELINE, PROGRESSIVE, LOSSLESS, ARITHMETIC, ARITHMETIC_PROGRESSIVE = 0xC0, 0xC2, 0xC3, 0xC9, 0xCA


def segment(marker: int, data: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def dqt(value: int = 1) -> bytes:
    return segment(0xDB, b"\0" + bytes([value]) * 64)


def dht() -> bytes:
    """Huffman tables with a single code of one bit: no difference, and the end of the block."""
    only = bytes([1, *[0] * 15, 0])
    return segment(0xC4, b"\x00" + only) + segment(0xC4, b"\x10" + only)


def sof(
    kind: int, width: int, height: int, sampling: Sequence[int] = (0x11,), precision: int = 8
) -> bytes:
    """A frame header. sampling: for each component, the horizontal and the vertical factor as the
    two halves of a byte."""
    parts = b"".join(bytes([n + 1, factors, 0]) for n, factors in enumerate(sampling))
    return segment(kind, struct.pack(">BHHB", precision, height, width, len(sampling)) + parts)


def sos(components: Sequence[int] = (1,), first: int = 0, last: int = 63, bits: int = 0) -> bytes:
    parts = b"".join(bytes([component, 0]) for component in components)
    return segment(0xDA, bytes([len(components)]) + parts + bytes([first, last, bits]))


def file(
    kind: int,
    width: int,
    height: int,
    *scans: bytes,
    sampling: Sequence[int] = (0x11,),
    precision: int = 8,
) -> bytes:
    """A JPEG without data after its scan headers; decoders fill the missing data with grey."""
    head = SOI + dqt() + sof(kind, width, height, sampling, precision) + dht()
    return head + b"".join(scans) + EOI


def many_scans(width: int, height: int, scans: int, components: int = 1) -> bytes:
    """A progressive JPEG; each scan takes ten bytes, but makes a decoder visit all coefficients."""
    numbers = range(1, components + 1)
    walk = [sos((1 + n % components,), 1, 63) for n in range(scans)]
    return file(PROGRESSIVE, width, height, sos(numbers, 0, 0), *walk, sampling=[0x11] * components)


def after_soi(jpeg: bytes, *segments: bytes) -> bytes:
    """The JPEG with further segments after its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def app1(body: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + body)
