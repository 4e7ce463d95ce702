"""Convolutions that keep packed weights for single pictures of one size."""

from __future__ import annotations

from collections.abc import Callable
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

_SAMPLES = 8  # of weights, to see whether they have changed


class Packed(NamedTuple):
    """Weights as oneDNN reads them for inputs of `shape`. of: the weights in their usual form, kept
    so that no other tensor gets their address. version, samples: their version and some of their
    values when they were packed."""

    weight: Tensor
    shape: torch.Size
    of: Tensor
    version: int
    samples: list[float]

    def are(self, weight: Tensor) -> bool:
        """Whether these weights are the packed ones. Changes of single values through `.data`,
        which PyTorch does not count, go unnoticed."""
        return (
            self.of.data_ptr() == weight.data_ptr()
            and self.version == weight._version
            and self.samples == _samples(weight)
        )


class PackedConv2d(nn.Conv2d):
    """A convolution with a second copy of its weights, packed.

    `nn.Conv2d` packs them anew in each call, which takes a quarter of the time of ResNet50's pass.
    The copy serves single pictures of one size, in single precision on a CPU and without gradients;
    everything else, also after the weights have changed (see `Packed.are`), is computed as
    `nn.Conv2d` does. Copies and pickles have no packed weights.

    [1, C, H, W] -> [1, K, h, w], the same numbers as `nn.Conv2d` to float precision.
    """

    packed = None  # type: Packed | None  # TorchScript would read an annotation

    def forward(self, input: Tensor) -> Tensor:
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            packed = self.packed
            if packed is not None and self._serves(packed, input):
                settings = self.padding, self.stride, self.dilation, self.groups
                return packed_convolution(input, packed.weight, self.bias, *settings)
        return self._conv_forward(input, self.weight, self.bias)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "packed": None}

    def _serves(self, packed: Packed, x: Tensor) -> bool:
        return (
            not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()  # type: ignore[attr-defined]
            and all(map(_is_plain, (x, self.weight, self.bias)))
            and x.shape == packed.shape
            and not torch.is_autocast_enabled("cpu")
            and bool(torch.backends.mkldnn.enabled)
            and packed.are(self.weight)
        )


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether the tensor is float32 on a CPU and no gradients, tracing or vmap are recorded for
    it. None, a missing bias, is plain."""
    if tensor is None:
        return True
    return (
        type(tensor) in (Tensor, nn.Parameter)  # subclasses trace or fake a pass
        and tensor.dtype == torch.float32
        and tensor.device.type == "cpu"
        and not (tensor.requires_grad and torch.is_grad_enabled())
        and not is_batched(tensor)
        and forward_ad.unpack_dual(tensor).tangent is None
    )


def _samples(weight: Tensor) -> list[float]:
    step = max(1, weight.numel() // _SAMPLES)
    return weight.detach().as_strided((min(_SAMPLES, weight.numel()),), (step,)).tolist()


def pack_convolutions(module: nn.Module, run: Callable[[], object]) -> None:
    """Packs the weights of a network's convolutions, in place, for single pictures of the size with
    which `run` calls the network. Skips subclasses of nn.Conv2d, and convolutions with hooks or
    computed weights. Does nothing where `can_pack_weights` is False."""
    if not can_pack_weights():
        return
    shapes: dict[nn.Conv2d, torch.Size] = {}

    def note(part: nn.Conv2d, inputs: tuple[Tensor, ...], options: dict[str, Tensor]) -> None:
        shape = (*inputs, *options.values())[0].shape
        if len(shape) == 4 and shape[0] == 1:
            shapes[part] = shape

    hooks = [
        part.register_forward_pre_hook(note, with_kwargs=True)
        for part in module.modules()
        # Other classes may compute something else.
        if type(part) in (nn.Conv2d, PackedConv2d)
        and isinstance(part, nn.Conv2d)
        and part.padding_mode == "zeros"
        and not isinstance(part.padding, str)
        and _is_plain(part.weight)
        and not part.weight.is_inference()
        and not has_hooks(part)
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    for part, shape in shapes.items():
        settings = part.padding, part.stride, part.dilation, part.groups
        weight = part.weight.detach()
        packed = pack_weights(weight, shape, *settings)
        part.__class__ = PackedConv2d
        vars(part)["packed"] = Packed(packed, shape, weight, weight._version, _samples(weight))
