"""Recognises raw photos of cameras by their content."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

_BEGINNINGS: tuple[tuple[int, tuple[bytes, ...]], ...] = (
    (4, (b"ftypcrx ",)),  # Canon CR3
    (6, (b"HEAPCCDR",)),  # Canon CRW
    (8, (b"CR\2\0",)),  # Canon CR2
    (8, (b"IIIICwaR", b"MMMMRawC")),  # Phase One IIQ
    (0, (b"FUJIFILMCCD-RAW",)),  # Fujifilm RAF
    (0, (b"IIRO", b"IIRS", b"MMOR")),  # Olympus ORF
    (0, (b"IIU\0",)),  # Panasonic RW2, Leica RWL
    (0, (b"\0MRM",)),  # Minolta MRW
    (0, (b"FOVb",)),  # Sigma X3F
)
"""Formats with a signature of their own: (offset, bytes). The others are kinds of TIFF."""

_TIFF = {b"II*\0": "<", b"MM\0*": ">"}

_COMPRESSION, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 259, 262, 330, 50706
_RAW_PHOTOMETRICS = (32803, 34892)  # colour filter array, linear raw
_RAW_COMPRESSIONS = (32767, 34713, 65535)  # Sony's, Nikon's, Pentax's

_MAX_IFDS = 32  # directories that are read; raw files have up to ten
_MAX_TAGS = 1000
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I"}


def is_raw(head: bytes, file: IO[bytes]) -> bool:
    """Whether the file is a raw photo. head: its first bytes. Moves the file's position."""
    for place, beginnings in _BEGINNINGS:
        if head[place:].startswith(beginnings):
            return True
    order = _TIFF.get(head[:4])
    return bool(order) and any(_is_raw_ifd(tags) for tags in _ifds(file, str(order)))


def _is_raw_ifd(tags: dict[int, tuple[int, ...]]) -> bool:
    """DNG 1.7, chapter 4; TIFF/EP (ISO 12234-2), 5.2."""
    return (
        _DNG_VERSION in tags
        or any(value in _RAW_PHOTOMETRICS for value in tags.get(_PHOTOMETRIC, ()))
        or any(value in _RAW_COMPRESSIONS for value in tags.get(_COMPRESSION, ()))
    )


def _ifds(file: IO[bytes], order: str) -> Iterator[dict[int, tuple[int, ...]]]:
    """Yields the tags of interest of each directory (IFD) of a TIFF, nested ones included."""
    file.seek(4)
    try:
        places = list(struct.unpack(f"{order}I", file.read(4)))
        seen: set[int] = set()
        while places and len(seen) < _MAX_IFDS:
            place = places.pop(0)
            if not place or place in seen:
                continue
            seen.add(place)
            tags, following = _ifd(file, place, order)
            yield tags
            places += [*tags.get(_SUB_IFDS, ()), following]
    except (struct.error, OSError, OverflowError):  # the decoder reports a damaged file
        return


def _ifd(file: IO[bytes], place: int, order: str) -> tuple[dict[int, tuple[int, ...]], int]:
    file.seek(place)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    if count > _MAX_TAGS:
        raise struct.error("no directory")
    entries = file.read(12 * count + 4)
    tags = {}
    for number in range(count):
        tag, kind, length, value = struct.unpack_from(f"{order}HHI4s", entries, 12 * number)
        if tag not in (_COMPRESSION, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION) or kind not in _TYPES:
            continue
        form = f"{order}{min(length, _MAX_IFDS)}{_TYPES[kind]}"
        size = struct.calcsize(form)
        if size > 4:
            file.seek(*struct.unpack(f"{order}I", value))
            value = file.read(size)
        tags[tag] = struct.unpack_from(form, value)
    (following,) = struct.unpack_from(f"{order}I", entries, 12 * count)
    return tags, following
