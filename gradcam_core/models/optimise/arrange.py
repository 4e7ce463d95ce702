"""Arranges a network so that it runs fast.

Its outputs stay the same up to rounding: batch norms are folded into the convolutions before them,
convolutions with a single output cell are computed as matrix products, and weights are laid out in
memory as the convolutions read them.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from gradcam_core.models.optimise.structure import Structure

_SAME = 1e-4
"""How far a folded pair's output may differ, as a share of the largest value."""


class DenseConv2d(nn.Module):
    """A convolution that is computed as a matrix product where its input is as large as its kernel.

    VGG19's first dense layer runs ten times as fast this way.

    [N, C, H, W] -> [N, K, H - kh + 1, W - kw + 1].
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.shape = conv.weight.shape
        self.weight = nn.Parameter(conv.weight.detach().flatten(1))
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach())
        if "folded_norm" in vars(conv):
            vars(self)["folded_norm"] = vars(conv)["folded_norm"]

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] == self.shape[2:]:
            return functional.linear(x.flatten(1), self.weight, self.bias)[:, :, None, None]
        return functional.conv2d(x, self.weight.view(self.shape), self.bias)


def arrange(module: nn.Module, structure: Structure) -> None:
    """Folds the norms and replaces the convolutions that `structure` lists, freezes the network,
    puts it in eval mode and converts its weights to channels_last. Works in place."""
    for name, conv_name in structure.norms.items():
        conv, norm = module.get_submodule(conv_name), module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        instead = _fold(conv, norm)
        if instead is not None:
            module.set_submodule(name, instead)
    for name in structure.dense:
        conv = module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        module.set_submodule(name, DenseConv2d(conv))
    module.eval().requires_grad_(False)  # the new modules, too
    # Xception runs 1.5 times as fast in this memory format, the others no slower.
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module | None:
    """Folds a batch norm into its convolution. Returns the module that replaces the norm, or None
    if the norm cannot be folded; the convolution then keeps its weights."""
    if norm.running_mean is None or norm.running_var is None:
        return None
    if (conv.weight.dtype, conv.weight.device) != (
        norm.running_mean.dtype,
        norm.running_mean.device,
    ):
        return None
    before = conv.weight, conv.bias
    # A subclass may compute something else, so its output is compared before and after.
    is_usual = type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d
    example = None if is_usual or conv.weight.is_meta else _example(conv)
    expected = None if example is None else _given(conv, norm, example)
    if example is not None and expected is None:
        return None
    if conv.weight.is_meta:  # no values to compute, and PyTorch would be slow about it
        if conv.bias is None:
            conv.bias = nn.Parameter(conv.weight.new_empty(conv.out_channels))
    else:
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
    # timm's batch norms contain the activation that follows; it keeps its name.
    children = OrderedDict(norm.named_children())
    instead = nn.Sequential(children) if children else nn.Identity()
    if example is not None and expected is not None:
        got = _given(conv, instead, example)
        if got is None or not is_same(got, expected, _SAME):
            conv.weight, conv.bias = before
            return None
    # Read by gradcam_core/cam when the convolution or the norm is the target layer.
    vars(conv)["folded_norm"] = _of_norm(norm)
    vars(instead)["is_folded_norm"] = True
    return instead


def _example(conv: nn.Conv2d) -> Tensor:
    sides = [
        step * (side - 1) + 2 for side, step in zip(conv.kernel_size, conv.dilation, strict=True)
    ]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, conv.in_channels, *sides, generator=generator, device="cpu")
    return noise.to(conv.weight)


@torch.no_grad()
def _given(conv: nn.Module, then: nn.Module, example: Tensor) -> Tensor | None:
    try:
        return then(conv(example))
    except Exception:  # a person's own modules may raise anything
        return None


def is_same(got: Tensor, expected: Tensor, share: float) -> bool:
    """Whether two tensors have one shape and differ by at most this share of the largest expected
    value. Integers must be equal."""
    if got.shape != expected.shape or not got.is_floating_point():
        return torch.equal(got, expected)
    most = (got - expected).abs().amax() if got.numel() else torch.zeros(())
    return bool(most <= share * expected.abs().amax()) if got.numel() else True


def _of_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """The scale and shift of a batch norm, [C, 1, 1] each: its output is x * scale + shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if norm.running_var.is_meta:
        shape = (norm.num_features, 1, 1)
        return norm.running_var.new_empty(shape), norm.running_mean.new_empty(shape)
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach()
    shift = -norm.running_mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach()
    return scale[:, None, None], shift[:, None, None]
