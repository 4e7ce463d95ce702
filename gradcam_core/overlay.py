"""Heatmap to colour to picture."""

from __future__ import annotations

import matplotlib
import numpy as np
from PIL import Image

COLORMAP = "inferno"
"""Perceptually uniform, and as readable for the colour-blind."""

COLORMAPS = {
    COLORMAP: "Inferno",
    "viridis": "Viridis",
    "cividis": "Cividis",
    "gray": "Grey",
    "jet": "Classic jet",
}
"""What people may choose from, by matplotlib's names. All but jet are perceptually uniform."""

OPACITY = 0.75
DIMMING = 0.55
"""Share of black laid over what the network did not see."""

_BAND_PIXELS = 2**20

FULL_FROM = 0.5
"""Heat from which on the colour has its full opacity; below it fades out to the bare photo."""


def colormap_table(name: str = COLORMAP) -> np.ndarray:
    """The colour of each of 256 levels of heat, and how opaque it is: uint8 [256, 4] (RGBA)."""
    table = matplotlib.colormaps[name].resampled(256)(np.arange(256), bytes=True)
    opaque = np.clip(np.linspace(0, 1, 256) / FULL_FROM, 0, 1)
    table[:, 3] = np.round(255 * opaque)
    return table


def levels(heatmap: np.ndarray) -> np.ndarray:
    """A heatmap in [0, 1] as uint8 levels of heat, same shape."""
    return np.round(np.clip(heatmap, 0, 1) * 255).astype(np.uint8)


def overlay(
    photo: Image.Image,
    heatmap: np.ndarray,
    box: tuple[int, int, int, int],
    opacity: float = OPACITY,
    colormap: str = COLORMAP,
) -> Image.Image:
    """The heatmap in colour over the photo, as RGB of the photo's size.

    heatmap: [H, W] in [0, 1]. box: (left, top, right, bottom) that the network saw; the photo is
    dimmed outside. opacity: in [0, 1], of the colour where it is hottest.
    """
    table = colormap_table(colormap)
    table[:, 3] = table[:, 3] * opacity
    left, top, right, bottom = box
    picture = Image.eval(photo, lambda value: round(value * (1 - DIMMING)))
    # Some rows at a time: what is made on the way to them takes several times their memory.
    rows = max(1, _BAND_PIXELS // photo.width)
    for start in range(top, bottom, rows):
        end = min(start + rows, bottom)
        colour = Image.fromarray(table[levels(heatmap[start:end, left:right])])
        seen = photo.crop((left, start, right, end))
        seen.paste(colour, mask=colour.getchannel("A"))
        picture.paste(seen, (left, start))
    return picture
