"""Heat on a raster of any size, a band of rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gradcam_core.errors import ChoiceError
from gradcam_core.images.geometry import View
from gradcam_core.wording import as_whole

BAND_PIXELS = 2**18
_BANDS_KEPT = 4  # at most, to save computing them again

_MOST_PLACES = 2**30
"""Of a raster of heat, which takes 4 GB then."""


def heat_bands(cells: np.ndarray, view: View, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Cells [h, w] of a view laid over the photo on a raster of (width, height), divided by their
    largest absolute value there: float32 [rows, width], from the top down."""
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
    """(width, height) of a raster of heat. Raises ChoiceError for what is none."""
    sides = [as_whole(side) for side in size] if isinstance(size, tuple | list) else []
    if len(sides) != 2 or any(side is None or side < 1 for side in sides):
        raise ChoiceError(
            f"The size must be (width, height) in whole pixels from 1 on, not {size!r}."
        )
    width, height = (side or 0 for side in sides)
    if width * height > _MOST_PLACES:
        raise ChoiceError(f"{width} × {height} pixels are too many: the limit is {_MOST_PLACES}.")
    return width, height
