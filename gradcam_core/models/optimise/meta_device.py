"""Networks on PyTorch's meta device, where tensors have neither memory nor values. They are quick
to build and run, which shows their structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gradcam_core.upstream import without_compiler

if TYPE_CHECKING:
    from collections.abc import Callable


_FILLING = frozenset(
    getattr(Tensor, name)
    for name in ("normal_", "uniform_", "fill_", "zero_", "erfinv_", "clamp_", "mul_", "add_")
) | {nn.init.normal_, nn.init.uniform_, nn.init.constant_, nn.init.kaiming_uniform_}


class WithoutFilling(TorchFunctionMode):
    """Skips operations that only fill tensors. On the meta device they have no effect, but take
    most of the time that building a network takes."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in _FILLING:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return function(*args, **(kwargs or {}))


_RANDOM: frozenset[Callable[..., Any]] = frozenset(
    {
        *(Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_),
        *(nn.init.kaiming_uniform_, nn.init.kaiming_normal_),
        *(nn.init.xavier_uniform_, nn.init.trunc_normal_),
    }
)


class WithoutRandomValues(TorchFunctionMode):
    """Skips the random initialisation of parameters, for networks whose values all come from a
    file. It takes most of the time that building a network in memory takes."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in _RANDOM:
            tensor = args[0] if args else kwargs["tensor"]
            if isinstance(tensor, nn.Parameter):
                return tensor
        return function(*args, **(kwargs or {}))


def without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """The network that `build` makes, in eval mode, on the meta device."""
    try:
        with without_compiler(), torch.device("meta"), WithoutFilling():
            return build().eval()
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        return build().eval().to("meta")


def meta_pass(input_size: tuple[int, int, int]) -> Callable[[nn.Module], Any]:
    """A function that runs a network on the meta device and returns its output. input_size:
    (channels, height, width) of the single image."""

    def run(module: nn.Module) -> Any:
        with without_compiler(), _WithoutNorms():
            return module(torch.empty(1, *input_size, device="meta"))

    return run


class _WithoutNorms(TorchFunctionMode):
    """Replaces batch norms by an empty tensor of the same shape. On the meta device PyTorch would
    run each of their operations, which takes most of the time of a pass."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        is_norm = function in (functional.batch_norm, torch.batch_norm)
        if is_norm and args and args[0].is_meta:
            return torch.empty_like(args[0])
        return function(*args, **(kwargs or {}))
