"""Whether the data of a JPEG is damaged before its end: decoders go on, and Pillow is silent."""

from __future__ import annotations

import re

from gradcam_core.images.limits import LARGE_PIXELS, MAX_PIXELS

DAMAGED_INSIDE = (
    "The file is damaged inside, so a part of the picture may be wrong. Copy or download it again."
)

_SCALE = 8  # of the fastest decoding, of which only the warnings count
_IN_A_SCAN = re.compile(
    r"Corrupt JPEG data: (premature|bad Huffman|bad arith|found marker|\d+ extra.* 0x(d[0-9a]|c4))"
)
"""Warnings of libjpeg about its data; what comes before that, as other bytes between two headers,
changes no pixel."""


def is_damaged_inside(data: bytes) -> bool:
    """data: of a JPEG that has been decoded. False for those that take too long."""
    import simplejpeg

    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        is_progressive = b"\xff\xc2" in data
        if height * width > (LARGE_PIXELS if is_progressive else MAX_PIXELS):
            return False
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=_SCALE)
    except ValueError as error:  # of warnings, too
        return _IN_A_SCAN.match(str(error)) is not None
    return False
