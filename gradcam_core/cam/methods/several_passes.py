"""The methods that run the network, or a part of it, again: as pure functions, like those in
`one_pass`, of what the further passes gave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradcam_core.cam.methods.sums import over_places, places, quotient, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

SMOOTH_SAMPLES = 4
SMOOTH_NOISE = 0.3
"""Noisy pictures of Smooth Grad-CAM++ and the noise's standard deviation, in units of the network's
input, whose own is about 1. Both as in TorchCAM; the paper leaves them open."""

SS_SAMPLES = 5
"""Noisy masks for each channel of SS-CAM. TorchCAM has 35, which take seven times as long; as all
channels are given the same noise here, fewer do."""

SS_NOISE = 2.0
"""Standard deviation of the noise on a mask in [0, 1], as in the paper and TorchCAM."""

IS_SAMPLES = 10
"""Strengths of each mask of IS-CAM, as in TorchCAM."""


def scorecam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """Score-CAM (Wang et al., CVPR workshops 2020, algorithm 1): w_k is the softmax over all
    channels of the scores y_k of the image times A_k (see `masked_images`).

    activation: [N, C, h, w]. scores: [N, C]. -> map [N, h, w]. score: y of the image itself [N],
    not used: the score of a baseline, which the paper subtracts, falls out of the softmax.
    """
    return weighted_sum(over_places(scores.softmax(dim=1), activation), activation)


def masked_images(activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0) -> Tensor:
    """The image times each of these channels, enlarged to it, then scaled to [0, 1].

    activation: [1, C, h, w]. image: [1, 3, H, W]. channels: [M]. sample: not used ->
    [M, 3, H, W]. With half-pixel centres; pytorch-grad-cam aligns the corners instead, TorchCAM
    scales before it enlarges.
    """
    return image * scaled(enlarged(activation[0, channels, None], image))


def sscam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """SS-CAM (Wang et al., 2020, arXiv 2006.14255, with noise on the feature map): w_k as in
    Score-CAM, of the mean of the scores under several noises (see `noisy_masked_images`).

    activation: [N, C, h, w]. scores: means [N, C]. score: not used -> map [N, h, w]. TorchCAM gives
    each channel noise of its own, and scales a mask before it enlarges it.
    """
    return scorecam(activation, scores, score)


def noisy_masked_images(
    activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0
) -> Tensor:
    """The image times each of these channels, enlarged to it, scaled to [0, 1] and with noise.

    As `masked_images`. sample: from 0, which noise; it is the same for all channels, whose scores
    then differ by the channels alone, and for all images of a size.
    """
    mask = scaled(enlarged(activation[0, channels, None], image))
    return image * (mask + SS_NOISE * noise(image, sample)[:, :1])


def iscam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """IS-CAM (Naidu et al., 2020, arXiv 2010.03023): w_k as in Score-CAM, of the mean of the scores
    under masks of growing strength (see `growing_masked_images`).

    activation: [N, C, h, w]. scores: means [N, C]. score: not used -> map [N, h, w]. TorchCAM
    scales a mask before it enlarges it.
    """
    return scorecam(activation, scores, score)


def growing_masked_images(
    activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0
) -> Tensor:
    """`masked_images` times c_i = sum_{j <= i} j / n, with i = sample + 1 and n = `IS_SAMPLES`: the
    masks add up as they grow, from 1 / n to (n + 1) / 2, as in TorchCAM."""
    strength = (sample + 1) * (sample + 2) / 2 / IS_SAMPLES
    return strength * masked_images(activation, image, channels)


def ablationcam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy, WACV 2020, eq. 3 and 4): w_k = (y - y_k) / |y|, where y_k
    is the score with channel k set to 0 (see `ablated_activations`).

    activation: [N, C, h, w]. scores: y_k [N, C]. score: y [N]. -> map [N, h, w]. |y|, because
    a negative y would turn the map round, as it does in pytorch-grad-cam.
    """
    whole = score[:, None]
    weight = quotient(whole - scores, whole.abs())
    return weighted_sum(over_places(weight, activation), activation)


