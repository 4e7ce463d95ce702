"""PNG files that break the format's rules."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial

from tests.support.bad_pictures.bad_picture import ANY, GREY, NO_SENSE, WHATEVER, BadPicture, Shown
from tests.support.bad_pictures.encodings import profile
from tests.support.handmade_pictures import png


def _iccp(profile: bytes) -> bytes:
    return png.chunk(b"iCCP", b"cat\0\0" + zlib.compress(profile, 9))


def broken_png() -> Iterator[BadPicture]:

    @cache
    def megabytes() -> bytes:
        return png.repeated(bytes(2**20), 256)

    grey = Shown((9, 9), GREY)

    def before(make: Callable[[], bytes]) -> Callable[[], bytes]:
        return lambda: png.flat(9, 9, 8, 2, make())

    text = {
        "zTXt, 256 MB": before(lambda: png.chunk(b"zTXt", b"cat\0\0" + megabytes())),
        "iTXt, 256 MB": before(lambda: png.chunk(b"iTXt", b"cat\0\1\0\0\0" + megabytes())),
        "iCCP, 256 MB": before(lambda: png.chunk(b"iCCP", b"cat\0\0" + megabytes())),
        "iCCP, broken": before(lambda: png.chunk(b"iCCP", b"cat\0\0broken")),
        "iCCP, of no known way": before(lambda: png.chunk(b"iCCP", b"cat\0\x09xx")),
        "iCCP, right": before(lambda: _iccp(profile())),
        "tEXt, a megabyte": before(lambda: png.chunk(b"tEXt", b"cat\0" + b"x" * 2**20)),
        "tEXt, 20,000 of them": before(lambda: png.chunk(b"tEXt", b"cat\0x") * 20_000),
        "zTXt, 100 of a megabyte each": before(
            lambda: png.chunk(b"zTXt", b"cat\0\0" + png.deflated([bytes(2**20 - 1)])) * 100
        ),
        "unknown parts": before(lambda: png.chunk(b"caTs", bytes(9)) * 1000),
        "an unknown part that is needed": before(lambda: png.chunk(b"CATS", bytes(9))),
        "size in metres of nothing": before(lambda: png.chunk(b"pHYs", b"\xff" * 9)),
        "size in metres, cut": before(lambda: png.chunk(b"pHYs", b"\xff")),
    }
    for name, make in text.items():
        yield BadPicture("PNG", f"PNG: {name}", make, grey, NO_SENSE)
    lines = png.deflated(png.rows(9, 9, 24))
    head, pixels = png.ihdr(9, 9), png.chunk(b"IDAT", lines)
    wrong_sum = pixels[:-1] + bytes([pixels[-1] ^ 1])
    odd = {
        "a wrong checksum": png.file(head, wrong_sum),
        "a part of two gigabytes": png.SIGNATURE + head + b"\x7f\xff\xff\xffIDAT" + bytes(99),
        "a part of minus one byte": png.SIGNATURE + head + b"\xff\xff\xff\xffIDAT" + bytes(9),
        "no head": png.file(pixels),
        "two heads": png.file(head, png.ihdr(60_000, 60_000), pixels),
        "no pixels": png.file(head),
        "pixels after the end": png.file(head) + pixels,
        "ten thousand empty parts": png.file(head, *[png.chunk(b"IDAT")] * 10_000, pixels),
        "pixels byte by byte": png.file(
            head, *[png.chunk(b"IDAT", lines[n : n + 1]) for n in range(len(lines))]
        ),
        "half its pixels": png.file(head, png.chunk(b"IDAT", lines[: len(lines) // 2])),
        "too many pixels": png.file(
            head, png.chunk(b"IDAT", png.repeated(b"\0" + bytes([128]) * 27, 90_000))
        ),
        "an unknown filter": png.file(
            head, png.chunk(b"IDAT", png.deflated([b"\x09" + bytes(27)] * 9))
        ),
        "an unknown interlacing": png.file(png.ihdr(9, 9, interlace=7), pixels),
        "a head of one byte": png.file(png.chunk(b"IHDR", b"\0"), pixels),
        "names of parts that are none": png.file(head, png.chunk(b"\0\xff\n\r", b"x"), pixels),
    }
    for name, data in odd.items():
        yield BadPicture("PNG", f"PNG: {name}", partial(bytes, data), WHATEVER, ANY)
