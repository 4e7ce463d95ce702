"""From the values that a DICOM file stores to grey levels: the modality and VOI transformations.

DICOM PS3.3, C.11.1 and C.11.2. Only elements about the image are read, none about a patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcam_core.images.decoded import Window
from gradcam_core.wording import amount, amounts

Dataset = Any  # pydicom's; pydicom is imported only when a DICOM file is read

_WINDOW_DIGITS = 6

Transformation = Callable[[np.ndarray], np.ndarray]
"""Maps an array of values, float64 of any shape, to an array of the same shape."""


def number(dataset: Dataset, keyword: str) -> float | None:
    """The value of an element, the first of several; None if it is missing or no finite number."""
    try:
        value = dataset.get(keyword)
        if value is not None and not isinstance(value, str | int | float):
            value = value[0] if len(value) else None
        found = None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None
    return found if found is not None and math.isfinite(found) else None


def item_of(dataset: Dataset, keyword: str, index: int = 0) -> Dataset | None:
    """The item of a sequence at `index`, None if there is none."""
    try:
        sequence = dataset.get(keyword)
        return sequence[index] if sequence else None
    except (TypeError, ValueError, IndexError, AttributeError):
        return None


@dataclass(frozen=True)
class StoredBits:
    """Which bits of a sample hold its value (PS3.5, 8.1.1): `stored` bits, the highest at `high`.
    The other bits, such as overlays in older files, are ignored."""

    stored: int
    high: int
    is_signed: bool

    def values(self, raw: np.ndarray) -> np.ndarray:
        """raw: unsigned integers of at most 32 bits, any shape -> int64."""
        values = (raw.astype(np.int64) >> (self.high + 1 - self.stored)) & (2**self.stored - 1)
        if self.is_signed:
            values = np.where(values >= 2 ** (self.stored - 1), values - 2**self.stored, values)
        return values


@dataclass(frozen=True)
class LookupTable:
    """levels: the outputs for the values `first`, `first` + 1 and so on; values outside take the
    nearest. bits: how many bits an output has."""

    levels: np.ndarray
    first: int
    bits: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        index = np.nan_to_num(np.rint(values)) - self.first
        return self.levels[np.clip(index, 0, len(self.levels) - 1).astype(np.int64)]

    @property
    def top(self) -> float:
        """The highest possible level."""
        return max(2.0**self.bits - 1, float(self.levels.max()))


@dataclass(frozen=True)
class Encoding:
    """How the bytes of lookup tables are read, which do not say so themselves."""

    is_little_endian: bool
    is_signed: bool


def lookup_table(item: Dataset, encoding: Encoding, prefix: str = "LUT") -> LookupTable | None:
    """The lookup table of an item (PS3.3, C.11.1.1); None if it is missing or makes no sense.

    prefix: the elements are named `prefix`Descriptor and `prefix`Data.
    """
    names = f"{prefix}Descriptor", f"{prefix}Data"
    try:
        count, first, bits = (int(value) for value in item[names[0]].value)
        data = item[names[1]].value
    except (KeyError, TypeError, ValueError):
        return None
    count = count % 2**16 or 2**16
    if encoding.is_signed and first >= 2**15:
        first -= 2**16
    if isinstance(data, bytes):
        wide = np.dtype("<u2" if encoding.is_little_endian else ">u2")
        is_wide = len(data) >= 2 * count
        levels = np.frombuffer(data, wide if is_wide else np.uint8, count if is_wide else -1)
    else:
        levels = np.asarray(data).ravel()
    levels = levels[:count].astype(np.float64)
    if len(levels) < 2 or not 1 <= bits <= 16:
        return None
    return LookupTable(levels, first, bits)


Groups = Callable[[str], Dataset | None]
"""The functional groups of one frame (PS3.3, C.7.6.16): the keyword of a sequence -> its item, None
if there is none."""


def modality(dataset: Dataset, groups: Groups, encoding: Encoding) -> Transformation:
    """Maps stored values to measured values, such as Hounsfield units: C.11.1."""
    item = item_of(dataset, "ModalityLUTSequence")
    if item is not None and (table := lookup_table(item, encoding)):
        return table
    source = groups("PixelValueTransformationSequence") or dataset
    slope, intercept = number(source, "RescaleSlope"), number(source, "RescaleIntercept")
    if slope is None:
        slope = number(dataset, "DoseGridScaling")
    factor, summand = slope or 1.0, intercept or 0.0  # a slope of 0 would erase the picture
    return lambda values: values * factor + summand


@dataclass(frozen=True)
class Shades:
    """How values become grey levels. levels: maps values to [0, 1], where 1 is white. notice: says
    what was chosen. low, high: the range of values that is shown, None for a lookup table."""

    levels: Transformation
    notice: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Display:
    """unit: of the values, as a suffix to a number; "" if unknown. is_inverted: whether the lowest
    value is white (MONOCHROME1)."""

    unit: str
    is_inverted: bool

    def shades(
        self,
        levels: Transformation,
        notice: str,
        low: float | None = None,
        high: float | None = None,
    ) -> Shades:
        if self.is_inverted:
            return Shades(lambda values: 1 - levels(values), notice, low, high)
        return Shades(levels, notice, low, high)

    def linear(self, low: float, high: float, why: str) -> Shades:
        """Levels that rise linearly from `low` to `high`. why: ends the notice."""
        black, white = amounts(*((high, low) if self.is_inverted else (low, high)))
        notice = f"The value {black}{self.unit} is shown black and {white}{self.unit} white: {why}."
        if low >= high:
            above, others = ("black", "white") if self.is_inverted else ("white", "black")
            notice = (
                f"Values above {white}{self.unit} are shown {above}, all others {others}: {why}."
            )
        return self.shades(_linear(low, high), notice, low, high)


def chosen_window(window: Window, display: Display) -> Shades:
    """The window that a person asked for."""
    return display.linear(window.low, window.high, "as requested")


def voi(dataset: Dataset, groups: Groups, encoding: Encoding, display: Display) -> Shades | None:
    """What the file itself asks for: the first of its VOI tables or windows; None if it has no
    usable one."""
    item = item_of(dataset, "VOILUTSequence")
    if item is not None and (table := lookup_table(item, encoding)):
        return display.shades(
            lambda values: table(values) / table.top,
            "The picture is shown with the file's own table of brightness (VOI LUT).",
        )
    source = groups("FrameVOILUTSequence") or dataset
    centre, width = number(source, "WindowCenter"), number(source, "WindowWidth")
    if centre is None or width is None or width <= 0:
        return None
    count = _count(source, "WindowCenter")
    which = f"the first of {count} windows" if count > 1 else "the window"
    written = [amount(value, "", _WINDOW_DIGITS) for value in (centre, width)]
    text = f"of the file, with centre {written[0]} and width {written[1]}"
    function = str(source.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function == "SIGMOID":
        return display.shades(
            _sigmoid(centre, width), f"The picture is shown with {which} {text}, a sigmoid."
        )
    if function == "LINEAR_EXACT":
        low, high = centre - width / 2, centre + width / 2
    elif width >= 1:
        # C.11.2.1.2.1
        low, high = centre - width / 2, centre + width / 2 - 1
    else:
        return None
    return display.linear(low, high, f"{which} {text}")


def full_range(low: float, high: float, display: Display) -> Shades:
    """Shows the whole range of values in the picture, `low` to `high`."""
    if low == high:
        return display.shades(_linear(low, high), "", low, high)  # a blank picture has a notice
    words = "the {} and the {} value in the picture, as the file names no usable window"
    order = ("highest", "lowest") if display.is_inverted else ("lowest", "highest")
    return display.linear(low, high, words.format(*order))


def _linear(low: float, high: float) -> Transformation:
    """PS3.3, C.11.2.1.2: `low` and below becomes 0, `high` and above 1; if both are equal, only
    values above become 1."""
    if high <= low:
        return lambda values: (values > high).astype(np.float64)
    return lambda values: np.clip((values - low) / (high - low), 0, 1)


def _sigmoid(centre: float, width: float) -> Transformation:
    """PS3.3, C.11.2.1.3.1."""
    return lambda values: 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))


def _count(dataset: Dataset, keyword: str) -> int:
    value = dataset.get(keyword)
    return 1 if isinstance(value, str | int | float) else len(value)
