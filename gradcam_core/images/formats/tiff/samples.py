"""The samples of one page of a TIFF: which of them are shown, and as what."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gradcam_core.errors import ImageError
from gradcam_core.images.formats.tiff.page_reader import (
    JPEGS,
    SampleReader,
    has_readable_units,
    has_units,
)
from gradcam_core.images.limits import DAMAGED
from gradcam_core.images.pixels.brightness import Block, Raster, full_range
from gradcam_core.images.pixels.colour import YCbCr, cmyk_to_rgb, lab_to_rgb, ycbcr_to_rgb

if TYPE_CHECKING:
    from tifffile import TiffPage


_NAME_LETTERS = 40

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _SEPARATED, _YCBCR = range(7)
_LUMA, _REFERENCE = 529, 532  # tags
_LABS = (8, 9)
_SENSOR = (32803, 34892)
_SIGNIFICANT_BITS = re.compile(r"\bSignificantBits=[\"'](\d{1,3})[\"']")
_GREY = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _MASK, 51177)
_ALPHA = {1: True, 2: False}  # kind of extra sample: whether colours are multiplied by it


class UnreadableKindError(ImageError):
    """The file is a TIFF of an unsupported kind."""

    def __init__(self, what: str, otherwise: str = "") -> None:
        super().__init__(
            f"This kind of TIFF is not supported: {what}. Save the picture as PNG or "
            f"JPEG{otherwise}."
        )


@dataclass(frozen=True)
class Samples:
    """What a page shows. raster: its values, None if they are neither grey nor RGB; `picture` then
    gives RGB. notices: about what is left out."""

    raster: Raster | None
    picture: Callable[[], Image.Image]
    notices: tuple[str, ...] = ()


def samples_of(page: TiffPage, plane: int = 0) -> Samples:
    """The samples of a page that are shown. plane: number of the picture, where the page has the
    values of several. Raises UnreadableKindError, and ImageError for a damaged file."""
    _check_kind(page)
    photometric = _photometric(page)
    depth, notices = page.imagedepth, []
    if depth > 1:
        plane = (depth - 1) // 2
        notices.append(f"The page is a volume of {depth:,} slices; slice {plane + 1:,} is shown.")
    count = page.samplesperpixel
    keeps_ycbcr = photometric == _YCBCR and not ycbcr_of(page).is_usual
    reader = SampleReader(page, plane, keeps_ycbcr)
    if photometric in _GREY:
        extras = tuple(map(int, page.extrasamples))
        alpha = extras[0] if count == 2 and len(extras) == 1 else 0
        if count > 1 and alpha not in _ALPHA:
            notices.append(f"The picture has {count:,} channels; the first one is shown, in grey.")
        raster = _raster(page, reader, (0,), 1 if alpha in _ALPHA else None, alpha)
    elif photometric == _RGB or (
        photometric == _YCBCR and page.compression in JPEGS and not keeps_ycbcr
    ):
        extras = tuple(map(int, page.extrasamples)) or ((2,) if count == 4 else ())
        alpha = extras[0] if extras else 0
        if len(extras) - (alpha in _ALPHA) > 0:
            notices.append(f"The picture has {count:,} channels; the first three are shown.")
        raster = _raster(page, reader, (0, 1, 2), 3 if alpha in _ALPHA else None, alpha)
    else:
        convert = _conversion(page, photometric)
        used = {_PALETTE: 1, _SEPARATED: 4}.get(photometric, 3)
        kind = int(page.extrasamples[0]) if page.extrasamples else 0
        has_alpha = kind in _ALPHA
        if count > used + has_alpha:
            first = {1: "first one is", 3: "first three are"}.get(used, "first four are")
            notices.append(f"The picture has {count:,} channels; the {first} shown.")
        # Inks that are multiplied by alpha already are what is printed on white paper.
        has_alpha = has_alpha and not (photometric == _SEPARATED and _ALPHA[kind])
        return Samples(
            None, lambda: _converted(page, reader, used, has_alpha, convert), tuple(notices)
        )
    return Samples(raster, lambda: Image.new("RGB", raster.size), tuple(notices))


def _photometric(page: TiffPage) -> int:
    if 262 in page.tags or page.compression in JPEGS:
        return int(page.photometric)
    return _RGB if page.samplesperpixel in (3, 4) else _BLACK_IS_ZERO


def _check_kind(page: TiffPage) -> None:
    import tifffile

    photometric = _photometric(page)
    if not all(isinstance(tag, int) for tag in (page.compression, page.samplesperpixel)):
        raise ImageError(DAMAGED)
    if photometric in _SENSOR:
        raise UnreadableKindError("it holds the values of a camera's sensor, before any colours")
    known = (*_GREY, _RGB, _PALETTE, _SEPARATED, _YCBCR, *_LABS)
    if photometric not in known:
        raise UnreadableKindError(f"its photometric interpretation is {_name(page.photometric)}")
    if page.dtype is None:
        bits = page.bitspersample
        if not isinstance(bits, int):
            raise UnreadableKindError("its samples have different numbers of bits")
        kind = _name(page.sampleformat)
        raise UnreadableKindError(f"its values have {bits} bits in the sample format {kind}")
    if page.dtype.kind not in "buif":
        raise UnreadableKindError("its values are complex numbers")
    if page.compression != 1 and page.compression not in tifffile.TIFF.DECOMPRESSORS:
        raise UnreadableKindError(
            f"its compression is {_name(page.compression)}", ", or as a TIFF without compression"
        )
    if has_units(page) and not has_readable_units(page):
        raise UnreadableKindError(
            "its colours are stored at a lower resolution than its brightness, in an unusual way"
        )
    least = {_RGB: 3, _SEPARATED: 4, _YCBCR: 3, **dict.fromkeys(_LABS, 3)}.get(photometric, 1)
    if page.samplesperpixel < least:
        raise ImageError(DAMAGED)
    if photometric == _SEPARATED and page.tags.valueof(332, 1) != 1:
        raise UnreadableKindError("its inks are not cyan, magenta, yellow and black")


def _name(value: object) -> str:
    return str(getattr(value, "name", value)).replace("_", " ")[:_NAME_LETTERS]


def _raster(
    page: TiffPage, reader: SampleReader, colours: Sequence[int], alpha: int | None, kind: int
) -> Raster:
    channels = (*colours, *(() if alpha is None else (alpha,)))
    dtype = reader.dtype
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8
    is_whole = dtype.kind == "u"
    levels = (0.0, 2.0**bits - 1) if is_whole else None
    is_plain = is_whole and bits <= 8

    def blocks() -> Iterator[Block]:
        for left, top, values in reader.blocks(channels):
            shown_values = values[:, :, : len(colours)]
            yield Block(
                left,
                top,
                shown_values if len(colours) == 3 else shown_values[:, :, 0],
                None if alpha is None else values[:, :, -1],
            )

    return Raster(
        size=(page.imagewidth, page.imagelength),
        is_colour=len(colours) == 3,
        dtype=dtype,
        blocks=blocks,
        full=levels if is_plain else None,
        is_plain=is_plain,
        stated=None if is_plain else _stated(page, dtype, levels),
        is_negative=_photometric(page) == _WHITE_IS_ZERO,
        missing=_missing(page),
        has_multiplied_alpha=_ALPHA.get(kind, False),
    )


def _stated(
    page: TiffPage, dtype: np.dtype, levels: tuple[float, float] | None
) -> tuple[float, float] | None:
    """The range of values that the file states: in its tags, as ImageJ showed it, or by its bits,
    of which OME says how many are used. None if there is none but the full range of `dtype`."""
    for low_tag, high_tag in ((340, 341), (280, 281)):
        found = _ordered(page.tags.valueof(low_tag, 0), page.tags.valueof(high_tag))
        if found is not None and found != full_range(dtype):
            return found
    words = page.parent.imagej_metadata or {}
    found = _ordered(words.get("min"), words.get("max"))
    if found is not None and found != full_range(dtype):
        return found
    used = _SIGNIFICANT_BITS.search(page.parent.ome_metadata or "")
    if used and dtype.kind == "u":
        levels = (0.0, 2.0 ** min(int(used[1]), 8 * dtype.itemsize) - 1)
    return levels if levels != full_range(dtype) else None


def _ordered(low: object, high: object) -> tuple[float, float] | None:
    try:
        lowest = float(np.min(np.asarray(low, float)))
        highest = float(np.max(np.asarray(high, float)))
    except (TypeError, ValueError):
        return None
    is_range = math.isfinite(lowest) and math.isfinite(highest) and lowest < highest
    return (lowest, highest) if is_range else None


def _missing(page: TiffPage) -> float | None:
    """The value that marks missing pixels (GDAL's tag 42113), None if there is none."""
    try:
        return float(str(page.tags.valueof(42113)).strip("\0 "))
    except ValueError:
        return None


def _conversion(page: TiffPage, photometric: int) -> Callable[[np.ndarray], Image.Image]:
    """The function that turns samples [rows, columns, samples] into an RGB picture."""
    if photometric == _PALETTE:
        colours = _palette(page)

        def looked_up(values: np.ndarray) -> Image.Image:
            return Image.fromarray(colours[np.minimum(values[:, :, 0], len(colours) - 1)])

        return looked_up
    if photometric == _SEPARATED:
        return lambda values: cmyk_to_rgb(_eight_bits(values))
    if photometric == _YCBCR:
        kind = ycbcr_of(page)
        return lambda values: ycbcr_to_rgb(_eight_bits(values), kind)
    has_signs = photometric == _LABS[0]
    return lambda values: lab_to_rgb(_eight_bits(values), has_signs)


def ycbcr_of(page: TiffPage) -> YCbCr:
    """The page's YCbCr encoding by its tags; the usual values replace those that make no sense."""
    usual = YCbCr()
    luma = _rationals(page.tags.valueof(_LUMA), 3)
    reference = _rationals(page.tags.valueof(_REFERENCE), 6)
    if luma is None or min(luma) <= 0 or abs(sum(luma) - 1) > 0.01:
        luma = usual.luma
    if reference is None or any(high <= low for low, high in _pairs(reference)):
        reference = usual.reference
    return YCbCr(luma, reference)  # type: ignore[arg-type]  # their lengths are right


def _pairs(values: tuple[float, ...]) -> Iterator[tuple[float, float]]:
    return zip(values[::2], values[1::2], strict=True)


def _rationals(value: object, count: int) -> tuple[float, ...] | None:
    """A tag's `count` rational numbers, each stored as a numerator and a denominator; None if it
    has no such value."""
    numbers = value if isinstance(value, tuple) else ()
    if len(numbers) == count:  # written as whole numbers
        return tuple(map(float, numbers))
    if len(numbers) != 2 * count or not all(numbers[1::2]):
        return None
    return tuple(above / below for above, below in _pairs(numbers))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Unsigned samples as uint8, their upper 8 bits. Raises UnreadableKindError for others."""
    if values.dtype.kind not in "bu":
        raise UnreadableKindError("its colours are neither RGB nor grey, and not integers")
    if values.dtype.itemsize == 1:
        return values
    return (values >> (8 * (values.dtype.itemsize - 1))).astype(np.uint8)


def has_usual_palette(page: TiffPage) -> bool:
    """Whether the palette has a 16-bit colour for each value, as TIFF specifies."""
    colours = page.colormap
    bits = page.bitspersample
    return colours is not None and colours.shape == (3, 2**bits) and bool(colours.max() > 255)


def _palette(page: TiffPage) -> np.ndarray:
    """The page's palette, uint8 [colours, 3]. Raises ImageError if it is missing or damaged."""
    colours = page.colormap
    if colours is None or colours.ndim != 2 or len(colours) != 3 or page.dtype is None:
        raise ImageError(DAMAGED)
    shift = 8 if colours.max(initial=0) > 255 else 0  # some programs write 8-bit levels
    return np.ascontiguousarray((colours >> shift).T.astype(np.uint8))


def _converted(
    page: TiffPage,
    reader: SampleReader,
    used: int,
    has_alpha: bool,
    convert: Callable[[np.ndarray], Image.Image],
) -> Image.Image:
    """The page as RGB on white. used: how many samples make a colour; alpha follows them."""
    picture = Image.new("RGB", (page.imagewidth, page.imagelength), "white")
    for left, top, values in reader.blocks(range(used + has_alpha)):
        colours = convert(np.ascontiguousarray(values[:, :, :used]))
        mask = Image.fromarray(_eight_bits(values[:, :, used])) if has_alpha else None
        picture.paste(colours, (left, top), mask)
    return picture
