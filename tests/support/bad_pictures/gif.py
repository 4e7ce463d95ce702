"""GIF files that break the format's rules."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.support.bad_pictures.bad_picture import ANY, WHATEVER, BadPicture
from tests.support.handmade_pictures import gif


def broken_gif() -> Iterator[BadPicture]:
    frame = gif.frame(9, 9)
    long = b"!\xfe" + gif.blocks(b"cat" * 3_000_000)
    odd: dict[str, bytes] = {
        "codes of no bits": gif.file(9, 9, gif.frame(9, 9, b"\x84\x8f", bits=0)),
        "codes of 12 bits": gif.file(9, 9, gif.frame(9, 9, bits=11)),
        "codes of 255 bits": gif.file(9, 9, gif.frame(9, 9, b"\x84\x8f", bits=255)),
        "codes that do not exist yet": gif.file(9, 9, gif.frame(9, 9, b"\xff" * 99)),
        "nothing but clearing": gif.file(9, 9, gif.frame(9, 9, b"\x24\x49\x92" * 99)),
        "no data": gif.file(9, 9, gif.frame(9, 9, b"")),
        "no end": gif.file(9, 9, frame)[:-2],
        "a comment of 9 MB": gif.file(9, 9, long, frame),
        "a comment without end": b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"!\xfe\xff",
        "100,000 comments": gif.file(9, 9, b"!\xfe\x01c\0" * 100_000, frame),
        "unknown parts": gif.file(9, 9, b"!\x99\x01c\0" * 1000, frame),
        "noise between its parts": gif.file(9, 9, np.random.default_rng(7).bytes(5000), frame),
        "a clear colour that is none": gif.file(9, 9, b"!\xf9\x04\x01\0\0\xff\0", frame),
        "an interlaced frame": gif.file(9, 9, frame[:9] + b"\x40" + frame[10:]),
        "an older version": b"GIF87a" + gif.file(9, 9, frame)[6:],
        "a profile that is none": gif.file(9, 9, b"!\xff\x0bICCRGBG1012\x03cat\0", frame),
    }  # fmt: skip
    for name, data in odd.items():
        is_costly = name == "a comment of 9 MB"
        yield BadPicture(
            "GIF", f"GIF: {name}", partial(bytes, data), WHATEVER, ANY, is_costly=is_costly
        )
