"""Whether a file is a picture: by its name, or else by the beginning of its content."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection
from pathlib import PurePath

HEAD_BYTES = 132
"""Size of the beginning of a file. DICOM's mark is at the end of it."""

NO_PICTURE = "not a picture by its name"
NO_PICTURE_INSIDE = "not a picture by its content"

_MARKS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"),
    *(b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"),
)
_BRANDS = (
    *(b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
)
_NETPBM = re.compile(
    rb"P[1-6]\s+(#|\d+\s+\d)|P7\n(#|WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)|P[fF]\s+\d+\s+\d"
)
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # their sizes, bytes

# A suffix of this form tells the kind of a file, unlike .1, .jpg_large or .bak.
_OF_A_KIND = re.compile(r"\.[a-z][a-z0-9]{1,4}")
_OF_ANY_KIND = (
    *(".bak", ".bin", ".dat", ".data", ".file", ".image", ".img", ".old", ".orig", ".tmp"),
)


def why_no_picture(name: str, suffixes: Collection[str], head: Callable[[], bytes]) -> str | None:
    """Why a file is not a picture; None if it is. suffixes: of pictures. head: reads the beginning
    of the file (`HEAD_BYTES`); called only if the name does not tell."""
    suffix = PurePath(name).suffix.lower()
    if suffix in suffixes:
        return None
    if tells_kind(suffix):
        return NO_PICTURE
    return None if looks_like_picture(head()) else NO_PICTURE_INSIDE


def tells_kind(suffix: str) -> bool:
    """Whether a suffix, in lower case, tells the kind of a file, as .docx and .jpg do."""
    return _OF_A_KIND.fullmatch(suffix) is not None and suffix not in _OF_ANY_KIND


def looks_like_picture(head: bytes) -> bool:
    """Whether a file with this beginning (`HEAD_BYTES`, or all of it) is in a picture format."""
    if head.startswith(_MARKS):
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] in _BRANDS
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[:2] == b"BM" and len(head) >= 18:
        return head[6:10] == bytes(4) and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS
    return head[128:132] == b"DICM" or _NETPBM.match(head) is not None
