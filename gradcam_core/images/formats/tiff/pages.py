"""The pages of a TIFF file, and which of them is shown."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from tifffile import TiffPage

MAX_PAGES = 10_000
"""How many pages are counted at most."""

_SUBFILE_TYPE = 254
_SHORT = 3  # the type of a value of 16 bits
_REDUCED, _MASK = 1, 4  # bits of that tag: a smaller copy of another page, a mask for one

_TYPE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NEEDED_TAGS = (*range(256, 260), 262, 273, *range(277, 280), 284, 317, *range(320, 326))
_NEEDED_TAGS += (338, 339, 347, 529, 530, 532)

_METAMORPH = 33629  # a tag with a value for each picture
_SHAPE = re.compile(r"\{\"shape\": \[(\d{1,9}(?:, \d{1,9}){1,9})\]")  # as tifffile writes it

_OME = re.compile(r"<(?:\w+:)?Pixels\b([^>]*)>")
_ATTRIBUTE = re.compile(r"\b(SizeZ|SizeC|SizeT|DimensionOrder)\s*=\s*[\"']([\w]+)[\"']")


@dataclass(frozen=True)
class Choice:
    """page: number of the page that is shown, from 0, in file order. plane: number of the picture
    within it, where one page has the values of several. notice: tells the choice to people; empty
    for a file with one picture."""

    page: int
    plane: int = 0
    notice: str = ""


def full_pages(file: IO[bytes]) -> list[int]:
    """Numbers of the pages that are neither a smaller copy nor a mask of another page; of all pages
    if there is none such. At most `MAX_PAGES` + 1 pages are read. file: a TIFF or BigTIFF."""
    types = list(_subfile_types(file))
    full = [number for number, kind in enumerate(types) if not kind & (_REDUCED | _MASK)]
    return full or list(range(len(types)))


def _subfile_types(file: IO[bytes]) -> Iterator[int]:
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = 43 in head[2:4]
    count_kind, entry_bytes, offset_kind = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    seen: set[int] = set()
    (offset,) = struct.unpack_from(order + offset_kind, head, 8 if is_big else 4)
    while offset and offset not in seen and len(seen) <= MAX_PAGES:
        seen.add(offset)
        try:
            file.seek(offset)
            (count,) = _read(file, order + count_kind)
            first = file.read(entry_bytes)
            yield _subfile_type(first, order, is_big) if count else 0
            file.seek(offset + struct.calcsize(order + count_kind) + count * entry_bytes)
            (offset,) = _read(file, order + offset_kind)
        except (struct.error, OSError, ValueError, OverflowError):
            return  # the file is cut off here


def lacks_tags(file: IO[bytes], page: TiffPage) -> bool:
    """Whether the file ends before the value of a tag that describes the page's samples. tifffile
    and libtiff would assume the tag's default, and read another picture."""
    is_big = page.parent.is_bigtiff
    order, place = page.parent.byteorder, page.offset
    end = file.seek(0, 2)
    count_kind, kind, inside = ("Q", "HHQQ", 8) if is_big else ("H", "HHII", 4)
    file.seek(place)
    (count,) = _read(file, order + count_kind)
    for _ in range(count):
        tag, type_, values, offset = _read(file, order + kind)
        size = values * _TYPE_BYTES.get(type_, 1)
        if tag in _NEEDED_TAGS and size > inside and offset + size > end:
            return True
    return False


def _read(file: IO[bytes], kind: str) -> tuple[int, ...]:
    return struct.unpack(kind, file.read(struct.calcsize(kind)))


def _subfile_type(entry: bytes, order: str, is_big: bool) -> int:
    """NewSubfileType, 0 if it is missing. entry: the page's first tag, as tags are sorted and this
    is the lowest in use."""
    tag, kind = struct.unpack_from(order + "HH", entry)
    if tag != _SUBFILE_TYPE:
        return 0
    letter = "H" if kind == _SHORT else "I"  # the specification wants LONG
    return int(struct.unpack_from(order + letter, entry, 12 if is_big else 8)[0])


