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
from gradcam_core.cam.methods.sums import places, quotient, weighted_sum
from gradcam_core.errors import ChoiceError

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

    needs: what `compute` is given besides the activation. Of one pass: the gradient of the class;
    that and those of the classes in contrast; or nothing. Of further passes: the scores of the
    network, or of its head, for as many inputs as there are channels, which `perturb` makes, means
    over so many `samples`; the gradients for noisy pictures. Instead of the activation: the
    Grad-CAM++ maps of this layer and earlier ones; or the gradients of attention.
    contrast: of a method that always has one. signed: its signed map, where that is not the
    difference of two, see `signed`. is_common: whether the page shows it at once, and not only
    under "More methods".
    """

    name: str
    title: str
    compute: Callable[..., Tensor]
    needs: Need
    contrast: Contrast | None = None
    perturb: Perturb | None = None
    signed: Callable[..., Tensor] | None = None
    samples: int = 1
    is_common: bool = True

    @property
    def is_slow(self) -> bool:
        """Whether it runs the network again, or its head, up to thousands of times."""
        return self.needs not in ("gradient", "gradients", "nothing")

    @property
    def passes_a_channel(self) -> int:
        """How often it runs the network, or its head, for each channel."""
        return self.samples if self.perturb else 0

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
    return weighted_sum(gradient.mean(dim=places(gradient), keepdim=True), activation)


def gradcam_plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018, eq. 7 and 19):
    w_k = sum(relu(G_k) G_k^2 / (2 G_k^2 + sum(A_k) G_k^3)).

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The peers differ: pytorch-grad-cam adds
    1e-6 to the denominator, which outweighs it where gradients are small; TorchCAM's denominator
    has no effect.
    """
    # Reduced by G_k^2, which float32 cannot hold where gradients are small.
    alpha = quotient(
        gradient.sign().abs(), 2 + activation.sum(places(activation), keepdim=True) * gradient
    )
    weight = (gradient.relu() * alpha).sum(dim=places(gradient), keepdim=True)
    return weighted_sum(weight, activation)


def hirescam(activation: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin, 2020, eq. 2): relu(sum_k G_k A_k), each cell by its own
    gradient. Equals Grad-CAM where the head is a mean and a linear layer.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The paper has no ReLU; pytorch-grad-cam
    has it, as what speaks against the class is not drawn.
    """
    return weighted_sum(gradient, activation)


def xgradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """XGrad-CAM (Fu et al., BMVC 2020, eq. 8): w_k = sum(G_k A_k) / sum(A_k), 0 where A_k is 0.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    share = (gradient * activation).sum(dim=places(activation), keepdim=True)
    return weighted_sum(
        quotient(share, activation.sum(places(activation), keepdim=True)), activation
    )


def layercam(activation: Tensor, gradient: Tensor) -> Tensor:
    """LayerCAM (Jiang et al., TIP 2021, eq. 7): relu(sum_k relu(G_k) A_k). Its scaling by tanh
    (eq. 9), for joining layers, is not in it.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return weighted_sum(gradient.relu(), activation)


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

    return _along_first_direction(activation, torch.ones_like(activation[:, 0]))


def eigengradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Eigen-Grad-CAM (a method of pytorch-grad-cam since 2021, without a paper): G A, as a matrix
    of cells by channels with centred columns, times its first right singular vector.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. In pytorch-grad-cam the sign of the map is
    a matter of chance. Here the sign is the one by which the map rises with sum_k G_k A_k, the
    evidence for the class.
    """
    product = gradient * activation
    centred = product - product.mean(dim=places(product), keepdim=True)
    return _along_first_direction(centred, product.sum(dim=1))


def _along_first_direction(matrix: Tensor, towards: Tensor) -> Tensor:
    """relu of a matrix of cells by channels, [N, C, h, w], times its first right singular vector,
    with the sign by which the scalar product with this map [N, h, w] is positive -> [N, h, w]."""
    import torch

    images, _, *sides = matrix.shape
    is_number = matrix.isfinite().flatten(1).all(dim=1)
    # In double precision, where nearly equal singular values do not mix.
    cells = matrix.nan_to_num().double().flatten(2).mT
    left, values, _ = torch.linalg.svd(cells, full_matrices=False)
    projected = left[:, :, 0] * values[:, None, 0]
    along = projected * towards.nan_to_num().double().flatten(1)
    projected = projected * along.sum(dim=1, keepdim=True).sign()
    projected[~is_number] = torch.nan
    return projected.relu().view(images, *sides).to(matrix.dtype)


def signed(method: Method) -> Callable[..., Tensor]:
    """The method with what speaks against the class, as values below 0: its map minus the one of
    the opposite score, -y, which Grad-CAM's paper calls counterfactual (section 3.3). For a sum
    that only its last ReLU cuts, Grad-CAM's or HiResCAM's, that is the sum itself.

    Takes what `method.compute` takes. For methods with `can_be_signed`.
    """

    def difference(activation: Tensor, gradient: Tensor) -> Tensor:
        return method.compute(activation, gradient) - method.compute(activation, -gradient)

    return method.signed or difference


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
    """The method registered under this name. Raises ValueError that lists the known ones."""
    if isinstance(name, str) and name in METHODS:
        return METHODS[name]
    raise ChoiceError(f"There is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
