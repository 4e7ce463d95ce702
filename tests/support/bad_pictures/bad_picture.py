"""The record of a bad picture and its allowed outcomes."""

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
"""Width and height of the cat."""

Colour = tuple[int, int, int]
Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """The picture that a person should see. size: after turning, None for any. look: the cat, the
    picture's mean colour, or None for anything."""

    size: Size | None = SIZE
    look: Colour | str | None = "cat"


@dataclass(frozen=True)
class BadPicture:
    """A bad picture. kind: the group in which it is counted; file_name: the name under which it is
    sent.

    shown, refused: the allowed outcomes: a picture, or a sentence that contains this regular
    expression; both if either is right. is_large: close to the largest size that is decoded.
    is_costly: takes seconds to decode or to give up.
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
