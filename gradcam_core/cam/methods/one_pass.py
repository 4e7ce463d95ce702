"""The methods that need a single pass of the network, each a small pure function with its formula
and paper. `registry` defines the symbols A, y, G and w_k."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcam_core.cam.methods.sums import places, quotient, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor


def gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2): w_k = mean(G_k).

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return weighted_sum(mean_gradient(activation, gradient), activation)


def mean_gradient(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weights of `gradcam`: [N, C, 1, 1]."""
    return gradient.mean(dim=places(gradient), keepdim=True)


def gradcam_plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., WACV 2018, eq. 7 and 19):
    w_k = sum(relu(G_k) G_k^2 / (2 G_k^2 + sum(A_k) G_k^3)).

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The peers differ: pytorch-grad-cam adds
    1e-6 to the denominator, which outweighs it where gradients are small; TorchCAM's denominator
    has no effect.
    """
    return weighted_sum(gradcam_plus_plus_weights(activation, gradient), activation)


def gradcam_plus_plus_weights(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weights of `gradcam_plus_plus`: [N, C, 1, 1]."""
    # The fraction is reduced by G_k^2, which underflows float32 where gradients are small.
    alpha = quotient(
        gradient.sign().abs(), 2 + activation.sum(places(activation), keepdim=True) * gradient
    )
    return (gradient.relu() * alpha).sum(dim=places(gradient), keepdim=True)


def hirescam(activation: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin, 2020, eq. 2): relu(sum_k G_k A_k), every cell weighted by its
    own gradient. Equals Grad-CAM where the head is a mean and a linear layer.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The paper has no ReLU; pytorch-grad-cam
    adds it, because evidence against the class is not drawn.
    """
    return weighted_sum(own_gradient(activation, gradient), activation)


def own_gradient(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weights of `hirescam`, one for each cell: [N, C, h, w]."""
    return gradient


def xgradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """XGrad-CAM (Fu et al., BMVC 2020, eq. 8): w_k = sum(G_k A_k) / sum(A_k), 0 where A_k is 0.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return weighted_sum(xgradcam_weights(activation, gradient), activation)


def xgradcam_weights(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weights of `xgradcam`: [N, C, 1, 1]."""
    share = (gradient * activation).sum(dim=places(activation), keepdim=True)
    return quotient(share, activation.sum(places(activation), keepdim=True))


def layercam(activation: Tensor, gradient: Tensor) -> Tensor:
    """LayerCAM (Jiang et al., TIP 2021, eq. 7): relu(sum_k relu(G_k) A_k), without the scaling by
    tanh (eq. 9) that the paper applies before it joins layers.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return weighted_sum(positive_gradient(activation, gradient), activation)


def positive_gradient(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weights of `layercam`, one for each cell: [N, C, h, w]."""
    return gradient.relu()


def finercam(activation: Tensor, gradient: Tensor) -> Tensor:
    """FinerCAM (Zhang et al., CVPR 2025, eq. 4 and 5): w_k = mean(G_k), where G is the gradient
    of y_c - 0.6 mean(y_r) over the three other classes r whose logits are nearest to y_c.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. As in TorchCAM; pytorch-grad-cam weights
    the other classes by their probabilities.
    """
    return gradcam(activation, gradient)


def competitive(activation: Tensor, gradient: Tensor, contrast: Tensor) -> Tensor:
    """Grad-CAM where classes compete: relu(M_c - max_r M_r), where M are Grad-CAM maps. At each
    cell it gives how far the evidence for the class exceeds that for the strongest other class.

    Gupta and Arora ("A Simple Technique to Enable Saliency Methods to Pass the Sanity Checks",
    2019) introduced this competition for gradient times input. activation, gradient:
    [N, C, h, w], contrast: gradients of the other classes [R, N, C, h, w] -> map [N, h, w].
    """
    return signed_competitive(activation, gradient, contrast).relu()


def signed_competitive(activation: Tensor, gradient: Tensor, contrast: Tensor) -> Tensor:
    """M_c - max_r M_r, see `competitive`: negative where another class has more evidence."""
    return gradcam(activation, gradient) - strongest_other(activation, contrast)


def strongest_other(activation: Tensor, contrast: Tensor) -> Tensor:
    """max_r M_r, see `competitive`: [N, h, w]."""
    strongest = gradcam(activation, contrast[0])
    for other in contrast[1:]:
        strongest = strongest.maximum(gradcam(activation, other))
    return strongest


def eigencam(activation: Tensor) -> Tensor:
    """Eigen-CAM (Muhammad and Yeasin, IJCNN 2020, eq. 3 and 4): A, as a matrix of cells by
    channels, times its first right singular vector. The map is the same for every class.

    activation: [N, C, h, w] -> map [N, h, w]. As in the paper, the columns are not centred;
    pytorch-grad-cam centres them, which makes the sign of the map arbitrary. Here the sign is
    chosen so that the sum of the map is positive.
    """
    import torch

    return _along_first_direction(activation, torch.ones_like(activation[:, 0]))


def eigengradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Eigen-Grad-CAM (a method of pytorch-grad-cam since 2021, without a paper): G A, as a matrix
    of cells by channels with centred columns, times its first right singular vector.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. In pytorch-grad-cam the sign of the map is
    arbitrary. Here the sign is chosen so that the map rises with sum_k G_k A_k, the evidence for
    the class.
    """
    product = gradient * activation
    centred = product - product.mean(dim=places(product), keepdim=True)
    return _along_first_direction(centred, product.sum(dim=1))


def _along_first_direction(matrix: Tensor, towards: Tensor) -> Tensor:
    """Projects each image's cells onto the first right singular vector of the matrix [cells, C],
    then applies ReLU. The sign is the one with a positive scalar product with `towards`.

    matrix: [N, C, h, w]. towards: [N, h, w] -> map [N, h, w], NaN for images with values that are
    not finite.
    """
    import torch

    images, _, *sides = matrix.shape
    is_number = matrix.isfinite().flatten(1).all(dim=1)
    # Double precision keeps nearly equal singular values apart.
    cells = matrix.nan_to_num().double().flatten(2).mT
    left, values, _ = torch.linalg.svd(cells, full_matrices=False)
    projected = left[:, :, 0] * values[:, None, 0]
    along = projected * towards.nan_to_num().double().flatten(1)
    projected = projected * along.sum(dim=1, keepdim=True).sign()
    projected[~is_number] = torch.nan
    return projected.relu().view(images, *sides).to(matrix.dtype)
