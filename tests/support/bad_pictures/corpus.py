"""All bad pictures."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.bad_pictures import (
    animations,
    bmp,
    colours,
    damaged,
    gif,
    heif,
    instruments,
    jpeg,
    metadata,
    names,
    other_files,
    png,
    sizes,
    tiff,
    webp,
)
from tests.support.bad_pictures.bad_picture import BadPicture


def corpus() -> Iterator[BadPicture]:
    """Yields all bad pictures, without making their bytes yet. No two have the same name."""
    yield from damaged.truncated()
    yield from damaged.flipped()
    yield from names.under_wrong_names()
    yield from other_files.other_files()
    yield from other_files.nothing()
    yield from sizes.bombs()
    yield from sizes.sizes()
    yield from names.odd_names()
    yield from metadata.with_exif()
    yield from animations.animations()
    yield from colours.colours()
    yield from png.broken_png()
    yield from jpeg.broken_jpeg()
    yield from gif.broken_gif()
    yield from tiff.broken_tiff()
    yield from bmp.broken_bmp()
    yield from webp.broken_webp()
    yield from heif.tiled()
    yield from other_files.two_in_one()
    yield from instruments.phones()
    yield from instruments.dicom()
    yield from instruments.large_dicom()
    yield from instruments.raw_photos()
