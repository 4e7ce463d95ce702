"""Names the kinds of JPEG that Pillow cannot read (ITU-T T.81, table B.1; T.87 for JPEG-LS)."""

from __future__ import annotations

from typing import IO

_MOST_MARKERS = 1000
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
_JPEG_LS = 0xF7


def kind_of_jpeg(file: IO[bytes]) -> str:
    """The kind of a JPEG that Pillow cannot read, such as "a JPEG of 12 bits a colour"; "" if the
    file is no JPEG, or of an ordinary kind."""
    file.seek(0)
    if file.read(2) != b"\xff\xd8":
        return ""
    for _ in range(_MOST_MARKERS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return ""
        marker, length = head[1], int.from_bytes(head[2:], "big")
        if marker == _JPEG_LS:
            return "a JPEG-LS picture"
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            bits = file.read(1)
            if bits and bits[0] != 8:
                return f"a JPEG of {bits[0]} bits a colour"
            return "a lossless JPEG" if marker in _LOSSLESS else ""
        file.seek(max(0, length - 2), 1)
    return ""
