"""One picture of a batch, what is left out beside it, and the way to walk through all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

NOTHING_THERE = "This row has neither the bytes of a picture nor a path."

UNREAD = b"\0"
"""In place of the bytes of a picture, where they do not matter."""


@dataclass(frozen=True)
class PictureSource:
    """One picture that is to be read.

    key: its name in the data set, unique. path: of its file, or data: its bytes, or address: where
    on the web it is; all None where a table has a row without a picture. label: what it truly is,
    by the name or index of a class; None if that is not known. problem: why it cannot be read, if
    that is known already.
    """

    key: str
    path: str | None = None
    data: bytes | None = None
    label: str | int | None = None
    address: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Skipped:
    """What is left out. path: as a key would have it. reason: in words that follow its name, the
    same for all that are left out for the same reason."""

    path: str
    reason: str


Found: TypeAlias = "PictureSource | Skipped"


def _nothing() -> Iterator[Skipped]:
    return iter(())


@dataclass(frozen=True)
class Pictures:
    """Pictures, and a way to walk through them, always in the same order.

    count: how many there are at most; a table may name some twice. walk_unread: the same pictures
    in the same order, but where they are bytes, these are not read: `data` is `UNREAD`.
    skipped: what is left out.
    """

    count: int
    walk: Callable[[], Iterator[PictureSource]]
    walk_unread: Callable[[], Iterator[PictureSource]]
    skipped: Callable[[], Iterator[Skipped]] = _nothing


def pictures_of(
    count: int, found: Callable[[], Iterator[Found]], unread: Callable[[], Iterator[Found]]
) -> Pictures:
    """The pictures among what is found, and beside them what is left out."""

    def only(walk: Callable[[], Iterator[Found]]) -> Callable[[], Iterator[PictureSource]]:
        return lambda: (one for one in walk() if isinstance(one, PictureSource))

    return Pictures(
        count,
        only(found),
        only(unread),
        lambda: (one for one in unread() if isinstance(one, Skipped)),
    )


def text_of_name(name: str) -> str:
    """A file's name as text, which one that is no UTF-8 could not be written into a data set as."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def key_digest(key: str) -> bytes:
    """In place of a key, where a million of them are to take little memory."""
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).digest()