def choice(
    pages: Sequence[int], description: str, samples: int = 1, has_planes: bool = False
) -> Choice:
    """Chooses the page that is shown: the middle of a stack along z, else the first.

    pages: from `full_pages`. description: of the first page, in which ImageJ and OME say what the
    pages are. samples: per pixel of that page. has_planes: whether its values may be followed by
    those of further pictures.
    """
    stack = _imagej(description) or _ome(description, samples)
    if stack is not None:
        order, sizes = stack
        planes = 1
        for size in sizes.values():
            planes *= size
        inside = has_planes and len(pages) == 1
        if planes > 1 and (inside or planes == len(pages)):
            number, step = 0, 1
            middle = (sizes.get("Z", 1) - 1) // 2
            for axis in order:
                number += step * (middle if axis == "Z" else 0)
                step *= sizes[axis]
            notice = _stack_notice(sizes, middle)
            return Choice(pages[0], number, notice) if inside else Choice(pages[number], 0, notice)
    if len(pages) <= 1:
        return Choice(pages[0] if pages else 0)
    count = f"{len(pages):,}" if len(pages) <= MAX_PAGES else f"more than {MAX_PAGES:,}"
    return Choice(pages[0], 0, f"The file has {count} pages; the first one is shown.")


def pictures_notice(page: TiffPage) -> str:
    """The notice for a page whose values are followed by those of further pictures, as MetaMorph
    and tifffile write stacks; "" for any other page."""
    pictures = page.tags[_METAMORPH].count if _METAMORPH in page.tags else 1
    found = _SHAPE.match(str(page.description))
    if found and page.imagewidth and page.imagelength:
        values = math.prod(int(size) for size in found[1].split(","))
        pictures = values // (page.imagewidth * page.imagelength * page.samplesperpixel)
    return f"The file has {pictures:,} pictures; the first one is shown." if pictures > 1 else ""


def _stack_notice(sizes: dict[str, int], middle: int) -> str:
    kinds = {"Z": "slices", "C": "channels", "T": "frames"}
    several = [f"{sizes[axis]:,} {kinds[axis]}" for axis in "ZCT" if sizes.get(axis, 1) > 1]
    shown = []
    for axis, kind in kinds.items():
        if sizes.get(axis, 1) > 1:
            number = middle + 1 if axis == "Z" else 1
            shown.append(f"{kind[:-1]} {number:,}")
    return f"The file has {' × '.join(several)}; {', '.join(shown)} is shown."


def _imagej(description: str) -> tuple[str, dict[str, int]] | None:
    """The order of axes, fastest first, and their sizes; None if ImageJ did not write it."""
    if not description.startswith("ImageJ="):
        return None
    found = dict(re.findall(r"^(images|channels|slices|frames)=(\d{1,7})\s*$", description, re.M))
    names = {"C": "channels", "Z": "slices", "T": "frames"}
    sizes = {axis: int(found.get(name, 1)) for axis, name in names.items()}
    images = int(found.get("images", 1))
    if images > 1 and max(sizes.values()) <= 1:  # a stack whose axes are not described
        sizes["T"] = images
    return "CZT", sizes


def _ome(description: str, samples: int) -> tuple[str, dict[str, int]] | None:
    found = _OME.search(description)
    if found is None:
        return None
    given = dict(_ATTRIBUTE.findall(found[1]))
    order = given.get("DimensionOrder", "XYZCT").removeprefix("XY")
    try:
        sizes = {axis: int(given.get(f"Size{axis}", 1)) for axis in "ZCT"}
    except ValueError:
        return None
    if sizes["C"] % samples == 0:  # OME counts red, green and blue as three channels
        sizes["C"] //= samples
    return (order, sizes) if sorted(order) == sorted("ZCT") and min(sizes.values()) > 0 else None
