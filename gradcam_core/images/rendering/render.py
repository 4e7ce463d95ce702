"""Draws heat in colour over a photo, which may be a shrunk copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import SupportsFloat

import numpy as np
from PIL import Image

from gradcam_core.errors import ChoiceError

COLORMAP = "inferno"
"""The default: perceptually uniform, and readable for the colour-blind."""

COLORMAPS = {
    COLORMAP: "Inferno",
    "viridis": "Viridis",
    "cividis": "Cividis",
    "gray": "Grey",
    "jet": "Classic jet",
}
"""The colormaps offered, matplotlib's name -> title. All but jet are perceptually uniform."""

FOR_AND_AGAINST = "for and against"
"""The colormap of signed maps, with 0 in the middle. The colour-blind can tell orange from blue."""

_FOR = ((130, 42, 0), (205, 85, 0), (250, 140, 10), (255, 222, 90))
_AGAINST = ((0, 55, 165), (15, 100, 230), (45, 150, 255), (125, 220, 255))
"""RGB colours in equal steps from the least heat to the most: brighter means more."""

OPACITY = 0.75
DIMMING = 0.55
"""How far the photo is darkened where the network did not see it, from 0 to 1 (black)."""

OVERLAY_MAX_SIDE_PX = 768
"""The longest side of an overlay in a batch."""

_DIMMED = [round(value * (1 - DIMMING)) for value in range(256)] * 3  # once per channel

FULL_FROM = 0.5
"""Heat at which the colour reaches its full opacity; less heat fades out to the bare photo."""

_SIGNED_FULL_FROM = 0.25
"""The same for a signed map: evidence against a class is often a fifth of the evidence for it."""


def colormap_table(name: str = COLORMAP) -> np.ndarray:
    """The colour and opacity of each of 256 levels of heat: uint8 [256, 4] (RGBA). name: one of
    `COLORMAPS` or of matplotlib's, or `FOR_AND_AGAINST`. Raises ChoiceError for any other."""
    if name == FOR_AND_AGAINST:
        return _diverging_table()
    import matplotlib

    if not isinstance(name, str) or name not in matplotlib.colormaps:
        known = ", ".join(COLORMAPS)
        raise ChoiceError(
            f"There is no colormap {name!r}. Choose one of: {known}, or any other of matplotlib's."
        )
    table = matplotlib.colormaps[name].resampled(256)(np.arange(256), bytes=True)
    opaque = np.clip(np.linspace(0, 1, 256) / FULL_FROM, 0, 1)
    table[:, 3] = np.round(255 * opaque)
    return table


def _diverging_table() -> np.ndarray:
    heat = np.linspace(-1, 1, 256)
    stops = np.array([*reversed(_AGAINST), *_FOR])
    steps = np.linspace(0, 1, len(_FOR))
    at = np.concatenate([-steps[::-1], steps])
    table = np.empty((256, 4), dtype=np.uint8)
    for part in range(3):
        table[:, part] = np.round(np.interp(heat, at, stops[:, part]))
    table[:, 3] = np.round(255 * np.clip(np.abs(heat) / _SIGNED_FULL_FROM, 0, 1))
    return table


def levels(heatmap: np.ndarray) -> np.ndarray:
    """A heatmap in [0, 1] as uint8 levels of heat, same shape."""
    level = np.clip(heatmap, 0, 1)
    level *= 255  # in place, as is the next step: every copy of a large picture costs as much time
    return np.rint(level, out=level).astype(np.uint8)


def overlay(
    photo: Image.Image,
    heatmap: np.ndarray,
    box: tuple[int, int, int, int],
    opacity: float = OPACITY,
    colormap: str = COLORMAP,
) -> Image.Image:
    """The heatmap in colour over the photo, as RGB of the photo's size.

    heatmap: [H, W] in [0, 1], the photo's size. box: (left, top, right, bottom) of what the network
    saw, in pixels; the photo is dimmed outside. opacity: in [0, 1], of the hottest places. Raises
    ChoiceError for another opacity or an unknown colormap.
    """
    return Image.fromarray(next(overlay_bands(photo, [heatmap], box, opacity, colormap)))


def overlay_bands(
    photo: Image.Image,
    heatmap: Iterable[np.ndarray],
    box: tuple[int, int, int, int],
    opacity: float = OPACITY,
    colormap: str = COLORMAP,
) -> Iterator[np.ndarray]:
    """`overlay` some rows at a time. heatmap: bands [rows, W] from the top down; for each, yields
    uint8 [rows, W, 3]. Needs several times the memory of a band."""
    is_share = isinstance(opacity, SupportsFloat) and 0 <= float(opacity) <= 1
    if not is_share:
        raise ChoiceError(f"The opacity must be a number from 0 to 1, not {opacity!r}.")
    table = colormap_table(colormap)
    table[:, 3] = table[:, 3] * opacity
    colours = np.ascontiguousarray(table).view(np.uint32)[:, 0]  # four times as fast to look up
    left, top, right, bottom = box
    end = 0
    for heat in heatmap:
        above, end = end, end + len(heat)
        band = photo.crop((0, above, photo.width, end))
        start, stop = (min(max(above, row), end) - above for row in (top, bottom))
        for unseen in (
            (0, 0, photo.width, start),
            (0, start, left, stop),
            (right, start, photo.width, stop),
            (0, stop, photo.width, len(heat)),
        ):
            if unseen[0] < unseen[2] and unseen[1] < unseen[3]:
                band.paste(band.crop(unseen).point(_DIMMED), unseen)
        if start < stop:
            level = levels(heat[start:stop, left:right])
            rgba = colours[level].view(np.uint8).reshape(*level.shape, 4)
            over = Image.fromarray(rgba)
            band.paste(over, (left, start), over)
        yield np.asarray(band)


def shrunk(photo: Image.Image, max_side_px: int, resample: Image.Resampling) -> Image.Image:
    """The photo, shrunk to at most `max_side_px` pixels a side; the photo itself if it is small
    enough."""
    if max(photo.size) <= max_side_px:
        return photo
    width, height = (max(1, round(side * max_side_px / max(photo.size))) for side in photo.size)
    # reducing_gap averages blocks of pixels first, which takes less memory and a quarter of the
    # time, without a visible difference.
    return photo.resize((width, height), resample, reducing_gap=1)
