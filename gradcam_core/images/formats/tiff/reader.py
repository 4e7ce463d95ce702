"""TIFF: Pillow reads ordinary 8-bit files, and tifffile what instruments write: numbers of any type
and depth, planes, channels, tiles, stacks."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import IO, TYPE_CHECKING, cast

from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Decoded, Window, square_notice
from gradcam_core.images.formats import pillow
from gradcam_core.images.formats.tiff.page_reader import JPEGS
from gradcam_core.images.formats.tiff.pages import (
    Choice,
    choice,
    full_pages,
    lacks_tags,
    pictures_notice,
)
from gradcam_core.images.formats.tiff.samples import (
    UnreadableKindError,
    has_usual_palette,
    samples_of,
    ycbcr_of,
)
from gradcam_core.images.limits import DAMAGED, NO_MEMORY, check_size
from gradcam_core.images.pixels.brightness import as_picture, windowed
from gradcam_core.images.pixels.orientation import turned_upright

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_ORDINARY_COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000, 50001)
_ORDINARY_EXTRAS = {  # kinds of extra samples that Pillow reads correctly, by photometric
    0: ((),),
    1: ((), (1,), (2,)),
    2: ((), (1,), (2,), (999,)),
    3: ((), (2,)),
    5: ((),),
    6: ((),),
    8: ((),),
}
_SAMPLES = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
_PALETTE, _YCBCR = 3, 6
_FEWER_BITS = (0, 1, 3)  # photometrics that also come with 1, 2 and 4 bits


def decode(file: IO[bytes], window: Window | None = None) -> Decoded:
    """The page that `pages.choice` chooses, upright. Raises ImageError."""
    import tifffile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    try:
        pages = full_pages(file)
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            first = _page(tiff, pages[0])
            holds_all = _holds_all(file, first)
            chosen = choice(pages, str(first.description), first.samplesperpixel, holds_all)
            if not chosen.notice and holds_all:
                chosen = replace(chosen, notice=pictures_notice(first))
            page = _page(tiff, chosen.page)
            if lacks_tags(file, page) or 256 not in page.tags or 257 not in page.tags:
                raise ImageError(DAMAGED)
            return _decoded(file, page, chosen, window).noting(chosen.notice)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(NO_MEMORY) from None
    except Exception as error:  # tifffile raises almost anything for a file that is damaged
        return _by_pillow(file, window, ImageError(DAMAGED), error)


def _page(tiff: TiffFile, number: int) -> TiffPage:
    return cast("TiffPage", tiff.pages[number])  # a TiffFrame only if `useframes` were set


def _decoded(file: IO[bytes], page: TiffPage, chosen: Choice, window: Window | None) -> Decoded:
    check_size(page.imagewidth, page.imagelength)
    if chosen.page == 0 and chosen.plane == 0 and is_ordinary(page):
        try:
            return pillow.decode(file, window)
        except ImageError as error:
            try:
                return _by_tifffile(page, 0, window)
            except UnreadableKindError as kind:
                raise kind from error
            except Exception:
                is_unknown = isinstance(error, pillow.UnknownFormatError)
                raise (ImageError(DAMAGED) if is_unknown else error) from None
    try:
        return _by_tifffile(page, chosen.plane, window)
    except UnreadableKindError as error:
        return _by_pillow(file, window, error, error)


def _by_tifffile(page: TiffPage, plane: int, window: Window | None) -> Decoded:
    if page.compression != 1 and _is_cut_off(page):
        raise ImageError(DAMAGED)  # JPEG decoders would make up the missing pixels
    samples = samples_of(page, plane)
    orientation = page.tags.valueof(274, 1)
    if samples.raster is None:
        decoded = Decoded(turned_upright(samples.picture(), orientation))
        if window is not None:
            decoded = windowed(decoded.image, window)
    else:
        decoded = as_picture(samples.raster, window, orientation)
    # For a missing tag tifffile gives 1.
    has_both = all(tag in page.tags for tag in pillow.RESOLUTION)
    return decoded.noting(*samples.notices, square_notice(*page.resolution) if has_both else "")


def _is_cut_off(page: TiffPage) -> bool:
    """Whether the file ends before the page's data does."""
    ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
    return max(ends, default=0) > page.parent.filehandle.size


def _by_pillow(
    file: IO[bytes], window: Window | None, problem: ImageError, cause: Exception
) -> Decoded:
    """Reads with Pillow what tifffile cannot. Raises ImageError if Pillow cannot either: `problem`
    if that says more than Pillow's own."""
    file.seek(0)
    try:
        return pillow.decode(file, window)
    except ImageError as error:
        is_known = isinstance(problem, UnreadableKindError)
        is_unknown = isinstance(error, pillow.UnknownFormatError)
        raise (problem if is_known or is_unknown else error) from cause


def _holds_all(file: IO[bytes], page: TiffPage) -> bool:
    """Whether the values of further pictures may follow the page's own, as ImageJ writes stacks."""
    if not page.is_contiguous or page.predictor != 1:
        return False
    end = file.seek(0, 2)
    return end >= page.dataoffsets[0] + 2 * page.nbytes


def is_ordinary(page: TiffPage) -> bool:
    """Whether Pillow reads the page correctly: levels of at most 8 bits, in one plane."""
    photometric = int(page.photometric) if 262 in page.tags else -1
    bits, extras = page.bitspersample, tuple(map(int, page.extrasamples))
    has_usual_bits = bits == 8 or (photometric in _FEWER_BITS and bits in (1, 2, 4))
    samples = _SAMPLES.get(photometric, 0) + len(extras)
    # In RGB with four samples, an undeclared fourth is taken for transparency.
    is_usual = page.samplesperpixel in (samples, 4 if photometric == 2 else samples)
    return (
        has_usual_bits
        and extras in _ORDINARY_EXTRAS.get(photometric, ())
        and is_usual
        and page.sampleformat == 1
        and page.imagedepth == 1
        and (page.planarconfig == 1 or page.samplesperpixel == 1)
        and page.compression in _ORDINARY_COMPRESSIONS
        and 0 not in page.dataoffsets  # 0 marks an empty part that is not stored
        and (photometric != _PALETTE or has_usual_palette(page))
        # Pillow ignores these tags in a JPEG; without JPEG, libtiff gets the last rows wrong.
        and (photometric != _YCBCR or (page.compression in JPEGS and ycbcr_of(page).is_usual))
    )
