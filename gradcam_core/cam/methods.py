"""Each CAM method as one small pure function with its formula and paper, registered once.

A method gives the maps of a batch [N, h, w], >= 0 and not normalised. A is the activation of the
target layer [N, C, h, w], y the logit of the class explained, G = dy/dA its gradient. A docstring
gives the map, or the weight w_k of each channel in the map relu(sum_k w_k A_k). Signals, with one
side in place of h and w, and volumes, with three, work as images do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from gradcam_core.errors import ChoiceError

if TYPE_CHECKING:
    from torch import Tensor

Perturb: TypeAlias = "Callable[[Tensor, Tensor, Tensor], Tensor]"

_ROUNDING = 1e-6
"""Share of the sum of the absolute values that a sum of float32 terms may be off by."""


@dataclass(frozen=True)
class Contrast:
    """How a class is explained in contrast to others, by y_c - share * mean(y_others) instead of
    y_c.

    count: so many others are chosen where none are given: those with the nearest logits, or those
    that are most probable.
    """

    share: float
    count: int
    by: Literal["nearest", "probable"]


DEFAULT_CONTRAST = Contrast(share=1.0, count=10, by="probable")
"""The contrast that localises best on one half of the photographs in `benchmarks/`."""


@dataclass(frozen=True)
class Method:
    """A CAM method. name: as in the API. title: as people write it.

    needs: what `compute` is given besides the activation: the gradient of the class; that and those
    of the classes in contrast; nothing; or the scores of the network, or of its head, for as many
    inputs as there are channels, which `perturb` makes. contrast: of a method that always has one.
    signed: its signed map, where that is not the difference of two, see `signed`.
    """

    name: str
    title: str
    compute: Callable[..., Tensor]
    needs: Literal["gradient", "gradients", "nothing", "scores of images", "scores of activations"]
    contrast: Contrast | None = None
    perturb: Perturb | None = None
    signed: Callable[..., Tensor] | None = None

    @property
    def is_slow(self) -> bool:
        """Whether it runs the network, or its head, hundreds of times."""
        return self.perturb is not None

    @property
    def knows_class(self) -> bool:
        """Whether the map depends on the class explained."""
        return self.needs != "nothing"

    @property
    def can_be_signed(self) -> bool:
        """Whether what speaks against the class can be kept, see `signed`."""
        return self.needs in ("gradient", "gradients")


def gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2): w_k = mean(G_k).

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return _weighted_sum(gradient.mean(dim=_places(gradient), keepdim=True), activation)


def gradcam_plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018, eq. 7 and 19):
    w_k = sum(relu(G_k) G_k^2 / (2 G_k^2 + sum(A_k) G_k^3)).

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The peers differ: pytorch-grad-cam adds
    1e-6 to the denominator, which outweighs it where gradients are small; TorchCAM's denominator
    has no effect.
    """
    # Reduced by G_k^2, which float32 cannot hold where gradients are small.
    alpha = _quotient(
        gradient.sign().abs(), 2 + activation.sum(_places(activation), keepdim=True) * gradient
    )
    weight = (gradient.relu() * alpha).sum(dim=_places(gradient), keepdim=True)
    return _weighted_sum(weight, activation)


def hirescam(activation: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin, 2020, eq. 2): relu(sum_k G_k A_k), each cell by its own
    gradient. Equals Grad-CAM where the head is a mean and a linear layer.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The paper has no ReLU; pytorch-grad-cam
    has it, as what speaks against the class is not drawn.
    """
    return _weighted_sum(gradient, activation)


def xgradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """XGrad-CAM (Fu et al., BMVC 2020, eq. 8): w_k = sum(G_k A_k) / sum(A_k), 0 where A_k is 0.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    share = (gradient * activation).sum(dim=_places(activation), keepdim=True)
    return _weighted_sum(
        _quotient(share, activation.sum(_places(activation), keepdim=True)), activation
    )


