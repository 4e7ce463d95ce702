"""How many frames or pictures a file has besides the one that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from PIL import Image

MAX_FRAMES = 10_000
"""Frames of a GIF that are counted; of more it is said that there are more."""

_THUMBNAIL = "Thumbnail"  # in the name of a kind of picture in an MPO
_UNDEFINED = "Undefined"
_PARTS = (b"hdrgm:", b"urn:iso:std:iso:ts:21496", b"urn:com:apple:photo:", b"depthmap")
_HEAD_BYTES = 2**16
_GIF_BLOCKS = 300_000  # that are looked at


def frames_notice(image: Image.Image, file: IO[bytes]) -> str:
    """What to say of a file that Pillow has opened; empty if it has one picture."""
    kind, count = _COUNTS.get(image.format or "", (_animation, _frames))
    frames = count(image, file)
    if frames <= 1:
        return ""
    shown = image.tell() + 1  # of HEIC, which may name another one as its main picture
    which = "the first one" if shown == 1 else f"its main one, number {shown:,},"
    return kind(f"{frames:,}" if frames <= MAX_FRAMES else f"more than {MAX_FRAMES:,}", which)


def _animation(count: str, which: str) -> str:
    return f"The file is an animation of {count} frames; {which} is shown."


def _collection(count: str, which: str) -> str:
    return f"The file has {count} pictures; {which} is shown."


def _frames(image: Image.Image, file: IO[bytes]) -> int:
    return int(getattr(image, "n_frames", 1))


def _one(image: Image.Image, file: IO[bytes]) -> int:
    return 1


def _of_mpo(image: Image.Image, file: IO[bytes]) -> int:
    """Those that are no smaller copies of another one."""
    entries = getattr(image, "mpinfo", {}).get(0xB002, [])
    kinds = [str(entry["Attribute"]["MPType"]) for entry in entries]
    return sum(
        _THUMBNAIL not in kind
        and not (number and kind == _UNDEFINED and _is_part(image.size, file, number))
        for number, kind in enumerate(kinds)
    )


def _is_part(size: tuple[int, int], file: IO[bytes], number: int) -> bool:
    """Whether a picture of an MPO only adds to the first one, of this size: its brightness (a gain
    map, as phones write it: Ultra HDR, ISO 21496-1), or its depth."""
    place = file.tell()
    try:
        file.seek(0)
        part = Image.open(file, formats=("JPEG",))
        part.seek(number)
        file.seek(part.offset)  # type: ignore[attr-defined]  # of an MPO
        head = file.read(_HEAD_BYTES)
        return part.size != size or any(name in head for name in _PARTS)
    except Exception:  # of what is cut off almost anything
        return True  # there is no picture
    finally:
        file.seek(place)


def _of_gif(image: Image.Image, file: IO[bytes]) -> int:
    """By its blocks (GIF89a, section 12): Pillow would go through all frames."""
    place = file.tell()
    try:
        file.seek(10)
        packed, _, _ = file.read(3)
        file.seek(3 * 2 ** (1 + packed % 8) if packed & 0x80 else 0, 1)
        frames = 0
        for _ in range(_GIF_BLOCKS):
            label = file.read(1)
            if label == b"\x2c":
                frames += 1
                descriptor = file.read(9)
                colours = 3 * 2 ** (1 + descriptor[8] % 8) if descriptor[8] & 0x80 else 0
                file.seek(colours + 1, 1)
            elif label == b"\x21":
                file.seek(1, 1)
            elif label != b"\0" or frames == 0:
                break
            else:
                continue
            while size := file.read(1)[0]:
                file.seek(size, 1)
            if frames > MAX_FRAMES:
                break
        return max(1, frames)
    except (IndexError, ValueError, OSError):  # it is cut off, of which the decoder has to say
        return max(1, frames)
    finally:
        file.seek(place)


_Count = Callable[[Image.Image, "IO[bytes]"], int]
_COUNTS: dict[str, tuple[Callable[[str, str], str], _Count]] = {
    "GIF": (_animation, _of_gif),
    "MPO": (_collection, _of_mpo),
    "HEIF": (_collection, _frames),
    "TIFF": (_collection, _one),  # for the reader of TIFF to say
}
