"""A network from its architecture and a file of weights, arranged so that it runs fast.

What it computes stays the same up to rounding: batch norms are folded into the convolutions before
them, convolutions that give a single cell are computed as the matrix product that they are, and
weights lie in memory as the convolutions read them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field, is_dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

from gradcam_core.upstream import has_hooks, import_timm, watching_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SAME = 1e-4
"""Share of the largest value by which a folded pair may differ from what it was."""


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
        if "folded_norm" in vars(conv):
            vars(self)["folded_norm"] = vars(conv)["folded_norm"]

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] == self.shape[2:]:
            return functional.linear(x.flatten(1), self.weight, self.bias)[:, :, None, None]
        return functional.conv2d(x, self.weight.view(self.shape), self.bias)


def read_network(
    architecture: str,
    path: Path,
    same_names: bool = True,
    img_size: tuple[int, int] | None = None,
) -> nn.Module:
    """The network of this timm name with the weights of a file, frozen and in eval mode.

    same_names: whether the file's tensors have timm's names; else they have timm's order. img_size:
    (height, width) of the input that a transformer is built for; None is the published one. A GPU
    is used where there is one. Raises almost anything for a file that does not hold the weights:
    SafetensorError, UnpicklingError, RuntimeError, KeyError, EOFError, …
    """
    timm = import_timm()
    channels, *published = timm.get_pretrained_cfg(architecture).input_size
    arguments = {} if img_size is None else {"img_size": img_size}
    # Without memory or values for the tensors, which come from the file.
    with torch.device("meta"), _NotFilling():
        module = timm.create_model(architecture, pretrained=False, **arguments).eval()
    own = module.state_dict()
    tensors = timm.models.load_state_dict(str(path), use_ema=False)
    if not same_names:
        tensors = dict(zip(own, tensors.values(), strict=True))
    structure, _ = structure_of(module, _shaped((channels, *(img_size or published))))
    if arguments or tensors.keys() != own.keys() or not _complete(module, tensors):
        # Tensors of an older form or of another input size, which timm's own loader converts.
        overlay = {"file": str(path)}
        module = timm.create_model(
            architecture, pretrained=True, pretrained_cfg_overlay=overlay, **arguments
        )
    module.eval().float()
    arrange(module, structure)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


_FILLING = frozenset(
    getattr(Tensor, name)
    for name in ("normal_", "uniform_", "fill_", "zero_", "erfinv_", "clamp_", "mul_", "add_")
) | {nn.init.normal_, nn.init.uniform_, nn.init.constant_, nn.init.kaiming_uniform_}


class _NotFilling(TorchFunctionMode):
    """Leaves out what only gives tensors their values: without memory for them it does nothing, and
    takes most of the time in which a network is built."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in _FILLING:
            tensor = args[0] if args else kwargs["tensor"]
            if tensor.is_meta:
                return tensor
        return function(*args, **(kwargs or {}))


