"""The façade that joins the steps: a picture, a network and a class give an `Explanation`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradcam_core.cam.methods import DEFAULT_METHOD, method_named
from gradcam_core.errors import ChoiceError
from gradcam_core.explanation import Explanation, Prediction
from gradcam_core.images.geometry import Preprocessing, View, ViewName, view_of
from gradcam_core.images.read import Photo, read_image
from gradcam_core.models.labels import Labels
from gradcam_core.models.loading import Model, load_model
from gradcam_core.models.registry import model_info

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from gradcam_core.cam.forward import Run

TOP = 5


@dataclass(frozen=True)
class Preset:
    """A method with the settings that it is best with."""

    title: str
    method: str
    detail: int


PRESETS = {"sharp": Preset("Sharp", method="competitive", detail=2)}
"""What localises best on one half of the photographs in `benchmarks/`."""


@dataclass(frozen=True)
class Examination:
    """One photo shown to one network, the forward pass held open: any class explained from it.

    probabilities: float32 [classes], at detail 1. run: the pass at `detail`.
    """

    model: Model
    run: Run
    geometry: View
    view: ViewName
    detail: int
    probabilities: np.ndarray

    @cached_property
    def _ranking(self) -> np.ndarray:
        return np.argsort(-self.probabilities, kind="stable")

    @property
    def top(self) -> tuple[Prediction, ...]:
        """The five most probable classes, the most probable first."""
        return tuple(self.prediction(int(index)) for index in self._ranking[:TOP])

    def prediction(self, index: int) -> Prediction:
        """What the network gives one class."""
        name = self.model.info.labels[index].name
        return Prediction(index, name, float(self.probabilities[index]))

    def at(self, image: Photo, detail: int = 1, layer: str | None = None) -> Examination:
        """The same photo at another detail or layer; costs one forward pass. See `examine`."""
        photo = read_image(image)
        geometry = view_of(photo.size, self.model.preprocessing, self.view, detail)
        run = _run(geometry.batch(photo, self.model.preprocessing), self.model, layer)
        return replace(self, run=run, geometry=geometry, detail=detail)

    def explain(
        self,
        target: int | str | None = None,
        method: str = DEFAULT_METHOD,
        contrast: bool | int | str | Sequence[int | str] = False,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> Explanation:
        """The explanation of one class; costs little but for the slow methods.

        target: an index, a name or a synonym; None is the network's own top prediction. contrast:
        True explains it against its most probable rivals in the pass at this detail, a class or
        several against these.
        on_progress: called by slow methods with the share that is done; what it raises ends them.
        Raises LabelError for an unknown class, ValueError for an unknown method or rivals that do
        not fit.
        """
        labels = self.model.info.labels
        index = int(self._ranking[0]) if target is None else labels.find(target).index
        rivals = contrast if isinstance(contrast, bool) else _indices(contrast, labels)
        feature_map = self.run.cam(index, method, rivals, on_progress)[0]
        return Explanation(
            model=self.model.info.name,
            title=self.model.info.title,
            target=self.prediction(index),
            rank=int(np.flatnonzero(self._ranking == index)[0]) + 1,
            top=self.top,
            method=method,
            rivals=tuple(map(self.prediction, self.run.rivals(index, method, rivals)[0])),
            layer=self.run.layer,
            detail=self.detail,
            view=self.view,
            weights=self.model.weights,
            stands_in_for=self.model.stands_in_for.title if self.model.stands_in_for else "",
            notice=self.model.notice,
            geometry=self.geometry,
            feature_map=feature_map.cpu().numpy(),
            is_of_last_layer=self.run.layer == self.model.info.layer,
        )


def _indices(classes: int | str | Sequence[int | str], labels: Labels) -> list[int]:
    several = [classes] if isinstance(classes, int | str) else classes
    return [labels.find(one).index for one in several]


def examine(
    image: Photo,
    model: Model | str,
    view: ViewName = "crop",
    detail: int = 1,
    layer: str | None = None,
) -> Examination:
    """One forward pass of a network over a photo, held open for explanations of any class.

    image: a path, bytes, a PIL image or a uint8 array. model: loaded, or its name. view: "crop"
    (the published preprocessing) or "whole". detail: 1, or 2 or 3 for maps with so many times as
    many cells across and down, from the same view shown at that many times the network's input
    size; classes and probabilities come from detail 1 also then, which costs a pass more.
    layer: the dotted name of the target layer, for instance one of `model.stages`; None is the last
    feature map, as in the paper.
    Raises ImageError for a picture that cannot be used, ValueError for anything unknown.
    """
    photo = read_image(image)
    ready = load_model(model) if isinstance(model, str) else model
    view_of(photo.size, ready.preprocessing, view, detail)  # an error before the work
    prepared = prepare(photo, ready.preprocessing, view)
    held = prepared.examine(ready, layer if detail == 1 else None)
    return held if detail == 1 else held.at(photo, detail, layer)


@dataclass(frozen=True)
class Prepared:
    """A photo as networks with the same preprocessing are shown it.

    batch: their input, float32 [1, 3, height, width].
    """

    geometry: View
    view: ViewName
    batch: Tensor

    def examine(self, model: Model, layer: str | None = None) -> Examination:
        """One network's pass over it, which is the part of `examine` that takes all cores."""
        run = _run(self.batch, model, layer)
        probabilities = np.nan_to_num(model.probabilities(run.logits)[0].cpu().numpy())
        return Examination(model, run, self.geometry, self.view, 1, probabilities)


def prepare(photo: Image.Image, preprocessing: Preprocessing, view: ViewName = "crop") -> Prepared:
    """The first half of `examine`, which takes one core: the photo, RGB, as a network's input."""
    geometry = view_of(photo.size, preprocessing, view)
    return Prepared(geometry, view, geometry.batch(photo, preprocessing))


def _run(batch: Tensor, model: Model, layer: str | None) -> Run:
    from gradcam_core.cam.forward import forward

    device = next(model.module.parameters()).device
    batch = batch.to(device)
    with precision(device.type):
        return forward(model.module, batch, layer or model.info.layer)


def precision(device: str) -> AbstractContextManager:
    """bfloat16 on a GPU that has it, where it is twice as fast; float32 elsewhere."""
    import torch

    enabled = device == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device, dtype=torch.bfloat16, enabled=enabled)


def explain(
    image: Photo,
    model: Model | str = "resnet50",
    target: int | str | None = None,
    method: str = DEFAULT_METHOD,
    detail: int = 1,
    view: ViewName = "crop",
    contrast: bool | int | str | Sequence[int | str] = False,
    preset: str | None = None,
    layer: str | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Explanation:
    """Where one network finds the evidence for one class in a photo.

    target: a class's index, name or synonym; None is the network's own top prediction. preset: a
    name in `PRESETS`, in place of method and detail. See `examine` and `Examination.explain` for
    the other arguments and `Explanation` for the result; several classes of one photo are cheaper
    from one `examine`.
    Raises ImageError, LabelError or ValueError for what cannot be used.
    """
    if preset is not None:
        chosen = preset_named(preset)
        method, detail = chosen.method, chosen.detail
    method_named(method)
    if target is not None:
        info = model_info(model) if isinstance(model, str) else model.info
        info.labels.find(target)
    held = examine(image, model, view, detail, layer)
    return held.explain(target, method, contrast, on_progress)


def preset_named(name: str) -> Preset:
    """The preset of this name. Raises ValueError that lists the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ChoiceError(
            f"There is no preset {name!r}. Choose one of: {', '.join(PRESETS)}."
        ) from None
