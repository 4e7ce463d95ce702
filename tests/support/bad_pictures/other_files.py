"""Files that are no picture, or that are also something else."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from tests.support.bad_pictures.bad_picture import (
    ANY,
    CAT,
    NO_SENSE,
    TOO_LARGE,
    WHATEVER,
    BadPicture,
)
from tests.support.bad_pictures.encodings import as_file, cat, encoded
from tests.support.handmade_pictures import gif, heif, png

ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

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
        entry = zipfile.ZipInfo("cat.jpg")  # dated 1980, so that the bytes never change
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
    """Yields files that are no picture, or pictures of rare formats."""
    files: dict[str, bytes | Callable[[], bytes]] = {
        "HTML": b"<!doctype html><title>cat</title><script>alert(1)</script>",
        "SVG": f'{_SVG}<rect width="100" height="100"/></svg>'.encode(),
        "SVG with a file of the server": (
            f'<!DOCTYPE svg [<!ENTITY f SYSTEM "file:///etc/passwd">]>{_SVG}<text>&f;</text></svg>'
        ).encode(),
        "SVG with a billion entities": (
            f'<!DOCTYPE svg [<!ENTITY l0 "l">{ENTITIES}]>{_SVG}<text>&l9;</text></svg>'
        ).encode(),
        "SVG that asks another host": (
            f'{_SVG}<image href="http://127.0.0.1:1/x.png" width="9" height="9"/></svg>'
        ).encode(),
        "SVGZ": lambda: gzip.compress(f"{_SVG}</svg>".encode(), mtime=0),
        "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "ZIP": _zip,
        "ZIP of zeros": partial(_zip, 2**24),
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
        "MP4": heif.box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41") + heif.box(b"moov", bytes(100)),
        "MOV": heif.box(b"ftyp", b"qt  \0\0\2\0qt  ") + heif.box(b"moov", bytes(100)),
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
        # Some of these formats are related to TIFF.
        yield BadPicture("other files", name, make, refused=NO_SENSE)


def nothing() -> Iterator[BadPicture]:
    magic = {
        "JPEG": b"\xff\xd8\xff",
        "PNG": png.SIGNATURE,
        "GIF": b"GIF89a",
        "TIFF": b"II*\0",
        "TIFF of the other byte order": b"MM\0*",
        "BigTIFF": b"II+\0",
        "BMP": b"BM",
        "WebP": b"RIFF\0\0\0\0WEBP",
        "AVIF": heif.box(b"ftyp", b"avif\0\0\0\0avifmif1"),
        "HEIC": heif.box(b"ftyp", b"heic\0\0\0\0heicmif1"),
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
        told = {"empty": "The file is empty", "zeros": "contains only zeros"}
        expected = told.get(name, f"{NO_SENSE}|{TOO_LARGE}")
        yield BadPicture("empty or noise", name, partial(bytes, data), refused=expected)


def two_in_one() -> Iterator[BadPicture]:
    """Yields files that are both a picture and something else; they are shown as the picture."""
    files: dict[str, Callable[[], bytes]] = {
        "JPEG and ZIP": lambda: as_file("JPEG") + _zip(),
        "JPEG and PHP": lambda: as_file("JPEG") + b"<?php system($_GET['c']); ?>",
        "PNG and HTML": lambda: as_file("PNG") + b"<script>alert(1)</script>",
        "PNG and PDF": lambda: as_file("PNG") + b"%PDF-1.7\n%%EOF",
        "WebP and ELF": lambda: as_file("WebP") + b"\x7fELF" + bytes(99),
        "JPEG and a film": lambda: as_file("JPEG") + heif.box(b"ftyp", b"mp42") + bytes(9999),
        "BMP and JPEG": lambda: as_file("BMP") + as_file("JPEG"),
    }
    for name, make in files.items():
        yield BadPicture("two in one", name, make, CAT)
    script = b"GIF89a=/*\0" + gif.file(9, 9, gif.frame(9, 9))[10:] + b"*/1;alert(1)"
    yield BadPicture("two in one", "GIF and JavaScript", partial(bytes, script), WHATEVER, ANY)
    front = b"%PDF-1.7\n"
    yield BadPicture(
        "two in one", "JPEG behind PDF", lambda: front + as_file("JPEG"), refused=NO_SENSE
    )
