"""PNG: read by Pillow without the optional chunks that it would refuse, or where 16 bits matter, by
imagecodecs."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import ExifTags, Image

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.formats import pillow
from gradcam_core.images.formats.deep import spans_little, with_alpha_apart
from gradcam_core.images.limits import DAMAGED, LARGE_PIXELS, check_size
from gradcam_core.images.pixels.brightness import Raster, as_picture, raster_of

MAX_TEXT_BYTES = 2**19
"""Unpacked size above which a text or colour profile is left out. None of them is used."""

MAX_TEXTS_BYTES = 2**23
"""Unpacked size of all texts and profiles together above which further ones are left out."""

_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_OPTIONAL = (
    *_TEXTS,
    b"gAMA",
    b"cHRM",
    b"pHYs",
    b"sRGB",
    b"acTL",
    b"fcTL",
    b"tIME",
    b"bKGD",
    b"eXIf",
)

_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"pHYs": 9, b"sRGB": 1, b"acTL": 8, b"fcTL": 26}
"""Lengths in bytes of the content of chunks that Pillow reads."""

_APPLES = (
    "This is a PNG as Xcode packs it into apps for iPhones (CgBI), which is not supported. Save "
    "it as an ordinary PNG, such as with Preview on a Mac."
)

_GREY = 0
_WITH_ALPHA = (4, 6)
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # samples of a pixel, by colour type


@dataclass(frozen=True)
class _Chunks:
    """What the chunks say. bits: how many of 16 are significant, by sBIT. is_apples: whether Xcode
    has packed the file for iPhones. kept: (begin, end) of the parts of the file between large texts
    and malformed optional chunks; None if it has no such chunks."""

    depth: int = 8
    colour_type: int = 2
    bits: int = 16
    is_apples: bool = False
    kept: list[tuple[int, int]] | None = None


def decode(file: IO[bytes], window: Window | None = None) -> Decoded:
    """The picture, upright. Raises ImageError."""
    chunks = _scan(file)
    if chunks.kept is not None:
        parts = []
        for begin, end in chunks.kept:
            file.seek(begin)
            parts.append(file.read(end - begin))
        file = io.BytesIO(b"".join(parts))
    file.seek(0)

    def sixteen_bits(image: Image.Image, window: Window | None) -> Decoded | None:
        _scale_transparent(image, chunks)
        return _sixteen_bits(file, image, chunks, window)

    try:
        return pillow.decode(file, window, sixteen_bits)
    except ImageError as error:
        if chunks.is_apples:
            raise ImageError(_APPLES) from error
        if isinstance(error, pillow.UnknownFormatError):
            raise ImageError(DAMAGED) from error  # it begins like a PNG
        raise


def _scale_transparent(image: Image.Image, chunks: _Chunks) -> None:
    """Scales the transparent level of 2- and 4-bit grey to 8 bits, as Pillow scales all others."""
    grey = image.info.get("transparency")
    if chunks.colour_type == _GREY and chunks.depth in (2, 4) and isinstance(grey, int):
        image.info["transparency"] = grey * (255 // (2**chunks.depth - 1))


def _sixteen_bits(
    file: IO[bytes], image: Image.Image, chunks: _Chunks, window: Window | None
) -> Decoded | None:
    """Reads 16-bit values where their upper 8 bits do not suffice: in grey, with transparency,
    through a window, and if they span little of the full range, such as 12 bits stored in 16. None
    for any other picture."""
    if chunks.depth != 16 or chunks.colour_type not in _CHANNELS:
        return None
    # Pillow compares only the lower 8 bits of a transparent colour, and drops those of all colours
    # before it puts them on white.
    is_clear = "transparency" in image.info or (
        chunks.colour_type in _WITH_ALPHA and image.width * image.height < LARGE_PIXELS
    )
    is_needed = window is not None or is_clear
    if chunks.colour_type != _GREY and not is_needed and not spans_little(image):
        return None
    import imagecodecs

    place = file.tell()
    file.seek(0)
    values = imagecodecs.png_decode(file.read())
    file.seek(place)
    check_size(values.shape[1], values.shape[0])
    raster = _raster(values, chunks)
    return as_picture(raster, window, image.getexif().get(ExifTags.Base.Orientation, 1))


def _raster(values: np.ndarray, chunks: _Chunks) -> Raster:
    colour, alpha = with_alpha_apart(values)
    stated = (0.0, 2.0**chunks.bits - 1) if chunks.bits < 16 else None
    # Values of fewer bits should be scaled to 16 (PNG, section 13.12), so that the full range is
    # right. If all of them fit into the lower bits, they were not scaled.
    return raster_of(colour, alpha, full=(0.0, 65535.0), stated=stated, is_stated_of_all=True)


def _scan(file: IO[bytes]) -> _Chunks:
    file.seek(8)
    depth, colour_type, bits, is_apples = 8, 2, 16, False
    texts, left_out, place = 0, [], 8
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        end = place + 12 + length
        is_apples = is_apples or kind == b"CgBI"
        if kind == b"IHDR":
            content = file.read(10)
            depth, colour_type = content[8:] if len(content) == 10 else (depth, colour_type)
        elif kind == b"sBIT" and depth == 16 and 0 < length <= 4:
            bits = max(file.read(length)[: 3 if colour_type & 2 else 1])
        elif kind in _OPTIONAL and _is_malformed(kind, length, file):
            left_out.append((place, end))
        elif kind in _TEXTS:
            file.seek(place + 8)
            size = _unpacked_size(kind, file.read(min(length, MAX_TEXT_BYTES + 1)))
            if size > MAX_TEXT_BYTES or texts + size > MAX_TEXTS_BYTES:
                left_out.append((place, end))
            else:
                texts += size
        elif kind == b"IEND":
            break
        place = end
        file.seek(place)
    bits = bits if 0 < bits <= 16 else 16
    kept = _between(left_out, file) if left_out else None
    return _Chunks(depth, colour_type, bits, is_apples, kept)


def _is_malformed(kind: bytes, length: int, file: IO[bytes]) -> bool:
    """Whether Pillow would refuse the whole file because of this optional chunk. file: positioned
    at the chunk's content."""
    if length != _LENGTHS.get(kind, length):
        return True
    if length > MAX_TEXT_BYTES:
        return False
    content, checksum = file.read(length), file.read(4)
    if kind in (b"iCCP", b"zTXt") and content.partition(b"\0")[2][:1] != b"\0":
        return True  # 0 is the only compression method
    return zlib.crc32(kind + content).to_bytes(4, "big") != checksum


def _unpacked_size(kind: bytes, content: bytes) -> int:
    """The unpacked size of a text in bytes, or `MAX_TEXT_BYTES` + 1 if it is larger."""
    if kind == b"tEXt":
        return len(content)
    _, _, packed = content.partition(b"\0")
    if kind == b"iTXt":
        is_packed, rest = packed[:1] == b"\1", packed[2:].split(b"\0", 2)
        if not is_packed or len(rest) < 3:
            return len(content)
        packed = rest[2]
    else:
        packed = packed[1:]
    try:
        return max(len(content), len(zlib.decompressobj().decompress(packed, MAX_TEXT_BYTES + 1)))
    except zlib.error:  # the decoder deals with it
        return len(content)


def _between(left_out: list[tuple[int, int]], file: IO[bytes]) -> list[tuple[int, int]]:
    end = file.seek(0, 2)
    begins = [0, *(min(after, end) for _, after in left_out)]  # the last may be cut off
    return list(zip(begins, [*(before for before, _ in left_out), end], strict=True))
