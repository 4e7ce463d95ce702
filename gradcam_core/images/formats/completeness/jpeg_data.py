"""Checks whether a JPEG's data is damaged before its end: decoders go on, and Pillow is silent."""

from __future__ import annotations

import re

from gradcam_core.images.limits import LARGE_PIXELS, MAX_PIXELS

DAMAGED_INSIDE = (
    "The file is damaged inside, so a part of the picture may be wrong. Copy or download it again."
)

_SCALE = 8  # decoding at an eighth is the fastest, and only its warnings matter
_IN_A_SCAN = re.compile(
    r"Corrupt JPEG data: (premature|bad Huffman|bad arith|found marker|\d+ extra.* 0x(d[0-9a]|c4))"
)
"""libjpeg's warnings about the data of a scan. Other warnings, such as those about extra bytes
between two headers, concern no pixel."""


def is_damaged_inside(data: bytes) -> bool:
    """data: a whole JPEG file that could be decoded. False if this would take too long."""
    import simplejpeg

    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        is_progressive = b"\xff\xc2" in data
        if height * width > (LARGE_PIXELS if is_progressive else MAX_PIXELS):
            return False
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=_SCALE)
    except ValueError as error:  # simplejpeg raises it for warnings, too
        return _IN_A_SCAN.match(str(error)) is not None
    return False
