"""DNG, the raw format that other programs can write, too; written by tifffile."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from PIL import Image

_DNG_VERSION, _UNIQUE_MODEL, _COLOUR_MATRIX, _ILLUMINANT = 50706, 50708, 50721, 50778
_CFA_SIZE, _CFA = 33421, 33422
_THUMBNAIL = 60, 40


def dng(
    photo: Image.Image,
    preview: tuple[int, int] | None,
    *,
    orientation: int = 1,
    is_jpeg: bool = True,
    byte_order: str = "<",
) -> bytes:
    """A raw photo of the size of `photo`, whose sides must be even, with a thumbnail. preview: the
    size of its preview, None for none. orientation: of all three, as in TIFF."""
    colours = np.asarray(photo.convert("RGB"))
    mosaic = np.zeros(colours.shape[:2], np.uint16)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = colours[row::2, column::2, channel]
    whole = [
        (_DNG_VERSION, "B", 4, bytes((1, 4, 0, 0)), True),
        (_UNIQUE_MODEL, "s", 0, "Test camera", True),
        (_COLOUR_MATRIX, "2i", 9, (1, 1, 0, 1, 0, 1) * 3, True),
        (_ILLUMINANT, "H", 1, 21, True),
        (274, "H", 1, orientation, True),
        (271, "s", 0, "Test", True),
        (272, "s", 0, "Camera", True),
    ]
    of_mosaic = [
        (_CFA_SIZE, "H", 2, (2, 2), True),
        (_CFA, "B", 4, bytes((0, 1, 1, 2)), True),
    ]
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=byte_order) as writer:  # type: ignore[arg-type]
        writer.write(
            np.asarray(photo.convert("RGB").resize(_THUMBNAIL)),
            subifds=1 + (preview is not None),
            subfiletype=1,
            extratags=whole,
            photometric="rgb",
            metadata=None,
        )
        writer.write(mosaic * 250, photometric=32803, extratags=of_mosaic, metadata=None)
        if preview is not None:
            small = photo.convert("YCbCr" if is_jpeg else "RGB").resize(preview)
            writer.write(
                np.asarray(small),
                subfiletype=1,
                photometric="ycbcr" if is_jpeg else "rgb",
                compression="jpeg" if is_jpeg else None,
                rowsperstrip=preview[1],
                metadata=None,
            )
    return file.getvalue()
