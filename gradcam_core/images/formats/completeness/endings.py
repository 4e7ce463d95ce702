"""Checks whether all pixels of a picture are in its file, even where the file is cut off.

Decoders silently make up missing pixels. So a file that may be cut off is completed in two ways
that would give different pixels; if they do not, no pixel depends on what was added.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded
from gradcam_core.images.formats.completeness.jpeg_data import DAMAGED_INSIDE, is_damaged_inside
from gradcam_core.images.formats.completeness.png_rows import lacks_rows
from gradcam_core.images.formats.completeness.zeros import cut_notice, ends_in_zeros, is_filled_up
from gradcam_core.images.limits import DAMAGED, DAMAGED_OR_LARGE, INCOMPLETE, LARGE_PIXELS

_FILLERS = (b"\0", b"\xfe")  # the lowest code, and the highest that is no marker
_JPEG_FILLERS = (b"\0", b"\xab\x37")  # unlike 0xfe, valid as Huffman codes
_FILLER_BYTES = 64  # more than the last pixels of any format need
_LAST_BYTES = 2**14
_LIKE = 6  # how many of the most common last bytes are tried as fillers
_CORNER_PX = 4
_BAND_ROWS = 256

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # after the data of a scan
_SCAN, _END = 0xDA, 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_OF_SCAN = 3  # bytes at the end of a scan's header: first and last coefficient, and bits
_LEAST_PADDING = 16  # so many zeros at the end of a file are no data

Open = Callable[[], IO[bytes]]
"""Opens the file anew, because decoders close the file that they are given."""

COARSE = (
    "The file lacks the last part of a progressive JPEG, so the picture is coarser than it was. "
    "Copy or download it again to see all of it."
)

Decode = Callable[[IO[bytes]], Decoded]


def decoded_to_the_end(opened: Open, decode: Decode) -> Decoded:
    """Decodes a file with `decode`, and checks that all pixels are in it. A JPEG that is damaged
    inside, or lacks its last scans, gets a notice. Raises ImageError as `decode` does and if pixels
    are missing, and OSError if the file cannot be read."""
    decoded = _decoded_to_the_end(opened, decode)
    if COARSE in decoded.notices:
        return decoded
    with _closing(opened()) as file:
        is_damaged = file.read(len(_JPEG)) == _JPEG and is_damaged_inside(_all_of(file))
    return decoded.noting(after=DAMAGED_INSIDE if is_damaged else "")


def _decoded_to_the_end(opened: Open, decode: Decode) -> Decoded:
    problem, decoded, found = None, None, None
    with _closing(opened()) as file:
        head = file.read(len(_PNG))
        is_jpeg, is_png = head.startswith(_JPEG), head == _PNG
        has_zeros = ends_in_zeros(file)
        if has_zeros and is_filled_up(file):
            raise ImageError(INCOMPLETE)
        course = _course(_all_of(file)) if is_jpeg else _Course(is_ended=True)
        if course.is_ended and course.lacks_colours:
            raise ImageError(INCOMPLETE)
        try:
            decoded = decode(file)
        except ImageError as error:
            if str(error) not in (DAMAGED, DAMAGED_OR_LARGE):
                raise
            problem = error
    if decoded:
        if is_png and _may_lack_blocks(decoded.image):
            with _closing(opened()) as file:
                if lacks_rows(file):
                    raise ImageError(INCOMPLETE)
        if has_zeros:
            decoded = decoded.noting(after=cut_notice(decoded.image))
        if course.is_ended and not (is_jpeg and _may_lack(decoded.image, course)):
            return decoded.noting(after=COARSE if course.lacks_scans else "")
        found = _fingerprint(decoded.image)
    with _closing(opened()) as file:
        data = _all_of(file)
    for completed in (_jpegs if is_jpeg else _others)(data):
        del decoded  # there is memory for only one picture
        try:
            decoded = decode(io.BytesIO(completed))
        except ImageError:
            raise problem or ImageError(DAMAGED) from None
        this = _fingerprint(decoded.image)
        if this != (found or this):
            if course.is_ended and course.refines:
                with _closing(opened()) as file:
                    return decode(file).noting(after=COARSE)
            raise ImageError(INCOMPLETE) from problem
        found = this
    if decoded is None:
        raise problem or ImageError(DAMAGED)
    return decoded


@contextmanager
def _closing(file: IO[bytes]) -> Iterator[IO[bytes]]:
    try:
        yield file
    finally:
        with suppress(BufferError):  # a decoder may still hold the bytes of a file in memory
            file.close()


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _fingerprint(picture: Image.Image) -> tuple[int, int, int]:
    width, height = picture.size
    value = 0
    for top in range(0, height, _BAND_ROWS):
        band = picture.crop((0, top, width, min(top + _BAND_ROWS, height)))
        value = zlib.crc32(band.tobytes(), value)
    return width, height, value


def _may_lack(picture: Image.Image, course: _Course) -> bool:
    if course.refines:  # no pixel tells whether the last scan is whole
        return not course.lacks_scans and picture.width * picture.height <= LARGE_PIXELS
    return _may_lack_blocks(picture)


def _may_lack_blocks(picture: Image.Image) -> bool:
    """Whether some corner has a single colour: where data is missing, JPEG decoders repeat the last
    colour, and PNG decoders leave pixels blank. False for large pictures, as there is no time to
    decode them again."""
    width, height = picture.size
    if width * height > LARGE_PIXELS:
        return False
    across, down = min(_CORNER_PX, width), min(_CORNER_PX, height)
    for left in (0, width - across):
        for top in (0, height - down):
            corner = picture.crop((left, top, left + across, top + down))
            if all(low == high for low, high in corner.getextrema()):  # type: ignore[misc]
                return True
    return False


@dataclass
class _Course:
    """What the markers of a JPEG say. is_ended: whether the end marker is there; end: its position,
    or the length of the data. missing: for each component, the coefficients whose bits are not all
    there. begun: the components that have data. refines: whether the last scan only adds to blocks
    that are already there."""

    end: int = 0
    is_ended: bool = False
    missing: dict[int, set[int]] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    refines: bool = False

    @property
    def lacks_colours(self) -> bool:
        return not self.begun >= self.missing.keys()

    @property
    def lacks_scans(self) -> bool:
        return any(self.missing.values())


def _course(data: bytes) -> _Course:
    """ITU-T T.81, annex B."""
    place, course, is_progressive = 2, _Course(len(data)), False
    while place + 4 <= len(data) or data[place : place + 2] == _JPEG_END:
        if data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker == _END:
            course.end, course.is_ended = place, True
            break
        if marker == 0xFF:  # any number of fill bytes may precede a marker
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        content = data[place + 4 : place + 2 + length]
        place += 2 + length
        if marker in _FRAMES and len(content) > 5:
            is_progressive = marker in _PROGRESSIVE
            coefficients = range(64 if is_progressive else 1)
            course.missing = {number: set(coefficients) for number in content[6::3]}
        elif marker == _SCAN and content:
            _note_scan(content, course, is_progressive)
            found = _MARKER.search(data, place)
            place = found.start() if found else len(data)
    return course


def _note_scan(content: bytes, course: _Course, is_progressive: bool) -> None:
    components = content[1 : 1 + 2 * content[0] : 2]
    if is_progressive and len(content) < _OF_SCAN:
        return  # the header of the scan is cut off
    first, last, bits = content[-_OF_SCAN:] if is_progressive else (0, 0, 0)
    course.refines = first > 0 or bits > 0x0F
    if not course.refines:
        course.begun.update(components)
    if bits & 0x0F:
        return  # a later scan has the remaining bits
    for number in components:
        course.missing.get(number, set()).difference_update(range(first, last + 1))


def _jpegs(data: bytes) -> Iterator[bytes]:
    course = _course(data)
    kept = data[: course.end]
    if not course.is_ended:
        if course.lacks_scans:
            raise ImageError(INCOMPLETE)
        stripped = kept.rstrip(b"\0")
        if len(kept) - len(stripped) >= _LEAST_PADDING:
            kept = stripped + (b"\0" if stripped.endswith(b"\xff") else b"")
        kept = kept.rstrip(b"\xff")
    # If the end marker is there, the first decoding has already filled missing blocks with one
    # colour, so one more filler is enough.
    for filler in _JPEG_FILLERS[course.is_ended :]:
        yield kept + filler * _FILLER_BYTES + _JPEG_END


def _others(data: bytes) -> Iterator[bytes]:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        yield from _webps(data)
    elif data[:4] == b"GIF8":
        for filler in _FILLERS:
            yield data + (filler * 512)[:512] + bytes(256) + b";"  # a block has up to 255 bytes
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        count = _missing_of_tiff(data)
        for filler in _bytes_like(data) if count else ():
            yield data + filler * count
    elif data[:2] == b"BM" or data[4:8] == b"ftyp":
        for filler in _bytes_like(data) if data[:2] == b"BM" else _FILLERS:
            yield data + filler * _FILLER_BYTES


def _bytes_like(data: bytes) -> list[bytes]:
    """Fillers for uncompressed pixels. A palette may have the same colour for two fillers, but for
    all of a picture's common bytes only if it is blank."""
    most_common = Counter(data[-_LAST_BYTES:]).most_common(_LIKE)
    return list(dict.fromkeys((*_FILLERS, *(bytes([value]) for value, _ in most_common))))


def _webps(data: bytes) -> Iterator[bytes]:
    """The file with its last chunk filled to its declared length, and its header's length adjusted
    (RFC 9649, 2.3)."""
    place, last = 12, 12
    while place + 8 <= len(data):
        last = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        place = last + last % 2
    count = max(0, place - len(data))
    if count > len(data):
        return
    for filler in _FILLERS:
        completed = data + (filler * count)[:count]
        whole = len(completed) - len(completed) % 2
        yield completed[:4] + struct.pack("<I", whole - 8) + completed[8:whole]


def _missing_of_tiff(data: bytes) -> int:
    """How many bytes of the first page the file lacks; 0 if more than `_FILLER_BYTES`."""
    import tifffile

    with suppress(Exception), tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
        count = max(ends) - len(data)
        return count if 0 < count <= _FILLER_BYTES else 0
    return 0
