"""Turns a photo into a network's input: the step of an examination that needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcam_core.images.geometry import View, ViewName, view_of
from gradcam_core.images.preprocessing import Preprocessing, normalised

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor


@dataclass(frozen=True)
class PreparedInput:
    """A photo as networks with the same preprocessing see it, which is all that a forward pass
    needs.

    batch: the network's input, float32 [1, C, height, width], at `detail` times its own size.
    """

    geometry: View
    view: ViewName
    detail: int
    batch: Tensor


def prepare(
    photo: Image.Image, preprocessing: Preprocessing, view: ViewName = "crop", detail: int = 1
) -> PreparedInput:
    """Turns an RGB photo into a network's input: the part of `examine` that uses one core.

    Raises ChoiceError for an unknown view or detail.
    """
    geometry = view_of(photo.size, preprocessing, view, detail)
    return PreparedInput(geometry, view, detail, geometry.batch(photo, preprocessing))


def prepare_pixels(
    pixels: np.ndarray, geometry: View, view: ViewName, detail: int, preprocessing: Preprocessing
) -> PreparedInput:
    """`prepare` for a photo that was resized elsewhere. pixels: the result of `View.picture`, uint8
    [height, width, 3]."""
    return PreparedInput(geometry, view, detail, normalised(pixels, preprocessing))
