"""The methods that run the network, or a part of it, again. Like those in `one_pass` they are pure
functions; they take the results of the further passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradcam_core.cam.methods.sums import over_places, places, quotient, weighted_sum

if TYPE_CHECKING:
    from torch import Tensor

SMOOTH_SAMPLES = 4
SMOOTH_NOISE = 0.3
"""The number of noisy pictures of Smooth Grad-CAM++, and the standard deviation of the noise, in
units of the network's input, whose own is about 1. As in TorchCAM; the paper leaves both open."""

SS_SAMPLES = 5
"""Noisy masks for each channel of SS-CAM. TorchCAM uses 35, which take seven times as long; fewer
suffice here, because all channels get the same noise."""

SS_NOISE = 2.0
"""Standard deviation of the noise added to a mask in [0, 1], as in the paper and TorchCAM."""

IS_SAMPLES = 10
"""Strengths of each mask of IS-CAM, as in TorchCAM."""


def scorecam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """Score-CAM (Wang et al., CVPR workshops 2020, algorithm 1): w_k is the softmax over all
    channels of the scores y_k of the image times A_k (see `masked_images`).

    activation: [N, C, h, w]. scores: [N, C]. score: y of the image itself [N], not used, because
    the baseline score that the paper subtracts cancels in the softmax -> map [N, h, w].
    """
    return weighted_sum(over_places(scores.softmax(dim=1), activation), activation)


def masked_images(activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0) -> Tensor:
    """The image times a mask for each of these channels: the channel of the activation, enlarged
    to the image, then scaled to [0, 1].

    activation: [1, C, h, w]. image: [1, 3, H, W]. channels: [M]. sample: not used ->
    [M, 3, H, W]. Interpolates with half-pixel centres; pytorch-grad-cam aligns the corners
    instead, and TorchCAM scales before it enlarges.
    """
    return image * scaled(enlarged(activation[0, channels, None], image))


def sscam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """SS-CAM (Wang et al., 2020, arXiv 2006.14255, with noise on the feature map): w_k as in
    Score-CAM, from scores averaged over several noisy masks (see `noisy_masked_images`).

    activation: [N, C, h, w]. scores: means [N, C]. score: not used -> map [N, h, w]. TorchCAM draws
    separate noise for each channel, and scales a mask before it enlarges it.
    """
    return scorecam(activation, scores, score)


def noisy_masked_images(
    activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0
) -> Tensor:
    """`masked_images` with noise added to the masks.

    sample: the number of the noise, from 0. All channels, and all images of the same size, get the
    same noise, so that the scores of the channels differ by the channels alone.
    """
    mask = scaled(enlarged(activation[0, channels, None], image))
    return image * (mask + SS_NOISE * noise(image, sample)[:, :1])


def iscam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """IS-CAM (Naidu et al., 2020, arXiv 2010.03023): w_k as in Score-CAM, from scores averaged over
    masks of growing strength (see `growing_masked_images`).

    activation: [N, C, h, w]. scores: means [N, C]. score: not used -> map [N, h, w]. TorchCAM
    scales a mask before it enlarges it.
    """
    return scorecam(activation, scores, score)


def growing_masked_images(
    activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0
) -> Tensor:
    """`masked_images` times c_i = sum_{j <= i} j / n, with i = sample + 1 and n = `IS_SAMPLES`. As
    in TorchCAM, the strength is a running sum, which grows from 1 / n to (n + 1) / 2."""
    strength = (sample + 1) * (sample + 2) / 2 / IS_SAMPLES
    return strength * masked_images(activation, image, channels)


def ablationcam(activation: Tensor, scores: Tensor, score: Tensor) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy, WACV 2020, eq. 3 and 4): w_k = (y - y_k) / |y|, where y_k
    is the score with channel k set to 0 (see `ablated_activations`).

    activation: [N, C, h, w]. scores: y_k [N, C]. score: y [N] -> map [N, h, w]. Divides by |y|,
    because a negative y would invert the map, as it does in pytorch-grad-cam.
    """
    whole = score[:, None]
    weight = quotient(whole - scores, whole.abs())
    return weighted_sum(over_places(weight, activation), activation)


def ablated_activations(
    activation: Tensor, image: Tensor, channels: Tensor, sample: int = 0
) -> Tensor:
    """The activation with each of these channels set to 0.

    activation: [1, C, h, w]. image, sample: not used. channels: [M] -> [M, C, h, w]. As in the
    paper, the value is 0 also where activations may be negative; pytorch-grad-cam then takes their
    minimum minus 1e7.
    """
    import torch

    ablated = activation.repeat(len(channels), *[1] * (activation.ndim - 1))
    ablated[torch.arange(len(channels), device=channels.device), channels] = 0
    return ablated


def smoothgradcam_plus_plus(activation: Tensor, gradients: Tensor) -> Tensor:
    """Smooth Grad-CAM++ (Omeiza et al., 2019, arXiv 1908.01224):
    w_k = sum(relu(m1_k) m2_k / (2 m2_k + sum(A_k) m3_k)), where mp_k = mean(G_k^p) over noisy
    pictures. A_k belongs to the picture without noise.

    activation: [N, C, h, w]. gradients: of the noisy pictures [S, N, C, h, w] -> map [N, h, w]. The
    numerator m2_k is that of Grad-CAM++ and TorchCAM; the paper has m1_k there. TorchCAM takes the
    last noisy picture's gradient in place of m1_k, and its activation for A_k in the map.
    """
    # Divided by the channel's largest gradient, because powers of small ones underflow float32.
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
    """LeGrad (Bousselham et al., ICCV 2025, arXiv 2404.03214): at the key of each place, the mean
    over blocks, heads and queries of relu(dy_l / dT_l). T_l is the attention of block l; y_l is the
    score that the network's head gives for the mean of the tokens that leave block l.

    gradients: [N, heads, queries, h, w] of each block in turn -> map [N, h, w]. For transformers
    whose tokens all attend to each other. As in TorchCAM, it covers all blocks, whichever layer is
    chosen; the paper scales the map to [0, 1].
    """
    import torch

    # Reduced block by block, because the gradients are large.
    return torch.stack([one.relu().mean(dim=(1, 2)) for one in gradients]).mean(dim=0)


def noise(like: Tensor, sample: int) -> Tensor:
    """Normal noise of the shape of one image [1, C, H, W]; the same sample gives the same noise."""
    import torch

    generator = torch.Generator().manual_seed(sample)
    shape = (1, *like.shape[1:])
    found = torch.randn(shape, generator=generator, dtype=torch.float32, device="cpu")
    return found.to(like) if like.is_floating_point() else found.to(like.device)


def enlarged(maps: Tensor, like: Tensor) -> Tensor:
    """Maps [M, 1, h, w] interpolated linearly to the size of `like` [N, C, H, W], with half-pixel
    centres -> [M, 1, H, W]."""
    from torch.nn.functional import interpolate

    sides = tuple(like.shape[2:])
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sides)]
    return interpolate(maps, sides, mode=mode)


def scaled(maps: Tensor) -> Tensor:
    """Each map [M, 1, h, w] stretched to [0, 1]; all 0 where its values are all equal."""
    low, high = (find(places(maps), keepdim=True) for find in (maps.amin, maps.amax))
    return quotient(maps - low, high - low)
