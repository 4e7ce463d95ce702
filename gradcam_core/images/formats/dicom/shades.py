"""A frame of a DICOM file as 8-bit RGB."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from gradcam_core.images.decoded import Brightness, Window
from gradcam_core.images.formats.dicom.frames import Frame
from gradcam_core.images.formats.dicom.header import Header
from gradcam_core.images.formats.dicom.values import (
    Display,
    LookupTable,
    Transformation,
    chosen_window,
    full_range,
    lookup_table,
    modality,
    voi,
)

GREYS = ("MONOCHROME1", "MONOCHROME2")

_PALETTE = "PALETTE COLOR"

KINDS = (*GREYS, _PALETTE, "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
"""Supported photometric interpretations. The others are retired, or for films."""

_BAND_SAMPLES = 2**20  # converted at once


def grey(
    header: Header, frame: Frame, window: Window | None
) -> tuple[Image.Image, str, Brightness]:
    """-> 8-bit grey, the notice about the range of values that is shown, and that range. Raises
    ValueError for a frame with several samples per pixel."""
    if frame.samples.ndim != 2:
        raise ValueError("grey has one sample a pixel")
    measured = modality(header.dataset, frame.groups, header.encoding)
    display = Display(header.unit, is_inverted=frame.photometric == "MONOCHROME1")
    lowest, highest = _extent(header, frame, measured)
    shades = (
        chosen_window(window, display)
        if window
        else voi(header.dataset, frame.groups, header.encoding, display)
        or full_range(lowest, highest, display)
    )

    def levels(raw: np.ndarray) -> np.ndarray:
        shown = shades.levels(measured(frame.values(raw)))
        return np.rint(255 * np.nan_to_num(shown)).astype(np.uint8)

    image = Image.fromarray(_mapped(frame.samples, levels))
    return image, shades.notice, Brightness(shades.low, shades.high, lowest, highest)


def coloured(header: Header, frame: Frame) -> Image.Image:
    """The frame as 8-bit RGB. Raises ValueError for an unexpected layout of samples."""
    if frame.photometric == _PALETTE:
        return Image.fromarray(_mapped(frame.samples, _palette(header, frame), channels=3))
    if frame.samples.ndim != 3 or frame.bits is None:
        raise ValueError("colours have three samples a pixel, of whole numbers")
    samples, stored = frame.samples, frame.bits.stored
    if samples.dtype != np.uint8 or stored != 8:
        scale = 255 / (2**stored - 1)
        samples = _mapped(samples, lambda raw: np.rint(scale * frame.values(raw)).astype(np.uint8))
    samples = np.ascontiguousarray(samples)
    if frame.photometric.startswith("YBR_FULL"):
        return Image.frombytes("YCbCr", samples.shape[1::-1], samples).convert("RGB")
    return Image.fromarray(samples)


def _palette(header: Header, frame: Frame) -> Transformation:
    """Maps samples to colours, uint8 [..., 3] (PS3.3, C.7.6.3.1.5)."""
    tables = [
        lookup_table(header.dataset, header.encoding, f"{colour}PaletteColorLookupTable")
        for colour in ("Red", "Green", "Blue")
    ]
    if not all(tables):
        tables = _segmented_palette(header)
    top = max(table.top for table in tables if table)

    def colours(raw: np.ndarray) -> np.ndarray:
        values = frame.values(raw)
        channels = [table(values) for table in tables if table]
        return np.rint(np.stack(channels, axis=-1) * (255 / top)).astype(np.uint8)

    return colours


def _segmented_palette(header: Header) -> list[LookupTable | None]:
    """Expands palettes that are stored as line segments between colours (PS3.3, C.7.9.2)."""
    from pydicom.pixels import apply_color_lut

    count, first, bits = header.dataset["RedPaletteColorLookupTableDescriptor"].value
    count = count or 2**16
    colours = apply_color_lut(np.arange(first, first + count, dtype=np.int32), header.dataset)
    return [LookupTable(colours[:, n].astype(np.float64), first, bits) for n in range(3)]


def _mapped(samples: np.ndarray, make: Transformation, channels: int = 0) -> np.ndarray:
    """Applies `make` to every sample, giving uint8; for samples of up to 16 bits, through a table
    of all values. channels: length of the axis that `make` adds, 0 if it adds none."""
    found = np.empty((*samples.shape, channels) if channels else samples.shape, np.uint8)
    if samples.dtype.itemsize <= 2:
        make = make(_all_values(samples.dtype)).__getitem__
    for rows in _bands(samples):
        found[rows] = make(samples[rows])
    return found


def _bands(samples: np.ndarray) -> Iterator[slice]:
    rows = max(1, _BAND_SAMPLES // samples[0].size)
    return (slice(top, top + rows) for top in range(0, len(samples), rows))


def _all_values(kind: np.dtype) -> np.ndarray:
    return np.arange(2 ** (8 * kind.itemsize)).astype(kind)


def _extent(header: Header, frame: Frame, measured: Transformation) -> tuple[float, float]:
    """The lowest and the highest value, without the padding around the picture."""
    samples = frame.samples
    if samples.dtype.itemsize <= 2:
        is_there = np.zeros(2 ** (8 * samples.dtype.itemsize), bool)
        for rows in _bands(samples):
            is_there[samples[rows]] = True
        parts: Iterator[np.ndarray] = iter([_all_values(samples.dtype)[is_there]])
    else:
        parts = (samples[rows] for rows in _bands(samples))
    padding = header.padding
    seen, seen_with_padding = _Range(), _Range()
    for part in parts:
        values = frame.values(part)
        seen_with_padding.see(measured(values))
        if padding:
            is_padding = (values >= padding[0]) & (values <= padding[1])
            seen.see(measured(values[~is_padding]))
    return (seen if math.isfinite(seen.low) else seen_with_padding).both


class _Range:
    """The lowest and highest finite number seen so far."""

    low, high = math.inf, -math.inf

    def see(self, values: np.ndarray) -> None:
        numbers = values[np.isfinite(values)]
        if numbers.size:
            self.low = min(self.low, float(numbers.min()))
            self.high = max(self.high, float(numbers.max()))

    @property
    def both(self) -> tuple[float, float]:
        return (self.low, self.high) if math.isfinite(self.low) else (0.0, 0.0)
