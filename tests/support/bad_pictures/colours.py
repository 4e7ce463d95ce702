"""Colour spaces, bit depths, palettes and colour profiles."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from tests.support.bad_pictures.bad_picture import ANY, CAT, SIZE, WHATEVER, BadPicture, Shown
from tests.support.bad_pictures.encodings import cat, encoded, profile
from tests.support.handmade_pictures import bmp, gif, jpeg, png, tiff


def _grey_ramp(kind: type, top: float) -> np.ndarray:
    """The cat in grey, [H, W], from 0 to `top`; both occur, so that they become black and white."""
    levels = np.array(cat().convert("L"))
    levels[-1, :2] = 0, 255
    return (levels.astype(np.float64) * (top / 255)).astype(kind)


def _lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    other = ImageCms.profileToProfile(cat(), *profiles, outputMode="LAB")
    assert other
    return other


def _float_tiff(**places: float) -> bytes:
    """A TIFF of floats, as shares of white. places: values for the first pixels instead."""
    values = _grey_ramp(np.float32, 1)
    values[0, : len(places)] = list(places.values())
    return encoded(Image.fromarray(values), "TIFF")


def _ycck() -> bytes:
    """CMYK as Adobe writes it: inverted, with the first three channels as luma and chroma."""
    inverted = encoded(cat().convert("CMYK"), "JPEG", quality=95)
    at = inverted.index(b"Adobe")
    return inverted[: at + 11] + b"\2" + inverted[at + 12 :]


def _png_of(values: np.ndarray, colour: int, *before: bytes) -> bytes:
    """A PNG with 16 bits per value. values: [H, W, channels]; before: chunks before the pixels."""
    height, width = values.shape[:2]
    lines = [b"\0" + row.astype(">u2").tobytes() for row in values]
    pixels = png.chunk(b"IDAT", png.deflated(lines))
    return png.file(png.ihdr(width, height, 16, colour), *before, pixels)


def colours() -> Iterator[BadPicture]:
    right: dict[str, Callable[[], bytes]] = {
        "CMYK JPEG": lambda: encoded(cat().convert("CMYK"), "JPEG"),
        "CMYK TIFF": lambda: encoded(cat().convert("CMYK"), "TIFF"),
        "grey JPEG": lambda: encoded(cat().convert("L"), "JPEG"),
        "16-bit grey PNG": lambda: encoded(Image.fromarray(_grey_ramp(np.uint16, 65_535)), "PNG"),
        "16-bit grey TIFF": lambda: encoded(Image.fromarray(_grey_ramp(np.uint16, 65_535)), "TIFF"),
        "32-bit grey TIFF": lambda: encoded(Image.fromarray(_grey_ramp(np.int32, 65_535)), "TIFF"),
        "16-bit PNG": lambda: _png_of(np.asarray(cat(), np.uint16) * 257, 2),
        "16-bit PNG with opacity": lambda: _png_of(
            np.asarray(cat().convert("RGBA"), np.uint16) * 257, 6
        ),
        "1-bit PNG": lambda: encoded(cat().convert("1"), "PNG"),
        "1-bit TIFF": lambda: encoded(cat().convert("1"), "TIFF"),
        "1-bit fax TIFF": lambda: encoded(cat().convert("1"), "TIFF", compression="group4"),
        "1-bit BMP": lambda: encoded(cat().convert("1"), "BMP"),
        "4-bit PNG": lambda: encoded(cat().quantize(16), "PNG", bits=4),
        "LAB TIFF": lambda: encoded(_lab(), "TIFF"),
        "float TIFF": _float_tiff,
        "float TIFF with NaN": lambda: _float_tiff(a=float("nan"), b=float("-inf")),
        "JPEG with a broken profile": lambda: encoded(cat(), "JPEG", icc_profile=b"cat" * 50),
        "JPEG with half a profile": lambda: encoded(cat(), "JPEG", icc_profile=profile()[:99]),
        "JPEG with a huge profile": lambda: encoded(cat(), "JPEG", icc_profile=bytes(2**21)),
        "JPEG with the profile of another space": lambda: encoded(
            cat(), "JPEG", icc_profile=profile("LAB")
        ),
        "PNG with a broken profile": lambda: encoded(cat(), "PNG", icc_profile=b"cat"),
        "WebP with a broken profile": lambda: encoded(cat(), "WEBP", icc_profile=b"cat" * 50),
        "TIFF with a broken profile": lambda: encoded(cat(), "TIFF", icc_profile=b"cat" * 50),
        "AVIF with a broken profile": lambda: encoded(
            cat(), "AVIF", icc_profile=profile()[:200], speed=8
        ),
        "HEIC of 10 bits": lambda: _deep_heic(),
        "progressive JPEG of 4:4:4": lambda: encoded(
            cat(), "JPEG", progressive=True, subsampling=0
        ),
        "opaque palette PNG": lambda: encoded(cat().quantize(), "PNG"),
        "interlaced PNG": lambda: _interlaced(),
    }
    for name, make in right.items():
        yield BadPicture("colours", name, make, CAT)
    yield BadPicture("colours", "YCCK JPEG", _ycck, Shown(SIZE, None))
    yield BadPicture(
        "colours",
        "float TIFF with infinity",
        lambda: _float_tiff(a=float("inf"), b=3e38),
        Shown(SIZE, None),
    )
    clear = Image.new("RGBA", (9, 9), (255, 0, 0, 0))
    for encoding in ("PNG", "WEBP", "TIFF"):
        make = partial(encoded, clear, encoding)
        yield BadPicture(
            "colours", f"{encoding}, all of it clear", make, Shown((9, 9), (255, 255, 255))
        )
    few = png.chunk(b"PLTE", bytes([128] * 3))
    pixels = png.chunk(b"IDAT", png.deflated(png.rows(9, 9, 8, 200)))
    odd: dict[str, bytes] = {
        "PNG with too few colours": png.file(png.ihdr(9, 9, 8, 3), few, pixels),
        "PNG without its palette": png.file(png.ihdr(9, 9, 8, 3), pixels),
        "PNG with a palette of a broken length": png.file(
            png.ihdr(9, 9, 8, 3), png.chunk(b"PLTE", b"ab"), pixels
        ),
        "PNG with too much opacity": png.file(
            png.ihdr(9, 9, 8, 3), few, png.chunk(b"tRNS", bytes(300)), pixels
        ),
        "GIF without its palette": gif.file(9, 9, gif.frame(9, 9), has_palette=False),
        "BMP with too few colours": bmp.file(9, 9, b"\xc8" * 108, bits=8, palette=bytes(8)),
        "BMP with two milliards of colours": bmp.file(9, 9, bytes(108), bits=8, colours=2**31),
        "TIFF without its palette": tiff.file(8, 8, bytes(64), photometric=3),
        "PNG, gamma 0": png.flat(9, 9, 8, 2, png.chunk(b"gAMA", bytes(4))),
        "PNG, odd chromaticities": png.flat(9, 9, 8, 2, png.chunk(b"cHRM", b"\xff" * 32)),
        "PNG of five channels": png.file(png.ihdr(9, 9, 8, 7), pixels),
        "PNG of 3 bits": png.file(png.ihdr(9, 9, 3, 0), pixels),
        "JPEG of two components": jpeg.file(
            jpeg.BASELINE, 9, 9, jpeg.sos((1, 2)), sampling=[0x11] * 2
        ),
        "JPEG of 255 components": jpeg.file(jpeg.BASELINE, 9, 9, jpeg.sos(), sampling=[0x11] * 255),
        "JPEG of 12 bits": jpeg.file(jpeg.BASELINE, 9, 9, jpeg.sos(), precision=12),
        "lossless JPEG": jpeg.file(jpeg.LOSSLESS, 9, 9, jpeg.sos((1,), 1, 0)),
        "PPM, white is 0": b"P6 9 9 0\n" + bytes(243),
        "PPM, white is 70,000": b"P6 9 9 70000\n" + bytes(486),
        "PFM with NaN": b"Pf 3 3 -1.0\n" + struct.pack("<f", float("nan")) * 9,
        "PFM of scale 0": b"Pf 3 3 0\n" + bytes(36),
        "PFM of scale NaN": b"Pf 3 3 nan\n" + bytes(36),
    }
    for name, data in odd.items():
        yield BadPicture("colours", name, partial(bytes, data), WHATEVER, ANY)


def _deep_heic() -> bytes:
    values = np.asarray(cat(), np.uint16) * 257
    file = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", SIZE, values.tobytes()).save(file, quality=80)
    return file.getvalue()


def _interlaced() -> bytes:
    """A PNG with Adam7 interlacing: seven small pictures, one after the other."""
    values = np.asarray(cat())
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))  # fmt: skip
    lines = [
        b"\0" + row.tobytes()
        for left, top, across, down in starts
        for row in values[top::down, left::across]
    ]
    return png.file(png.ihdr(*SIZE, interlace=1), png.chunk(b"IDAT", png.deflated(lines)))
