"""Which modules of a network can be folded and replaced: seen from a pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gradcam_core.upstream import has_hooks, watching_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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
        with torch.no_grad(), watching_operations(lambda _, given: reads.update({*map(id, given)})):
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


def structure_in_order(module: nn.Module) -> Structure:
    """The same of our own networks, without a pass, for which PyTorch would import its compiler and
    symbolic numbers: a second. In the order of their modules, each batch norm follows the
    convolution that it alone reads; those of VGG19's `pre_logits` are dense."""
    structure = Structure()
    conv = ""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            conv = name
            if name.startswith("pre_logits."):
                structure.dense.append(name)
        elif isinstance(part, nn.BatchNorm2d):
            structure.norms[name] = conv
    return structure


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
