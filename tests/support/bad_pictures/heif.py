"""HEIC and AVIF in tiles, as cameras write them and as nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from tests.support.bad_pictures.bad_picture import ANY, WHATEVER, BadPicture, Shown
from tests.support.bad_pictures.encodings import resized, tile
from tests.support.handmade_pictures import heif, tiff


def tiled() -> Iterator[BadPicture]:
    """Yields HEIC and AVIF in tiles, as cameras write them and as nobody does."""

    def tiles(encoding: str, **options: object) -> bytes:
        return heif.grid(tile(encoding, 256), (256, 256), 2, 2, (500, 400), **options)  # type: ignore[arg-type]

    turned = tiff.exif({274: (tiff.SHORT, [6])})
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
            "a size of 0": partial(resized, encoding, 0, 0),
            "a size that is not its own": partial(resized, encoding, 4000, 3000),
            "a size of one pixel": partial(resized, encoding, 1, 1),
            "its data is noise": partial(_noise_inside, encoding),
            "its head is twice there": partial(
                _after, encoding, 0, heif.box(b"ftyp", b"heic\0\0\0\0heic"), is_whole=True
            ),
            "boxes in boxes": partial(_nested, encoding),
            "a box of no length": partial(_after, encoding, 24, bytes(4) + b"meta" + bytes(99)),
            "a box of exabytes": partial(_after, encoding, 24, b"\0\0\0\1meta\x7f" + b"\xff" * 7),
        }
        for name, make in odd.items():
            yield BadPicture(kind, f"{encoding}: {name}", make, WHATEVER, ANY)


def _after(encoding: str, count: int, data: bytes, is_whole: bool = False) -> bytes:
    """Data after the first `count` bytes of a small picture; is_whole: followed by its rest."""
    small = tile(encoding)
    return small[:count] + data + (small[count:] if is_whole else b"")


def _noise_inside(encoding: str) -> bytes:
    data = tile(encoding)
    at = data.index(b"mdat") + 4
    return data[:at] + np.random.default_rng(11).bytes(len(data) - at)


def _nested(encoding: str) -> bytes:
    data = b""
    for _ in range(5000):
        data = heif.box(b"ipco", data)
    return tile(encoding)[:24] + heif.full(b"meta", heif.box(b"iprp", data))
