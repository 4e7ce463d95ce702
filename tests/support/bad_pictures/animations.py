"""Files that contain many pictures."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from PIL import Image

from tests.support.bad_pictures.bad_picture import (
    ANY,
    CAT,
    DAMAGED,
    GREY,
    WHATEVER,
    BadPicture,
    Shown,
)
from tests.support.bad_pictures.encodings import as_file, cat, encoded
from tests.support.handmade_pictures import gif, png, tiff, webp


def _webp_animation(frames: int) -> bytes:
    every = [webp.frame(webp.vp8l(8, 8, 0 if n else 128), 8, 8) for n in range(frames)]
    return webp.riff(webp.vp8x(8, 8, 2), (b"ANIM", bytes(6)), *every)


def _gif_animation(frames: int, side: int = 8) -> bytes:
    control = b"!\xf9\x04\x04\1\0\0\0"
    first = control + gif.frame(side, side)
    return gif.file(side, side, first, *[control + gif.frame(1, 1)] * (frames - 1))


def _pages(count: int, is_loop: bool = False) -> bytes:
    """A TIFF with `count` directories, all for the same pixels. is_loop: whether the last leads
    back to the first."""
    pixels = bytes([128]) * 64
    at = 8 + len(pixels)
    tags: dict[int, tuple[int, tiff.Value]] = {
        256: (tiff.LONG, [8]),
        257: (tiff.LONG, [8]),
        258: (tiff.SHORT, [8]),
        259: (tiff.SHORT, [1]),
        262: (tiff.SHORT, [1]),
        273: (tiff.LONG, [8]),
        277: (tiff.SHORT, [1]),
        278: (tiff.LONG, [8]),
        279: (tiff.LONG, [64]),
    }
    directory = tiff.ifd(tags, 0)  # all values are inside, so its place does not matter
    length = len(directory)
    places = [at + n * length for n in range(count)]
    after = [*places[1:], places[0] if is_loop else 0]
    directories = [directory[:-4] + struct.pack("<I", one) for one in after]
    return b"".join([tiff.head(at), pixels, *directories])


def animations() -> Iterator[BadPicture]:
    small = Shown((8, 8), GREY)
    yield BadPicture("animations", "GIF, 10,000 frames", partial(_gif_animation, 10_000), small)
    yield BadPicture("animations", "PNG, 10,000 frames", partial(png.animation, 10_000), small)
    yield BadPicture("animations", "WebP, 10,000 frames", partial(_webp_animation, 10_000), small)
    yield BadPicture("animations", "TIFF, 10,000 pages", partial(_pages, 10_000), small)
    yield BadPicture("animations", "TIFF, 100,000 pages", partial(_pages, 100_000), small)
    yield BadPicture("animations", "TIFF, a loop of pages", partial(_pages, 3, True), small)
    yield BadPicture("animations", "TIFF, a page that is its own next", partial(_pages, 1, True),
                     small)  # fmt: skip
    yield BadPicture(
        "animations",
        "AVIF, 100 frames",
        lambda: encoded(
            cat().resize((64, 64)),
            "AVIF",
            save_all=True,
            append_images=[Image.new("RGB", (64, 64), (0, n, 0)) for n in range(99)],
            speed=10,
        ),
        Shown((64, 64), "cat"),
    )
    yield BadPicture(
        "animations",
        "MPO, 50 pictures",
        lambda: encoded(cat(), "MPO", save_all=True, append_images=[cat().rotate(180)] * 49),
        CAT,
    )
    yield BadPicture(
        "animations",
        "MPO, an index that leads nowhere",
        lambda: encoded(cat(), "MPO", save_all=True, append_images=[cat()] * 3)[
            : len(as_file("JPEG"))
        ],
        WHATEVER,
        ANY,
    )
    for count in (0, 2, 2**31, 2**32 - 1):
        wrong = png.chunk(b"acTL", struct.pack(">II", count, 0))
        yield BadPicture(
            "animations",
            f"PNG that says it has {count} frames",
            partial(png.flat, 9, 9, 8, 2, wrong),
            Shown((9, 9), GREY),
            DAMAGED,
        )
    yield BadPicture(
        "animations",
        "GIF without a frame",
        lambda: gif.file(9, 9),
        WHATEVER,
        ANY,
    )
    yield BadPicture(
        "animations",
        "GIF, a frame beside its screen",
        lambda: gif.file(9, 9, gif.frame(9, 9, left=60_000, top=60_000)),
        WHATEVER,
        ANY,
    )
