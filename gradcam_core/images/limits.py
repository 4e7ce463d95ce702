"""How large a picture may be, and the messages for pictures that cannot be decoded."""

from __future__ import annotations

from gradcam_core.errors import ImageError

MAX_PIXELS = 48_800_000
"""Size of the largest picture that is decoded: a phone's 48 megapixels, 195 MB as RGB in Pillow."""

MAX_REDUCED_PIXELS = 250_000_000
"""Size of the largest picture that is decoded at a reduced size: a phone's 200 megapixels."""

MAX_SIDE_PX = 65_500
"""Longest side of a picture that is decoded. JPEG, as which the page shows it, allows no more."""

LARGE_PIXELS = 12_000_000
"""From this size on, decoding may fail for lack of memory, which decoders do not always report."""

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
    """Raises ImageError for a picture of more than `most` pixels, too long a side, or no pixels."""
    if width * height > most or max(width, height) > MAX_SIDE_PX:
        raise ImageError(too_large(f"The picture has {width} x {height} pixels; it"))
    if width <= 0 or height <= 0:
        raise ImageError(EMPTY)


def too_large(what: str) -> str:
    """The message about a picture that is too large. what: its subject."""
    return (
        f"{what} is too large: up to {MAX_PIXELS / 1_000_000:.1f} million pixels are read "
        f"({MAX_REDUCED_PIXELS / 1_000_000:.0f} million of a JPEG, at a smaller size), "
        f"and up to {MAX_SIDE_PX} a side. "
        "Make it smaller and try again."
    )
