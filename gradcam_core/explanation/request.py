"""The request for an explanation, the same record for page, API, command line, batch and
replicas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gradcam_core.cam.methods.registry import (
    DEFAULT_METHOD,
    Method,
    check_signed,
    check_steps,
    method_named,
)
from gradcam_core.cam.passes.smoothing import Smooth, check_smooth
from gradcam_core.errors import ChoiceError, LabelError
from gradcam_core.images.geometry import ViewName, check_view
from gradcam_core.models.class_names.labels import find_in_all
from gradcam_core.models.model import LayerChoice, check_layer, is_several
from gradcam_core.models.registry import model_info

AUTO = "auto"
"""The value of contrast, in the API and on the command line, for the most probable other
classes."""


@dataclass(frozen=True)
class ExplanationRequest:
    """A request for one network's explanation of a photo.

    model: the network's name. target: the index of the class; None is the network's most probable
    class that is not in `contrast`. contrast: the classes against which it is explained; True
    stands for the most probable other classes. layer: the target layer, or several whose maps are
    joined, see `Model.layer_named`. signed: whether to include the evidence against the class.
    steps: whether to record how the map is made. smooth: the kind of copies over whose maps the map
    is averaged, see `Run.cam`.

    Every request is valid: making one raises ChoiceError for an unknown method, view, detail or
    layer and for settings that cannot be combined, and LabelError for a target in `contrast`.
    `requests_for` looks up the names of networks and classes.
    """

    model: str
    view: ViewName = "crop"
    target: int | None = None
    contrast: bool | tuple[int, ...] = False
    method: str = DEFAULT_METHOD
    detail: int = 1
    layer: LayerChoice = 1.0
    signed: bool = False
    steps: bool = False
    smooth: Smooth | None = None

    def __post_init__(self) -> None:
        method = method_named(self.method)
        if self.signed:
            check_signed(method)
        if self.steps:
            check_steps(method)
        check_view(self.view, self.detail)
        check_layer(self.layer)
        check_options(method, self.signed, self.steps, self.smooth, is_several(self.layer))
        if self.target in self.contrast_classes:
            raise LabelError("A class cannot be explained against itself. Choose another one.")

    @property
    def is_slow(self) -> bool:
        """Whether answering it runs the network, or its head, again."""
        return method_named(self.method).is_slow or self.smooth is not None

    @property
    def contrast_classes(self) -> tuple[int, ...]:
        """The classes in contrast, if the request names any."""
        return () if isinstance(self.contrast, bool) else self.contrast

    @property
    def usable_contrast(self) -> bool | Sequence[int]:
        """The contrast as `Examination.explain` takes it; False if the method ignores the class."""
        if not method_named(self.method).knows_class:
            return False
        return self.contrast or False


def requests_for(
    models: Sequence[str],
    view: ViewName = "crop",
    target: int | str | None = None,
    contrast: bool | int | str | Sequence[int | str] = False,
    method: str = DEFAULT_METHOD,
    detail: int = 1,
    layer: LayerChoice = 1.0,
    signed: bool = False,
    steps: bool = False,
    smooth: Smooth | None = None,
) -> list[ExplanationRequest]:
    """One request per network, from a person's input, which gives classes by index, name or
    synonym.

    Raises ChoiceError for an unknown name or number, and LabelError for a class that a network
    lacks or an index that means different classes in different networks.
    """
    networks = [(info.title, info.labels) for info in map(model_info, models)]
    targets: Sequence[int | None] = [None] * len(models)
    if target is not None:
        targets = find_in_all(target, networks)
    contrasts: Sequence[bool | tuple[int, ...]]
    if is_auto(contrast):
        contrast = True
    if isinstance(contrast, bool):
        contrasts = [contrast] * len(models)
    else:
        others = [find_in_all(one, networks) for one in as_several(contrast)]
        each = [[indices[n] for indices in others] for n in range(len(models))]
        contrasts = [tuple(dict.fromkeys(indices)) for indices in each]
    return [
        ExplanationRequest(
            model, view, one, its_contrast, method, detail, layer, signed, steps, smooth
        )
        for model, one, its_contrast in zip(models, targets, contrasts, strict=True)
    ]


def check_options(
    method: Method, signed: bool, steps: bool, smooth: str | None, is_joined: bool
) -> None:
    """Raises ChoiceError for an unknown `smooth`, and for options that cannot be combined.
    is_joined: whether the maps of several layers are joined."""
    if method.is_slow and (is_joined or smooth is not None):
        raise ChoiceError(
            f"{method.title} runs the network up to hundreds of times for one map, and this needs "
            f"several: leave out {'smooth' if smooth else 'all layers but one'}, or choose a "
            "gradient method, such as Grad-CAM."
        )
    if smooth is not None:
        check_smooth(smooth)
        if steps:
            raise ChoiceError(
                "Steps exist for the map of one picture, not for a mean over several versions of "
                "it: leave out steps or smooth."
            )
    if is_joined and (signed or steps):
        raise ChoiceError(
            f"A fused map of several layers has no {'signed map' if signed else 'steps'}: choose "
            "one layer."
        )


def is_auto(contrast: object) -> bool:
    """Whether the contrast is `AUTO`, or a sequence of `AUTO` alone, as the command line gives
    it."""
    if isinstance(contrast, list | tuple) and len(contrast) == 1:
        contrast = contrast[0]
    return isinstance(contrast, str) and contrast == AUTO


def as_several(classes: int | str | Sequence[int | str]) -> Sequence[int | str]:
    """A class, or several, as a sequence. Raises LabelError for anything else."""
    if isinstance(classes, int | str):
        return [classes]
    if not isinstance(classes, Iterable):
        raise LabelError(
            f"The contrast must be a class or several, True or False, not {classes!r}."
        )
    return list(classes)
