"""A network from its architecture and a file of weights, arranged so that it runs fast.

What it computes stays the same up to rounding: batch norms are folded into the convolutions before
them, convolutions that give a single cell are computed as the matrix product that they are, and
weights lie in memory as the convolutions read them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from gradcam_core.upstream import import_timm, watching_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class DenseConv2d(nn.Module):
    """A convolution, computed as a matrix product where its input is as large as its kernel.

    For VGG19's first dense layer that is ten times as fast.

    [N, C, H, W] -> [N, K, H - kh + 1, W - kw + 1].
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.shape = conv.weight.shape
        self.weight = nn.Parameter(conv.weight.detach().flatten(1))
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] == self.shape[2:]:
            return functional.linear(x.flatten(1), self.weight, self.bias)[:, :, None, None]
        return functional.conv2d(x, self.weight.view(self.shape), self.bias)


def read_network(architecture: str, path: Path, same_names: bool = True) -> nn.Module:
    """The network of this timm name with the weights of a file, frozen and in eval mode.

    same_names: whether the file's tensors have timm's names; else they have timm's order. A GPU is
    used where there is one. Raises almost anything for a file that does not hold the weights:
    SafetensorError, UnpicklingError, RuntimeError, KeyError, EOFError, …
    """
    timm = import_timm()
    # Without memory or values for the tensors, which come from the file.
    with torch.device("meta"):
        module = timm.create_model(architecture, pretrained=False).eval()
    own = module.state_dict()
    tensors = timm.models.load_state_dict(str(path), use_ema=False)
    if not same_names:
        tensors = dict(zip(own, tensors.values(), strict=True))
    structure = _structure(module, timm.get_pretrained_cfg(architecture).input_size)
    if tensors.keys() != own.keys() or not _complete(module, tensors):
        # Tensors of an older form, which timm's own loader converts.
        overlay = {"file": str(path)}
        module = timm.create_model(architecture, pretrained=True, pretrained_cfg_overlay=overlay)
    module.eval().float()
    _arrange(module, structure)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


def without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` gives, in eval mode, on the meta device: without memory for its tensors."""
    try:
        with torch.device("meta"):
            return build().eval()
    except NotImplementedError:  # torchvision's RegNets compute their widths with tensors
        return build().eval().to("meta")


def layout(
    build: Callable[[], nn.Module], input_size: tuple[int, int, int], has_values: bool = False
) -> nn.Module:
    """As `own_network`, without values: to see which modules the network has and what they give.
    has_values: with random ones, none of which are all 0, as heads are before training."""
    if not has_values:
        module = without_values(build)
        try:
            _arrange(module, _structure(module, input_size))
            return module
        except (RuntimeError, NotImplementedError):  # what cannot run without values
            pass
    module = build().eval()
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    _arrange(module, _Structure())
    return module


def own_network(
    build: Callable[[], nn.Module],
    tensors: Mapping[str, Tensor],
    input_size: tuple[int, int, int],
) -> nn.Module:
    """The network that `build` gives with these values, which are all of its own, arranged, frozen
    and in eval mode. input_size: (channels, height, width). A GPU is used where there is one."""
    module = without_values(build)
    given = module.state_dict()  # with the version of its form, which torchvision's MNASNet needs
    for name, tensor in given.items():
        given[name] = tensors.get(name, torch.zeros(tensor.shape, dtype=tensor.dtype))
    try:
        structure = _structure(module, input_size)
    except (RuntimeError, NotImplementedError):  # what cannot run without values
        structure = _Structure()
    if not _complete(module, given):
        module = build().eval()  # with values that no file has, such as tables of positions
        module.load_state_dict(given)
    module.float()
    _arrange(module, structure)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


def _complete(module: nn.Module, given: Mapping[str, Any]) -> bool:
    """Take over all tensors as they are; False if some are none of the file's."""
    module.load_state_dict(given, assign=True)
    return not any(tensor.is_meta for tensor in chain(module.parameters(), module.buffers()))


@dataclass
class _Structure:
    """What a pass of a network shows of its modules, by their names.

    norms: batch norms that alone read what a convolution gives, and that convolution.
    dense: convolutions that give a single cell.
    """

    norms: dict[str, str] = field(default_factory=dict)
    dense: list[str] = field(default_factory=list)


def _structure(module: nn.Module, input_size: tuple[int, int, int]) -> _Structure:
    """What a run of the network on the meta device, without values, shows.

    input_size: (channels, height, width) of the published input.
    """
    structure = _Structure()
    conv_of_output: dict[int, str] = {}  # by the id of a tensor, the convolution that gave it
    kept: list[Tensor] = []  # so that no two tensors have the same id
    pairs: list[tuple[str, Tensor]] = []
    hooks = []
    reads: Counter[int] = Counter()  # operations that a tensor goes into, by its id

    def ended(name: str, part: nn.Conv2d, output: Tensor) -> None:
        conv_of_output[id(output)] = name
        kept.append(output)
        reads[id(output)] = 0  # an earlier tensor may have had the same id
        simple = (
            not any(part.padding) and part.groups == 1 and set(part.stride + part.dilation) == {1}
        )
        if output.shape[2:].numel() == 1 and simple:
            structure.dense.append(name)

    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            hooks.append(
                part.register_forward_hook(lambda p, _, output, n=name: ended(n, p, output))
            )
        elif isinstance(part, nn.BatchNorm2d):
            hooks.append(
                part.register_forward_pre_hook(
                    lambda _, inputs, n=name: pairs.append((n, inputs[0]))
                )
            )
    try:
        with torch.no_grad(), watching_operations(lambda given: reads.update({*map(id, given)})):
            module(torch.empty(1, *input_size, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    calls = Counter(conv_of_output.values())
    norms = Counter(name for name, _ in pairs)
    for name, tensor in pairs:
        conv = conv_of_output.get(id(tensor))
        if conv and reads[id(tensor)] == 1 and calls[conv] == 1 == norms[name]:
            structure.norms[name] = conv
    return structure


def _arrange(module: nn.Module, structure: _Structure) -> None:
    for name, conv_name in structure.norms.items():
        conv, norm = module.get_submodule(conv_name), module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        if norm.running_mean is None or norm.running_var is None:
            continue
        # For whoever explains the convolution itself: see gradcam_core/cam/layout.py.
        vars(conv)["folded_norm"] = _of_norm(norm)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        # timm's batch norms may hold the activation that follows.
        module.set_submodule(name, getattr(norm, "act", nn.Identity()))
    for name in structure.dense:
        conv = module.get_submodule(name)
        assert isinstance(conv, nn.Conv2d)
        module.set_submodule(name, DenseConv2d(conv))
    module.eval().requires_grad_(False)  # what was put in, too
    # Xception runs 1.5 times as fast in this memory format, the others no slower.
    module.to(memory_format=torch.channels_last)


def _of_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies by and adds: [C, 1, 1] each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach()
    shift = -norm.running_mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach()
    return scale[:, None, None], shift[:, None, None]
