"""Records the calls of a network's modules in a pass: which call gives what, which of its places
change with which part of the picture, and which of them the logits use."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, saved_tensors_hooks
from torch.nn.utils import parametrize

from gradcam_core.cam.network.explainable import OF_A_NETWORK, as_gradient_errors
from gradcam_core.cam.network.hooks import exclusive, on_this_thread
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.upstream import next_node

_PATCHES = ((0.25, 0.25, 0.25), (0.3, 0.8, 0.55), (0.8, 0.45, 0.75))
"""Middles of the patches that are changed, as shares of the input's sides; no symmetry maps them
onto each other."""

_PATCH = 0.25  # sides of a patch, as shares of the input's sides
_NEAR = 0.15  # spread of the weights of `nearness`, as a share of a map's sides

_LISTS = (nn.ParameterList, nn.ParameterDict)
"""Modules that only hold weights for the module that contains them."""


@dataclass
class Call:
    """One call of a module.

    name, number: the module's dotted name and which of its calls this is, from 1. input_shapes: of
    the input tensors with places, without N. shape: of the output, with the images first;
    is_of_images: whether that has one entry per image. is_sequence_first: whether the output is
    tokens [L, N, C], with the images second. makes_map: whether the module `makes_a_map`;
    maps_made: how many calls of such modules ended during this one, itself included. nodes: numbers
    of the autograd nodes that it made.

    node: the output's node in the autograd graph. changed: how much each place changed with each
    patch of the input, [patches, *places], by the axis of the channels. places_used: whether the
    logits depend on each place, bool [*places], by the same axis.
    """

    name: str
    number: int
    part: nn.Module
    input_shapes: tuple[torch.Size, ...]
    shape: torch.Size
    makes_map: bool
    maps_made: int
    nodes: range
    is_of_images: bool
    is_sequence_first: bool = False
    node: Node | None = None
    changed: dict[int, Tensor] = field(default_factory=dict)
    places_used: dict[int, Tensor] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        return self.name, self.number

    def images_first(self, output: Tensor) -> Tensor:
        """The output, or its gradient, with the images first."""
        return output.transpose(0, 1) if self.is_sequence_first else output


def makes_a_map(part: nn.Module) -> bool:
    """Whether a module is a convolution, a dense layer or the like: a part with a weight matrix of
    its own or a computed one (`torch.nn.utils.parametrize`), and no such part within it."""
    parts = dict(part.named_children())
    lists = [name for name, one in parts.items() if isinstance(one, _LISTS)]
    own = [part, *(parts.pop(name) for name in lists)]
    has_own = any(one.ndim > 1 for each in own for one in each.parameters(recurse=False))
    computed = parts.pop("parametrizations", None)
    if computed is not None and parametrize.is_parametrized(part):
        has_own |= any(getattr(part, name).ndim > 1 for name, _ in computed.named_children())
    return has_own and not any(
        makes_a_map(inner) for other in parts.values() for inner in other.modules()
    )


def trace_calls(
    module: nn.Module,
    inputs: Inputs,
    note: Callable[[Call, Tensor], None],
    images: Tensor | None = None,
) -> tuple[list[Call], Any]:
    """Runs a network. Returns the calls that give a tensor with places, in the order in which they
    end, and the network's output. note: called with each of these calls and its output. images:
    replace those of the inputs."""
    count = len(inputs if images is None else images)
    calls: list[Call] = []
    numbers: Counter[str] = Counter()
    made: list[str] = []
    begun: list[tuple[int, int]] = []

    def begin(_module: nn.Module, _inputs: object) -> None:
        begun.append((len(made), next_node()))

    def end(name: str, part: nn.Module, inputs: tuple, output: object) -> None:
        before, first = begun.pop()
        numbers[name] += 1
        if not isinstance(output, Tensor) or output.ndim < 3:
            return
        is_behind = len(output) != count and output.ndim == 3 and output.shape[1] == count
        is_of_images = len(output) == count or is_behind
        makes = makes_a_map(part)
        if makes and is_of_images:
            made.append(name)
        shapes = tuple(one.shape[1:] for one in inputs if isinstance(one, Tensor) and one.ndim > 2)
        shape = output.transpose(0, 1).shape if is_behind else output.shape
        ended = len(made) - before
        nodes = range(first, next_node())
        call = Call(
            name, numbers[name], part, shapes, shape, makes, ended, nodes, is_of_images, is_behind
        )
        calls.append(call)
        note(call, output)

    with exclusive(module) as undo:
        for name, part in module.named_modules():
            if name and not isinstance(part, torch.jit.ScriptModule):  # which takes no hooks
                undo.callback(part.register_forward_pre_hook(on_this_thread(begin)).remove)
                undo.callback(part.register_forward_hook(on_this_thread(partial(end, name))).remove)
        output = inputs.run(module, images)
    return calls, output


def with_graph(module: nn.Module, inputs: Inputs, to_run: bool = True) -> tuple[list[Call], Any]:
    """Runs a network on one image [1, C, *sides] that requires gradients. Returns the calls, each
    with its node in the autograd graph, and the network's output.

    to_run: whether there will be a backward pass, for which the graph keeps all activations."""

    def note(call: Call, output: Tensor) -> None:
        call.node = output.grad_fn

    keeping: AbstractContextManager = nullcontext()
    if not to_run:
        keeping = saved_tensors_hooks(lambda _: None, _nothing)
    with torch.enable_grad(), keeping:
        return trace_calls(module, inputs, note)


def _nothing(_kept: None) -> Tensor:
    raise RuntimeError("This graph keeps no activations for a backward pass.")


def mark_places_used(calls: Sequence[Call], logits: Tensor, image: Tensor) -> None:
    """Sets `places_used` of each call. Raises CamError if the logits have no gradient."""
    weights = torch.linspace(1, 2, logits.shape[-1], dtype=logits.dtype, device=logits.device)
    undo = []
    for call in calls:
        if call.node is None:
            continue

        def keep(gradients: Sequence[Tensor], call: Call = call) -> None:
            for given in gradients:
                gradient = None if given is None else call.images_first(given)
                if gradient is None or gradient.shape != call.shape:
                    continue
                for axis in _axes(gradient):
                    found = (gradient[0] != 0).any(dim=axis - 1)
                    call.places_used[axis] = call.places_used.get(axis, found) | found

        undo.append(call.node.register_prehook(keep))
    try:
        with as_gradient_errors():
            torch.autograd.grad((logits * weights).sum(), image, retain_graph=True)
    finally:
        for handle in undo:
            handle.remove()


def measure_locality(calls: Sequence[Call], module: nn.Module, inputs: Inputs) -> None:
    """Sets `changed` of each call: runs the image [1, C, *sides], and with noise in each patch."""
    known = {call.key: call for call in calls}
    image = inputs.images.detach()
    changed = noisy(image)
    versions = [image]
    for middle in _PATCHES:
        inside = patch(middle, tuple(image.shape[2:])).to(image.device)
        versions.append(torch.where(inside, changed, image))
    kept: dict[tuple[str, int], list[Tensor]] = defaultdict(list)

    def note(call: Call, output: Tensor) -> None:
        same = known.get(call.key)
        if same is None or not same.is_of_images or not output.is_floating_point():
            return
        output = same.images_first(output)
        if same.shape[1:] != output.shape[1:]:
            return
        if len(output) < len(versions):
            kept[call.key].append(output)
            if len(kept[call.key]) < len(versions):
                return
            output = torch.cat(kept.pop(call.key))
        difference = output[1:].float() - output[:1].float()
        for axis in _axes(output):
            same.changed[axis] = _norm(difference, axis)

    with torch.no_grad():
        try:
            trace_calls(module, inputs, note, torch.cat(versions))
        except OF_A_NETWORK:  # the network may take only one image at a time
            for one in versions:
                trace_calls(module, inputs, note, one)


def noisy(image: Tensor) -> Tensor:
    """The image with strong noise, the same each time."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(image.shape, generator=generator, device="cpu").to(image)
    spread = float(image.float().std().nan_to_num()) or 1.0
    return image + 2 * spread * noise


