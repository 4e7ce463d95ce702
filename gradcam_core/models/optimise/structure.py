"""Finds, by a pass, which modules of a network can be folded or replaced."""

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
    """The modules of a network that can be folded or replaced, by their dotted names.

    norms: batch norms that are the only reader of a convolution's output -> that convolution.
    dense: convolutions with a single output cell.
    """

    norms: dict[str, str] = field(default_factory=dict)
    dense: list[str] = field(default_factory=list)


def structure_of(module: nn.Module, run: Callable[[nn.Module], Any]) -> tuple[Structure, Any]:
    """The structure of a network, found in the pass that `run` makes, and the output of that pass.
    The pass may run on the meta device.

    Left out are parts that compute more than their weights say: those with hooks, with weights
    computed from others (weight_norm, spectral_norm), or not in single or double precision.
    """
    structure = Structure()
    conv_of_output: dict[int, str] = {}  # id of a tensor -> the convolution that gave it
    kept: list[Tensor] = []  # kept alive, so that no two tensors have the same id
    pairs: list[tuple[str, Tensor | None]] = []
    hooks = []
    reads: Counter[int] = Counter()  # id of a tensor -> operations that read it
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
    """The structure of a built-in network, found without a pass, which saves a second: for a pass,
    PyTorch would import its compiler and SymPy. In the order of the modules, each batch norm
    follows the convolution whose output it alone reads; VGG19's `pre_logits` are dense."""
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
    """All tensors in a network's output: a tensor, or nested dicts, tuples, lists, dataclasses."""
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
    """Whether a convolution or norm computes with its own float32 or float64 values only, and has
    no hooks that watch it."""
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