def layercam(activation: Tensor, gradient: Tensor) -> Tensor:
    """LayerCAM (Jiang et al., TIP 2021, eq. 7): relu(sum_k relu(G_k) A_k). Its scaling by tanh
    (eq. 9), for joining layers, is not in it.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return _weighted_sum(gradient.relu(), activation)


def finercam(activation: Tensor, gradient: Tensor) -> Tensor:
    """FinerCAM (Zhang et al., CVPR 2025, eq. 4 and 5): w_k = mean(G_k), where G is the gradient
    of y_c - 0.6 mean(y_r) over three others r, those with the logits nearest to y_c.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. As in TorchCAM; pytorch-grad-cam weights
    the others by their probabilities.
    """
    return gradcam(activation, gradient)


def competitive(activation: Tensor, gradient: Tensor, contrast: Tensor) -> Tensor:
    """Grad-CAM where classes compete: relu(M_c - max_r M_r), at each cell the evidence for the
    class beyond that for the strongest other there, with the Grad-CAM maps M of either.

    That a class keeps only the places where it wins is the idea of Gupta and Arora ("A Simple
    Technique to Enable Saliency Methods to Pass the Sanity Checks", 2019, for gradient times
    input). activation, gradient: [N, C, h, w], contrast: gradients of the others
    [R, N, C, h, w] -> map [N, h, w].
    """
    return signed_competitive(activation, gradient, contrast).relu()


def signed_competitive(activation: Tensor, gradient: Tensor, contrast: Tensor) -> Tensor:
    """M_c - max_r M_r, see `competitive`: below 0 where another class has more evidence."""
    strongest = gradcam(activation, contrast[0])
    for other in contrast[1:]:
        strongest = strongest.maximum(gradcam(activation, other))
    return gradcam(activation, gradient) - strongest


def eigencam(activation: Tensor) -> Tensor:
    """Eigen-CAM (Muhammad and Yeasin, IJCNN 2020, eq. 3 and 4): A, as a matrix of cells by
    channels, times its first right singular vector. Knows no class.

    activation: [N, C, h, w] -> map [N, h, w]. As in the paper the columns are not centred, as
    they are in pytorch-grad-cam, where therefore the sign of the map is a matter of chance. Here
    the sign is the one that makes the sum of the map positive.
    """
    import torch

    images, _, *places = activation.shape
    is_number = activation.isfinite().flatten(1).all(dim=1)
    activation = activation.nan_to_num()
    # In double precision, where nearly equal singular values do not mix.
    left, values, _ = torch.linalg.svd(activation.double().flatten(2).mT, full_matrices=False)
    projected = left[:, :, 0] * values[:, None, 0]
    projected = projected * projected.sum(dim=1, keepdim=True).sign()
    projected[~is_number] = torch.nan
    return projected.relu().view(images, *places).to(activation.dtype)


def scorecam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """Score-CAM (Wang et al., CVPR workshops 2020, algorithm 1): w_k is the softmax over all
    channels of the scores y_k of the image times A_k (see `masked_images`).

    activation: [N, C, h, w]. scores: [N, C]. -> map [N, h, w]. score: y of the image itself [N],
    not used: the score of a baseline, which the paper subtracts, falls out of the softmax.
    """
    return _weighted_sum(_over_places(scores.softmax(dim=1), activation), activation)


def masked_images(activation: Tensor, image: Tensor, channels: Tensor) -> Tensor:
    """The image times each of these channels, enlarged to it, then scaled to [0, 1].

    activation: [1, C, h, w]. image: [1, 3, H, W]. channels: [M] -> [M, 3, H, W]. With half-pixel
    centres; pytorch-grad-cam aligns the corners instead, TorchCAM scales before it enlarges.
    """
    from torch.nn.functional import interpolate

    sides = tuple(image.shape[2:])
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sides)]
    mask = interpolate(activation[0, channels, None], sides, mode=mode)
    low, high = (find(_places(mask), keepdim=True) for find in (mask.amin, mask.amax))
    return image * _quotient(mask - low, high - low)


def ablationcam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy, WACV 2020, eq. 3 and 4): w_k = (y - y_k) / |y|, where y_k
    is the score with channel k set to 0 (see `ablated_activations`).

    activation: [N, C, h, w]. scores: y_k [N, C]. score: y [N]. -> map [N, h, w]. |y|, because
    a negative y would turn the map round, as it does in pytorch-grad-cam.
    """
    whole = score[:, None]
    weight = _quotient(whole - scores, whole.abs())
    return _weighted_sum(_over_places(weight, activation), activation)


def ablated_activations(activation: Tensor, image: Tensor, channels: Tensor) -> Tensor:
    """The activation with each of these channels set to 0.

    activation: [1, C, h, w]. image: not used. channels: [M] -> [M, C, h, w]. As in the paper to 0,
    also where an activation may be negative; pytorch-grad-cam then takes its minimum minus 1e7.
    """
    import torch

    ablated = activation.repeat(len(channels), *[1] * (activation.ndim - 1))
    ablated[torch.arange(len(channels)), channels] = 0
    return ablated


def signed(method: Method) -> Callable[..., Tensor]:
    """The method with what speaks against the class, as values below 0: its map minus the one of
    the opposite score, -y, which Grad-CAM's paper calls counterfactual (section 3.3). For a sum
    that only its last ReLU cuts, Grad-CAM's or HiResCAM's, that is the sum itself.

    Takes what `method.compute` takes. For methods with `can_be_signed`.
    """

    def difference(activation: Tensor, gradient: Tensor) -> Tensor:
        return method.compute(activation, gradient) - method.compute(activation, -gradient)

    return method.signed or difference


def _weighted_sum(weight: Tensor, activation: Tensor) -> Tensor:
    """relu(sum_k w_k A_k); all 0 where a map is no more than the rounding of its sum."""
    terms = weight * activation
    total = terms.sum(dim=1)
    places = tuple(range(1, total.ndim))
    rounding = _ROUNDING * terms.abs().sum(dim=1).amax(dim=places, keepdim=True)
    return total.relu().masked_fill(total.amax(dim=places, keepdim=True) <= rounding, 0)


def _places(tensor: Tensor) -> tuple[int, ...]:
    """The axes of the places in [N, C, *places]."""
    return tuple(range(2, tensor.ndim))


def _over_places(weight: Tensor, activation: Tensor) -> Tensor:
    """A weight for each channel [N, C] in a form that is multiplied with an activation."""
    return weight.view(*weight.shape, *[1] * (activation.ndim - 2))


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    """above / below, 0 where below is 0."""
    return (above / below).masked_fill(below == 0, 0)


METHODS = {
    method.name: method
    for method in (
        Method("gradcam", "Grad-CAM", gradcam, "gradient"),
        Method("gradcam++", "Grad-CAM++", gradcam_plus_plus, "gradient"),
        Method("hirescam", "HiResCAM", hirescam, "gradient"),
        Method("xgradcam", "XGrad-CAM", xgradcam, "gradient"),
        Method("layercam", "LayerCAM", layercam, "gradient"),
        Method("finercam", "FinerCAM", finercam, "gradient", Contrast(0.6, 3, "nearest")),
        Method(
            "competitive",
            "Competitive Grad-CAM",
            competitive,
            "gradients",
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
    )
}


DEFAULT_METHOD = "gradcam"


def method_named(name: str) -> Method:
    """The method registered under this name. Raises ValueError that lists the known ones."""
    if isinstance(name, str) and name in METHODS:
        return METHODS[name]
    raise ChoiceError(f"There is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
