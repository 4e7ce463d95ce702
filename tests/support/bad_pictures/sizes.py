"""Pictures of extreme sizes: gigapixels in a few kilobytes, close to the limit, one pixel, none."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial

from PIL import Image

from gradcam_core.images.limits import MAX_PIXELS, MAX_SIDE_PX
from tests.support.bad_pictures.bad_picture import (
    ANY,
    GREY,
    NO_SENSE,
    TOO_COSTLY,
    TOO_LARGE,
    BadPicture,
    Colour,
    Shown,
    Size,
)
from tests.support.bad_pictures.encodings import ENCODINGS, encoded, resized, tile
from tests.support.handmade_pictures import bmp, gif, heif, jpeg, lzw, png, tiff, webp

IPHONE = 8064, 6048
"""Width and height of its largest photos, in tiles of 512 pixels."""


def _below(width: int) -> Size:
    """The size of the largest picture of this width that is still decoded."""
    return width, min(MAX_PIXELS // width, MAX_SIDE_PX)


BELOW = _below(8000)
ABOVE = 8000, BELOW[1] + 1
HALF_ABOVE = 4000, (ABOVE[1] + 1) // 2


def bombs() -> Iterator[BadPicture]:
    """Yields files of a few kilobytes that claim gigapixels, or contain them."""
    huge: dict[str, Callable[[], bytes]] = {
        "PNG, by its head": lambda: png.file(png.ihdr(2**31 - 1, 2**31 - 1), png.chunk(b"IDAT")),
        "PNG, gigapixels": lambda: png.file(png.ihdr(50_000, 50_000), png.chunk(b"IDAT", b"x")),
        "PNG, by its stream": lambda: png.flat(30_000, 30_000, 1, 0),
        "GIF, by its head": lambda: gif.file(65_535, 65_535, gif.frame(1, 1)),
        "GIF, a huge frame on a small screen": lambda: gif.file(
            9, 9, gif.frame(65_535, 65_535, b"\x84\x8f")
        ),
        "GIF, by its stream": lambda: gif.file(20_000, 20_000, gif.frame(20_000, 20_000)),
        "JPEG, by its head": lambda: jpeg.file(jpeg.BASELINE, 65_500, 65_500, jpeg.sos()),
        "progressive JPEG, gigapixels": lambda: jpeg.many_scans(65_500, 65_500, 10, 3),
        "TIFF, by its head": lambda: tiff.file(2**31 - 1, 2**31 - 1, b"x"),
        "TIFF, LZW": lambda: tiff.file(
            30_000, 30_000, lzw.lzw_run(30_000 * 30_000 // 8, 8, True), compression=5, bits=1
        ),
        "TIFF, deflate": lambda: tiff.file(
            30_000, 30_000, png.repeated(bytes(2**20), 108), compression=8, bits=1
        ),
        "TIFF, PackBits": lambda: tiff.file(40_000, 40_000, b"\x81\0" * 9000, compression=32773),
        "TIFF, fax": lambda: tiff.file(
            60_000, 60_000, b"\xff" * 7500, compression=4, bits=1, photometric=0
        ),
        "BMP, by its head": lambda: bmp.file(2**31 - 1, 2**31 - 1, b"x"),
        "BMP, upside down": lambda: bmp.file(60_000, -60_000, b"x", bits=1, palette=bytes(8)),
        "BMP, run lengths": lambda: bmp.file(
            60_000, 60_000, b"\xff\0" * 2000, bits=8, compression=1, palette=bytes(1024)
        ),
        "WebP, lossless": lambda: webp.flat(16_384, 16_384),
        "WebP, a huge canvas": lambda: webp.riff(
            webp.vp8x(2**24, 256), (b"VP8L", webp.vp8l(16, 16))
        ),
        "AVIF, by its head": lambda: resized("AVIF", 2**31 - 1, 2**31 - 1),
        "AVIF, a huge grid": lambda: heif.grid(
            tile("AVIF"), (64, 64), 256, 256, (16_384, 16_384), tiles=256
        ),
        "HEIC, by its head": lambda: resized("HEIC", 2**31 - 1, 2**31 - 1),
        "HEIC, a huge grid": lambda: heif.grid(
            tile("HEIC"), (64, 64), 256, 256, (16_384, 16_384), tiles=256
        ),
        "HEIC, a grid without end": lambda: heif.grid(
            tile("HEIC"), (64, 64), 256, 256, (2**32 - 1, 2**32 - 1), tiles=4
        ),
        "PPM, by its head": lambda: b"P6 99999 99999 255\n" + bytes(100),
        "PPM, bits as letters": lambda: b"P1 99999 99999\n" + b"01" * 500,
        "PPM, a size of a thousand digits": lambda: b"P6 " + b"9" * 1000 + b" 1 255\n",
        "PFM, by its head": lambda: b"PF 99999 99999 -1.0\n" + bytes(100),
    }
    for name, make in huge.items():
        yield BadPicture("bombs", name, make, refused=f"{TOO_LARGE}|{NO_SENSE}")
    width, height = BELOW
    large: dict[str, tuple[Callable[[], bytes], Colour | None]] = {
        "PNG, just below the limit": (partial(png.flat, width, height), GREY),
        "PNG, 16 bits of four, just below the limit": (
            partial(png.flat, width, height, 16, 6),
            None,
        ),
        "GIF, just below the limit": (
            lambda: gif.file(width, height, gif.frame(width, height)),
            GREY,
        ),
        "GIF, a large screen and a tiny frame": (
            lambda: gif.file(width, height, gif.frame(1, 1)),
            None,
        ),
        "JPEG, just below the limit": (
            lambda: jpeg.file(jpeg.BASELINE, width, height, jpeg.sos()),
            GREY,
        ),
        "TIFF, LZW, just below the limit": (
            lambda: tiff.file(width, height, lzw.lzw_run(width * height, 8, True), compression=5),
            (0, 0, 0),
        ),
        "TIFF, deflate, just below the limit": (
            lambda: tiff.file(
                width,
                height,
                png.repeated(bytes([128]) * width, height, 1),
                compression=8,
            ),
            GREY,
        ),
        "TIFF, 32-bit floats, just below the limit": (
            lambda: tiff.file(
                width,
                height,
                png.repeated(struct.pack("<f", 0.5) * width, height, 1),
                compression=8,
                bits=32,
                t339=(tiff.SHORT, [3]),
            ),
            GREY,
        ),
        "WebP, just below the limit": (partial(webp.flat, *_below(16_000)), GREY),
        "BMP, run lengths, just below the limit": (
            lambda: bmp.file(
                width,
                height,
                (b"\xff\x01" * (width // 255) + b"\x5f\x01" + b"\0\0") * height + b"\0\1",
                bits=8,
                compression=1,
                palette=bytes(4) + bytes([128, 128, 128, 0]) * 255,
            ),
            GREY,
        ),
        "arithmetic JPEG, just below the limit": (
            lambda: jpeg.file(jpeg.ARITHMETIC, width, height, jpeg.sos()),
            None,
        ),
        "progressive JPEG, 20 scans, just below the limit": (
            lambda: jpeg.many_scans(width, height, 20),
            GREY,
        ),
        "progressive JPEG, 5000 scans, just below the limit": (
            lambda: jpeg.many_scans(width, height, 5000),
            GREY,
        ),
        "progressive JPEG, three colours, 3000 scans, just below the limit": (
            lambda: jpeg.many_scans(width, height, 3000, 3),
            GREY,
        ),
        "arithmetic progressive JPEG, 500 scans, just below the limit": (
            lambda: jpeg.file(
                jpeg.ARITHMETIC_PROGRESSIVE,
                width,
                height,
                jpeg.sos((1,), 0, 0),
                *[jpeg.sos((1,), 1, 63)] * 500,
            ),
            None,
        ),
        "AVIF, a grid just below the limit": (
            lambda: heif.grid(tile("AVIF", 512), (512, 512), 16, 12, IPHONE),
            None,
        ),
        "HEIC, a grid just below the limit": (
            lambda: heif.grid(tile("HEIC", 512), (512, 512), 16, 12, IPHONE),
            None,
        ),
    }
    for name, (make, colour) in large.items():
        size = {"WebP": _below(16_000), "AVIF": IPHONE, "HEIC": IPHONE}
        shown = Shown(size.get(name.split(",")[0], BELOW), colour)
        yield BadPicture(
            *("just below the limit", name, make, shown, TOO_COSTLY),
            is_large=True,
            is_costly="00 scans" in name or "grid" in name,
        )


def sizes() -> Iterator[BadPicture]:
    for encoding, (encoder, options) in ENCODINGS.items():
        one = partial(encoded, Image.new("RGB", (1, 1), GREY), encoder, **options)
        yield BadPicture("sizes", f"{encoding}, 1 x 1", one, Shown((1, 1), GREY))
    for size in ((1, 20_000), (20_000, 1), (2, MAX_SIDE_PX), (MAX_SIDE_PX, 2)):
        yield BadPicture(
            "sizes", f"PNG, {size[0]} x {size[1]}", partial(png.flat, *size), Shown(size, GREY)
        )
        yield BadPicture(
            "sizes",
            f"JPEG, {size[0]} x {size[1]}",
            partial(jpeg.file, jpeg.BASELINE, *size, jpeg.sos()),
            Shown(size, GREY),
        )
    for size in ((MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (20_000, 20_000)):
        yield BadPicture(
            "sizes",
            f"PNG, {size[0]} x {size[1]}, too large",
            partial(png.flat, *size, 1, 0),
            refused=TOO_LARGE,
        )
    above: dict[str, Callable[[], bytes]] = {
        "PNG": partial(png.flat, *ABOVE),
        "JPEG": partial(jpeg.file, jpeg.BASELINE, *ABOVE, jpeg.sos()),
    }
    for name, make in above.items():
        yield BadPicture(
            "sizes", f"{name}, just above the limit", make, Shown(HALF_ABOVE, GREY), is_large=True
        )
    for size in ((0, 0), (0, 9), (9, 0)):
        files: dict[str, Callable[[], bytes]] = {
            "PNG": partial(png.flat, *size),
            "GIF": partial(gif.file, *size, gif.frame(*size)),
            "JPEG": partial(jpeg.file, jpeg.BASELINE, *size, jpeg.sos()),
            "BMP": partial(bmp.file, *size, bytes(100)),
            "TIFF": partial(tiff.file, *size, bytes(100)),
            "PPM": partial(bytes, b"P6 %d %d 255\n" % size + bytes(300)),
        }
        for name, make in files.items():
            yield BadPicture("sizes", f"{name}, {size[0]} x {size[1]}", make, refused=ANY)
