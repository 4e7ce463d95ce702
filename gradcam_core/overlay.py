"""Heatmap to colour to picture; the labelled figure that compares networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from gradcam_core.explain import Explanation

COLORMAP = "inferno"
"""Perceptually uniform, and as readable for the colour-blind."""

OPACITY = 0.75
DIMMING = 0.55
"""Share of black laid over what the network did not see."""

_WIDE = 0.55  # height over width up to which the figure has two pictures a row

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
    alpha = Image.fromarray((table[:, 3] * opacity).astype(np.uint8)[levels(heatmap)])
    colour = Image.fromarray(table[:, :3][levels(heatmap)])
    seen = Image.composite(colour, photo, alpha)
    picture = Image.eval(photo, lambda value: round(value * (1 - DIMMING)))
    picture.paste(seen.crop(box), box[:2])
    return picture


def comparison(photo: Image.Image, explanations: Sequence[Explanation], width: int = 720) -> Figure:
    """One figure: the photo and each network's overlay with its name, class and probability.

    width: of each picture, in pixels; larger photos are shrunk to it.
    """
    small = photo.copy()
    small.thumbnail((width, width))
    aspect = small.height / small.width
    count = len(explanations) + 1
    columns = count if aspect > _WIDE else min(count, 2)
    rows = -(-count // columns)
    notices = sorted({e.notice for e in explanations if e.notice})
    # Inches. Extremely narrow or flat photos get a cell of an ordinary shape to stand in.
    cell = 3.4 if aspect > _WIDE else 6.0
    height = min(max(cell * aspect, 0.4), 6.0) + 0.75
    figure = Figure(
        figsize=(cell * columns + 0.9, height * rows + 0.3 + 0.16 * len(notices)),
        dpi=160,
        layout="constrained",
    )
    grid = figure.subplots(rows, columns, squeeze=False).flat
    axes = list(itertools.islice(grid, count))
    for unused in grid:
        unused.set_visible(False)
    axes[0].imshow(small)
    axes[0].set_title("Photo", fontsize=12, fontweight="bold", loc="left")
    scale = small.width / photo.width, small.height / photo.height
    for axis, e in zip(axes[1:], explanations, strict=True):
        left, top, right, bottom = e.box
        box = (
            int(left * scale[0]),
            int(top * scale[1]),
            max(1, round(right * scale[0])),
            max(1, round(bottom * scale[1])),
        )
        axis.imshow(overlay(small, e.heatmap_at(small.size), box))
        axis.set_title(e.heading, fontsize=12, fontweight="bold", loc="left")
        axis.set_xlabel(f"{e.target.name}\n{e.target.probability:.1%}, rank {e.rank}", fontsize=11)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(
        ScalarMappable(cmap=COLORMAP), ax=list(axes), shrink=0.8, ticks=[0, 0.5, 1], pad=0.01
    )
    bar.set_label("evidence for the class,\nshare of the map's maximum", fontsize=9)
    methods = " · ".join(dict.fromkeys(f"{e.how}, view {e.view}" for e in explanations))
    figure.supxlabel("\n".join([methods, *notices]), fontsize=8, color="0.35")
    return figure
