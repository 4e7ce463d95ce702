"""Reads the samples of one page of a TIFF part by part, so that they are never all in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_core.errors import ImageError
from gradcam_core.images.limits import DAMAGED, INCOMPLETE, MAX_PIXELS, NO_MEMORY

if TYPE_CHECKING:
    from tifffile import TiffPage

JPEGS = (6, 7, 33007, 34892)
"""JPEG compressions, whose decoders turn YCbCr into RGB."""

_PLAIN = (1, 5, 8, 32773, 32946, 34925, 50000)  # lossless compressions of arbitrary bytes
_RGB = 2  # photometric interpretation
_ROWS_BYTES = 4 * 2**20  # of uncompressed values, read at once
_MAX_SEGMENT_BYTES = 8 * MAX_PIXELS


def has_units(page: TiffPage) -> bool:
    """Whether colours are stored at a lower resolution than brightness, outside of JPEG."""
    return bool(page.is_subsampled) and page.compression not in JPEGS


def has_readable_units(page: TiffPage) -> bool:
    """Whether `SampleReader` can unpack a page that `has_units`."""
    across, down = units_of(page)
    wide, high = (page.tilewidth, page.tilelength) if page.is_tiled else (0, page.rowsperstrip)
    is_one = not page.is_tiled and high >= page.imagelength
    return (
        page.compression in _PLAIN
        and (page.planarconfig, page.predictor, page.samplesperpixel) == (1, 1, 3)
        and page.bitspersample == 8
        and {across, down} <= {1, 2, 4}
        and wide % across == 0
        and (is_one or high % down == 0)
    )


def units_of(page: TiffPage) -> tuple[int, int]:
    """How many pixels share one colour, (across, down)."""
    return page.subsampling or (2, 2)


class SampleReader:
    """Reads one picture of a page. plane: its number, from 0, where the page is a volume or its
    values are followed by those of further pictures. keeps_ycbcr: whether YCbCr of a JPEG is left
    unconverted. dtype: of the values it yields, in native byte order."""

    def __init__(self, page: TiffPage, plane: int, keeps_ycbcr: bool = False) -> None:
        self._page = page
        # `page.decode` builds its decoder on first use. Built now, it takes the colours for RGB and
        # does not convert them.
        if keeps_ycbcr:
            photometric, page.photometric = page.photometric, _RGB
            page.is_jfif = False  # the tags of a TIFF count more than a JFIF marker
            page.decode  # noqa: B018
            page.photometric = photometric
        self._file = page.parent.filehandle
        self._plane = plane
        self._planes = page.samplesperpixel if page.planarconfig == 2 else 1
        assert page.dtype is not None
        self._stored = page.dtype.newbyteorder(page.parent.byteorder)
        given = page.dtype.newbyteorder("=")
        if page.bitspersample == 24 and given.kind == "f":
            given = np.dtype("f4")
        self.dtype = np.dtype("u1") if given.kind == "b" else given

    def blocks(self, channels: Sequence[int]) -> Iterable[tuple[int, int, np.ndarray]]:
        """Yields (left, top, values [rows, columns, channels]) for each part of the page: some rows
        or a tile. Raises ImageError if a part is missing."""
        is_in_rows = self._page.is_contiguous and self._page.is_final
        return (self._rows if is_in_rows else self._segments)(channels)

    def _rows(self, channels: Sequence[int]) -> Iterator[tuple[int, int, np.ndarray]]:
        page = self._page
        width, height = page.imagewidth, page.imagelength
        samples = 1 if self._planes > 1 else page.samplesperpixel
        stored = self._stored
        row_bytes = width * samples * stored.itemsize
        rows = max(1, _ROWS_BYTES // row_bytes)
        start = page.dataoffsets[0]
        for top in range(0, height, rows):
            count = min(rows, height - top)
            parts = []
            for plane in channels if self._planes > 1 else (0,):
                # Planes follow each other in the file, and so do the slices of a volume or stack.
                slices = page.imagedepth if self._planes > 1 else 1
                place = plane * slices + self._plane
                if self._planes > 1 and page.imagedepth == 1:
                    place = self._plane * self._planes + plane
                offset = start + place * height * row_bytes + top * row_bytes
                self._file.seek(offset)
                data = self._file.read(count * row_bytes)
                if len(data) < count * row_bytes:
                    raise ImageError(DAMAGED)
                values = np.frombuffer(data, stored).reshape(count, width, samples)
                parts.append(values.astype(self.dtype, copy=False))
            yield 0, top, self._together(parts, channels)

    def _segments(self, channels: Sequence[int]) -> Iterator[tuple[int, int, np.ndarray]]:
        page = self._page
        if self._plane >= page.imagedepth:
            raise ImageError(DAMAGED)
        for place in range(self._per_plane()):
            parts = []
            for plane in channels if self._planes > 1 else (0,):
                found = self._segment(plane * self._per_plane() + place)
                if found is not None:
                    left, top, values = found
                    parts.append(values)
            if parts:
                yield left, top, self._together(parts, channels)

    def _per_plane(self) -> int:
        """The number of segments in all slices of one plane."""
        page = self._page
        if page.is_tiled:
            across, down = (
                math.ceil(whole / part)
                for whole, part in (
                    (page.imagewidth, page.tilewidth),
                    (page.imagelength, page.tilelength),
                )
            )
            return across * down * math.ceil(page.imagedepth / page.tiledepth)
        return math.ceil(page.imagelength / page.rowsperstrip) * page.imagedepth

    def _segment(self, number: int) -> tuple[int, int, np.ndarray] | None:
        """(left, top, values) of one strip or tile; None if it belongs to another slice. Raises
        ImageError if it is missing or too large."""
        page = self._page
        size = page.tilewidth * page.tilelength * page.tiledepth if page.is_tiled else 0
        if size * page.samplesperpixel * self.dtype.itemsize > _MAX_SEGMENT_BYTES:
            raise ImageError(NO_MEMORY)
        if number >= len(page.dataoffsets) or number >= len(page.databytecounts):
            raise ImageError(DAMAGED)
        data = None
        if page.databytecounts[number]:  # 0 means that the segment is empty and not stored
            self._file.seek(page.dataoffsets[number])
            data = self._file.read(page.databytecounts[number])
        settings = {}
        if page.compression in JPEGS:
            settings = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        decode = self._decode_units if has_units(page) else page.decode
        values, (_, depth, top, left, _), shape = decode(data, number, **settings)
        if not depth <= self._plane < depth + shape[0]:
            return None
        rows, columns = page.imagelength - top, page.imagewidth - left
        if values is None:
            values = np.full(shape, page.nodata, self.dtype)
        values = values[self._plane - depth, :rows, :columns]
        if values.dtype.kind == "b":
            values = values.view(np.uint8)
        return left, top, values.astype(self.dtype, copy=False)

    def _decode_units(self, data: bytes | None, number: int) -> tuple[Any, Any, Any]:
        """`TiffPage.decode` for subsampled colours: a unit has the brightness of each of its pixels
        and then their common colour (TIFF 6.0, section 21)."""
        import imagecodecs
        import tifffile

        page = self._page
        across, down = units_of(page)
        width, rows = page.imagewidth, min(page.rowsperstrip, page.imagelength)
        left, top = 0, number * rows
        if page.is_tiled:
            width, rows = page.tilewidth, page.tilelength
            columns = math.ceil(page.imagewidth / width)
            left, top = number % columns * width, number // columns * rows
        else:
            rows = min(rows, page.imagelength - top)
        high, wide = math.ceil(rows / down), math.ceil(width / across)
        size = high * wide * (across * down + 2)
        stored: Any = data or b""
        if page.fillorder == 2:
            stored = imagecodecs.bitorder_decode(stored)
        if page.compression != 1:
            stored = tifffile.TIFF.DECOMPRESSORS[page.compression](stored)
        if len(stored) < size:
            raise ImageError(INCOMPLETE)
        units = np.frombuffer(stored, np.uint8, size).reshape(high, wide, -1)
        brightness = units[:, :, :-2].reshape(high, wide, down, across).swapaxes(1, 2)
        values = np.empty((1, high * down, wide * across, 3), np.uint8)
        values[0, :, :, 0] = brightness.reshape(high * down, wide * across)
        values[0, :, :, 1:] = units[:, :, -2:].repeat(down, axis=0).repeat(across, axis=1)
        return values, (0, 0, top, left, 0), values.shape

    def _together(self, parts: Sequence[np.ndarray], channels: Sequence[int]) -> np.ndarray:
        if self._planes > 1:
            return np.concatenate(parts, axis=2)
        return parts[0][:, :, list(channels)] if len(channels) < parts[0].shape[2] else parts[0]
