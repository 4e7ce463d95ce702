"""DICOM, raw photos, and large photos of phones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from tests.support.bad_pictures.bad_picture import (
    CAT,
    DAMAGED,
    GREY,
    TOO_COSTLY,
    TOO_LARGE,
    BadPicture,
    Shown,
)
from tests.support.bad_pictures.encodings import cat, tile
from tests.support.handmade_pictures import heif, jpeg, png, webp
from tests.support.handmade_pictures.dicom import dataset, encoded
from tests.support.handmade_pictures.raw import dng

PHONES = {"50": (8160, 6120), "64": (9248, 6936), "108": (12_000, 9000), "200": (16_320, 12_240)}


def phones() -> Iterator[BadPicture]:
    """Yields photos of 50 megapixels and more, which are read at half their size or less."""
    for name, size in PHONES.items():
        half, quarter = (tuple(side // scale for side in size) for scale in (2, 4))
        plain = partial(jpeg.file, jpeg.BASELINE, *size, jpeg.sos())
        shown = Shown(quarter if name == "200" else half, GREY)  # type: ignore[arg-type]
        yield BadPicture("phones", f"JPEG, {name} megapixels", plain, shown, is_large=True)
    size = PHONES["64"]
    half_size = size[0] // 2, size[1] // 2
    others: dict[str, Callable[[], bytes]] = {
        "progressive JPEG": partial(jpeg.many_scans, *size, 3),
        "PNG": partial(png.flat, *size),
        "WebP": partial(webp.flat, *size),
        "HEIC": lambda: heif.grid(tile("HEIC", 512), (512, 512), 19, 14, size),
    }
    for name, make in others.items():
        look = None if name == "HEIC" else GREY
        yield BadPicture(
            *("phones", f"{name}, 64 megapixels", make, Shown(half_size, look), TOO_COSTLY),
            is_large=True,
            is_costly=name == "HEIC",
        )
    yield BadPicture(
        "phones",
        "progressive JPEG of three colours, 108 megapixels",
        partial(jpeg.many_scans, *PHONES["108"], 3, 3),
        refused="too much memory to decode. Save it as an ordinary",
    )


def dicom() -> Iterator[BadPicture]:
    levels = np.asarray(cat().convert("L"))
    deep = levels.astype(np.uint16) * 16
    window = {"WindowCenter": 2048, "WindowWidth": 4096}

    def of_cat(**elements: object) -> bytes:
        return encoded(dataset(deep, **elements))

    right: dict[str, Callable[[], bytes]] = {
        "a window": partial(of_cat, **window),
        "implicit VR": lambda: encoded(dataset(deep, **window), ImplicitVRLittleEndian),
        "big-endian, without preamble": lambda: encoded(
            dataset(deep, **window), ExplicitVRBigEndian, has_meta=False
        ),
        "colours": lambda: encoded(dataset(np.asarray(cat()))),
        "the negative": lambda: encoded(
            dataset(
                255 - levels,
                PhotometricInterpretation="MONOCHROME1",
                WindowCenter=128,
                WindowWidth=256,
            )
        ),
    }
    for name, make in right.items():
        yield BadPicture("DICOM", f"DICOM: {name}", make, CAT, file_name="DOE^JOHN.dcm")
    told: dict[str, tuple[Callable[[], bytes], str]] = {
        "cut off": (lambda: of_cat()[:-999], DAMAGED),
        "a gigapixel": (partial(of_cat, Rows=40_000, Columns=40_000), TOO_LARGE),
        "a trillion frames": (partial(of_cat, NumberOfFrames=10**9), DAMAGED),
        "nothing but its head": (lambda: bytes(128) + b"DICM", "no picture in it"),
    }
    for name, (make, words) in told.items():
        yield BadPicture("DICOM", f"DICOM: {name}", make, refused=words, file_name="DOE^JOHN.dcm")


def raw_photos() -> Iterator[BadPicture]:
    size = cat().size
    yield BadPicture("raw photos", "DNG", lambda: dng(cat(), size), CAT)
    yield BadPicture(
        "raw photos", "DNG: a small preview", lambda: dng(cat(), (90, 60)), refused="small preview"
    )
    yield BadPicture(
        "raw photos",
        "DNG: its preview is cut off",
        lambda: dng(cat(), size)[:-2000],
        CAT,
        f"{DAMAGED}|without a preview",
    )
    for name, head in (("RAF", b"FUJIFILMCCD-RAW 0201"), ("ORF", b"IIRO\x08\0\0\0")):
        data = head.ljust(300, b"\0")
        yield BadPicture("raw photos", f"{name}: a head alone", partial(bytes, data), refused="raw")


def large_dicom() -> Iterator[BadPicture]:
    size = 6980, 6980

    def make() -> bytes:
        values = np.full(size, 128, np.uint8)
        values[0] = np.arange(size[1]) % 256
        return encoded(dataset(values))

    yield BadPicture(
        "DICOM", "DICOM, 48 megapixels", make, Shown(size, GREY), TOO_COSTLY, is_large=True
    )
