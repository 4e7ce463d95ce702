"""A photo as a network's input: the step of an examination that needs no network."""

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
    """A photo as networks with the same preprocessing see it. The photo itself is not needed for a
    pass.

    batch: the network's input, float32 [1, C, height, width], at `detail` times its size.
    """

    geometry: View
    view: ViewName
    detail: int
    batch: Tensor


def prepare(
    photo: Image.Image, preprocessing: Preprocessing, view: ViewName = "crop", detail: int = 1
) -> PreparedInput:
    """An RGB photo as a network's input: the part of `examine` that takes one core.

    Raises ChoiceError for a view or a detail that there is not.
    """
    geometry = view_of(photo.size, preprocessing, view, detail)
    return PreparedInput(geometry, view, detail, geometry.batch(photo, preprocessing))


def prepare_pixels(
    pixels: np.ndarray, geometry: View, view: ViewName, detail: int, preprocessing: Preprocessing
) -> PreparedInput:
    """`prepare` where the photo is elsewhere: pixels are what `View.picture` gives of it, uint8
    [height, width, 3]."""
    return PreparedInput(geometry, view, detail, normalised(pixels, preprocessing))
