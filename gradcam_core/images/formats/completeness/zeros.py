"""Finds files whose end was never downloaded and is zero: programs that download in parts create
the file at its full length first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import Image

_MOST_ZEROS = 256  # compressed data ends in fewer zeros
_LEAST_PX = 4  # of the cut row, on either side of the cut; fewer may be chance
_LEAST_SHARE = 0.25  # of the cut row's pixels before the cut that are not blank
_LEAST_SHARE_ABOVE = 0.75  # of the pixels above its blank rest; few if a shape ends there

CUT = (
    "From the middle of a row on the picture has one colour, as where a download was not finished. "
    "If more belongs there, copy or download it again."
)


def ends_in_zeros(file: IO[bytes]) -> bool:
    """Whether a file ends in more zeros than compressed data does."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _MOST_ZEROS))
    is_zero = file.read() == bytes(_MOST_ZEROS)
    file.seek(0)
    return is_zero


def is_filled_up(file: IO[bytes]) -> bool:
    """Whether those zeros are inside compressed pixels, which are then incomplete."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return int.from_bytes(head[4:8], "little") + 8 >= size
    place, name = 0, b""
    while head[4:8] == b"ftyp" and place < size:  # boxes (ISO/IEC 14496-12, section 4.2)
        file.seek(place)
        begin = file.read(16)
        length, name = int.from_bytes(begin[:4], "big"), begin[4:8]
        if length == 1:
            length = int.from_bytes(begin[8:], "big")
        place += length if length >= 8 else size  # 0: to the end of the file
    return name == b"mdat"


def cut_notice(picture: Image.Image) -> str:
    """`CUT` if one colour begins in the middle of a row and goes on to the end, else "". A black
    border begins with a whole row or along a shape. The picture may have been turned since."""
    for values in _channels_and_colours(picture):
        for turned in (values, values.T):
            for ordered in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1]):
                if _is_cut(ordered):
                    return CUT
    return ""


def _channels_and_colours(picture: Image.Image) -> Iterator[np.ndarray]:
    """Each channel of an RGB picture, because they may be stored one after the other, and its
    colours as numbers, because those of a palette may share a channel with its first colour."""
    colours = np.zeros(picture.size[::-1], np.uint32)
    for channel in range(3):
        values = np.asarray(picture.getchannel(channel))
        colours = colours * 256 + values
        yield values
    yield colours


def _is_cut(values: np.ndarray) -> bool:
    """Whether values [rows, columns] are blank from the middle of a row to the end."""
    blank = values[-1, -1]
    if not (values[-1] == blank).all():
        return False
    row = len(values) - 1
    while row > 0 and (values[row] == blank).all():
        row -= 1
    there = values[row] != blank
    end = len(there) - int(there[::-1].argmax())
    if row == 0 or not _LEAST_PX <= end <= len(there) - _LEAST_PX:
        return False
    before = values[row - 1] != blank
    above = before[end:].mean()
    return bool(there[:end].mean() >= _LEAST_SHARE and above >= _LEAST_SHARE_ABOVE)
