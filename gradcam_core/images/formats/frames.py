"""The notice that a file has several frames or pictures, of which one is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

from PIL import Image

MAX_FRAMES = 10_000
"""How many frames are stated at most, and counted in a GIF."""

_THUMBNAIL = "Thumbnail"  # in the name of a kind of picture in an MPO
_UNDEFINED = "Undefined"
_PARTS = (b"hdrgm:", b"urn:iso:std:iso:ts:21496", b"urn:com:apple:photo:", b"depthmap")
_HEAD_BYTES = 2**16
_GIF_BLOCKS = 300_000  # read at most


def frames_notice(image: Image.Image, file: IO[bytes]) -> str:
    """The notice about a file that Pillow has opened; "" if it has one picture."""
    kind, count = _COUNTS.get(image.format or "", (_animation, _frames))
    frames = count(image, file)
    if frames <= 1:
        return ""
    shown = image.tell() + 1  # a HEIC may name any picture as its main one
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
    """The number of pictures that are neither a smaller copy nor a part of another one."""
    entries = getattr(image, "mpinfo", {}).get(0xB002, [])
    kinds = [str(entry["Attribute"]["MPType"]) for entry in entries]
    return sum(
        _THUMBNAIL not in kind
        and not (number and kind == _UNDEFINED and _is_part(image.size, file, number))
        for number, kind in enumerate(kinds)
    )


def _is_part(size: tuple[int, int], file: IO[bytes], number: int) -> bool:
    """Whether picture `number` of an MPO only adds to the first one, of this size: its brightness
    (a gain map, as phones write it: Ultra HDR, ISO 21496-1), or its depth."""
    place = file.tell()
    try:
        file.seek(0)
        part = Image.open(file, formats=("JPEG",))
        part.seek(number)
        file.seek(part.offset)  # type: ignore[attr-defined]  # of an MPO
        head = file.read(_HEAD_BYTES)
        return part.size != size or any(name in head for name in _PARTS)
    except Exception:  # Pillow raises almost anything for a file that is cut off
        return True  # nothing there could be shown
    finally:
        file.seek(place)


def _of_gif(image: Image.Image, file: IO[bytes]) -> int:
    """Counts frames by the file's blocks (GIF89a, section 12): Pillow would decode all of them."""
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
    except (IndexError, ValueError, OSError):  # cut off, which the decoder reports
        return max(1, frames)
    finally:
        file.seek(place)


_Count = Callable[[Image.Image, "IO[bytes]"], int]
_COUNTS: dict[str, tuple[Callable[[str, str], str], _Count]] = {
    "GIF": (_animation, _of_gif),
    "MPO": (_collection, _of_mpo),
    "HEIF": (_collection, _frames),
    "TIFF": (_collection, _one),  # the TIFF reader has a notice of its own
}
