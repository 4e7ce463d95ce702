"""One file, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

NOT_A_PICTURE = "not a picture in a format that can be read"
DAMAGED = "incomplete"
TOO_LARGE = "too large"
TOO_COSTLY = "too long to decode|too much memory"
NOT_READ = "not supported"
NO_SENSE = f"{NOT_A_PICTURE}|{DAMAGED}|{NOT_READ}"
ANY = f"{NO_SENSE}|has a finite value|{TOO_LARGE}|{TOO_COSTLY}|is empty"

GREY = (128, 128, 128)
SIZE = 360, 240
"""Of the cat."""

Colour = tuple[int, int, int]
Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """What a person sees of it. size: after turning; None if any will do. look: the cat, the
    colour that is its mean, or None if anything will do."""

    size: Size | None = SIZE
    look: Colour | str | None = "cat"


@dataclass(frozen=True)
class BadPicture:
    """One file. kind: the group it is counted in; file_name: the name it is sent under.

    shown, refused: what may come of it, a picture or a sentence that this expression is found in;
    both are given where either is right. is_large: close to what is still decoded. is_costly: takes
    seconds to decode, or until it is given up.
    """

    kind: str
    name: str
    make: Callable[[], bytes]
    shown: Shown | None = None
    refused: str = ""
    file_name: str = "photo.jpg"
    is_large: bool = False
    is_costly: bool = False

    @cached_property
    def data(self) -> bytes:
        return self.make()


CAT = Shown()
WHATEVER = Shown(None, None)
