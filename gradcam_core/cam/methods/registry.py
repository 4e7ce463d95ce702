"""The CAM methods, and what each needs besides the activation.

Their formulas are small pure functions in `one_pass` and `several_passes`. A method gives the maps
of a batch [N, h, w], >= 0 and not normalised. A is the activation of the target layer [N, C, h, w],
y the logit of the class explained, G = dy/dA its gradient. A docstring gives the map, or the weight
w_k of each channel in the map relu(sum_k w_k A_k). Signals, which have one side instead of h and w,
and volumes, which have three, work as images do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gradcam_core.cam.methods.one_pass import (
    competitive,
    eigencam,
    eigengradcam,
    finercam,
    gradcam,
    gradcam_plus_plus,
    gradcam_plus_plus_weights,
    hirescam,
    layercam,
    mean_gradient,
    own_gradient,
    positive_gradient,
    signed_competitive,
    xgradcam,
    xgradcam_weights,
)
from gradcam_core.cam.methods.several_passes import (
    IS_SAMPLES,
    SS_SAMPLES,
    ablated_activations,
    ablationcam,
    growing_masked_images,
    iscam,
    legrad,
    masked_images,
    noisy_masked_images,
    refinecam,
    scorecam,
    smoothgradcam_plus_plus,
    sscam,
)
from gradcam_core.errors import ChoiceError, GradcamError

if TYPE_CHECKING:
    from torch import Tensor

Perturb: TypeAlias = "Callable[[Tensor, Tensor, Tensor, int], Tensor]"

Need: TypeAlias = Literal[
    "gradient",
    "gradients",
    "nothing",
    "scores of images",
    "scores of activations",
    "noisy gradients",
    "earlier maps",
    "attention",
]


@dataclass(frozen=True)
class Contrast:
    """Explains a class in contrast to other classes, by y_c - share * mean(y_others) instead of
    y_c.

    count: how many other classes are chosen where the caller names none. by: chooses those with
    the logits nearest to y_c, or the most probable.
    """

    share: float
    count: int
    by: Literal["nearest", "probable"]


DEFAULT_CONTRAST = Contrast(share=1.0, count=10, by="probable")
"""The contrast that localises best on one half of the photographs in `benchmarks/`."""


@dataclass(frozen=True)
class ChannelWeights:
    """The weights w_k of the channels. of: makes them from the activation and the gradient, as
    [N, C, 1, 1], or [N, C, h, w] with a weight for each cell. formula: for people."""

    of: Callable[[Tensor, Tensor], Tensor]
    formula: str


_MEAN = ChannelWeights(mean_gradient, "wₖ = mean(∂y/∂Aₖ)")
_PLUS_PLUS = ChannelWeights(gradcam_plus_plus_weights, "wₖ = Σ αₖ ReLU(∂y/∂Aₖ)")
_OWN = ChannelWeights(own_gradient, "wₖ = ∂y/∂Aₖ at each cell")
_AXIOMS = ChannelWeights(xgradcam_weights, "wₖ = Σ(Aₖ ∂y/∂Aₖ) / ΣAₖ")
_POSITIVE = ChannelWeights(positive_gradient, "wₖ = ReLU(∂y/∂Aₖ) at each cell")


@dataclass(frozen=True)
class Method:
    """A CAM method. name: as in the API. title: as people write it.

    needs: what `compute` takes besides the activation.
      "gradient": the gradient of the class; "gradients": that, and those of the contrast's classes.
      "scores of images", "scores of activations": the score of the network, or of its head, for
      the input that `perturb` makes from each channel, a mean over `samples` inputs.
      "noisy gradients": the gradients for noisy pictures.
      "earlier maps" and "attention" replace the activation: the Grad-CAM++ maps of this layer and
      earlier ones, or the gradients of attention.
    weights: of the channels, where the map is their weighted sum.
    contrast: set for a method that always has one. signed: computes the signed map, where that is
    not the difference described in `signed`. is_common: whether the page lists the method itself,
    not only under "More methods".
    """

    name: str
    title: str
    compute: Callable[..., Tensor]
    needs: Need
    weights: ChannelWeights | None = None
    contrast: Contrast | None = None
    perturb: Perturb | None = None
    signed: Callable[..., Tensor] | None = None
    samples: int = 1
    is_common: bool = True

    @property
    def is_slow(self) -> bool:
        """Whether it runs the network, or its head, again, up to thousands of times."""
        return self.needs not in ("gradient", "gradients", "nothing")

    @property
    def passes_per_channel(self) -> int:
        """How many times it runs the network, or its head, for each channel."""
        return self.samples if self.perturb else 0

    @property
    def knows_class(self) -> bool:
        """Whether the map depends on the class explained."""
        return self.needs != "nothing"

    @property
    def can_be_signed(self) -> bool:
        """Whether its map can keep the evidence against the class, see `signed`."""
        return self.needs in ("gradient", "gradients")


def check_signed(method: Method, kind: type[GradcamError] = ChoiceError) -> None:
    """Raises an error of this kind for a method that cannot show the evidence against a class."""
    if not method.can_be_signed:
        raise kind(
            f"{method.title} has no signed map: only gradient methods show the evidence against a "
            "class. Choose one of those, such as Grad-CAM."
        )


def check_steps(method: Method) -> None:
    """Raises ChoiceError for a method whose map is not a weighted sum of channels."""
    if method.weights is None:
        raise ChoiceError(
            f"{method.title} is not a weighted sum of channels, so its map has no such steps. "
            "Choose a gradient method, such as Grad-CAM."
        )


def signed(method: Method) -> Callable[..., Tensor]:
    """A form of the method that keeps the evidence against the class as values below 0: its map
    minus the map of the opposite score, -y, which Grad-CAM's paper calls counterfactual (section
    3.3). Where only the last ReLU cuts the sum, as in Grad-CAM and HiResCAM, that is the sum
    itself.

    Takes what `method.compute` takes. For methods with `can_be_signed`.
    """

    def difference(activation: Tensor, gradient: Tensor) -> Tensor:
        return method.compute(activation, gradient) - method.compute(activation, -gradient)

    return method.signed or difference


METHODS = {
    method.name: method
    for method in (
        Method("gradcam", "Grad-CAM", gradcam, "gradient", _MEAN),
        Method("gradcam++", "Grad-CAM++", gradcam_plus_plus, "gradient", _PLUS_PLUS),
        Method("hirescam", "HiResCAM", hirescam, "gradient", _OWN),
        Method("xgradcam", "XGrad-CAM", xgradcam, "gradient", _AXIOMS),
        Method("layercam", "LayerCAM", layercam, "gradient", _POSITIVE),
        Method("finercam", "FinerCAM", finercam, "gradient", _MEAN, Contrast(0.6, 3, "nearest")),
        Method(
            "competitive",
            "Competitive Grad-CAM",
            competitive,
            "gradients",
            _MEAN,
            DEFAULT_CONTRAST,
            signed=signed_competitive,
        ),
        Method("eigencam", "Eigen-CAM", eigencam, "nothing"),
        Method("scorecam", "Score-CAM", scorecam, "scores of images", perturb=masked_images),
        Method(
            "ablationcam",
            "Ablation-CAM",
            ablationcam,
            "scores of activations",
            perturb=ablated_activations,
        ),
        Method("eigengradcam", "Eigen-Grad-CAM", eigengradcam, "gradient", is_common=False),
        Method(
            "smoothgradcam++",
            "Smooth Grad-CAM++",
            smoothgradcam_plus_plus,
            "noisy gradients",
            is_common=False,
        ),
        Method("refinecam", "RefineCAM", refinecam, "earlier maps", is_common=False),
        Method("legrad", "LeGrad", legrad, "attention", is_common=False),
        Method(
            "sscam",
            "SS-CAM",
            sscam,
            "scores of images",
            perturb=noisy_masked_images,
            samples=SS_SAMPLES,
            is_common=False,
        ),
        Method(
            "iscam",
            "IS-CAM",
            iscam,
            "scores of images",
            perturb=growing_masked_images,
            samples=IS_SAMPLES,
            is_common=False,
        ),
    )
}

DEFAULT_METHOD = "gradcam"


def method_named(name: str) -> Method:
    """The method of this name. Raises ChoiceError, which lists the names, for an unknown one."""
    if isinstance(name, str) and name in METHODS:
        return METHODS[name]
    raise ChoiceError(f"There is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