def without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` gives, in eval mode, on the meta device: without memory for its tensors."""
    try:
        with torch.device("meta"), _NotFilling():
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
            arrange(module, structure_of(module, _shaped(input_size))[0])
            return module
        except (RuntimeError, NotImplementedError):  # what cannot run without values
            pass
    module = build().eval()
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    arrange(module, Structure())
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
        structure, _ = structure_of(module, _shaped(input_size))
    except (RuntimeError, NotImplementedError):  # what cannot run without values
        structure = Structure()
    if not _complete(module, given):
        module = build().eval()  # with values that no file has, such as tables of positions
        module.load_state_dict(given)
    module.float()
    arrange(module, structure)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


def _complete(module: nn.Module, given: Mapping[str, Any]) -> bool:
    """Take over all tensors as they are; False if some are none of the file's."""
    module.load_state_dict(given, assign=True)
    return not any(tensor.is_meta for tensor in chain(module.parameters(), module.buffers()))


@dataclass
class Structure:
    """What a pass of a network shows of its modules, by their names.

    norms: batch norms that alone read what a convolution gives, and that convolution.
    dense: convolutions that give a single cell.
    """

    norms: dict[str, str] = field(default_factory=dict)
    dense: list[str] = field(default_factory=list)


def structure_of(module: nn.Module, run: Callable[[nn.Module], Any]) -> tuple[Structure, Any]:
    """What a pass of the network, which `run` makes, shows, and what it gives. On "meta" it needs
    no values.

    Left out are parts that are not what their weights say: those with hooks, whose weights are
    computed from others (weight_norm, spectral_norm), or not in single or double precision.
    """
    structure = Structure()
    conv_of_output: dict[int, str] = {}  # by the id of a tensor, the convolution that gave it
    kept: list[Tensor] = []  # so that no two tensors have the same id
    pairs: list[tuple[str, Tensor | None]] = []
    hooks = []
    reads: Counter[int] = Counter()  # operations that a tensor goes into, by its id
    dense: Counter[str] = Counter()
    names = Counter(map(id, (part for _, part in module.named_modules(remove_duplicate=False))))

    def ended(name: str, part: nn.Conv2d, output: Tensor) -> None:
        conv_of_output[id(output)] = name
        kept.append(output)
        reads[id(output)] = 0  # an earlier tensor may have had the same id
        if output.shape[2:].numel() == 1 and _can_be_dense(part):
            dense[name] += 1

    def read(name: str, inputs: tuple, options: dict) -> None:
        pairs.append((name, inputs[0] if inputs else options.get("input")))

    for name, part in module.named_modules():
        if not _is_literal(part):
            continue
        if isinstance(part, nn.Conv2d):
            hooks.append(
                part.register_forward_hook(lambda p, _, output, n=name: ended(n, p, output))
            )
        elif isinstance(part, nn.BatchNorm2d) and names[id(part)] == 1:
            hooks.append(
                part.register_forward_pre_hook(
                    lambda _, inputs, options, n=name: read(n, inputs, options), with_kwargs=True
                )
            )
    try:
        with torch.no_grad(), watching_operations(lambda given: reads.update({*map(id, given)})):
            given = run(module)
    finally:
        for hook in hooks:
            hook.remove()
    calls = Counter(conv_of_output.values())
    norms = Counter(name for name, _ in pairs)
    handed_on = {id(tensor) for tensor in tensors_of(given)}
    for name, tensor in pairs:
        conv = conv_of_output.get(id(tensor))
        is_alone = reads[id(tensor)] == 1 and id(tensor) not in handed_on
        if conv and is_alone and calls[conv] == 1 == norms[name]:
            structure.norms[name] = conv
    structure.dense = list(dense)
    return structure, given


def tensors_of(given: Any) -> list[Tensor]:
    """The tensors in what a network gives: a tensor, or containers of some."""
    if isinstance(given, Tensor):
        return [given]
    if isinstance(given, dict):
        values: Iterable[Any] = given.values()
    elif isinstance(given, (tuple, list)):
        values = given
    elif is_dataclass(given) and not isinstance(given, type):
        values = vars(given).values()
    else:
        values = ()
    return [tensor for value in values for tensor in tensors_of(value)]


def _shaped(input_size: tuple[int, int, int]) -> Callable[[nn.Module], Any]:
    """A pass without values: input_size is (channels, height, width)."""

    def run(module: nn.Module) -> Any:
        with _NotNormalising():
            return module(torch.empty(1, *input_size, device="meta"))

    return run


class _NotNormalising(TorchFunctionMode):
    """Batch norms give a tensor of the same shape. Without values PyTorch would do one after the
    other what they consist of, which takes most of the time of a pass."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        is_norm = function in (functional.batch_norm, torch.batch_norm)
        if is_norm and args and args[0].is_meta:
            return torch.empty_like(args[0])
        return function(*args, **(kwargs or {}))


def _is_literal(part: nn.Module) -> bool:
    """Whether a convolution or norm computes with its own values, and nobody looks on."""
    values = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
    return (
        not has_hooks(part)
        and not is_parametrized(part)
        and "forward" not in vars(part)
        and {one.dtype for one in values if one.is_floating_point()}
        in ({torch.float32}, {torch.float64})
    )


def _can_be_dense(conv: nn.Conv2d) -> bool:
    return (
        type(conv) is nn.Conv2d
        and not any(conv.padding)
        and conv.groups == 1
        and set(conv.stride + conv.dilation) == {1}
    )


def arrange(module: nn.Module, structure: Structure) -> None:
    """Fold and replace what a pass has shown, freeze the network, and lay its weights out."""
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
    module.eval().requires_grad_(False)  # what was put in, too
    # Xception runs 1.5 times as fast in this memory format, the others no slower.
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module | None:
    """What stands for a batch norm that is folded into its convolution; None if it is not."""
    if norm.running_mean is None or norm.running_var is None:
        return None
    if (conv.weight.dtype, conv.weight.device) != (
        norm.running_mean.dtype,
        norm.running_mean.device,
    ):
        return None
    before = conv.weight, conv.bias
    # Of other classes, only what they give tells what they compute.
    is_usual = type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d
    example = None if is_usual or conv.weight.is_meta else _example(conv)
    expected = None if example is None else _given(conv, norm, example)
    if example is not None and expected is None:
        return None
    if conv.weight.is_meta:  # there is nothing to compute, which PyTorch would take its time for
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
    # timm's batch norms hold the activation that follows, whose name stays.
    children = OrderedDict(norm.named_children())
    instead = nn.Sequential(children) if children else nn.Identity()
    if example is not None and expected is not None:
        got = _given(conv, instead, example)
        if got is None or not is_same(got, expected, _SAME):
            conv.weight, conv.bias = before
            return None
    # For whoever explains the convolution or the norm: see gradcam_core/cam.
    vars(conv)["folded_norm"] = _of_norm(norm)
    vars(instead)["is_folded_norm"] = True
    return instead


def _example(conv: nn.Conv2d) -> Tensor:
    sides = [
        step * (side - 1) + 2 for side, step in zip(conv.kernel_size, conv.dilation, strict=True)
    ]
    noise = torch.randn(1, conv.in_channels, *sides, generator=torch.Generator().manual_seed(0))
    return noise.to(conv.weight)


@torch.no_grad()
def _given(conv: nn.Module, then: nn.Module, example: Tensor) -> Tensor | None:
    try:
        return then(conv(example))
    except Exception:  # parts of a person's own may raise anything
        return None


def is_same(got: Tensor, expected: Tensor, share: float) -> bool:
    """Whether tensors of one shape differ by at most this share of the largest value."""
    if got.shape != expected.shape or not got.is_floating_point():
        return torch.equal(got, expected)
    most = (got - expected).abs().amax() if got.numel() else torch.zeros(())
    return bool(most <= share * expected.abs().amax()) if got.numel() else True


def _of_norm(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies by and adds: [C, 1, 1] each."""
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
