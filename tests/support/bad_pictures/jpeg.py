"""JPEG files that break the format's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from tests.support.bad_pictures.bad_picture import (
    ANY,
    DAMAGED,
    GREY,
    TOO_COSTLY,
    WHATEVER,
    BadPicture,
    Shown,
)
from tests.support.handmade_pictures import jpeg, tiff


def broken_jpeg() -> Iterator[BadPicture]:
    small = Shown((16, 16), GREY)
    scan = jpeg.sos()
    as_usual = jpeg.file(jpeg.BASELINE, 16, 16, scan)
    shown: dict[str, Callable[[], bytes]] = {
        "65,535 restart markers": lambda: jpeg.file(
            jpeg.BASELINE,
            16,
            16,
            jpeg.segment(0xDD, b"\0\1"),
            scan,
            b"".join(bytes([0xFF, 0xD0 + n % 8]) for n in range(65_535)),
        ),
        "a thousand comments": lambda: jpeg.after_soi(
            as_usual, *[jpeg.segment(0xFE, b"cat" * 9)] * 1000
        ),
        "six megabytes of comments": lambda: jpeg.after_soi(
            as_usual, *[jpeg.segment(0xFE, b"c" * 65_000)] * 100
        ),
        "a megabyte of padding": lambda: as_usual[:2] + b"\xff" * 2**20 + as_usual[2:],
        "10,000 scans of few pixels": lambda: jpeg.many_scans(16, 16, 10_000),
    }
    for name, make in shown.items():
        yield BadPicture("JPEG", f"JPEG: {name}", make, small, f"{DAMAGED}|{TOO_COSTLY}")
    odd = {
        "sampled 4 x 4": jpeg.file(
            jpeg.BASELINE, 16, 16, jpeg.sos((1, 2, 3)), sampling=[0x44, 0x11, 0x11]
        ),
        "sampled 4 x 4 throughout": jpeg.file(
            jpeg.BASELINE, 16, 16, jpeg.sos((1, 2, 3)), sampling=[0x44] * 3
        ),
        "sampled 3 x 1 and 2 x 1": jpeg.file(
            jpeg.BASELINE, 16, 16, scan, sampling=[0x31, 0x21, 0x11]
        ),
        "sampled 0 x 0": jpeg.file(jpeg.BASELINE, 16, 16, scan, sampling=[0x00]),
        "sampled 15 x 15": jpeg.file(jpeg.BASELINE, 16, 16, scan, sampling=[0xFF]),
        "no height until its end (DNL)": jpeg.file(
            jpeg.BASELINE, 16, 0, scan, jpeg.segment(0xDC, b"\0\x10")
        ),
        "a height that changes (DNL)": jpeg.file(
            jpeg.BASELINE, 16, 16, scan, jpeg.segment(0xDC, b"\xff\xff")
        ),
        "no tables": jpeg.SOI + jpeg.sof(jpeg.BASELINE, 16, 16) + scan + jpeg.EOI,
        "divided by 0": jpeg.SOI
        + jpeg.dqt(0)
        + jpeg.sof(jpeg.BASELINE, 16, 16)
        + jpeg.dht()
        + scan
        + bytes(99)
        + jpeg.EOI,
        "a table that is too long": jpeg.after_soi(
            as_usual, jpeg.segment(0xC4, b"\0" + b"\xff" * 300)
        ),
        "a table of no number": jpeg.after_soi(as_usual, jpeg.segment(0xDB, b"\x0f" + bytes(64))),
        "two pictures in one": as_usual + as_usual,
        "a picture in its comment": jpeg.after_soi(as_usual, jpeg.segment(0xFE, as_usual)),
        "a scan of no components": jpeg.file(jpeg.BASELINE, 16, 16, jpeg.sos(())),
        "a scan of an unknown component": jpeg.file(jpeg.BASELINE, 16, 16, jpeg.sos((9,))),
        "a scan from 63 to 0": jpeg.file(jpeg.PROGRESSIVE, 16, 16, jpeg.sos((1,), 63, 0)),
        "bits that no number has": jpeg.file(jpeg.PROGRESSIVE, 16, 16, jpeg.sos((1,), 0, 0, 0xDE)),
        "only later scans": jpeg.file(jpeg.PROGRESSIVE, 16, 16, jpeg.sos((1,), 1, 63, 0x10)),
        "two heads": jpeg.after_soi(as_usual, jpeg.sof(jpeg.BASELINE, 9, 9)),
        "a part of no length": jpeg.after_soi(as_usual, b"\xff\xfe\0\0"),
        "a part that is longer than it": jpeg.SOI + b"\xff\xfe\xff\xff" + bytes(99),
        "noise as its data": jpeg.file(
            jpeg.BASELINE, 640, 480, scan, np.random.default_rng(5).bytes(20_000)
        ),
        "arithmetic": jpeg.file(jpeg.ARITHMETIC, 16, 16, scan, b"\x55" * 99),
        "arithmetic noise": jpeg.file(
            jpeg.ARITHMETIC_PROGRESSIVE,
            640,
            480,
            jpeg.sos((1,), 0, 0),
            np.random.default_rng(6).bytes(9000),
        ),
        "hierarchical": jpeg.file(0xC5, 16, 16, scan),
        "Photoshop's part, cut": jpeg.after_soi(
            as_usual, jpeg.segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\xff\xff\xff\xff")
        ),
        "Adobe's part, cut": jpeg.after_soi(as_usual, jpeg.segment(0xEE, b"Adobe")),
        "JFIF's part, absurd": jpeg.after_soi(
            as_usual, jpeg.segment(0xE0, b"JFIF\0\xff\xff\xff\0\0\0\0\xff\xff")
        ),
        "parts of a profile, 255 of 3": jpeg.after_soi(
            as_usual, *[jpeg.segment(0xE2, b"ICC_PROFILE\0\xff\3cat")] * 9
        ),
        "an index of pictures (MPF), broken": jpeg.after_soi(
            as_usual, jpeg.segment(0xE2, b"MPF\0" + tiff.exif({0xB002: (7, b"\xff" * 64)}))
        ),
    }
    for name, data in odd.items():
        yield BadPicture("JPEG", f"JPEG: {name}", partial(bytes, data), WHATEVER, ANY)