def _norm(values: Tensor, axis: int) -> Tensor:
    """Like `Tensor.norm`, but several times as fast along an axis that is not contiguous."""
    if values.stride(axis) == 1:
        return values.norm(dim=axis)
    return values.square().sum(dim=axis).sqrt()


def patch(middle: tuple[float, ...], sides: tuple[int, ...]) -> Tensor:
    """Whether a patch of the input covers each place of a raster, bool [*sides]; at least one."""
    return torch.from_numpy(_patch(middle, sides))


@lru_cache(maxsize=256)
def _patch(middle: tuple[float, ...], sides: tuple[int, ...]) -> np.ndarray:
    inside = np.ones(sides, dtype=bool)
    for axis, (share, side) in enumerate(zip(middle, sides, strict=False)):
        positions = (np.arange(side) + 0.5) / side
        near = np.abs(positions - share) <= max(_PATCH / 2, 0.5 / side + 1e-9)
        inside &= near.reshape(-1, *[1] * (len(sides) - axis - 1))
    return inside


def locality(changed: Tensor) -> float:
    """How local the changes of a map [patches, *places] are to where the input changes: the mean
    change there, divided by that elsewhere, for the patch with the lowest ratio. 1 means not local,
    0 that a patch changes nothing there."""
    sides = tuple(changed.shape[1:])
    ratios = []
    for middle, one in zip(_PATCHES, changed, strict=True):
        inside = patch(middle, sides).to(one.device)
        if inside.all():
            return 1.0
        within, outside = float(one[inside].mean()), float(one[~inside].mean())
        if not within > 0:
            return 0.0
        ratios.append(within / outside if outside else float("inf"))
    return min(ratios)


