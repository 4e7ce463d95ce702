"""Convolutions that keep their weights packed for single pictures of one size."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from gradcam_core.upstream import (
    can_pack_weights,
    has_hooks,
    is_batched,
    pack_weights,
    packed_convolution,
)


class Packed(NamedTuple):
    """Weights as oneDNN reads them for inputs of `shape`. of: the weights' address and version."""

    weight: Tensor
    shape: torch.Size
    of: tuple[int, int]


class PackedConv2d(nn.Conv2d):
    """A convolution that packs its weights when a second picture of the same size comes.

    `nn.Conv2d` packs them anew in each call, which takes a quarter of the time of ResNet50's pass.
    The packed copy takes as much memory as the weights. It serves single pictures of that size, in
    single precision on a CPU and without gradients; everything else is computed as before.

    [1, C, H, W] -> [1, K, h, w], the same numbers as `nn.Conv2d` to float precision.
    """

    # TorchScript reads annotations.
    packed = None  # type: Packed | None
    last_shape = None  # type: torch.Size | None

    def forward(self, input: Tensor) -> Tensor:
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            packed = self._packed_for(input)
            if packed is not None:
                settings = self.padding, self.stride, self.dilation, self.groups
                return packed_convolution(input, packed, self.bias, *settings)
        return self._conv_forward(input, self.weight, self.bias)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles begin unpacked."""
        return {**vars(self), "packed": None, "last_shape": None}

    def _packed_for(self, x: Tensor) -> Tensor | None:
        weight = self.weight
        # Subclasses of Tensor trace or fake a pass.
        if (
            type(x) is not Tensor
            or torch.compiler.is_compiling()
            or torch.jit.is_tracing()  # type: ignore[attr-defined]
            or x.ndim != 4
            or len(x) != 1
            or x.requires_grad
            or weight.is_inference()
            or (weight.requires_grad and torch.is_grad_enabled())
            or not x.dtype == weight.dtype == torch.float32
            or not x.device.type == weight.device.type == "cpu"
            or torch.is_autocast_enabled("cpu")
            or not torch.backends.mkldnn.enabled
            or forward_ad.unpack_dual(x).tangent is not None
            or is_batched(x)
        ):
            return None
        packed, last, self.last_shape = self.packed, self.last_shape, x.shape
        now = weight.data_ptr(), weight._version
        if packed is not None and packed.of == now:
            return packed.weight if packed.shape == x.shape else None
        self.packed = None
        if last != x.shape:
            return None
        with torch.inference_mode(False), torch.no_grad():
            settings = self.padding, self.stride, self.dilation, self.groups
            self.packed = Packed(pack_weights(weight.detach(), x.shape, *settings), x.shape, now)
        return self.packed.weight


def pack_convolutions(module: nn.Module) -> None:
    """Make the convolutions of a network pack their weights, except those whose weights others
    compute."""
    if not can_pack_weights():
        return
    for part in module.modules():
        # Of other classes it is unknown what they compute.
        if (
            type(part) is nn.Conv2d
            and part.padding_mode == "zeros"
            and not isinstance(part.padding, str)
            and not has_hooks(part)
        ):
            part.__class__ = PackedConv2d
