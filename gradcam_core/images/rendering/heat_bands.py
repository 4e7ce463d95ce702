"""Computes heat on a raster of any size, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gradcam_core.errors import ChoiceError
from gradcam_core.images.geometry import View
from gradcam_core.wording import as_whole

BAND_PIXELS = 2**18
_BANDS_KEPT = 4  # up to so many are kept, which saves computing them twice

_MOST_PLACES = 2**30
"""The most pixels of a raster of heat, which then takes 4 GB."""


def heat_bands(cells: np.ndarray, view: View, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Lays the cells [h, w] of a view over the photo, on a raster of size (width, height) that
    covers the photo, and divides them by their largest absolute value there.

    Yields bands float32 [rows, width] from the top down; values in [-1, 1], all 0 if all cells are.
    """
    rows = max(1, BAND_PIXELS // size[0])

    def bands() -> Iterable[np.ndarray]:
        return view.bands_to_photo(cells, size, rows)

    once: Iterable[np.ndarray] = bands()
    if size[1] <= _BANDS_KEPT * rows:
        once = list(once)
    peak = max(float(np.abs(band).max()) for band in once)
    for band in once if isinstance(once, list) else bands():
        if peak > 0:
            band /= peak
        yield band


def checked_size(size: object) -> tuple[int, int]:
    """The (width, height) of a raster of heat, as integers. Raises ChoiceError if `size` is not two
    whole numbers from 1, or has more than `_MOST_PLACES` pixels."""
    sides = [as_whole(side) for side in size] if isinstance(size, tuple | list) else []
    if len(sides) != 2 or any(side is None or side < 1 for side in sides):
        raise ChoiceError(
            f"The size must be (width, height) in whole pixels from 1 on, not {size!r}."
        )
    width, height = (side or 0 for side in sides)
    if width * height > _MOST_PLACES:
        raise ChoiceError(f"{width} × {height} pixels are too many: the limit is {_MOST_PLACES}.")
    return width, height
