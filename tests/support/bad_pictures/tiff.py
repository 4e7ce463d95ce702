"""TIFF files that break the format's rules."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial

from tests.support.bad_pictures.bad_picture import ANY, GREY, WHATEVER, BadPicture, Shown
from tests.support.bad_pictures.encodings import as_file
from tests.support.handmade_pictures import tiff


def _many_tags() -> dict[str, tuple[int, bytes]]:
    return {f"t{n}": (1, b"c" * 1000) for n in range(40_000, 42_000)}


def broken_tiff() -> Iterator[BadPicture]:
    grey = bytes([128]) * 64
    most = 2**32 - 1
    usual = partial(tiff.file, 8, 8, grey)
    odd: dict[str, Callable[[], bytes]] = {
        "four milliards of strips": lambda: usual(t278=(tiff.LONG, [0])),
        "rows without number": lambda: usual(t278=(tiff.LONG, [most])),
        "a strip far outside": lambda: usual(t273=(tiff.LONG, [most])),
        "a strip of four gigabytes": lambda: usual(t279=(tiff.LONG, [most])),
        "100,000 strips": lambda: tiff.file(
            8,
            100_000,
            grey,
            t273=(tiff.LONG, [8] * 100_000),
            t278=(tiff.LONG, [1]),
            t279=(tiff.LONG, [8] * 100_000),
        ),
        "fewer strips than rows": lambda: usual(t278=(tiff.LONG, [1])),
        "no strips": lambda: usual(t273=None),
        "no sizes of strips": lambda: usual(t279=None),
        "no width": lambda: usual(t256=None),
        "a width as text": lambda: usual(t256=(tiff.ASCII, b"wide\0")),
        "a width of minus one": lambda: usual(t256=(9, struct.pack("<i", -1))),
        "a width that is not a number": lambda: usual(t256=(tiff.DOUBLE, [float("nan")])),
        "two widths": lambda: usual(t256=(tiff.LONG, [8, 8])),
        "65,535 samples": lambda: usual(t277=(tiff.SHORT, [65_535])),
        "no samples": lambda: usual(t277=(tiff.SHORT, [0])),
        "65,535 bits": lambda: usual(t258=(tiff.SHORT, [65_535])),
        "64 bits": lambda: usual(bits=64, t339=(tiff.SHORT, [3])),
        "bits without number": lambda: usual(t258=(tiff.SHORT, [8] * 9999)),
        "an unknown compression": lambda: usual(compression=999),
        "an unknown colour": lambda: usual(photometric=999),
        "an unknown order": lambda: usual(t266=(tiff.SHORT, [9])),
        "a predictor for nothing": lambda: usual(compression=5, t317=(tiff.SHORT, [3])),
        "tiles of 16 x 16 of nothing": lambda: usual(
            t273=None,
            t322=(tiff.LONG, [16]),
            t323=(tiff.LONG, [16]),
            t324=(tiff.LONG, [most]),
            t325=(tiff.LONG, [most]),
        ),
        "tiles of no size": lambda: usual(
            t273=None, t322=(tiff.LONG, [0]), t323=(tiff.LONG, [0]), t324=(tiff.LONG, [8])
        ),
        "tiles of gigabytes": lambda: usual(
            compression=8,
            t273=None,
            t322=(tiff.LONG, [2**30]),
            t323=(tiff.LONG, [2**30]),
            t324=(tiff.LONG, [8]),
            t325=(tiff.LONG, [64]),
        ),
        "JPEG inside that is none": lambda: usual(compression=7),
        "old JPEG inside": lambda: usual(compression=6, photometric=6),
        "JPEG inside of another size": lambda: tiff.file(8, 8, as_file("JPEG"), compression=7),
        "fax that is none": lambda: usual(compression=3, bits=1),
        "thunderscan": lambda: usual(compression=32809, bits=4),
        "Sun's compression": lambda: usual(compression=32908),
        "LogLuv": lambda: usual(compression=34676, photometric=32844, bits=16),
        "LZMA that is none": lambda: usual(compression=34925),
        "zstd that is none": lambda: usual(compression=50000),
        "WebP inside that is none": lambda: usual(compression=50001, samples=3),
        "deflate that is none": lambda: usual(compression=8),
        "LZW that is none": lambda: usual(compression=5),
        "a directory far outside": lambda: tiff.head(2**31) + bytes(99),
        "a directory in its own head": lambda: tiff.head(0) + bytes(99),
        "65,535 tags": lambda: tiff.head() + struct.pack("<H", 65_535) + bytes(65_535 * 12),
        "a tag of gigabytes": lambda: usual(t270=(tiff.ASCII, b"")).replace(
            struct.pack("<HHI", 270, 2, 1), struct.pack("<HHI", 270, 2, most)
        ),
        "2,000 long tags": lambda: tiff.file(
            8,
            8,
            grey,
            **_many_tags(),  # type: ignore[arg-type]
        ),
        "parts of parts of parts": lambda: usual(t330=(tiff.LONG, [8] * 1000)),
        "EXIF that leads to itself": lambda: usual(t34665=(tiff.LONG, [72])),
        "BigTIFF of nothing": lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63) + bytes(99),
        "another byte order": lambda: b"MM" + usual()[2:],
        "an orientation without sense": lambda: usual(t274=(tiff.SHORT, [65_535])),
        "a size in inches of nothing": lambda: usual(t282=(5, bytes(8)), t283=(5, bytes(8))),
        "its alpha is many": lambda: usual(samples=4, photometric=2, t338=(tiff.SHORT, [9] * 4)),
        "planes that are missing": lambda: usual(samples=3, photometric=2, t284=(tiff.SHORT, [2])),
    }
    for name, make in odd.items():
        yield BadPicture("TIFF", f"TIFF: {name}", make, WHATEVER, ANY)
    yield BadPicture("TIFF", "TIFF: as usual", usual, Shown((8, 8), GREY))
