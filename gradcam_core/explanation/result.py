"""An explanation: where one network found the evidence for one class in one photo."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gradcam_core.cam.passes.smoothing import Smooth
from gradcam_core.errors import ChoiceError
from gradcam_core.explanation.text import ExplanationText, Prediction
from gradcam_core.images.apply_covers import covered
from gradcam_core.images.cover import Cover
from gradcam_core.images.decoded import Window
from gradcam_core.images.geometry import View, ViewName
from gradcam_core.images.read import Photo, read_picture
from gradcam_core.images.rendering.heat_bands import checked_size, heat_bands
from gradcam_core.images.rendering.metadata import png_info
from gradcam_core.images.rendering.render import (
    COLORMAP,
    FOR_AND_AGAINST,
    OPACITY,
    overlay_bands,
    shrunk,
)
from gradcam_core.models.downloads.weights import Weights
from gradcam_core.old_names import warn

if TYPE_CHECKING:
    from gradcam_core.cam.steps import Steps

NOTEBOOK_MAX_SIDE_PX = 768
"""The longest side of the overlay that a notebook shows."""


@dataclass(frozen=True)
class Explanation(ExplanationText):
    """Where one network found the evidence for one class in one photo.

    target: the class explained; rank: its rank among all classes by probability, from 1. top: the
    five most probable classes, or all if there are fewer. Classes and probabilities are those of
    detail 1, the published network. model, title: the network that ran; stands_in_for: the title of
    the network it replaces, if any; notice: the sentence to show with it.

    layer, method, detail, weights: how the map was made; contrast: the classes against which the
    target is explained. is_of_last_layer: whether `layer` is the last feature map, as in the paper;
    if the maps of several layers are fused, `layer` has all names with "+" between them. tokens:
    whether the map's cells are a transformer's tokens, laid out on their grid. smooth: the kind of
    copies over whose maps this map is averaged; None for the picture alone. steps: how the map is
    made, if requested.

    view: the name of the view; geometry: the same in the photo's pixels. feature_map: float32 [h,
    w], >= 0, not normalised: the map as the method returns it. signed_map: float32 [h, w], with the
    evidence against the class below 0, if requested: overlays and figures then show both.

    classes: how many classes the network knows; independent: whether each has its own probability
    instead of a share of one. unit: None for a classifier; for a regression, the unit of its
    values, which take the place of probabilities and whose increase is explained.

    photo_notices: sentences to show beside the photo, about how it was read, such as a range of
    brightness or the first of several pages. window: the range that was requested. covers: the
    covered places of the photo; uncovered: the explanation of the same network, class and photo
    without covers, if it was made. photo: the RGB picture, for notebooks, if `gc.explain` or
    `gc.examine` received it; it is not compared, pickled or recorded.
    """

    model: str
    title: str
    target: Prediction
    rank: int
    top: tuple[Prediction, ...]
    method: str
    contrast: tuple[Prediction, ...]
    layer: str
    detail: int
    view: ViewName
    weights: Weights
    stands_in_for: str
    notice: str
    geometry: View
    feature_map: np.ndarray
    is_of_last_layer: bool = True
    tokens: bool = False
    classes: int = 1000
    independent: bool = False
    unit: str | None = None
    photo_notices: tuple[str, ...] = ()
    window: Window | None = None
    signed_map: np.ndarray | None = None
    smooth: Smooth | None = None
    steps: Steps | None = None
    covers: tuple[Cover, ...] = ()
    uncovered: Explanation | None = field(default=None, repr=False)
    photo: Image.Image | None = field(default=None, compare=False, repr=False)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of what the network saw, in the photo's pixels."""
        return self.geometry.box

    @property
    def value(self) -> float | None:
        """The value that a regression predicts, in `unit`; None for a classifier."""
        return None if self.unit is None else self.target.probability

    @property
    def rivals(self) -> tuple[Prediction, ...]:
        """The old name of `contrast`."""
        warn("rivals", "contrast")
        return self.contrast

    def record(self) -> dict[str, object]:
        """Everything but the maps, in JSON's types. If the scores are not numbers, the
        probabilities and the rank are None, and "top" is empty."""
        target = self._recorded(self.target)
        if not self.has_scores:
            target["probability"] = None
        return {
            "model": self.model,
            "title": self.title,
            "stands_in_for": self.stands_in_for or None,
            "notice": self.notice or None,
            "photo_notices": list(self.photo_notices),
            "covers": [cover.record() for cover in self.covers],
            "target": target,
            "rank": self.rank if self.has_scores else None,
            "degenerate": self.degenerate or None,
            "top": [self._recorded(one) for one in self.top if self.has_scores],
            "classes": self.classes,
            "method": self.method,
            "contrast": [asdict(prediction) for prediction in self.contrast],
            "rivals": [asdict(prediction) for prediction in self.contrast],  # the old name
            "layer": self.layer,
            "smooth": self.smooth,
            "tokens": self.tokens,
            "signed": self.signed_map is not None,
            "steps": self.steps and self.steps.record(),
            "detail": self.detail,
            "view": self.view,
            "photo_size": self.geometry.photo_size,
            "box": self.box,
            "weights": {"source": self.weights.source, "sha256": self.weights.sha256},
        }

    def _recorded(self, prediction: Prediction) -> dict[str, Any]:
        if self.unit is None:
            return asdict(prediction)
        value = prediction.probability if self.has_scores else None
        return {**asdict(prediction), "probability": None, "value": value, "unit": self.unit}

    @cached_property
    def heatmap(self) -> np.ndarray:
        """float32 [H, W] in [0, 1], in the size of the original photo; 0 outside `box`."""
        return self.heatmap_at(self.geometry.photo_size)

    @property
    def identity(self) -> tuple[object, ...]:
        """A key that is equal for explanations with the same map, such as those of a network that
        stands in for two others."""
        return self.model, self.target.index, self.how, self.layer, self.feature_map.tobytes()

    def overlay_bands(
        self, photo: Image.Image, colormap: str = COLORMAP, opacity: float = OPACITY
    ) -> Iterator[np.ndarray]:
        """`overlay` from the top down, some rows at a time: uint8 [rows, width, 3] (RGB). photo:
        the photo, which may have been resized."""
        width, height = photo.size
        full_width, full_height = self.geometry.photo_size
        left, top, right, bottom = self.box
        # Rounded outwards to all pixels that show part of the box, as in `View.to_photo`.
        box = (
            left * width // full_width,
            top * height // full_height,
            -(-right * width // full_width),
            -(-bottom * height // full_height),
        )
        if self.signed_map is None:
            return overlay_bands(photo, self.heatmap_bands(photo.size), box, opacity, colormap)
        shares = ((heat + 1) / 2 for heat in self.signed_bands(photo.size))
        return overlay_bands(photo, shares, box, opacity, FOR_AND_AGAINST)

    def overlay(
        self, photo: Photo, colormap: str = COLORMAP, opacity: float = OPACITY
    ) -> Image.Image:
        """The heat over its photo, as RGB of the photo's size; the photo may have been resized.

        Places that the network did not see are darkened. With a `signed_map`, evidence for the
        class is orange and evidence against it blue, whatever the colormap. opacity: in [0, 1].
        Raises ChoiceError for an invalid colormap or opacity, and ImageError if the photo cannot be
        used.
        """
        bands = self.overlay_bands(self.read_photo(photo), colormap, opacity)
        return Image.fromarray(np.concatenate(list(bands)))

    def read_photo(self, photo: Photo) -> Image.Image:
        """A photo as this explanation shows it, RGB: with the same window and covers. Its own
        `photo` is returned as it is. Raises ImageError if the photo cannot be used."""
        if self.photo is not None and photo is self.photo:
            return self.photo
        decoded = read_picture(photo, self.window)
        return (decoded if decoded.covers else covered(decoded, self.covers)).image

    def _repr_png_(self) -> bytes | None:
        """The overlay as PNG, which a notebook shows; None without a photo."""
        if self.photo is None:
            return None
        file = io.BytesIO()
        photo = shrunk(self.photo, NOTEBOOK_MAX_SIDE_PX, Image.Resampling.LANCZOS)
        self.overlay(photo).save(file, "PNG", pnginfo=png_info(self.metadata()))
        return file.getvalue()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"photo": None}

    def heatmap_at(self, size: tuple[int, int]) -> np.ndarray:
        """The heatmap on a raster of (width, height) that covers the whole photo.

        float32 [height, width] with a maximum of 1; all 0 if the map is `degenerate`. Raises
        ChoiceError for an invalid size.
        """
        size = checked_size(size)
        heat = np.empty((size[1], size[0]), dtype=np.float32)
        filled = 0
        for band in self.heatmap_bands(size):
            heat[filled : filled + len(band)] = band
            filled += len(band)
        return heat

    def heatmap_bands(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """`heatmap_at` from the top down, some rows at a time: float32 [rows, width] each. A whole
        heatmap of 48 megapixels would take 195 MB."""
        feature_map = np.zeros_like(self.feature_map) if self.degenerate else self.feature_map
        return heat_bands(feature_map, self.geometry, size)

    @cached_property
    def signed_heatmap(self) -> np.ndarray:
        """float32 [H, W] in [-1, 1], in the size of the original photo, divided by the largest
        absolute value. Evidence for the class is above 0, evidence against it below 0; 0 outside
        `box`. Raises ChoiceError if the explanation was made without `signed`."""
        return np.concatenate(list(self.signed_bands(self.geometry.photo_size)))

    def signed_bands(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """`signed_heatmap` on a raster of (width, height), in bands as in `heatmap_bands`."""
        if self.signed_map is None:
            raise ChoiceError("This explanation has no signed map: explain with signed=True.")
        signed = self.signed_map
        cells = signed if np.isfinite(signed).all() else np.zeros_like(signed)
        return heat_bands(cells, self.geometry, size)
