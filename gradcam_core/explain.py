"""The façade that joins the steps: a picture, a network and a class give an `Explanation`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradcam_core.images import Photo, read_image
from gradcam_core.labels import find_label, imagenet_labels
from gradcam_core.methods import method_named
from gradcam_core.models import Model, load_model
from gradcam_core.view import View, ViewName, view_of
from gradcam_core.weights import Weights

if TYPE_CHECKING:
    from gradcam_core.cam import Run

TOP = 5
DETAILS = (1,)
"""How many times its own input size a network may be shown a picture at."""


@dataclass(frozen=True)
class Prediction:
    """One class and the probability, in [0, 1], that a network gives it."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Explanation:
    """Where one network found the evidence for one class in one photo.

    target: the class explained, rank: its place among all classes by probability, from 1.
    top: the five most probable classes. model, title: the network that ran; stands_in_for: the
    title of the network it replaces, if it does, and notice: what must then be said. layer, method,
    detail, weights: how the map was made. view: the name of the view; geometry: what it is in the
    photo's pixels. feature_map: float32 [h, w], >= 0, not normalised: the map as the method
    gives it.
    """

    model: str
    title: str
    target: Prediction
    rank: int
    top: tuple[Prediction, ...]
    method: str
    layer: str
    detail: int
    view: ViewName
    weights: Weights
    stands_in_for: str
    notice: str
    geometry: View
    feature_map: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in the photo's pixels: what the network saw."""
        return self.geometry.box

    @property
    def heading(self) -> str:
        """The network's title, with that of the network it stands in for."""
        return f"{self.title} for {self.stands_in_for}" if self.stands_in_for else self.title

    def record(self) -> dict[str, object]:
        """All but the maps, in types that JSON has."""
        return {
            "model": self.model,
            "title": self.title,
            "stands_in_for": self.stands_in_for or None,
            "notice": self.notice or None,
            "target": asdict(self.target),
            "rank": self.rank,
            "is_empty": self.is_empty,
            "top": [asdict(prediction) for prediction in self.top],
            "method": self.method,
            "layer": self.layer,
            "detail": self.detail,
            "view": self.view,
            "photo_size": self.geometry.photo_size,
            "box": self.box,
            "weights": {"source": self.weights.source, "sha256": self.weights.sha256},
        }

    @cached_property
    def heatmap(self) -> np.ndarray:
        """float32 [H, W] of the original photo, in [0, 1]; 0 outside `box`."""
        return self.heatmap_at(self.geometry.photo_size)

    @property
    def is_empty(self) -> bool:
        """Whether nothing in the photo speaks for the class: the heatmap is 0 everywhere."""
        return not self.heatmap_at(self.geometry.size).any()

    def heatmap_at(self, size: tuple[int, int]) -> np.ndarray:
        """The heatmap on a raster of (width, height) that covers the whole photo.

        float32 [height, width], its maximum 1; all 0 if nothing speaks for the class.
        """
        heat = self.geometry.to_photo(self.feature_map, size)
        peak = heat.max()
        return heat / peak if np.isfinite(peak) and peak > 0 else np.zeros_like(heat)


@dataclass(frozen=True)
class Examination:
    """One photo shown to one network, the forward pass held open: any class explained from it."""

    model: Model
    run: Run
    geometry: View
    view: ViewName
    detail: int
    probabilities: np.ndarray  # float32 [classes]

    @cached_property
    def _ranking(self) -> np.ndarray:
        return np.argsort(-self.probabilities, kind="stable")

    @property
    def top(self) -> tuple[Prediction, ...]:
        """The five most probable classes, the most probable first."""
        return tuple(self.prediction(int(index)) for index in self._ranking[:TOP])

    def prediction(self, index: int) -> Prediction:
        """What the network gives one class."""
        return Prediction(index, imagenet_labels()[index].name, float(self.probabilities[index]))

    def explain(self, target: int | str | None = None, method: str = "gradcam") -> Explanation:
        """The explanation of one class; costs a backward pass through the network's head.

        target: an index, a name or a synonym; None is the network's own top prediction.
        Raises LabelError for an unknown class, ValueError for an unknown method.
        """
        index = int(self._ranking[0]) if target is None else find_label(target).index
        feature_map = self.run.cam(index, method)[0].numpy().astype(np.float32)
        return Explanation(
            model=self.model.info.name,
            title=self.model.info.title,
            target=self.prediction(index),
            rank=int(np.flatnonzero(self._ranking == index)[0]) + 1,
            top=self.top,
            method=method,
            layer=self.run.layer,
            detail=self.detail,
            view=self.view,
            weights=self.model.weights,
            stands_in_for=self.model.stands_in_for.title if self.model.stands_in_for else "",
            notice=self.model.notice,
            geometry=self.geometry,
            feature_map=feature_map,
        )


def examine(
    image: Photo, model: Model | str, view: ViewName = "crop", detail: int = 1
) -> Examination:
    """One forward pass of a network over a photo, held open for explanations of any class.

    image: a path, bytes, a PIL image or a uint8 array. model: loaded, or its name. view: "crop"
    (the published preprocessing) or "whole". detail: only 1 for now.
    Raises ImageError for a picture that cannot be used, ValueError for anything unknown.
    """
    from gradcam_core.cam import forward

    if detail not in DETAILS:
        raise ValueError(f"There is no detail {detail}. Choose one of: {DETAILS}.")
    photo = read_image(image)
    ready = load_model(model) if isinstance(model, str) else model
    geometry = view_of(photo.size, ready.preprocessing, view)
    run = forward(ready.module, geometry.batch(photo, ready.preprocessing), ready.info.layer)
    probabilities = run.logits[0].softmax(dim=0).numpy()
    return Examination(ready, run, geometry, view, detail, probabilities)


def explain(
    image: Photo,
    model: Model | str = "resnet50",
    target: int | str | None = None,
    method: str = "gradcam",
    detail: int = 1,
    view: ViewName = "crop",
) -> Explanation:
    """Where one network finds the evidence for one class in a photo.

    target: a class's index, name or synonym; None is the network's own top prediction. See
    `examine` for the other arguments and `Explanation` for the result; several classes of one
    photo are cheaper from one `examine`.
    Raises ImageError, LabelError or ValueError for what cannot be used.
    """
    method_named(method)
    if target is not None:
        find_label(target)
    return examine(image, model, view, detail).explain(target, method)
