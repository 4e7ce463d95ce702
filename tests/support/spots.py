"""Maps with spots of heat at given places."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradcam_core as gc
from tests.support.explanations import explained

NAMES = ("Xception", "ResNet50", "VGG19", "Ada", "Ben", "Cyd")

TABBY, TIGER_CAT, EGYPTIAN, CRANE_BIRD, ESPRESSO = 281, 282, 285, 134, 967

PLACES = {
    (1, 1): "upper left",
    (4, 1): "top",
    (7, 1): "upper right",
    (1, 4): "left",
    (4, 4): "centre",
    (7, 4): "right",
    (1, 7): "lower left",
    (4, 7): "bottom",
    (7, 7): "lower right",
}
"""The names of places by the (column, row) of their centre on a grid of 9 x 9 cells."""


def spot(*places: str, side: int = 9, level: float = 1.0) -> np.ndarray:
    """A map of `side` x `side` cells with a spot of 3 x 3 at each of these places; each spot has
    `level` times the heat of the one before."""
    cells = np.zeros((side, side))
    for number, place in enumerate(places):
        ((x, y),) = (middle for middle, name in PLACES.items() if name == place)
        heat = np.minimum.outer(*(2 - abs(np.arange(side) - at) for at in (y, x))).clip(0) / 2
        cells = np.maximum(cells, heat * level**number)
    return cells


def of(cells: object, name: str = "Xception", **options: Any) -> gc.Explanation:
    return explained(cells, title=name, **options)