def agreement(changed: Tensor) -> float:
    """How well the changes of a map [patches, *places] agree with the share of each place in which
    the input changes: the mean correlation, at most 1. Along rows, the `locality` of a grid may be
    high, too: some places of a row change, and none far from it."""
    middles = changed.new_tensor(_PATCHES)
    expected = torch.ones_like(middles[:, 0])
    for axis, side in enumerate(changed.shape[1:]):
        begin = torch.arange(side, device=changed.device) / side
        middle = middles[:, axis, None]
        end = (begin + 1 / side).minimum(middle + _PATCH / 2)
        share = (end - begin.maximum(middle - _PATCH / 2)).clamp(min=0) * side
        # The norm of what changes by chance grows with the root of the share.
        expected = expected[..., None] * share.sqrt().reshape(-1, *[1] * axis, side)
    expected, changed = expected.flatten(1), changed.flatten(1)
    expected, changed = (one - one.mean(dim=1, keepdim=True) for one in (expected, changed))
    return float(torch.cosine_similarity(expected, changed).mean())


def nearness(changed: Tensor, axes: Sequence[int] = (0, 1, 2)) -> float:
    """How near the changes (squared) of a map [patches, *places] are to where the input changes,
    along these axes of places, for the patch where they are least near: from 0, far away, to 1, at
    its centre."""
    found = []
    for middle, one in zip(_PATCHES, changed.square(), strict=True):
        near = one / one.sum()
        for axis, side in enumerate(one.shape):
            if axis in axes:
                apart = (torch.arange(side, device=one.device) + 0.5) / side - middle[axis]
                weights = (-(apart**2) / (2 * _NEAR**2)).exp()
                near = near * weights.reshape(-1, *[1] * (one.ndim - axis - 1))
        found.append(float(near.sum()))
    return min(found)


def _axes(tensor: Tensor) -> tuple[int, ...]:
    """The axes that may be the channels: the first after N, and the last."""
    return tuple(dict.fromkeys((1, tensor.ndim - 1)))