def ablated_activations(
    activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0
) -> Tensor:
    """The activation with each of these channels set to 0.

    activation: [1, C, h, w]. image, sample: not used. channels: [M] -> [M, C, h, w]. As in the
    paper to 0, also where an activation may be negative; pytorch-grad-cam then takes its minimum
    minus 1e7.
    """
    import torch

    ablated = activation.repeat(len(channels), *[1] * (activation.ndim - 1))
    ablated[torch.arange(len(channels), device=channels.device), channels] = 0
    return ablated


def smoothgradcam_plus_plus(activation: Tensor, gradients: Tensor) -> Tensor:
    """Smooth Grad-CAM++ (Omeiza et al., 2019, arXiv 1908.01224):
    w_k = sum(relu(m1_k) m2_k / (2 m2_k + sum(A_k) m3_k)), where mp_k = mean(G_k^p) over pictures
    with noise. A_k is of the picture without.

    activation: [N, C, h, w]. gradients: of the noisy pictures [S, N, C, h, w] -> map [N, h, w]. The
    numerator is that of Grad-CAM++; the paper has m1_k there, TorchCAM has not. TorchCAM takes the
    gradient of the last noisy picture in place of m1_k, and for A_k in the map its activation.
    """
    # By the largest gradient of a channel, as float32 cannot hold powers of small ones.
    largest = gradients.abs().amax(dim=(0, *range(3, gradients.ndim)), keepdim=True)
    share = quotient(gradients, largest)
    second, third = share.pow(2).mean(dim=0), share.pow(3).mean(dim=0)
    total = activation.sum(dim=places(activation), keepdim=True) * largest[0]
    alpha = quotient(second, 2 * second + total * third)
    weight = (gradients.mean(dim=0).relu() * alpha).sum(dim=places(activation), keepdim=True)
    return weighted_sum(weight, activation)


def refinecam(maps: Sequence[Tensor]) -> Tensor:
    """RefineCAM ("How to Evaluate and Refine your CAM", 2026, arXiv 2605.14641): the product of the
    Grad-CAM++ maps of several layers, each scaled to [0, 1] and enlarged to the largest.

    maps: [N, h, w] of each layer -> map [N, h, w] of the largest h and w. As in TorchCAM;
    pytorch-grad-cam enlarges each map to the picture first.
    """
    import torch

    largest = max(maps, key=lambda one: one[0].numel())[:, None]
    refined = torch.ones_like(largest)
    for one in maps:
        refined = refined * enlarged(scaled(one[:, None]), largest)
    return refined[:, 0]


def legrad(gradients: Iterable[Tensor]) -> Tensor:
    """LeGrad (Bousselham et al., ICCV 2025, arXiv 2404.03214): the mean over blocks, heads and
    queries of relu(dy_l / dT_l), at the key of each place. T_l is the attention of block l, and y_l
    the score of the mean of the tokens that leave the block, shown to the network's head alone.

    gradients: of each block [N, heads, queries, h, w], one after the other -> map [N, h, w]. For
    transformers whose tokens all attend to each other. As in TorchCAM, of all blocks, whichever
    layer is chosen; the paper scales the map to [0, 1].
    """
    import torch

    # One at a time, because they are large.
    return torch.stack([one.relu().mean(dim=(1, 2)) for one in gradients]).mean(dim=0)


def noise(like: Tensor, sample: int) -> Tensor:
    """Normal noise of the shape of one image [1, C, H, W], the same whenever it is asked for."""
    import torch

    generator = torch.Generator().manual_seed(sample)
    shape = (1, *like.shape[1:])
    found = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
    return found.to(like) if like.is_floating_point() else found.to(like.device)


def enlarged(maps: Tensor, like: Tensor) -> Tensor:
    """Maps [M, 1, h, w] at the size of like [N, C, H, W], linearly, with half-pixel centres."""
    from torch.nn.functional import interpolate

    sides = tuple(like.shape[2:])
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sides)]
    return interpolate(maps, sides, mode=mode)


def scaled(maps: Tensor) -> Tensor:
    """Each map [M, 1, h, w] from 0 to 1; 0 where it is the same everywhere."""
    low, high = (find(places(maps), keepdim=True) for find in (maps.amin, maps.amax))
    return quotient(maps - low, high - low)
