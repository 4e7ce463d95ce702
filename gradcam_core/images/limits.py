"""How large a picture may be, and the messages for pictures that cannot be decoded."""

from __future__ import annotations

from gradcam_core.errors import ImageError

MAX_PIXELS = 48_800_000
"""Size of the largest picture that is decoded: a phone's 48 megapixels, 195 MB as RGB in Pillow."""

MAX_REDUCED_PIXELS = 250_000_000
"""Size of the largest picture that is decoded at a half of its size or less: a phone's 200
megapixels."""

MAX_SIDE_PX = 65_500
"""Longest side of a picture that is decoded. JPEG, which the page shows it as, has no more."""

LARGE_PIXELS = 12_000_000
"""Size from which on a picture may fail to decode for lack of memory: decoders do not always say
so."""

DAMAGED = "The picture is damaged or incomplete and cannot be decoded."

INCOMPLETE = (
    "The picture is incomplete: its file ends before the last of its pixels. "
    "Copy or download it again."
)

NO_MEMORY = "The picture takes too much memory to decode. Make it smaller, or save it as JPEG."

DAMAGED_OR_LARGE = (
    "The picture is damaged or incomplete, or takes too much memory to decode. "
    "Make it smaller, or save it as JPEG."
)

EMPTY = "The picture is empty: it has no pixels."


def check_size(width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Raises ImageError for a picture that is too large, or has no pixels. most: pixels."""
    if width * height > most or max(width, height) > MAX_SIDE_PX:
        raise ImageError(too_large(f"The picture has {width} x {height} pixels; it"))
    if width <= 0 or height <= 0:
        raise ImageError(EMPTY)


def too_large(what: str) -> str:
    """The sentence about a picture of too many pixels."""
    return (
        f"{what} is too large: up to {MAX_PIXELS / 1_000_000:.1f} million pixels are read "
        f"({MAX_REDUCED_PIXELS / 1_000_000:.0f} million of a JPEG, at a smaller size), "
        f"and up to {MAX_SIDE_PX} a side. "
        "Make it smaller and try again."
    )
