"""Pictures of numbers: the range of values that is shown, linearly from black to white.

Instruments yield values that no convention ties to a brightness: counts, degrees, Hounsfield units.
The range is the first of: the window that a person gives; the range that the file states; the range
of its format (PNG, Netpbm), unless the values span less than a quarter of it; the lowest and the
highest value of the picture. A notice states the range if it is not the format's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Brightness, Decoded, Window
from gradcam_core.images.pixels.orientation import turned_upright
from gradcam_core.wording import amounts

_LEAST_USED = 0.25  # of a format's full range; a picture that uses less would be nearly one grey
_LEAST_INSIDE = 0.5  # of all values: a file may state the range of another page
_BLOCK_VALUES = 2**20  # of an array that are converted at once
_LOOKUP_VALUES = 2**16  # types with up to this many values have a lookup table, which is faster

NO_NUMBER = "No pixel of the picture has a finite value, so there is nothing to show."


@dataclass(frozen=True)
class Block:
    """A part of a picture. left, top: its first pixel. values: [rows, columns], or
    [rows, columns, 3] for RGB; of any real type. alpha: [rows, columns], in the same units; None
    without transparency."""

    left: int
    top: int
    values: np.ndarray
    alpha: np.ndarray | None = None


@dataclass(frozen=True)
class Raster:
    """A picture of numbers, read block by block, so that it is never in memory as a whole.

    size: (width, height). blocks: reads all blocks anew at each call. full: (low, high) of the
    format; None if it has no range. is_plain: whether values are certainly levels of `full` (of the
    type, if that is None), which need no notice. stated: (low, high) that the file states;
    is_stated_of_all: whether this can only be true if no value is outside. is_negative: whether the
    lowest value is white. missing: the value that marks missing ones. has_multiplied_alpha: whether
    colours are multiplied by alpha.
    """

    size: tuple[int, int]
    is_colour: bool
    dtype: np.dtype
    blocks: Callable[[], Iterable[Block]]
    full: tuple[float, float] | None = None
    is_plain: bool = False
    stated: tuple[float, float] | None = None
    is_stated_of_all: bool = False
    is_negative: bool = False
    missing: float | None = None
    has_multiplied_alpha: bool = False


@dataclass
class _Measured:
    """What a raster contains. lowest, highest: of the finite values. values: how many there are;
    without: how many are missing or not finite; outside: how many are outside of the range that the
    file states."""

    lowest: float = np.inf
    highest: float = -np.inf
    values: int = 0
    without: int = 0
    outside: int = 0


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    origin: Literal["window", "file", "format", "values"]


def as_picture(raster: Raster, window: Window | None = None, orientation: object = 1) -> Decoded:
    """The picture as 8-bit RGB, turned upright (see `orientation.upright`), with notices of the
    range that is shown and of missing values. Raises ImageError if no pixel has a value."""
    if raster.has_multiplied_alpha:
        raster = _unmultiplied(raster)
    measured = _Measured() if raster.is_plain and not window else _measure(raster)
    range_ = _range_of(raster, measured, window)
    picture = turned_upright(_painted(raster, range_), orientation)
    if not raster.is_colour:
        picture = picture.convert("RGB")
    notices = []
    if range_.origin != "format":
        black, white = range_.low, range_.high
        if raster.is_negative:
            black, white = white, black
        notices.append(_range_notice(black, white, range_.origin))
    if measured.without:
        are = "is" if measured.without == 1 else "are"
        notices.append(
            f"Of its {measured.values:,} values, {measured.without:,} {are} missing or not "
            "finite, and shown black."
        )
    return Decoded(picture, tuple(filter(None, notices)), _brightness(raster, measured, range_))


def _brightness(raster: Raster, measured: _Measured, range_: _Range) -> Brightness | None:
    is_ordinary = range_.origin == "format" and raster.dtype.itemsize == 1
    if is_ordinary or measured.lowest > measured.highest:  # the second: not measured
        return None
    return Brightness(range_.low, range_.high, measured.lowest, measured.highest)


def windowed(picture: Image.Image, window: Window, bits: int = 8) -> Decoded:
    """An 8-bit picture seen through a window. bits: of its file; the window is in levels of these.
    Each level of 8 bits stands for the middle of the file's levels that became it."""
    levels = np.arange(256, dtype=np.uint8)
    if bits > 8:
        step = 2 ** (bits - 8)
        levels = levels.astype(np.uint16) * step + np.uint16(step // 2)
    table = _levels(levels, _Range(window.low, window.high, "window"), False, None)
    through = picture.point(table.tolist() * len(picture.getbands()))
    there = np.flatnonzero(np.reshape(picture.histogram(), (-1, 256)).any(axis=0))
    return Decoded(
        through,
        (_range_notice(window.low, window.high, "window"),),
        Brightness(window.low, window.high, float(levels[there[0]]), float(levels[there[-1]])),
    )


def full_range(dtype: np.dtype) -> tuple[float, float]:
    """The range of a type: all its values for integers, 0 to 1 for others."""
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        return float(limits.min), float(limits.max)
    return 0.0, 1.0


def raster_of(values: np.ndarray, alpha: np.ndarray | None = None, **settings: Any) -> Raster:
    """An array [H, W] or [H, W, 3] as a raster. settings: further fields of `Raster`."""
    height, width = values.shape[:2]
    rows = max(1, _BLOCK_VALUES // max(1, values[:1].size))

    def blocks() -> Iterable[Block]:
        for top in range(0, height, rows):
            end = top + rows
            yield Block(0, top, values[top:end], None if alpha is None else alpha[top:end])

    return Raster((width, height), values.ndim == 3, values.dtype, blocks, **settings)


def _measure(raster: Raster) -> _Measured:
    found = _Measured()
    for block in raster.blocks():
        values = block.values
        found.values += values.size
        without = _without_value(values, raster.missing)
        if without is not None and (count := int(np.count_nonzero(without))):
            found.without += count
            values = values[~without]
        if values.size:
            found.lowest = min(found.lowest, float(values.min()))
            found.highest = max(found.highest, float(values.max()))
        if raster.stated is not None:
            low, high = raster.stated
            found.outside += int(np.count_nonzero((values < low) | (values > high)))
    if found.values and found.without == found.values:
        raise ImageError(NO_NUMBER)
    return found


def _without_value(values: np.ndarray, missing: float | None) -> np.ndarray | None:
    """A mask of values that are missing or not finite; None if there can be none."""
    without = ~np.isfinite(values) if values.dtype.kind == "f" else None
    if missing is not None and np.isfinite(missing):
        marked = values == missing
        without = marked if without is None else without | marked
    return without


def _range_of(raster: Raster, measured: _Measured, window: Window | None) -> _Range:
    if window is not None:
        return _Range(window.low, window.high, "window")
    if raster.is_plain:
        return _Range(*(raster.full or full_range(raster.dtype)), "format")
    if raster.stated is not None:
        most = 0.0 if raster.is_stated_of_all else 1 - _LEAST_INSIDE
        if measured.outside <= most * (measured.values - measured.without):
            return _Range(*raster.stated, "file")
    if raster.full is not None:
        low, high = raster.full
        span = min(measured.highest, high) - max(measured.lowest, low)
        if span >= _LEAST_USED * (high - low):
            return _Range(low, high, "format")
    if measured.lowest == measured.highest:  # blank: shown in the grey that it has in its type
        low, high = raster.full or full_range(raster.dtype)
        if not low <= measured.lowest <= high:
            low, high = measured.lowest, measured.lowest + 1
        return _Range(low, high, "format")
    low, high = measured.lowest, measured.highest
    is_types_own = (low, high) == full_range(raster.dtype)
    return _Range(low, high, "format" if is_types_own else "values")


_WHY = {
    "window": "as requested",
    "file": "as the file says",
    "values": "the lowest and the highest value in the picture",
}


def _range_notice(black: float, white: float, origin: str) -> str:
    if origin == "values" and black > white:
        why = "the highest and the lowest value in the picture"
    else:
        why = _WHY[origin]
    darkest, brightest = amounts(black, white)
    return f"The value {darkest} is shown black and {brightest} white: {why}."


def _painted(raster: Raster, range_: _Range) -> Image.Image:
    picture = Image.new("RGB" if raster.is_colour else "L", raster.size)
    table = _table(raster, range_)
    top = full_range(raster.dtype)[1]
    for block in raster.blocks():
        if table is not None:
            levels = table[block.values.view(f"u{block.values.dtype.itemsize}")]
        else:
            levels = _levels(block.values, range_, raster.is_negative, raster.missing)
        if block.alpha is not None:
            levels = _on_white(levels, block.alpha / top)
        picture.paste(Image.fromarray(levels), (block.left, block.top))
    return picture


def _unmultiplied(raster: Raster) -> Raster:
    """The raster with colours divided by alpha; black where alpha is 0."""
    low, high = full_range(raster.dtype)

    def blocks() -> Iterable[Block]:
        for block in raster.blocks():
            if block.alpha is None:
                yield block
                continue
            alpha = block.alpha if block.values.ndim == 2 else block.alpha[:, :, None]
            share = np.clip(np.nan_to_num(alpha.astype(np.float64) / high), 0, 1)
            values = np.where(share > 0, block.values / np.where(share > 0, share, 1), low)
            if raster.dtype.kind in "ui":
                values = np.clip(np.rint(values), low, high)
            yield replace(block, values=values.astype(raster.dtype))

    return replace(raster, blocks=blocks, has_multiplied_alpha=False)


def _on_white(levels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The levels over white. alpha: in [0, 1]."""
    share = np.clip(np.nan_to_num(alpha.astype(np.float32)), 0, 1)
    if levels.ndim == 3:
        share = share[:, :, None]
    return np.clip(np.rint(levels * share + 255 * (1 - share)), 0, 255).astype(np.uint8)


def _table(raster: Raster, range_: _Range) -> np.ndarray | None:
    """The level of each possible value, by its bits; None for a type with too many values."""
    dtype = raster.dtype
    if dtype.kind not in "ui" or 256**dtype.itemsize > _LOOKUP_VALUES:
        return None
    bits = np.arange(256**dtype.itemsize, dtype=f"u{dtype.itemsize}")
    return _levels(bits.view(dtype.newbyteorder("=")), range_, raster.is_negative, raster.missing)


def _levels(
    values: np.ndarray, range_: _Range, is_negative: bool, missing: float | None
) -> np.ndarray:
    """The brightness of each value: uint8 of the same shape; 0 for missing values."""
    without = _without_value(values, missing)
    levels: Any = values.astype(np.float64)  # float32 has too few bits for a narrow range
    if without is not None:
        levels[without] = range_.low
    np.clip(levels, range_.low, range_.high, out=levels)
    low, high = range_.low, range_.high
    half = 1.0 if np.isfinite(high - low) else 0.5  # if the span overflows
    span = high * half - low * half
    levels = (levels * half - low * half) / (span or 1) * 255
    np.rint(levels, out=levels)
    result = levels.astype(np.uint8)
    if is_negative:
        np.subtract(255, result, out=result)
    if without is not None:
        result[without] = 0
    return result
