"""Checks whether a JPEG's data is damaged before its end: decoders go on, and Pillow is silent."""

from __future__ import annotations

import re

from gradcam_core.images.limits import LARGE_PIXELS, MAX_PIXELS

DAMAGED_INSIDE = (
    "The file is damaged inside, so a part of the picture may be wrong. Copy or download it again."
)

_SCALE = 8  # decoding at an eighth is the fastest, and only its warnings matter
_IN_A_SCAN = re.compile(
    "Corrupt JPEG data: (?:premature|bad Huffman|bad arith|found marker|"
    r"(?P<count>\d+) extra.* 0x(?P<marker>d[0-9a]|c4))"
)
"""libjpeg's warnings about the data of a scan. Most others, such as those about extra bytes between
two headers, concern no pixel."""


def is_damaged_inside(data: bytes) -> bool:
    """Whether libjpeg's first warning is about damage to the data of a scan. simplejpeg does not
    report further ones, so damage after a harmless warning is missed.

    data: a whole JPEG file that could be decoded. False if this would take too long.
    """
    import simplejpeg

    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        is_progressive = b"\xff\xc2" in data
        if height * width > (LARGE_PIXELS if is_progressive else MAX_PIXELS):
            return False
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=_SCALE)
    except ValueError as error:  # simplejpeg raises it for warnings, too
        found = _IN_A_SCAN.match(str(error))
        return found is not None and not _is_padding(found, data)
    return False


def _is_padding(found: re.Match[str], data: bytes) -> bool:
    """Whether the extra bytes are zeros before the marker, as webcams and some phones write."""
    if found["count"] is None:
        return False
    return bytes(int(found["count"])) + b"\xff" + bytes.fromhex(found["marker"]) in data
