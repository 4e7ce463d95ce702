"""TIFF, and EXIF, which has the same structure."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

SHORT, LONG, ASCII, RATIONAL, DOUBLE, FLOAT = 3, 4, 2, 5, 12, 11
_LETTER = {SHORT: "H", LONG: "I", DOUBLE: "d", FLOAT: "f"}
_BYTES = {SHORT: 2, LONG: 4, ASCII: 1, RATIONAL: 8, DOUBLE: 8, FLOAT: 4}

Value = bytes | Sequence[float]


def ifd(tags: Mapping[int, tuple[int, Value]], at: int, following: int = 0) -> bytes:
    """A directory of tags (little-endian) for offset `at` of the file, followed by its values.

    A value given as bytes is written unchanged, even if its type differs. following: the offset of
    the next directory, 0 for none.
    """
    head, tail = struct.pack("<H", len(tags)), b""
    after = at + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        if isinstance(value, bytes):
            packed, count = value, max(1, len(value) // _BYTES.get(kind, 1))
        else:
            packed, count = struct.pack(f"<{len(value)}{_LETTER[kind]}", *value), len(value)
        if len(packed) > 4:
            place = struct.pack("<I", after + len(tail))
            tail += packed
        else:
            place = packed.ljust(4, b"\0")
        head += struct.pack("<HHI", tag, kind, count) + place
    return head + struct.pack("<I", following) + tail


def head(first: int = 8) -> bytes:
    return b"II*\0" + struct.pack("<I", first)


def file(
    width: int,
    height: int,
    data: bytes,
    *,
    compression: int = 1,
    bits: int = 8,
    samples: int = 1,
    photometric: int = 1,
    following: int = 0,
    **changed: tuple[int, Value] | None,
) -> bytes:
    """A TIFF with one strip. changed: tags to set with `tNUMBER=(type, value)`, None to omit."""
    tags: dict[int, tuple[int, Value]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits] * min(samples, 8)),
        259: (SHORT, [compression]),
        262: (SHORT, [photometric]),
        273: (LONG, [8]),
        277: (SHORT, [samples]),
        278: (LONG, [height]),
        279: (LONG, [len(data)]),
    }
    for name, change in changed.items():
        number = int(name.removeprefix("t"))
        if change is None:
            del tags[number]
        else:
            tags[number] = change
    at = 8 + len(data) + len(data) % 2
    return (head(at) + data).ljust(at, b"\0") + ifd(tags, at, following)


def exif(
    tags: Mapping[int, tuple[int, Value]] | None = None, following: int = 0, raw: bytes = b""
) -> bytes:
    """The body of an EXIF block, without the name with which it begins in a JPEG."""
    return raw or head() + ifd(tags or {}, 8, following)
