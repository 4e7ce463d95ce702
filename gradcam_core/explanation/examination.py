"""A forward pass over one photo, or several at once, held open to explain any class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_core.cam.methods.registry import DEFAULT_METHOD, method_named
from gradcam_core.cam.passes.smoothing import Smooth
from gradcam_core.explanation.request import ExplanationRequest, as_several, check_options, is_auto
from gradcam_core.explanation.result import Explanation
from gradcam_core.explanation.text import Prediction
from gradcam_core.images.apply_covers import covered
from gradcam_core.images.cover import Cover
from gradcam_core.images.decoded import Window
from gradcam_core.images.geometry import View, ViewName
from gradcam_core.images.prepare import PreparedInput, prepare
from gradcam_core.images.read import Photo, read_picture
from gradcam_core.models.forward_pass import run_model
from gradcam_core.models.model import JOINED, LayerChoice, Model, is_several

if TYPE_CHECKING:
    from PIL import Image

    from gradcam_core.cam.run import Run
    from gradcam_core.cam.steps import Steps

TOP = 5


@dataclass(frozen=True)
class Examination:
    """One network's forward pass over one photo, kept open: it explains any class.

    probabilities: float32 [classes], at detail 1; for a regression, its values. run: the pass at
    `detail`, of this photo alone, or its part of a pass over several photos (see `run_passes`).
    photo_notices, window, covers, photo: see `Explanation`.
    """

    model: Model
    run: Run
    geometry: View
    view: ViewName
    detail: int
    probabilities: np.ndarray
    photo_notices: tuple[str, ...] = ()
    window: Window | None = None
    covers: tuple[Cover, ...] = ()
    photo: Image.Image | None = field(default=None, compare=False, repr=False)

    @cached_property
    def _ranking(self) -> np.ndarray:
        if self.model.info.unit is not None:  # outputs of a regression cannot be ranked
            return np.arange(len(self.probabilities))
        return np.argsort(-self.probabilities, kind="stable")

    @property
    def top(self) -> tuple[Prediction, ...]:
        """The five most probable classes, the most probable first."""
        return tuple(self.prediction(int(index)) for index in self._ranking[:TOP])

    def prediction(self, index: int) -> Prediction:
        """The class with this index, and the probability that the network gives it."""
        name = self.model.info.labels[index].name
        return Prediction(index, name, float(self.probabilities[index]))

    def rank_of(self, index: int) -> int:
        """The rank of a class among all classes by probability, from 1."""
        return int(np.flatnonzero(self._ranking == index)[0]) + 1

    def at(
        self,
        image: Photo,
        detail: int = 1,
        layer: LayerChoice | Sequence[str | float] | None = None,
    ) -> Examination:
        """The same photo at another detail or layer; costs one forward pass. See `examine`."""
        is_own = self.photo is not None and image is self.photo
        decoded = read_picture(image, None if is_own else self.window)
        if not is_own and not decoded.covers:
            decoded = covered(decoded, self.covers)
        prepared = prepare(decoded.image, self.model.preprocessing, self.view, detail)
        name = self.model.layer_named(layer)
        held = run_passes(self.model, [prepared], name, [self.probabilities])[0]
        return replace(
            held,
            photo=self.photo,
            photo_notices=self.photo_notices,
            window=self.window,
            covers=self.covers,
        )

    def explain(
        self,
        target: int | str | None = None,
        method: str = DEFAULT_METHOD,
        contrast: bool | int | str | Sequence[int | str] = False,
        on_progress: Callable[[float], None] = lambda share: None,
        signed: bool = False,
        steps: bool = False,
        smooth: Smooth | None = None,
    ) -> Explanation:
        """The explanation of one class; cheap except for the slow methods.

        target: an index, a name or a synonym; None is the network's top prediction. contrast: a
        class or several to explain the target against; True or "auto" stands for the most probable
        other classes in the pass at this detail. on_progress: called by slow methods with the share
        that is done; an exception it raises stops them. signed: whether to include the evidence
        against the class. steps: whether to record how the map is made. smooth: "noise" or "flips",
        the mean over the maps of noisy copies, or of six: as is, paler and stronger, each also
        mirrored. Each copy takes a pass, see `Run.cam`.

        Raises LabelError for an unknown class; ValueError for an unknown method, an unsuitable
        contrast, a method without signed maps or steps, or arguments that cannot be combined.
        """
        labels = self.model.info.labels
        index = int(self._ranking[0]) if target is None else labels.find(target).index
        others: bool | list[int]
        if isinstance(contrast, bool):
            others = contrast
        elif is_auto(contrast):
            others = True
        else:
            found = (labels.find(one).index for one in as_several(contrast))
            others = list(dict.fromkeys(found))
        return _explain(
            [self], [index], method, others, on_progress, signed=signed, steps=steps, smooth=smooth
        )[0]

    def answer(
        self,
        request: ExplanationRequest,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> Explanation:
        """The explanation for a request, whose view, detail and layer must be those of this pass.
        See `explain`."""
        return answer_together([self], request, on_progress)[0]

    def target_of(self, request: ExplanationRequest) -> int:
        """The index of the class that a request explains: by default the most probable class that
        is not in its contrast."""
        if request.target is not None:
            return request.target
        others = request.contrast_classes
        return next(int(index) for index in self._ranking if index not in others)


def answer_together(
    held: Sequence[Examination],
    request: ExplanationRequest,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[Explanation]:
    """`Examination.answer` for consecutive photos of one pass (see `run_passes`), with a single
    backward pass for all of them."""
    if any(one.run.open_pass is not held[0].run.open_pass for one in held):
        return [one.answer(request, on_progress) for one in held]  # run one by one
    targets = [one.target_of(request) for one in held]
    return _explain(
        held,
        targets,
        request.method,
        request.usable_contrast,
        on_progress,
        signed=request.signed,
        steps=request.steps,
        smooth=request.smooth,
    )


def _explain(
    held: Sequence[Examination],
    targets: Sequence[int],
    method: str,
    contrast: bool | Sequence[int],
    on_progress: Callable[[float], None],
    *,
    signed: bool,
    steps: bool,
    smooth: Smooth | None,
) -> list[Explanation]:
    run = held[0].run.join([one.run for one in held[1:]])
    check_options(method_named(method), signed, steps, smooth, is_several(run.layer))
    # Where a saturated softmax has rounded gradients to 0, `cam` raises an error, because a map of
    # 0 would be wrong.
    allow_nan = not held[0].model.may_be_saturated
    wanted: dict[str, Any] = {"smooth": smooth, "allow_nan": allow_nan}
    found = run.cam(targets, method, contrast, on_progress, **wanted)
    feature_maps = found.cpu().numpy()
    contrasts = run.contrast(targets, method, contrast)
    signed_maps: Sequence[np.ndarray | None] = [None] * len(held)
    if signed:
        signed_map = run.cam(targets, method, contrast, on_progress, signed=True, **wanted)
        signed_maps = list(signed_map.cpu().numpy())
    each_steps: Sequence[Steps | None] = [None] * len(held)
    if steps:
        each_steps = run.steps(targets, method, contrast, allow_nan=True)
    return [
        Explanation(
            model=one.model.info.name,
            title=one.model.info.title,
            target=one.prediction(target),
            rank=one.rank_of(target),
            top=one.top,
            method=method,
            contrast=tuple(map(one.prediction, others)),
            layer=run.layer if isinstance(run.layer, str) else JOINED.join(run.layer),
            smooth=smooth,
            detail=one.detail,
            view=one.view,
            weights=one.model.weights,
            stands_in_for=one.model.stands_in_for.title if one.model.stands_in_for else "",
            notice=one.model.notice,
            geometry=one.geometry,
            feature_map=feature_map,
            signed_map=signed_map,
            steps=its_steps,
            is_of_last_layer=run.layer == one.model.info.layer,
            tokens=run.is_of_tokens,
            classes=len(one.probabilities),
            independent=one.model.info.independent,
            unit=one.model.info.unit,
            photo_notices=one.photo_notices,
            window=one.window,
            covers=one.covers,
            photo=one.photo,
        )
        for one, target, feature_map, others, signed_map, its_steps in zip(
            held, targets, feature_maps, contrasts, signed_maps, each_steps, strict=True
        )
    ]


def run_passes(
    model: Model,
    inputs: Sequence[PreparedInput],
    layer: str | None = None,
    probabilities: Sequence[np.ndarray] | None = None,
) -> list[Examination]:
    """Runs a network over inputs of equal size in one pass, and holds it open for each input.

    layer: the target layer's dotted name; None is the default layer. probabilities: of each input,
    float32 [classes] at detail 1, needed for inputs of another detail; None takes those of this
    pass. The examinations share memory, which is freed with the last of them. Explaining one of
    them costs a backward pass over all inputs; `answer_together` explains all in a single one.
    """
    from gradcam_core.cam.passes.opening import ExecutionPathError

    if len(inputs) > 1 and getattr(model.info.recipe, "is_alone", False):
        return _run_alone(model, inputs, layer, probabilities)
    try:
        run = run_model(model, [one.batch for one in inputs], layer)
    except ExecutionPathError:
        return _run_alone(model, inputs, layer, probabilities)
    if probabilities is None:
        found = model.probabilities(run.logits).cpu().numpy()
        probabilities = list(np.nan_to_num(found) if model.info.unit is None else found)
    return [
        Examination(model, its_run, one.geometry, one.view, one.detail, its_probabilities)
        for its_run, one, its_probabilities in zip(run.split(), inputs, probabilities, strict=True)
    ]


def _run_alone(
    model: Model,
    inputs: Sequence[PreparedInput],
    layer: str | None,
    probabilities: Sequence[np.ndarray] | None,
) -> list[Examination]:
    each = [None] * len(inputs) if probabilities is None else [[one] for one in probabilities]
    return [run_passes(model, [one], layer, own)[0] for one, own in zip(inputs, each, strict=True)]
