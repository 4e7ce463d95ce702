"""BMP files that break the format's rules."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from tests.support.bad_pictures.bad_picture import ANY, WHATEVER, BadPicture
from tests.support.handmade_pictures import bmp


def broken_bmp() -> Iterator[BadPicture]:
    pixels = bytes([128]) * 252
    palette = bytes([128]) * 1024
    odd = {
        "as usual": bmp.file(9, 9, pixels),
        "upside down": bmp.file(9, -9, pixels),
        "of negative width": bmp.file(-9, 9, pixels),
        "of the most negative size": bmp.file(-(2**31), -(2**31), pixels),
        "its pixels far outside": bmp.file(9, 9, pixels, offset=2**32 - 1),
        "its pixels in its head": bmp.file(9, 9, pixels, offset=0),
        "run lengths that never end": bmp.file(
            9, 9, b"\0\2\xff\xff" * 5000, bits=8, compression=1, palette=palette
        ),
        "run lengths past the end": bmp.file(
            9, 9, b"\xff\1" * 5000, bits=8, compression=1, palette=palette
        ),
        "run lengths of nothing": bmp.file(
            9, 9, b"\0\0" * 5000, bits=8, compression=1, palette=palette
        ),
        "run lengths of 4 bits": bmp.file(
            9, 9, b"\x09\x11\0\0" * 9 + b"\0\1", bits=4, compression=2, palette=palette[:64]
        ),
        "run lengths of 24 bits": bmp.file(9, 9, b"\xff\1" * 99, compression=1),
        "of 0 bits": bmp.file(9, 9, pixels, bits=0),
        "of 16 bits": bmp.file(9, 9, pixels, bits=16),
        "of 32 bits, no opacity": bmp.file(9, 9, bytes([128, 128, 128, 0]) * 81, bits=32),
        "of 65,535 bits": bmp.file(9, 9, pixels, bits=65_535),
        "masks that overlap": bmp.file(9, 9, b"\xff" * 500, bits=32, compression=3),
        "JPEG inside": bmp.file(9, 9, pixels, compression=4),
        "a head of an unknown length": bmp.file(9, 9, pixels).replace(
            struct.pack("<Iii", 40, 9, 9), struct.pack("<Iii", 41, 9, 9)
        ),
        "a head of OS/2": b"BM"
        + struct.pack("<IHHIIHHHH", 278, 0, 0, 26, 12, 9, 9, 1, 24)
        + pixels,
        "without its head (DIB)": bmp.file(9, 9, pixels)[14:],
    }
    for name, data in odd.items():
        yield BadPicture("BMP", f"BMP: {name}", partial(bytes, data), WHATEVER, ANY)
