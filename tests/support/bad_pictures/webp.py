"""WebP files that break the format's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tests.support.bad_pictures.bad_picture import ANY, WHATEVER, BadPicture
from tests.support.handmade_pictures import webp


def broken_webp() -> Iterator[BadPicture]:
    small = webp.vp8l(16, 16)
    odd: dict[str, Callable[[], bytes]] = {
        "its length is 0": lambda: webp.riff((b"VP8L", small), length=0),
        "its length is four gigabytes": lambda: webp.riff((b"VP8L", small), length=2**32 - 1),
        "a canvas without a picture": lambda: webp.riff(webp.vp8x(16, 16)),
        "a canvas of another size": lambda: webp.riff(webp.vp8x(99, 99), (b"VP8L", small)),
        "an animation without frames": lambda: webp.riff(webp.vp8x(16, 16, 2), (b"ANIM", bytes(6))),
        "a frame beside its canvas": lambda: webp.riff(
            webp.vp8x(16, 16, 2), (b"ANIM", bytes(6)), webp.frame(small, 16, 16, 60_000)
        ),
        "a frame of another size": lambda: webp.riff(
            webp.vp8x(16, 16, 2), (b"ANIM", bytes(6)), webp.frame(small, 9, 9)
        ),
        "only opacity": lambda: webp.riff(webp.vp8x(16, 16, 16), (b"ALPH", bytes(99))),
        "EXIF that is none": lambda: webp.riff(
            webp.vp8x(16, 16, 8), (b"VP8L", small), (b"EXIF", b"cat" * 99)
        ),
        "a profile that is none": lambda: webp.riff(
            webp.vp8x(16, 16, 32), (b"ICCP", b"cat"), (b"VP8L", small)
        ),
        "lossless noise": lambda: webp.riff(
            (b"VP8L", small[:5] + np.random.default_rng(8).bytes(5000))
        ),
        "lossy noise": lambda: webp.riff(
            (b"VP8 ", b"\x10\2\0\x9d\1*\x10\0\x10\0" + np.random.default_rng(9).bytes(5000))
        ),
        "lossy, no size": lambda: webp.riff((b"VP8 ", b"\x10\2\0\x9d\1*\0\0\0\0" + bytes(99))),
        "unknown parts": lambda: webp.riff(
            webp.vp8x(16, 16), *[(b"cats", bytes(9))] * 9999, (b"VP8L", small)
        ),
        "two pictures": lambda: webp.riff((b"VP8L", small), (b"VP8L", webp.vp8l(99, 99))),
    }
    for name, make in odd.items():
        yield BadPicture("WebP", f"WebP: {name}", make, WHATEVER, ANY)
