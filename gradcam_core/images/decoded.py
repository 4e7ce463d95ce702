"""The result of reading a picture, and the window through which a picture is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from gradcam_core.errors import ChoiceError
from gradcam_core.images.cover import Cover

_SQUARE_WITHIN = 0.03  # share by which a pixel's height may differ from its width, invisibly
_MOST = 20  # largest ratio of a pixel's sides that is believed
_EXAMPLE = "two numbers, such as -1000,400: the values shown black and white"


@dataclass(frozen=True)
class Window:
    """The range of values of a picture that is shown, in the units of its file: `low` and below is
    black, `high` and above is white. Raises ChoiceError unless both are finite and low < high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ChoiceError(f"The window must be {_EXAMPLE}; {self.text} is none.")
        if self.low >= self.high:
            raise ChoiceError(
                f"The window must be {_EXAMPLE}; the first of {self.text} is not the lower."
            )

    @property
    def text(self) -> str:
        """The window as a person writes it: "-1000,400"."""
        return f"{self.low:g},{self.high:g}"


def window_of(given: Any) -> Window | None:
    """The window that a person gave: None or an empty text, a `Window`, (low, high), or
    "LOW,HIGH". Raises ChoiceError for anything else."""
    if given is None or isinstance(given, Window):
        return given
    parts = given
    if isinstance(given, str):
        if not given.strip():
            return None
        parts = given.replace("\u2212", "-").split(",")  # the minus sign of notices
    try:
        low, high = parts
        if any(isinstance(part, bool) for part in (low, high)):
            raise TypeError
        low, high = float(low) + 0.0, float(high) + 0.0  # turns -0.0 into 0.0
    except (TypeError, ValueError, OverflowError):
        raise ChoiceError(f"The window must be {_EXAMPLE}, not {str(given)[:40]!r}.") from None
    return Window(low, high)


@dataclass(frozen=True)
class Brightness:
    """The range of values of a picture of numbers, in the units of its file. low, high: the range
    that is shown, None where the file has a table of its own. lowest, highest: of all its finite
    values."""

    low: float | None
    high: float | None
    lowest: float
    highest: float


@dataclass(frozen=True)
class Decoded:
    """A decoded picture.

    image: upright 8-bit RGB. notices: sentences to show beside it, about how it was read (a range
    of brightness, the first of several pages) or what it lacks (a blank picture). brightness: None
    for an ordinary picture, where nothing had to be chosen. covers: places that were covered after
    it was read, see `gradcam_core.images.cover`.
    """

    image: Image.Image
    notices: tuple[str, ...] = ()
    brightness: Brightness | None = None
    covers: tuple[Cover, ...] = ()

    def noting(self, *before: str, after: str = "") -> Decoded:
        """A copy with further notices; empty ones are left out."""
        return replace(self, notices=tuple(filter(None, (*before, *self.notices, after))))


def square_notice(across: float, down: float = 1.0) -> str:
    """The notice about pixels that are not square; "" if they are, or the ratio makes no sense.
    across, down: pixels per unit of length."""
    height = across / down if down else 0.0
    if abs(height - 1) <= _SQUARE_WITHIN or not 1 / _MOST <= height <= _MOST:
        return ""
    return f"A pixel of the file is {height:.3g} times as high as wide, and is shown as a square."
