"""Good files, truncated or with flipped bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.support.bad_pictures.bad_picture import ANY, CAT, NO_SENSE, WHATEVER, BadPicture
from tests.support.bad_pictures.encodings import ENCODINGS, as_file


def truncated() -> Iterator[BadPicture]:
    for encoding in ENCODINGS:
        for percent in (2, 30, 60, 95):

            def cut(encoding: str = encoding, percent: int = percent) -> bytes:
                data = as_file(encoding)
                return data[: len(data) * percent // 100]

            yield BadPicture("truncated", f"{encoding} cut at {percent} %", cut, refused=NO_SENSE)
    for encoding, count in (("JPEG", 2), ("PNG", 12), ("GIF", 1)):

        def without(encoding: str = encoding, count: int = count) -> bytes:
            return as_file(encoding)[:-count]

        yield BadPicture("truncated", f"{encoding} without its end", without, CAT)


def flipped() -> Iterator[BadPicture]:
    for encoding in ENCODINGS:
        for count in (1, 8, 64):

            def flip(encoding: str = encoding, count: int = count) -> bytes:
                return with_flips(as_file(encoding), count, seed=count)

            yield BadPicture(
                "bit-flipped", f"{encoding}, {count} bits flipped", flip, WHATEVER, ANY
            )
    for encoding in ENCODINGS:

        def flip_head(encoding: str = encoding) -> bytes:
            data = as_file(encoding)
            return with_flips(data[:64], 6, seed=3) + data[64:]

        yield BadPicture("bit-flipped", f"{encoding}, its head flipped", flip_head, WHATEVER, ANY)


def with_flips(data: bytes, count: int, seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    changed = bytearray(data)
    for at, bit in zip(
        generator.integers(len(data), size=count), generator.integers(8, size=count), strict=True
    ):
        changed[at] ^= 1 << bit
    return bytes(changed)
