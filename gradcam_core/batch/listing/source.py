"""One picture of a batch, a file that is left out, and the walk through all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

NOTHING_THERE = "This row has neither the bytes of a picture nor a path."

UNREAD = b"\0"
"""Stands for the bytes of a picture where they are not needed."""


@dataclass(frozen=True)
class PictureSource:
    """One picture to read.

    key: its unique name in the data set. path: of its file, or data: its bytes, or address: its
    URL; all None if a table's row has no picture. label: its true class by name or index; None if
    unknown. problem: why it cannot be read, if that is already known.
    """

    key: str
    path: str | None = None
    data: bytes | None = None
    label: str | int | None = None
    address: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A file or folder that is left out. path: in the form of a key. reason: words that follow its
    name, equal for all that are left out for the same reason."""

    path: str
    reason: str


Found: TypeAlias = "PictureSource | Skipped"


def _nothing() -> Iterator[Skipped]:
    return iter(())


@dataclass(frozen=True)
class Pictures:
    """Pictures, and functions that walk through them, always in the same order.

    count: the most pictures there can be; a table may name some twice. walk_unread: the same
    pictures without reading their bytes: `data` is `UNREAD`. skipped: what is left out.
    """

    count: int
    walk: Callable[[], Iterator[PictureSource]]
    walk_unread: Callable[[], Iterator[PictureSource]]
    skipped: Callable[[], Iterator[Skipped]] = _nothing


def pictures_of(
    count: int, found: Callable[[], Iterator[Found]], unread: Callable[[], Iterator[Found]]
) -> Pictures:
    """Divides what is found into pictures and what is left out."""

    def only(walk: Callable[[], Iterator[Found]]) -> Callable[[], Iterator[PictureSource]]:
        return lambda: (one for one in walk() if isinstance(one, PictureSource))

    return Pictures(
        count,
        only(found),
        only(unread),
        lambda: (one for one in unread() if isinstance(one, Skipped)),
    )


def text_of_name(name: str) -> str:
    """A file's name as text for a data set, with escapes for bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def key_digest(key: str) -> bytes:
    """16 bytes that stand for a key, so that a million of them take little memory."""
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=16).digest()
