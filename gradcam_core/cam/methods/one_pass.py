"""The methods that need one pass of the network: each one small pure function with its formula and
paper. See the package for the letters."""

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
    # Reduced by G_k^2, which float32 cannot hold where gradients are small.
    alpha = quotient(
        gradient.sign().abs(), 2 + activation.sum(places(activation), keepdim=True) * gradient
    )
    return (gradient.relu() * alpha).sum(dim=places(gradient), keepdim=True)


def hirescam(activation: Tensor, gradient: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin, 2020, eq. 2): relu(sum_k G_k A_k), each cell by its own
    gradient. Equals Grad-CAM where the head is a mean and a linear layer.

    activation, gradient: [N, C, h, w] -> map [N, h, w]. The paper has no ReLU; pytorch-grad-cam
    has it, as what speaks against the class is not drawn.
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
    """LayerCAM (Jiang et al., TIP 2021, eq. 7): relu(sum_k relu(G_k) A_k). Its scaling by tanh
    (eq. 9), for joining layers, is not in it.

    activation, gradient: [N, C, h, w] -> map [N, h, w].
    """
    return weighted_sum(positive_gradient(activation, gradient), activation)


def positive_gradient(activation: Tensor, gradient: Tensor) -> Tensor:
    """The weights of `layercam`, one for each cell: [N, C, h, w]."""
    return gradient.relu()


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
    return gradcam(activation, gradient) - strongest_other(activation, contrast)


def strongest_other(activation: Tensor, contrast: Tensor) -> Tensor:
    """max_r M_r, see `competitive`: [N, h, w]."""
    strongest = gradcam(activation, contrast[0])
    for other in contrast[1:]:
        strongest = strongest.maximum(gradcam(activation, other))
    return strongest


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
