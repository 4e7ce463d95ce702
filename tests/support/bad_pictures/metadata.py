"""Pictures with odd metadata: EXIF and XMP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from tests.support.bad_pictures.bad_picture import CAT, GREY, SIZE, WHATEVER, BadPicture, Shown
from tests.support.bad_pictures.encodings import ENCODINGS, as_file, cat, encoded
from tests.support.bad_pictures.other_files import ENTITIES
from tests.support.handmade_pictures import jpeg, png, tiff


def _with_exif(body: bytes) -> bytes:
    return jpeg.after_soi(as_file("JPEG"), jpeg.app1(body))


def _xmp(text: str) -> bytes:
    name = b"http://ns.adobe.com/xap/1.0/\0"
    return jpeg.after_soi(as_file("JPEG"), jpeg.segment(0xE1, name + text.encode()))


def with_exif() -> Iterator[BadPicture]:
    orientation = 274
    as_it_is: dict[str, bytes] = {
        f"orientation {value}": tiff.exif({orientation: (tiff.SHORT, [value])})
        for value in (0, 1, 9, 255, 65_535)
    }
    as_it_is |= {
        "orientation as text": tiff.exif({orientation: (tiff.ASCII, b"6\0")}),
        "orientation as a long text": tiff.exif({orientation: (tiff.ASCII, b"upside down" * 99)}),
        "orientation as a fraction": tiff.exif({orientation: (tiff.RATIONAL, bytes(8))}),
        "orientation without a value": tiff.exif({orientation: (tiff.SHORT, b"")}),
        "orientation of an unknown type": tiff.exif({orientation: (99, b"\6\0\0\0")}),
        "orientation not a number": tiff.exif({orientation: (tiff.DOUBLE, [float("nan")])}),
        "absurd sizes": tiff.exif(
            {256: (tiff.LONG, [2**32 - 1]), 257: (tiff.LONG, [2**32 - 1]), 282: (5, bytes(8))}
        ),
        "a huge count": tiff.head()
        + struct.pack("<HHHII", 1, orientation, 3, 2**32 - 1, 8)
        + bytes(4),
        "values far outside": tiff.head()
        + struct.pack("<HHHII", 1, 271, 2, 1000, 2**32 - 9)
        + bytes(4),
        "more tags than there are": tiff.head() + struct.pack("<H", 65_535) + bytes(40),
        "a loop": tiff.exif({305: (tiff.ASCII, b"cat\0")}, following=8),
        "a loop of its parts": tiff.exif({34665: (tiff.LONG, [8]), 34853: (tiff.LONG, [8])}),
        "a part far outside": tiff.exif({34665: (tiff.LONG, [2**31])}),
        "a thumbnail far outside": tiff.exif(
            {513: (tiff.LONG, [8]), 514: (tiff.LONG, [2**32 - 1])}
        ),
        "cut off": tiff.exif({orientation: (tiff.SHORT, [6])})[:12],
        "empty": b"",
        "nonsense": b"cat" * 1000,
        "of the wrong byte order": b"MM*\0\0\0\0\x08" + bytes(20),
        "65,000 bytes of zeros": bytes(65_000),
    }
    for name, body in as_it_is.items():
        yield BadPicture("EXIF", f"EXIF: {name}", partial(_with_exif, body), CAT)
    turned = partial(_with_exif, tiff.exif({orientation: (tiff.SHORT, [6])}))
    yield BadPicture("EXIF", "EXIF: orientation 6", turned, Shown(SIZE[::-1], None))
    twice = partial(_with_exif, tiff.exif({orientation: (tiff.SHORT, [6, 3])}))
    yield BadPicture("EXIF", "EXIF: two orientations", twice, WHATEVER)
    large = partial(_with_exif, tiff.exif({orientation: (tiff.LONG, [6])}))
    yield BadPicture("EXIF", "EXIF: orientation of another type", large, WHATEVER)
    yield BadPicture(
        "EXIF",
        "EXIF: a hundred blocks",
        lambda: jpeg.after_soi(as_file("JPEG"), *[jpeg.app1(bytes(60_000))] * 100),
        CAT,
    )
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">'
    for name, text in {
        "a billion entities": f'<!DOCTYPE x [<!ENTITY l0 "l">{ENTITIES}]>{head}&l9;</x:xmpmeta>',
        "a file of the server": f'<!DOCTYPE x [<!ENTITY f SYSTEM "/etc/passwd">]>{head}&f;',
        "orientation 99": f"{head}<tiff:Orientation>99</tiff:Orientation>",
        "orientation as text": f'{head}<a tiff:Orientation="up"/>',
        "deep": head + "<a>" * 15_000,
    }.items():
        yield BadPicture("EXIF", f"XMP: {name}", partial(_xmp, text), CAT)
    for encoding in ("PNG", "WebP", "AVIF"):
        encoder, options = ENCODINGS[encoding]
        body = b"Exif\0\0" + tiff.exif({orientation: (tiff.SHORT, [65_535])})
        made = partial(lambda f, o, b: encoded(cat(), f, **o, exif=b), encoder, options, body)
        yield BadPicture("EXIF", f"{encoding} with orientation 65535", made, CAT)
    nonsense = png.chunk(b"eXIf", b"cat" * 100)
    yield BadPicture(
        "EXIF",
        "PNG with nonsense as EXIF",
        partial(png.flat, 9, 9, 8, 2, nonsense),
        Shown((9, 9), GREY),
    )
