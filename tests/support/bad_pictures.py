"""Pictures as nobody sends them on purpose, but for those who do: what each is, and what must come
of it.

Every one is made here, the same each time. None is large in git, and hardly any as a file.
"""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
import pi_heif
import pillow_heif
import skimage
from PIL import Image, ImageCms

from gradcam_core.images.read import MAX_PIXELS, MAX_SIDE_PX
from tests.support import handmade_pictures as hand

pi_heif.register_heif_opener()

NOT_A_PICTURE = "not a picture in a format that can be read"
DAMAGED = "damaged or incomplete"
TOO_LARGE = "too large"
TOO_COSTLY = "too long to decode|too much memory"
NO_SENSE = f"{NOT_A_PICTURE}|{DAMAGED}"
ANY = f"{NO_SENSE}|{TOO_LARGE}|{TOO_COSTLY}|is empty"

GREY = (128, 128, 128)
SIZE = 360, 240
"""Of the cat."""

IPHONE = 8064, 6048
"""Of its largest photos, in tiles of 512 pixels."""

Colour = tuple[int, int, int]
Size = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """What a person sees of it. size: after turning; None if any will do. look: the cat, the
    colour that is its mean, or None if anything will do."""

    size: Size | None = SIZE
    look: Colour | str | None = "cat"


@dataclass(frozen=True)
class BadPicture:
    """One file. kind: the group it is counted in; file_name: the name it is sent under.

    shown, refused: what may come of it, a picture or a sentence that this expression is found in;
    both are given where either is right. is_large: close to what is still decoded.
    """

    kind: str
    name: str
    make: Callable[[], bytes]
    shown: Shown | None = None
    refused: str = ""
    file_name: str = "photo.jpg"
    is_large: bool = False

    @cached_property
    def data(self) -> bytes:
        return self.make()


CAT = Shown()
WHATEVER = Shown(None, None)


def corpus() -> Iterator[BadPicture]:
    """All of them, without making their bytes yet. No two have the same name."""
    yield from truncated()
    yield from flipped()
    yield from under_wrong_names()
    yield from other_files()
    yield from nothing()
    yield from bombs()
    yield from sizes()
    yield from odd_names()
    yield from with_exif()
    yield from animations()
    yield from colours()
    yield from broken_png()
    yield from broken_jpeg()
    yield from broken_gif()
    yield from broken_tiff()
    yield from broken_bmp()
    yield from broken_webp()
    yield from tiled()
    yield from two_in_one()


@cache
def cat() -> Image.Image:
    with Image.open(Path(skimage.__path__[0], "data", "chelsea.png")) as picture:
        small = picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    return Image.fromarray(np.asarray(small))  # without what its file says besides


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    if format == "HEIC":
        pillow_heif.from_pillow(image).save(file, quality=80, **options)
    else:
        image.save(file, format, **options)
    return file.getvalue()


ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    "JPEG": ("JPEG", {"quality": 85}),
    "progressive JPEG": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {"quality": 80}),
    "lossless WebP": ("WEBP", {"lossless": True, "method": 0}),
    "GIF": ("GIF", {}),
    "TIFF": ("TIFF", {}),
    "LZW TIFF": ("TIFF", {"compression": "tiff_lzw"}),
    "JPEG TIFF": ("TIFF", {"compression": "jpeg"}),
    "BMP": ("BMP", {}),
    "AVIF": ("AVIF", {"quality": 70, "speed": 8}),
    "HEIC": ("HEIC", {}),
    "PPM": ("PPM", {}),
}


@cache
def as_file(encoding: str) -> bytes:
    """The cat in one of the encodings above."""
    encoder, options = ENCODINGS[encoding]
    return encoded(cat(), encoder, **options)


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

        yield BadPicture("truncated", f"{encoding} without its end", without, CAT, DAMAGED)


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


def under_wrong_names() -> Iterator[BadPicture]:
    names = {
        "JPEG": ("cat.png", "cat.exe", "cat.svg"),
        "PNG": ("cat.jpg", "cat.pdf", "cat"),
        "WebP": ("cat.gif", "cat.html"),
        "GIF": ("cat.jpeg",),
        "TIFF": ("cat.bmp",),
        "BMP": ("cat.heic",),
        "AVIF": ("cat.webp", "cat.mp4"),
        "HEIC": ("cat.jpg", "cat.avif"),
        "PPM": ("cat.tiff",),
    }
    for encoding, given in names.items():
        for name in given:
            yield BadPicture(
                "names that lie",
                f"{encoding} called {name}",
                partial(as_file, encoding),
                CAT,
                file_name=name,
            )


_ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100">'

_EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 100 100
(%pipe%touch /tmp/made_by_a_picture) (w) file closefile
(/etc/passwd) (r) file 1000 string readstring pop show
showpage
%%EOF
"""


def _zip(size: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("cat.jpg")  # of 1980, not of today
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, b"\0" * size if size else as_file("JPEG"))
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("cat.jpg")
        entry.size = len(as_file("JPEG"))
        archive.addfile(entry, io.BytesIO(as_file("JPEG")))
    return file.getvalue()


def _psd() -> bytes:
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 8, 8, 8, 3)
    return head + bytes(12) + b"\0\0" + bytes([128]) * 192


def _emf() -> bytes:
    frame = struct.pack("<8i", 0, 0, 100, 100, 0, 0, 2540, 2540)
    return struct.pack("<II", 1, 108) + frame + b" EMF" + struct.pack("<IIIHH", 65536, 108, 1, 1, 0)


def _wmf() -> bytes:
    placeable = struct.pack("<IHhhhhHIH", 0x9AC6CDD7, 0, 0, 0, 100, 100, 1440, 0, 0)
    return placeable + struct.pack("<HHHIHIH", 1, 9, 0x300, 12, 0, 3, 0)


def other_files() -> Iterator[BadPicture]:
    """What is no picture, or one of a kind that hardly anybody has."""
    files: dict[str, bytes | Callable[[], bytes]] = {
        "HTML": b"<!doctype html><title>cat</title><script>alert(1)</script>",
        "SVG": f'{_SVG}<rect width="100" height="100"/></svg>'.encode(),
        "SVG with a file of the server": (
            f'<!DOCTYPE svg [<!ENTITY f SYSTEM "file:///etc/passwd">]>{_SVG}<text>&f;</text></svg>'
        ).encode(),
        "SVG with a billion entities": (
            f'<!DOCTYPE svg [<!ENTITY l0 "l">{_ENTITIES}]>{_SVG}<text>&l9;</text></svg>'
        ).encode(),
        "SVG that asks another host": (
            f'{_SVG}<image href="http://127.0.0.1:1/x.png" width="9" height="9"/></svg>'
        ).encode(),
        "SVGZ": lambda: gzip.compress(f"{_SVG}</svg>".encode(), mtime=0),
        "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "ZIP": _zip,
        "ZIP of a gigabyte": partial(_zip, 2**30 // 8),
        "TAR": _tar,
        "GZIP": lambda: gzip.compress(as_file("BMP"), mtime=0),
        "ELF": b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(4000),
        "Windows program": b"MZ\x90\0" + bytes(56) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0",
        "shell script": b"#!/bin/sh\nrm -rf ~\n",
        "Python": b"import os\nos.system('id')\n",
        "pickle": pickle.dumps({"cat": list(range(100))}),
        "JSON": b'{"picture": "cat"}',
        "text in UTF-16": "a picture of a cat".encode("utf-16"),
        "SQLite": b"SQLite format 3\0" + bytes(100),
        "MP4": hand.box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41") + hand.box(b"moov", bytes(100)),
        "MOV": hand.box(b"ftyp", b"qt  \0\0\2\0qt  ") + hand.box(b"moov", bytes(100)),
        "MP3": b"ID3\x03\0\0\0\0\0\0" + b"\xff\xfb\x90\0" * 100,
        "WAV": b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28),
        "font": b"\0\1\0\0\0\x0a\0\x80\0\3\0\x20" + bytes(200),
        "EPS that starts a program": _EPS,
        "EPS behind a DOS head": (
            b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIIIH", 30, len(_EPS), 0, 0, 0, 0, 65535) + _EPS
        ),
        "PostScript": b"%!PS\n" + _EPS,
        "EPS that never ends": b"%!PS-Adobe-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n",
        "WMF": _wmf,
        "EMF": _emf,
        "PSD": _psd,
        "FITS": b"SIMPLE  =                    T".ljust(80)
        + b"BITPIX  =                    8".ljust(80)
        + b"NAXIS   =                    2".ljust(80)
        + b"NAXIS1  =               999999".ljust(80)
        + b"NAXIS2  =               999999".ljust(80)
        + b"END".ljust(80),
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "GRIB": b"GRIB\0\0\0\1" + bytes(100),
        "Photo CD": bytes(2048) + b"PCD_" + bytes(2048),
        "XPM": b'/* XPM */\nstatic char *a[] = {\n"2 1 1 1",\n"a c #808080",\n"aa"};',
        "XBM": b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = { 0x55 };",
        "SGI": b"\x01\xda\0\1\0\2" + struct.pack(">HHH", 65535, 65535, 1) + bytes(500),
        "DDS": b"DDS " + struct.pack("<7I", 124, 0x1007, 65535, 65535, 0, 0, 0) + bytes(100),
        "QOI": b"qoif" + struct.pack(">IIBB", 60000, 60000, 3, 0) + b"\xfd" * 100,
        "FLI": struct.pack("<IHHHHH", 128, 0xAF11, 1, 9, 9, 8) + bytes(112),
        "ICNS": b"icns" + struct.pack(">I", 16) + b"ic07" + struct.pack(">I", 8),
        "DCX": struct.pack("<III", 987654321, 12, 0) + bytes(100),
        "TGA": bytes([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]) + struct.pack("<HHBB", 9, 9, 24, 0),
        "ICO": lambda: encoded(cat().resize((32, 32)), "ICO"),
        "JPEG 2000": lambda: encoded(cat(), "JPEG2000"),
    }
    for name, data in files.items():
        make = data if callable(data) else partial(bytes, data)
        # TIFF is the nearest relative of some of them.
        yield BadPicture("other files", name, make, refused=NO_SENSE)


def nothing() -> Iterator[BadPicture]:
    magic = {
        "JPEG": b"\xff\xd8\xff",
        "PNG": hand.PNG_SIGNATURE,
        "GIF": b"GIF89a",
        "TIFF": b"II*\0",
        "TIFF of the other byte order": b"MM\0*",
        "BigTIFF": b"II+\0",
        "BMP": b"BM",
        "WebP": b"RIFF\0\0\0\0WEBP",
        "AVIF": hand.box(b"ftyp", b"avif\0\0\0\0avifmif1"),
        "HEIC": hand.box(b"ftyp", b"heic\0\0\0\0heicmif1"),
        "PPM": b"P6",
    }
    files = {f"only the first bytes of {name}": data for name, data in magic.items()}
    files |= {
        f"the first bytes of {name}, then noise": data + np.random.default_rng(n).bytes(5000)
        for n, (name, data) in enumerate(magic.items())
    }
    files |= {
        "empty": b"",
        "one byte": b"\xff",
        "a line break": b"\n",
        "zeros": bytes(10_000),
        "noise": np.random.default_rng(99).bytes(10_000),
        "a megabyte of one letter": b"a" * 2**20,
    }
    for name, data in files.items():
        expected = f"{NO_SENSE}|is empty|{TOO_LARGE}"
        yield BadPicture("empty or noise", name, partial(bytes, data), refused=expected)


def _below(width: int) -> Size:
    """The largest picture of this width that is still decoded."""
    return width, min(MAX_PIXELS // width, MAX_SIDE_PX)


BELOW = _below(8000)
ABOVE = 8000, BELOW[1] + 1


def bombs() -> Iterator[BadPicture]:
    """A few kilobytes that say they are gigapixels, or are."""
    huge: dict[str, Callable[[], bytes]] = {
        "PNG, by its head": lambda: hand.png(hand.ihdr(2**31 - 1, 2**31 - 1), hand.chunk(b"IDAT")),
        "PNG, gigapixels": lambda: hand.png(hand.ihdr(50_000, 50_000), hand.chunk(b"IDAT", b"x")),
        "PNG, by its stream": lambda: hand.flat_png(30_000, 30_000, 1, 0),
        "GIF, by its head": lambda: hand.gif(65_535, 65_535, hand.gif_frame(1, 1)),
        "GIF, a huge frame on a small screen": lambda: hand.gif(
            9, 9, hand.gif_frame(65_535, 65_535, b"\x84\x8f")
        ),
        "GIF, by its stream": lambda: hand.gif(20_000, 20_000, hand.gif_frame(20_000, 20_000)),
        "JPEG, by its head": lambda: hand.jpeg(hand.BASELINE, 65_500, 65_500, hand.sos()),
        "progressive JPEG, gigapixels": lambda: hand.many_scans(65_500, 65_500, 10, 3),
        "TIFF, by its head": lambda: hand.tiff(2**31 - 1, 2**31 - 1, b"x"),
        "TIFF, LZW": lambda: hand.tiff(
            30_000, 30_000, hand.lzw_run(30_000 * 30_000 // 8, 8, True), compression=5, bits=1
        ),
        "TIFF, deflate": lambda: hand.tiff(
            30_000, 30_000, hand.deflated([bytes(2**20)] * 108, 9), compression=8, bits=1
        ),
        "TIFF, PackBits": lambda: hand.tiff(40_000, 40_000, b"\x81\0" * 9000, compression=32773),
        "TIFF, fax": lambda: hand.tiff(
            60_000, 60_000, b"\xff" * 7500, compression=4, bits=1, photometric=0
        ),
        "BMP, by its head": lambda: hand.bmp(2**31 - 1, 2**31 - 1, b"x"),
        "BMP, upside down": lambda: hand.bmp(60_000, -60_000, b"x", bits=1, palette=bytes(8)),
        "BMP, run lengths": lambda: hand.bmp(
            60_000, 60_000, b"\xff\0" * 2000, bits=8, compression=1, palette=bytes(1024)
        ),
        "WebP, lossless": lambda: hand.flat_webp(16_384, 16_384),
        "WebP, a huge canvas": lambda: hand.riff(
            hand.vp8x(2**24, 256), (b"VP8L", hand.vp8l(16, 16))
        ),
        "AVIF, by its head": lambda: _resized("AVIF", 2**31 - 1, 2**31 - 1),
        "AVIF, a huge grid": lambda: hand.grid(
            _tile("AVIF"), (64, 64), 256, 256, (16_384, 16_384), tiles=256
        ),
        "HEIC, by its head": lambda: _resized("HEIC", 2**31 - 1, 2**31 - 1),
        "HEIC, a huge grid": lambda: hand.grid(
            _tile("HEIC"), (64, 64), 256, 256, (16_384, 16_384), tiles=256
        ),
        "HEIC, a grid without end": lambda: hand.grid(
            _tile("HEIC"), (64, 64), 256, 256, (2**32 - 1, 2**32 - 1), tiles=4
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
        "PNG, just below the limit": (partial(hand.flat_png, width, height), GREY),
        "PNG, 16 bits of four, just below the limit": (
            partial(hand.flat_png, width, height, 16, 6),
            None,
        ),
        "GIF, just below the limit": (
            lambda: hand.gif(width, height, hand.gif_frame(width, height)),
            GREY,
        ),
        "GIF, a large screen and a tiny frame": (
            lambda: hand.gif(width, height, hand.gif_frame(1, 1)),
            None,
        ),
        "JPEG, just below the limit": (
            lambda: hand.jpeg(hand.BASELINE, width, height, hand.sos()),
            GREY,
        ),
        "TIFF, LZW, just below the limit": (
            lambda: hand.tiff(width, height, hand.lzw_run(width * height, 8, True), compression=5),
            (0, 0, 0),
        ),
        "TIFF, deflate, just below the limit": (
            lambda: hand.tiff(
                width,
                height,
                hand.deflated([bytes([128]) * width] * height, 1),
                compression=8,
            ),
            GREY,
        ),
        "TIFF, 32-bit floats, just below the limit": (
            lambda: hand.tiff(
                width,
                height,
                hand.deflated([struct.pack("<f", 0.5) * width] * height, 1),
                compression=8,
                bits=32,
                t339=(hand.SHORT, [3]),
            ),
            GREY,
        ),
        "WebP, just below the limit": (partial(hand.flat_webp, *_below(16_000)), GREY),
        "BMP, run lengths, just below the limit": (
            lambda: hand.bmp(
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
            lambda: hand.jpeg(hand.ARITHMETIC, width, height, hand.sos()),
            None,
        ),
        "progressive JPEG, 20 scans, just below the limit": (
            lambda: hand.many_scans(width, height, 20),
            GREY,
        ),
        "progressive JPEG, 5000 scans, just below the limit": (
            lambda: hand.many_scans(width, height, 5000),
            GREY,
        ),
        "progressive JPEG, three colours, 3000 scans, just below the limit": (
            lambda: hand.many_scans(width, height, 3000, 3),
            GREY,
        ),
        "arithmetic progressive JPEG, 500 scans, just below the limit": (
            lambda: hand.jpeg(
                hand.ARITHMETIC_PROGRESSIVE,
                width,
                height,
                hand.sos((1,), 0, 0),
                *[hand.sos((1,), 1, 63)] * 500,
            ),
            None,
        ),
        "AVIF, a grid just below the limit": (
            lambda: hand.grid(_tile("AVIF", 512), (512, 512), 16, 12, IPHONE),
            None,
        ),
        "HEIC, a grid just below the limit": (
            lambda: hand.grid(_tile("HEIC", 512), (512, 512), 16, 12, IPHONE),
            None,
        ),
    }
    for name, (make, colour) in large.items():
        size = {"WebP": _below(16_000), "AVIF": IPHONE, "HEIC": IPHONE}
        shown = Shown(size.get(name.split(",")[0], BELOW), colour)
        yield BadPicture("just below the limit", name, make, shown, TOO_COSTLY, is_large=True)


@cache
def _tile(encoding: str, side: int = 64) -> bytes:
    encoder, options = ENCODINGS[encoding]
    return encoded(cat().resize((side, side)), encoder, **options)


def _resized(encoding: str, width: int, height: int) -> bytes:
    """A small HEIC or AVIF that says it has another size."""
    data = _tile(encoding)
    wrong = hand.size_of(width, height)
    at = data.index(b"ispe") - 4
    return data[:at] + wrong + data[at + len(wrong) :]


def sizes() -> Iterator[BadPicture]:
    for encoding, (encoder, options) in ENCODINGS.items():
        one = partial(encoded, Image.new("RGB", (1, 1), GREY), encoder, **options)
        yield BadPicture("sizes", f"{encoding}, 1 x 1", one, Shown((1, 1), GREY))
    for size in ((1, 20_000), (20_000, 1), (2, MAX_SIDE_PX), (MAX_SIDE_PX, 2)):
        yield BadPicture(
            "sizes", f"PNG, {size[0]} x {size[1]}", partial(hand.flat_png, *size), Shown(size, GREY)
        )
        yield BadPicture(
            "sizes",
            f"JPEG, {size[0]} x {size[1]}",
            partial(hand.jpeg, hand.BASELINE, *size, hand.sos()),
            Shown(size, GREY),
        )
    for size in ((MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (20_000, 20_000), ABOVE):
        yield BadPicture(
            "sizes",
            f"PNG, {size[0]} x {size[1]}, too large",
            partial(hand.flat_png, *size, 1, 0),
            refused=TOO_LARGE,
        )
    for size in ((0, 0), (0, 9), (9, 0)):
        files: dict[str, Callable[[], bytes]] = {
            "PNG": partial(hand.flat_png, *size),
            "GIF": partial(hand.gif, *size, hand.gif_frame(*size)),
            "JPEG": partial(hand.jpeg, hand.BASELINE, *size, hand.sos()),
            "BMP": partial(hand.bmp, *size, bytes(100)),
            "TIFF": partial(hand.tiff, *size, bytes(100)),
            "PPM": partial(bytes, b"P6 %d %d 255\n" % size + bytes(300)),
        }
        for name, make in files.items():
            yield BadPicture("sizes", f"{name}, {size[0]} x {size[1]}", make, refused=ANY)


ODD_NAMES = {
    "up and away": "../../../../../../tmp/made_by_a_picture.png",
    "up and away, encoded": "..%2f..%2f..%2fmade_by_a_picture.png",
    "up and away on Windows": "..\\..\\..\\made_by_a_picture.png",
    "an absolute path": "/tmp/made_by_a_picture.png",
    "NUL": "cat\0.png",
    "NUL before another ending": "cat.html\0.png",
    "300 characters": "c" * 296 + ".png",
    "300 characters of four bytes each": "\N{CAT FACE}" * 296 + ".png",
    "right-to-left marks": "cat\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "line breaks": "cat\r\nX-Header: 1\n.png",
    "an option": "--help.png",
    "quotes": "cat\"'`$(id);.png",
    "tags": "<img src=x onerror=alert(1)>.png",
    "only dots": "..",
    "one dot": ".png",
    "a space": " ",
    "no Unicode": "cat\udcff.png",
    "a device of Windows": "CON.png",
    "emoji": "\N{CAT FACE}\N{ZERO WIDTH JOINER}\N{HOT BEVERAGE}.png",
    "format codes": "%s%n%x{0}{__class__}.png",
}


def odd_names() -> Iterator[BadPicture]:
    for name, file_name in ODD_NAMES.items():
        yield BadPicture(
            "odd names", f"called {name}", partial(as_file, "PNG"), CAT, file_name=file_name
        )


def _with_exif(body: bytes) -> bytes:
    return hand.after_soi(as_file("JPEG"), hand.app1(body))


def _xmp(text: str) -> bytes:
    name = b"http://ns.adobe.com/xap/1.0/\0"
    return hand.after_soi(as_file("JPEG"), hand.segment(0xE1, name + text.encode()))


def with_exif() -> Iterator[BadPicture]:
    orientation = 274
    as_it_is: dict[str, bytes] = {
        f"orientation {value}": hand.exif({orientation: (hand.SHORT, [value])})
        for value in (0, 1, 9, 255, 65_535)
    }
    as_it_is |= {
        "orientation as text": hand.exif({orientation: (hand.ASCII, b"6\0")}),
        "orientation as a long text": hand.exif({orientation: (hand.ASCII, b"upside down" * 99)}),
        "orientation as a fraction": hand.exif({orientation: (hand.RATIONAL, bytes(8))}),
        "orientation without a value": hand.exif({orientation: (hand.SHORT, b"")}),
        "orientation of an unknown type": hand.exif({orientation: (99, b"\6\0\0\0")}),
        "orientation not a number": hand.exif({orientation: (hand.DOUBLE, [float("nan")])}),
        "absurd sizes": hand.exif(
            {256: (hand.LONG, [2**32 - 1]), 257: (hand.LONG, [2**32 - 1]), 282: (5, bytes(8))}
        ),
        "a huge count": hand.tiff_head()
        + struct.pack("<HHHII", 1, orientation, 3, 2**32 - 1, 8)
        + bytes(4),
        "values far outside": hand.tiff_head()
        + struct.pack("<HHHII", 1, 271, 2, 1000, 2**32 - 9)
        + bytes(4),
        "more tags than there are": hand.tiff_head() + struct.pack("<H", 65_535) + bytes(40),
        "a loop": hand.exif({305: (hand.ASCII, b"cat\0")}, following=8),
        "a loop of its parts": hand.exif({34665: (hand.LONG, [8]), 34853: (hand.LONG, [8])}),
        "a part far outside": hand.exif({34665: (hand.LONG, [2**31])}),
        "a thumbnail far outside": hand.exif(
            {513: (hand.LONG, [8]), 514: (hand.LONG, [2**32 - 1])}
        ),
        "cut off": hand.exif({orientation: (hand.SHORT, [6])})[:12],
        "empty": b"",
        "nonsense": b"cat" * 1000,
        "of the wrong byte order": b"MM*\0\0\0\0\x08" + bytes(20),
        "65,000 bytes of zeros": bytes(65_000),
    }
    for name, body in as_it_is.items():
        yield BadPicture("EXIF", f"EXIF: {name}", partial(_with_exif, body), CAT)
    turned = partial(_with_exif, hand.exif({orientation: (hand.SHORT, [6])}))
    yield BadPicture("EXIF", "EXIF: orientation 6", turned, Shown(SIZE[::-1], None))
    twice = partial(_with_exif, hand.exif({orientation: (hand.SHORT, [6, 3])}))
    yield BadPicture("EXIF", "EXIF: two orientations", twice, WHATEVER)
    large = partial(_with_exif, hand.exif({orientation: (hand.LONG, [6])}))
    yield BadPicture("EXIF", "EXIF: orientation of another type", large, WHATEVER)
    yield BadPicture(
        "EXIF",
        "EXIF: a hundred blocks",
        lambda: hand.after_soi(as_file("JPEG"), *[hand.app1(bytes(60_000))] * 100),
        CAT,
    )
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">'
    for name, text in {
        "a billion entities": f'<!DOCTYPE x [<!ENTITY l0 "l">{_ENTITIES}]>{head}&l9;</x:xmpmeta>',
        "a file of the server": f'<!DOCTYPE x [<!ENTITY f SYSTEM "/etc/passwd">]>{head}&f;',
        "orientation 99": f"{head}<tiff:Orientation>99</tiff:Orientation>",
        "orientation as text": f'{head}<a tiff:Orientation="up"/>',
        "deep": head + "<a>" * 15_000,
    }.items():
        yield BadPicture("EXIF", f"XMP: {name}", partial(_xmp, text), CAT)
    for encoding in ("PNG", "WebP", "AVIF"):
        encoder, options = ENCODINGS[encoding]
        body = b"Exif\0\0" + hand.exif({orientation: (hand.SHORT, [65_535])})
        made = partial(lambda f, o, b: encoded(cat(), f, **o, exif=b), encoder, options, body)
        yield BadPicture("EXIF", f"{encoding} with orientation 65535", made, CAT)
    nonsense = hand.chunk(b"eXIf", b"cat" * 100)
    yield BadPicture(
        "EXIF",
        "PNG with nonsense as EXIF",
        partial(hand.flat_png, 9, 9, 8, 2, nonsense),
        Shown((9, 9), GREY),
    )


def _webp_animation(frames: int) -> bytes:
    every = [hand.webp_frame(hand.vp8l(8, 8, 0 if n else 128), 8, 8) for n in range(frames)]
    return hand.riff(hand.vp8x(8, 8, 2), (b"ANIM", bytes(6)), *every)


def _gif_animation(frames: int, side: int = 8) -> bytes:
    control = b"!\xf9\x04\x04\1\0\0\0"
    first = control + hand.gif_frame(side, side)
    return hand.gif(side, side, first, *[control + hand.gif_frame(1, 1)] * (frames - 1))


def _pages(count: int, is_loop: bool = False) -> bytes:
    """A TIFF of so many directories, all for the same pixels; or one that leads back to itself."""
    pixels = bytes([128]) * 64
    at = 8 + len(pixels)
    tags: dict[int, tuple[int, hand.Value]] = {
        256: (hand.LONG, [8]),
        257: (hand.LONG, [8]),
        258: (hand.SHORT, [8]),
        259: (hand.SHORT, [1]),
        262: (hand.SHORT, [1]),
        273: (hand.LONG, [8]),
        277: (hand.SHORT, [1]),
        278: (hand.LONG, [8]),
        279: (hand.LONG, [64]),
    }
    length = len(hand.ifd(tags, 0))
    places = [at + n * length for n in range(count)]
    after = [*places[1:], places[0] if is_loop else 0]
    directories = [hand.ifd(tags, *pair) for pair in zip(places, after, strict=True)]
    return b"".join([hand.tiff_head(at), pixels, *directories])


def animations() -> Iterator[BadPicture]:
    small = Shown((8, 8), GREY)
    yield BadPicture("animations", "GIF, 10,000 frames", partial(_gif_animation, 10_000), small)
    yield BadPicture("animations", "PNG, 10,000 frames", partial(hand.apng, 10_000), small)
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
        wrong = hand.chunk(b"acTL", struct.pack(">II", count, 0))
        yield BadPicture(
            "animations",
            f"PNG that says it has {count} frames",
            partial(hand.flat_png, 9, 9, 8, 2, wrong),
            Shown((9, 9), GREY),
            DAMAGED,
        )
    yield BadPicture(
        "animations",
        "GIF without a frame",
        lambda: hand.gif(9, 9),
        WHATEVER,
        ANY,
    )
    yield BadPicture(
        "animations",
        "GIF, a frame beside its screen",
        lambda: hand.gif(9, 9, hand.gif_frame(9, 9, left=60_000, top=60_000)),
        WHATEVER,
        ANY,
    )


def _profile(kind: Literal["sRGB", "LAB"] = "sRGB") -> bytes:
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes()
    return data[:24] + bytes(12) + data[36:]  # without the time at which it was made


def _iccp(profile: bytes) -> bytes:
    return hand.chunk(b"iCCP", b"cat\0\0" + zlib.compress(profile, 9))


def _grey_ramp(kind: type, top: float) -> np.ndarray:
    return np.asarray(cat().convert("L")).astype(np.float64).__mul__(top / 255).astype(kind)


def _lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    other = ImageCms.profileToProfile(cat(), *profiles, outputMode="LAB")
    assert other
    return other


def _float_tiff(**places: float) -> bytes:
    """Shares of white; places: what stands in the first pixels instead."""
    values = _grey_ramp(np.float32, 1)
    values[0, : len(places)] = list(places.values())
    return encoded(Image.fromarray(values), "TIFF")


def _ycck() -> bytes:
    """CMYK as Adobe writes it: inverted, and its first three turned to luma and chroma."""
    inverted = encoded(cat().convert("CMYK"), "JPEG", quality=95)
    at = inverted.index(b"Adobe")
    return inverted[: at + 11] + b"\2" + inverted[at + 12 :]


def _png_of(values: np.ndarray, colour: int, *before: bytes) -> bytes:
    """A PNG of 16 bits a value: [H, W, channels] -> big-endian."""
    height, width = values.shape[:2]
    lines = [b"\0" + row.astype(">u2").tobytes() for row in values]
    pixels = hand.chunk(b"IDAT", hand.deflated(lines))
    return hand.png(hand.ihdr(width, height, 16, colour), *before, pixels)


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
        "JPEG with half a profile": lambda: encoded(cat(), "JPEG", icc_profile=_profile()[:99]),
        "JPEG with a huge profile": lambda: encoded(cat(), "JPEG", icc_profile=bytes(2**21)),
        "JPEG with the profile of another space": lambda: encoded(
            cat(), "JPEG", icc_profile=_profile("LAB")
        ),
        "PNG with a broken profile": lambda: encoded(cat(), "PNG", icc_profile=b"cat"),
        "WebP with a broken profile": lambda: encoded(cat(), "WEBP", icc_profile=b"cat" * 50),
        "TIFF with a broken profile": lambda: encoded(cat(), "TIFF", icc_profile=b"cat" * 50),
        "AVIF with a broken profile": lambda: encoded(
            cat(), "AVIF", icc_profile=_profile()[:200], speed=8
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
    few = hand.chunk(b"PLTE", bytes([128] * 3))
    pixels = hand.chunk(b"IDAT", hand.deflated(hand.rows(9, 9, 8, 200)))
    odd: dict[str, bytes] = {
        "PNG with too few colours": hand.png(hand.ihdr(9, 9, 8, 3), few, pixels),
        "PNG without its palette": hand.png(hand.ihdr(9, 9, 8, 3), pixels),
        "PNG with a palette of a broken length": hand.png(
            hand.ihdr(9, 9, 8, 3), hand.chunk(b"PLTE", b"ab"), pixels
        ),
        "PNG with too much opacity": hand.png(
            hand.ihdr(9, 9, 8, 3), few, hand.chunk(b"tRNS", bytes(300)), pixels
        ),
        "GIF without its palette": hand.gif(9, 9, hand.gif_frame(9, 9), has_palette=False),
        "BMP with too few colours": hand.bmp(9, 9, b"\xc8" * 108, bits=8, palette=bytes(8)),
        "BMP with two milliards of colours": hand.bmp(9, 9, bytes(108), bits=8, colours=2**31),
        "TIFF without its palette": hand.tiff(8, 8, bytes(64), photometric=3),
        "PNG, gamma 0": hand.flat_png(9, 9, 8, 2, hand.chunk(b"gAMA", bytes(4))),
        "PNG, odd chromaticities": hand.flat_png(9, 9, 8, 2, hand.chunk(b"cHRM", b"\xff" * 32)),
        "PNG of five channels": hand.png(hand.ihdr(9, 9, 8, 7), pixels),
        "PNG of 3 bits": hand.png(hand.ihdr(9, 9, 3, 0), pixels),
        "JPEG of two components": hand.jpeg(
            hand.BASELINE, 9, 9, hand.sos((1, 2)), sampling=[0x11] * 2
        ),
        "JPEG of 255 components": hand.jpeg(hand.BASELINE, 9, 9, hand.sos(), sampling=[0x11] * 255),
        "JPEG of 12 bits": hand.jpeg(hand.BASELINE, 9, 9, hand.sos(), precision=12),
        "lossless JPEG": hand.jpeg(hand.LOSSLESS, 9, 9, hand.sos((1,), 1, 0)),
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
    """Adam7: seven small pictures, one after the other."""
    values = np.asarray(cat())
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))  # fmt: skip
    lines = [
        b"\0" + row.tobytes()
        for left, top, across, down in starts
        for row in values[top::down, left::across]
    ]
    return hand.png(hand.ihdr(*SIZE, interlace=1), hand.chunk(b"IDAT", hand.deflated(lines)))


def broken_png() -> Iterator[BadPicture]:
    megabytes = [bytes(2**20)] * 256
    grey = Shown((9, 9), GREY)

    def before(make: Callable[[], bytes]) -> Callable[[], bytes]:
        return lambda: hand.flat_png(9, 9, 8, 2, make())

    text = {
        "zTXt, 256 MB": before(lambda: hand.chunk(b"zTXt", b"cat\0\0" + hand.deflated(megabytes))),
        "iTXt, 256 MB": before(
            lambda: hand.chunk(b"iTXt", b"cat\0\1\0\0\0" + hand.deflated(megabytes))
        ),
        "iCCP, 256 MB": before(lambda: hand.chunk(b"iCCP", b"cat\0\0" + hand.deflated(megabytes))),
        "iCCP, broken": before(lambda: hand.chunk(b"iCCP", b"cat\0\0broken")),
        "iCCP, of no known way": before(lambda: hand.chunk(b"iCCP", b"cat\0\x09xx")),
        "iCCP, right": before(lambda: _iccp(_profile())),
        "tEXt, a megabyte": before(lambda: hand.chunk(b"tEXt", b"cat\0" + b"x" * 2**20)),
        "tEXt, 20,000 of them": before(lambda: hand.chunk(b"tEXt", b"cat\0x") * 20_000),
        "zTXt, 100 of a megabyte each": before(
            lambda: hand.chunk(b"zTXt", b"cat\0\0" + hand.deflated([bytes(2**20 - 1)])) * 100
        ),
        "unknown parts": before(lambda: hand.chunk(b"caTs", bytes(9)) * 1000),
        "an unknown part that is needed": before(lambda: hand.chunk(b"CATS", bytes(9))),
        "size in metres of nothing": before(lambda: hand.chunk(b"pHYs", b"\xff" * 9)),
        "size in metres, cut": before(lambda: hand.chunk(b"pHYs", b"\xff")),
    }
    for name, make in text.items():
        yield BadPicture("PNG", f"PNG: {name}", make, grey, NO_SENSE)
    lines = hand.deflated(hand.rows(9, 9, 24))
    head, pixels = hand.ihdr(9, 9), hand.chunk(b"IDAT", lines)
    wrong_sum = pixels[:-1] + bytes([pixels[-1] ^ 1])
    odd = {
        "a wrong checksum": hand.png(head, wrong_sum),
        "a part of two gigabytes": hand.PNG_SIGNATURE + head + b"\x7f\xff\xff\xffIDAT" + bytes(99),
        "a part of minus one byte": hand.PNG_SIGNATURE + head + b"\xff\xff\xff\xffIDAT" + bytes(9),
        "no head": hand.png(pixels),
        "two heads": hand.png(head, hand.ihdr(60_000, 60_000), pixels),
        "no pixels": hand.png(head),
        "pixels after the end": hand.png(head) + pixels,
        "ten thousand empty parts": hand.png(head, *[hand.chunk(b"IDAT")] * 10_000, pixels),
        "pixels byte by byte": hand.png(
            head, *[hand.chunk(b"IDAT", lines[n : n + 1]) for n in range(len(lines))]
        ),
        "half its pixels": hand.png(head, hand.chunk(b"IDAT", lines[: len(lines) // 2])),
        "too many pixels": hand.png(
            head, hand.chunk(b"IDAT", hand.deflated(hand.rows(9, 90_000, 24)))
        ),
        "an unknown filter": hand.png(
            head, hand.chunk(b"IDAT", hand.deflated([b"\x09" + bytes(27)] * 9))
        ),
        "an unknown interlacing": hand.png(hand.ihdr(9, 9, interlace=7), pixels),
        "a head of one byte": hand.png(hand.chunk(b"IHDR", b"\0"), pixels),
        "names of parts that are none": hand.png(head, hand.chunk(b"\0\xff\n\r", b"x"), pixels),
    }
    for name, data in odd.items():
        yield BadPicture("PNG", f"PNG: {name}", partial(bytes, data), WHATEVER, ANY)


def broken_jpeg() -> Iterator[BadPicture]:
    small = Shown((16, 16), GREY)
    scan = hand.sos()
    as_usual = hand.jpeg(hand.BASELINE, 16, 16, scan)
    shown: dict[str, Callable[[], bytes]] = {
        "65,535 restart markers": lambda: hand.jpeg(
            hand.BASELINE,
            16,
            16,
            hand.segment(0xDD, b"\0\1"),
            scan,
            b"".join(bytes([0xFF, 0xD0 + n % 8]) for n in range(65_535)),
        ),
        "a thousand comments": lambda: hand.after_soi(
            as_usual, *[hand.segment(0xFE, b"cat" * 9)] * 1000
        ),
        "six megabytes of comments": lambda: hand.after_soi(
            as_usual, *[hand.segment(0xFE, b"c" * 65_000)] * 100
        ),
        "a megabyte of padding": lambda: as_usual[:2] + b"\xff" * 2**20 + as_usual[2:],
        "10,000 scans of few pixels": lambda: hand.many_scans(16, 16, 10_000),
    }
    for name, make in shown.items():
        yield BadPicture("JPEG", f"JPEG: {name}", make, small, f"{DAMAGED}|{TOO_COSTLY}")
    odd = {
        "sampled 4 x 4": hand.jpeg(
            hand.BASELINE, 16, 16, hand.sos((1, 2, 3)), sampling=[0x44, 0x11, 0x11]
        ),
        "sampled 4 x 4 throughout": hand.jpeg(
            hand.BASELINE, 16, 16, hand.sos((1, 2, 3)), sampling=[0x44] * 3
        ),
        "sampled 3 x 1 and 2 x 1": hand.jpeg(
            hand.BASELINE, 16, 16, scan, sampling=[0x31, 0x21, 0x11]
        ),
        "sampled 0 x 0": hand.jpeg(hand.BASELINE, 16, 16, scan, sampling=[0x00]),
        "sampled 15 x 15": hand.jpeg(hand.BASELINE, 16, 16, scan, sampling=[0xFF]),
        "no height until its end (DNL)": hand.jpeg(
            hand.BASELINE, 16, 0, scan, hand.segment(0xDC, b"\0\x10")
        ),
        "a height that changes (DNL)": hand.jpeg(
            hand.BASELINE, 16, 16, scan, hand.segment(0xDC, b"\xff\xff")
        ),
        "no tables": hand.SOI + hand.sof(hand.BASELINE, 16, 16) + scan + hand.EOI,
        "divided by 0": hand.SOI
        + hand.dqt(0)
        + hand.sof(hand.BASELINE, 16, 16)
        + hand.dht()
        + scan
        + bytes(99)
        + hand.EOI,
        "a table that is too long": hand.after_soi(
            as_usual, hand.segment(0xC4, b"\0" + b"\xff" * 300)
        ),
        "a table of no number": hand.after_soi(as_usual, hand.segment(0xDB, b"\x0f" + bytes(64))),
        "two pictures in one": as_usual + as_usual,
        "a picture in its comment": hand.after_soi(as_usual, hand.segment(0xFE, as_usual)),
        "a scan of no components": hand.jpeg(hand.BASELINE, 16, 16, hand.sos(())),
        "a scan of an unknown component": hand.jpeg(hand.BASELINE, 16, 16, hand.sos((9,))),
        "a scan from 63 to 0": hand.jpeg(hand.PROGRESSIVE, 16, 16, hand.sos((1,), 63, 0)),
        "bits that no number has": hand.jpeg(hand.PROGRESSIVE, 16, 16, hand.sos((1,), 0, 0, 0xDE)),
        "only later scans": hand.jpeg(hand.PROGRESSIVE, 16, 16, hand.sos((1,), 1, 63, 0x10)),
        "two heads": hand.after_soi(as_usual, hand.sof(hand.BASELINE, 9, 9)),
        "a part of no length": hand.after_soi(as_usual, b"\xff\xfe\0\0"),
        "a part that is longer than it": hand.SOI + b"\xff\xfe\xff\xff" + bytes(99),
        "noise as its data": hand.jpeg(
            hand.BASELINE, 640, 480, scan, np.random.default_rng(5).bytes(20_000)
        ),
        "arithmetic": hand.jpeg(hand.ARITHMETIC, 16, 16, scan, b"\x55" * 99),
        "arithmetic noise": hand.jpeg(
            hand.ARITHMETIC_PROGRESSIVE,
            640,
            480,
            hand.sos((1,), 0, 0),
            np.random.default_rng(6).bytes(9000),
        ),
        "hierarchical": hand.jpeg(0xC5, 16, 16, scan),
        "Photoshop's part, cut": hand.after_soi(
            as_usual, hand.segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\xff\xff\xff\xff")
        ),
        "Adobe's part, cut": hand.after_soi(as_usual, hand.segment(0xEE, b"Adobe")),
        "JFIF's part, absurd": hand.after_soi(
            as_usual, hand.segment(0xE0, b"JFIF\0\xff\xff\xff\0\0\0\0\xff\xff")
        ),
        "parts of a profile, 255 of 3": hand.after_soi(
            as_usual, *[hand.segment(0xE2, b"ICC_PROFILE\0\xff\3cat")] * 9
        ),
        "an index of pictures (MPF), broken": hand.after_soi(
            as_usual, hand.segment(0xE2, b"MPF\0" + hand.exif({0xB002: (7, b"\xff" * 64)}))
        ),
    }
    for name, data in odd.items():
        yield BadPicture("JPEG", f"JPEG: {name}", partial(bytes, data), WHATEVER, ANY)


def broken_gif() -> Iterator[BadPicture]:
    frame = hand.gif_frame(9, 9)
    long = b"!\xfe" + hand.blocks(b"cat" * 3_000_000)
    odd: dict[str, bytes] = {
        "codes of no bits": hand.gif(9, 9, hand.gif_frame(9, 9, b"\x84\x8f", bits=0)),
        "codes of 12 bits": hand.gif(9, 9, hand.gif_frame(9, 9, bits=11)),
        "codes of 255 bits": hand.gif(9, 9, hand.gif_frame(9, 9, b"\x84\x8f", bits=255)),
        "codes that do not exist yet": hand.gif(9, 9, hand.gif_frame(9, 9, b"\xff" * 99)),
        "nothing but clearing": hand.gif(9, 9, hand.gif_frame(9, 9, b"\x24\x49\x92" * 99)),
        "no data": hand.gif(9, 9, hand.gif_frame(9, 9, b"")),
        "no end": hand.gif(9, 9, frame)[:-2],
        "a comment of 9 MB": hand.gif(9, 9, long, frame),
        "a comment without end": b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"!\xfe\xff",
        "100,000 comments": hand.gif(9, 9, b"!\xfe\x01c\0" * 100_000, frame),
        "unknown parts": hand.gif(9, 9, b"!\x99\x01c\0" * 1000, frame),
        "noise between its parts": hand.gif(9, 9, np.random.default_rng(7).bytes(5000), frame),
        "a clear colour that is none": hand.gif(9, 9, b"!\xf9\x04\x01\0\0\xff\0", frame),
        "an interlaced frame": hand.gif(9, 9, frame[:9] + b"\x40" + frame[10:]),
        "an older version": b"GIF87a" + hand.gif(9, 9, frame)[6:],
        "a profile that is none": hand.gif(9, 9, b"!\xff\x0bICCRGBG1012\x03cat\0", frame),
    }  # fmt: skip
    for name, data in odd.items():
        yield BadPicture("GIF", f"GIF: {name}", partial(bytes, data), WHATEVER, ANY)


def _many_tags() -> dict[str, tuple[int, bytes]]:
    return {f"t{n}": (1, b"c" * 1000) for n in range(40_000, 42_000)}


def broken_tiff() -> Iterator[BadPicture]:
    grey = bytes([128]) * 64
    most = 2**32 - 1
    tiff = partial(hand.tiff, 8, 8, grey)
    odd: dict[str, Callable[[], bytes]] = {
        "four milliards of strips": lambda: tiff(t278=(hand.LONG, [0])),
        "rows without number": lambda: tiff(t278=(hand.LONG, [most])),
        "a strip far outside": lambda: tiff(t273=(hand.LONG, [most])),
        "a strip of four gigabytes": lambda: tiff(t279=(hand.LONG, [most])),
        "100,000 strips": lambda: hand.tiff(
            8,
            100_000,
            grey,
            t273=(hand.LONG, [8] * 100_000),
            t278=(hand.LONG, [1]),
            t279=(hand.LONG, [8] * 100_000),
        ),
        "fewer strips than rows": lambda: tiff(t278=(hand.LONG, [1])),
        "no strips": lambda: tiff(t273=None),
        "no sizes of strips": lambda: tiff(t279=None),
        "no width": lambda: tiff(t256=None),
        "a width as text": lambda: tiff(t256=(hand.ASCII, b"wide\0")),
        "a width of minus one": lambda: tiff(t256=(9, struct.pack("<i", -1))),
        "a width that is not a number": lambda: tiff(t256=(hand.DOUBLE, [float("nan")])),
        "two widths": lambda: tiff(t256=(hand.LONG, [8, 8])),
        "65,535 samples": lambda: tiff(t277=(hand.SHORT, [65_535])),
        "no samples": lambda: tiff(t277=(hand.SHORT, [0])),
        "65,535 bits": lambda: tiff(t258=(hand.SHORT, [65_535])),
        "64 bits": lambda: tiff(bits=64, t339=(hand.SHORT, [3])),
        "bits without number": lambda: tiff(t258=(hand.SHORT, [8] * 9999)),
        "an unknown compression": lambda: tiff(compression=999),
        "an unknown colour": lambda: tiff(photometric=999),
        "an unknown order": lambda: tiff(t266=(hand.SHORT, [9])),
        "a predictor for nothing": lambda: tiff(compression=5, t317=(hand.SHORT, [3])),
        "tiles of 16 x 16 of nothing": lambda: tiff(
            t273=None,
            t322=(hand.LONG, [16]),
            t323=(hand.LONG, [16]),
            t324=(hand.LONG, [most]),
            t325=(hand.LONG, [most]),
        ),
        "tiles of no size": lambda: tiff(
            t273=None, t322=(hand.LONG, [0]), t323=(hand.LONG, [0]), t324=(hand.LONG, [8])
        ),
        "tiles of gigabytes": lambda: tiff(
            compression=8,
            t273=None,
            t322=(hand.LONG, [2**30]),
            t323=(hand.LONG, [2**30]),
            t324=(hand.LONG, [8]),
            t325=(hand.LONG, [64]),
        ),
        "JPEG inside that is none": lambda: tiff(compression=7),
        "old JPEG inside": lambda: tiff(compression=6, photometric=6),
        "JPEG inside of another size": lambda: hand.tiff(8, 8, as_file("JPEG"), compression=7),
        "fax that is none": lambda: tiff(compression=3, bits=1),
        "thunderscan": lambda: tiff(compression=32809, bits=4),
        "Sun's compression": lambda: tiff(compression=32908),
        "LogLuv": lambda: tiff(compression=34676, photometric=32844, bits=16),
        "LZMA that is none": lambda: tiff(compression=34925),
        "zstd that is none": lambda: tiff(compression=50000),
        "WebP inside that is none": lambda: tiff(compression=50001, samples=3),
        "deflate that is none": lambda: tiff(compression=8),
        "LZW that is none": lambda: tiff(compression=5),
        "a directory far outside": lambda: hand.tiff_head(2**31) + bytes(99),
        "a directory in its own head": lambda: hand.tiff_head(0) + bytes(99),
        "65,535 tags": lambda: hand.tiff_head() + struct.pack("<H", 65_535) + bytes(65_535 * 12),
        "a tag of gigabytes": lambda: tiff(t270=(hand.ASCII, b"")).replace(
            struct.pack("<HHI", 270, 2, 1), struct.pack("<HHI", 270, 2, most)
        ),
        "2,000 long tags": lambda: hand.tiff(
            8,
            8,
            grey,
            **_many_tags(),  # type: ignore[arg-type]
        ),
        "parts of parts of parts": lambda: tiff(t330=(hand.LONG, [8] * 1000)),
        "EXIF that leads to itself": lambda: tiff(t34665=(hand.LONG, [72])),
        "BigTIFF of nothing": lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63) + bytes(99),
        "another byte order": lambda: b"MM" + tiff()[2:],
        "an orientation without sense": lambda: tiff(t274=(hand.SHORT, [65_535])),
        "a size in inches of nothing": lambda: tiff(t282=(5, bytes(8)), t283=(5, bytes(8))),
        "its alpha is many": lambda: tiff(samples=4, photometric=2, t338=(hand.SHORT, [9] * 4)),
        "planes that are missing": lambda: tiff(samples=3, photometric=2, t284=(hand.SHORT, [2])),
    }
    for name, make in odd.items():
        yield BadPicture("TIFF", f"TIFF: {name}", make, WHATEVER, ANY)
    yield BadPicture("TIFF", "TIFF: as usual", tiff, Shown((8, 8), GREY))


def broken_bmp() -> Iterator[BadPicture]:
    pixels = bytes([128]) * 252
    palette = bytes([128]) * 1024
    odd = {
        "as usual": hand.bmp(9, 9, pixels),
        "upside down": hand.bmp(9, -9, pixels),
        "of negative width": hand.bmp(-9, 9, pixels),
        "of the most negative size": hand.bmp(-(2**31), -(2**31), pixels),
        "its pixels far outside": hand.bmp(9, 9, pixels, offset=2**32 - 1),
        "its pixels in its head": hand.bmp(9, 9, pixels, offset=0),
        "run lengths that never end": hand.bmp(
            9, 9, b"\0\2\xff\xff" * 5000, bits=8, compression=1, palette=palette
        ),
        "run lengths past the end": hand.bmp(
            9, 9, b"\xff\1" * 5000, bits=8, compression=1, palette=palette
        ),
        "run lengths of nothing": hand.bmp(
            9, 9, b"\0\0" * 5000, bits=8, compression=1, palette=palette
        ),
        "run lengths of 4 bits": hand.bmp(
            9, 9, b"\x09\x11\0\0" * 9 + b"\0\1", bits=4, compression=2, palette=palette[:64]
        ),
        "run lengths of 24 bits": hand.bmp(9, 9, b"\xff\1" * 99, compression=1),
        "of 0 bits": hand.bmp(9, 9, pixels, bits=0),
        "of 16 bits": hand.bmp(9, 9, pixels, bits=16),
        "of 32 bits, no opacity": hand.bmp(9, 9, bytes([128, 128, 128, 0]) * 81, bits=32),
        "of 65,535 bits": hand.bmp(9, 9, pixels, bits=65_535),
        "masks that overlap": hand.bmp(9, 9, b"\xff" * 500, bits=32, compression=3),
        "JPEG inside": hand.bmp(9, 9, pixels, compression=4),
        "a head of an unknown length": hand.bmp(9, 9, pixels).replace(
            struct.pack("<Iii", 40, 9, 9), struct.pack("<Iii", 41, 9, 9)
        ),
        "a head of OS/2": b"BM"
        + struct.pack("<IHHIIHHHH", 278, 0, 0, 26, 12, 9, 9, 1, 24)
        + pixels,
        "without its head (DIB)": hand.bmp(9, 9, pixels)[14:],
    }
    for name, data in odd.items():
        yield BadPicture("BMP", f"BMP: {name}", partial(bytes, data), WHATEVER, ANY)


def broken_webp() -> Iterator[BadPicture]:
    small = hand.vp8l(16, 16)
    odd: dict[str, Callable[[], bytes]] = {
        "its length is 0": lambda: hand.riff((b"VP8L", small), length=0),
        "its length is four gigabytes": lambda: hand.riff((b"VP8L", small), length=2**32 - 1),
        "a canvas without a picture": lambda: hand.riff(hand.vp8x(16, 16)),
        "a canvas of another size": lambda: hand.riff(hand.vp8x(99, 99), (b"VP8L", small)),
        "an animation without frames": lambda: hand.riff(hand.vp8x(16, 16, 2), (b"ANIM", bytes(6))),
        "a frame beside its canvas": lambda: hand.riff(
            hand.vp8x(16, 16, 2), (b"ANIM", bytes(6)), hand.webp_frame(small, 16, 16, 60_000)
        ),
        "a frame of another size": lambda: hand.riff(
            hand.vp8x(16, 16, 2), (b"ANIM", bytes(6)), hand.webp_frame(small, 9, 9)
        ),
        "only opacity": lambda: hand.riff(hand.vp8x(16, 16, 16), (b"ALPH", bytes(99))),
        "EXIF that is none": lambda: hand.riff(
            hand.vp8x(16, 16, 8), (b"VP8L", small), (b"EXIF", b"cat" * 99)
        ),
        "a profile that is none": lambda: hand.riff(
            hand.vp8x(16, 16, 32), (b"ICCP", b"cat"), (b"VP8L", small)
        ),
        "lossless noise": lambda: hand.riff(
            (b"VP8L", small[:5] + np.random.default_rng(8).bytes(5000))
        ),
        "lossy noise": lambda: hand.riff(
            (b"VP8 ", b"\x10\2\0\x9d\1*\x10\0\x10\0" + np.random.default_rng(9).bytes(5000))
        ),
        "lossy, no size": lambda: hand.riff((b"VP8 ", b"\x10\2\0\x9d\1*\0\0\0\0" + bytes(99))),
        "unknown parts": lambda: hand.riff(
            hand.vp8x(16, 16), *[(b"cats", bytes(9))] * 9999, (b"VP8L", small)
        ),
        "two pictures": lambda: hand.riff((b"VP8L", small), (b"VP8L", hand.vp8l(99, 99))),
    }
    for name, make in odd.items():
        yield BadPicture("WebP", f"WebP: {name}", make, WHATEVER, ANY)


def tiled() -> Iterator[BadPicture]:
    """HEIC and AVIF as cameras write them, in tiles, and as nobody does."""
    half = cat().resize((256, 256))

    def tiles(encoding: str, **options: object) -> bytes:
        encoder, settings = ENCODINGS[encoding]
        file = encoded(half, encoder, **settings)
        return hand.grid(file, (256, 256), 2, 2, (500, 400), **options)  # type: ignore[arg-type]

    turned = hand.exif({274: (hand.SHORT, [6])})
    for encoding in ("HEIC", "AVIF"):
        kind = "HEIC and AVIF"
        plain = partial(tiles, encoding)
        yield BadPicture(kind, f"{encoding}: four tiles", plain, Shown((500, 400), None))
        yield BadPicture(
            kind,
            f"{encoding}: four tiles, turned, and EXIF says so too",
            partial(tiles, encoding, turn=3, exif=turned),
            Shown((400, 500), None),
        )
        odd: dict[str, Callable[[], bytes]] = {
            "a tile is missing": partial(tiles, encoding, tiles=3),
            "too many tiles": partial(tiles, encoding, tiles=60),
            "no tiles": partial(tiles, encoding, tiles=0),
            "its EXIF is none": partial(tiles, encoding, exif=b"cat" * 99),
            "a size of 0": partial(_resized, encoding, 0, 0),
            "a size that is not its own": partial(_resized, encoding, 4000, 3000),
            "a size of one pixel": partial(_resized, encoding, 1, 1),
            "its data is noise": partial(_noise_inside, encoding),
            "its head is twice there": partial(
                _after, encoding, 0, hand.box(b"ftyp", b"heic\0\0\0\0heic"), is_whole=True
            ),
            "boxes in boxes": partial(_nested, encoding),
            "a box of no length": partial(_after, encoding, 24, bytes(4) + b"meta" + bytes(99)),
            "a box of exabytes": partial(_after, encoding, 24, b"\0\0\0\1meta\x7f" + b"\xff" * 7),
        }
        for name, make in odd.items():
            yield BadPicture(kind, f"{encoding}: {name}", make, WHATEVER, ANY)


def _after(encoding: str, count: int, data: bytes, is_whole: bool = False) -> bytes:
    """Data after so many bytes of a small picture; is_whole: with the rest of it behind."""
    tile = _tile(encoding)
    return tile[:count] + data + (tile[count:] if is_whole else b"")


def _noise_inside(encoding: str) -> bytes:
    data = _tile(encoding)
    at = data.index(b"mdat") + 4
    return data[:at] + np.random.default_rng(11).bytes(len(data) - at)


def _nested(encoding: str) -> bytes:
    data = b""
    for _ in range(5000):
        data = hand.box(b"ipco", data)
    return _tile(encoding)[:24] + hand.full(b"meta", hand.box(b"iprp", data))


def two_in_one() -> Iterator[BadPicture]:
    """Files that are a picture and something else as well: shown as the picture they are."""
    files: dict[str, Callable[[], bytes]] = {
        "JPEG and ZIP": lambda: as_file("JPEG") + _zip(),
        "JPEG and PHP": lambda: as_file("JPEG") + b"<?php system($_GET['c']); ?>",
        "PNG and HTML": lambda: as_file("PNG") + b"<script>alert(1)</script>",
        "PNG and PDF": lambda: as_file("PNG") + b"%PDF-1.7\n%%EOF",
        "WebP and ELF": lambda: as_file("WebP") + b"\x7fELF" + bytes(99),
        "JPEG and a film": lambda: as_file("JPEG") + hand.box(b"ftyp", b"mp42") + bytes(9999),
        "BMP and JPEG": lambda: as_file("BMP") + as_file("JPEG"),
    }
    for name, make in files.items():
        yield BadPicture("two in one", name, make, CAT)
    script = b"GIF89a=1;/*" + hand.gif(9, 9, hand.gif_frame(9, 9))[11:] + b"*/alert(1)"
    yield BadPicture("two in one", "GIF and JavaScript", partial(bytes, script), WHATEVER, ANY)
    front = b"%PDF-1.7\n"
    yield BadPicture(
        "two in one", "JPEG behind PDF", lambda: front + as_file("JPEG"), refused=NO_SENSE
    )
