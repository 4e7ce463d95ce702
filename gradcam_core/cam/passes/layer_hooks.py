"""Hooks that hold the feature maps of target layers during one pass of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam_core.cam.network.explainable import as_cam_errors, scripted_part
from gradcam_core.cam.network.hooks import exclusive, in_place_of, on_this_thread
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.network.outputs import Output
from gradcam_core.cam.target_layers.feature_maps import FeatureMaps
from gradcam_core.cam.target_layers.layers import ExecutionPaths, is_plain, maps_of
from gradcam_core.cam.target_layers.layout import (
    ChannelsFirst,
    Folded,
    Layout,
    Rearranged,
    Reshape,
    images_first,
    may_lie_otherwise,
)
from gradcam_core.errors import CamError
from gradcam_core.upstream import is_of_earlier_view


class NotRunError(CamError):
    """A layer ran fewer times than the number of the call to hold."""


@dataclass(frozen=True)
class LayerTarget:
    """A layer to hold. name: as a person writes it, "name" or "name#call". number: the call to
    hold, from 1, or 0 for the last that gives a feature map. layout_of: maps the module, the number
    of a call and its output to how the map lies in the output; None if it holds no map."""

    name: str
    number: int
    layout_of: Callable[[nn.Module, int, Any], Layout | None]

    @property
    def path(self) -> str:
        """The dotted name of the module."""
        return self.name.partition("#")[0]


@dataclass(frozen=True)
class HeldLayer:
    """What is held of a layer. leaf: the map [N, C, h, w], which requires grad. output: all the
    module gave, or None if that is the map itself. layout: how the map lies in it. call: the number
    of the call, from 1. node: where the leaf enters the autograd graph."""

    leaf: Tensor
    output: Tensor | None
    layout: Layout
    call: int
    node: Node


def hold(
    module: nn.Module, inputs: Inputs, targets: Sequence[LayerTarget], *, with_graph: bool = False
) -> tuple[list[HeldLayer | None], Any]:
    """Runs the network once. Returns what is held of each layer, or None if it gave no map, and the
    network's output. The autograd graph begins at the first of these layers to run; with_graph: at
    the network's parameters. Raises NotRunError, or CamError if the network fails."""
    try:
        return _hold(module, inputs, targets, with_graph, has_views=False)
    except CamError as error:
        if with_graph or not is_of_earlier_view(error.__cause__):
            raise
    # The network took a view of the tensor before the layer ran, and reads it afterwards.
    return _hold(module, inputs, targets, with_graph=True, has_views=True)


def _hold(
    module: nn.Module,
    inputs: Inputs,
    targets: Sequence[LayerTarget],
    with_graph: bool,
    has_views: bool,
) -> tuple[list[HeldLayer | None], Any]:
    parts = [_part(module, inputs, target.path) for target in targets]
    held: list[HeldLayer | None] = [None] * len(targets)
    calls = [0] * len(targets)

    def keep(at: int, part: nn.Module, _inputs: object, output: object) -> Tensor | None:
        target = targets[at]
        calls[at] += 1
        if target.number and calls[at] != target.number:
            return None
        layout = target.layout_of(part, calls[at], output)
        if layout is None:
            return None
        assert isinstance(output, Tensor)
        _check(target.name, output, images_first(layout, output), len(inputs))
        if torch.is_inference_mode_enabled():
            raise _without_gradients(target.name)
        is_first = all(one is None for n, one in enumerate(held) if n != at)
        given = output.detach().clone() if is_first else output
        found = layout.to_map(given)
        before = held[at]
        if before is not None and found[0, 0].numel() <= 1 < before.leaf[0, 0].numel():
            return None  # a vector after the pooling, no map
        leaf = found if found.requires_grad else found.requires_grad_()
        keeps = isinstance(layout, ChannelsFirst)
        torch.set_grad_enabled(True)
        # Not the leaf itself: in-place operations (ReLU after a batch norm) refuse leaves.
        whole = images_first(layout, given)
        new = leaf if keeps else layout.put_back(leaf, whole)
        new = in_place_of(output, new, has_graph=has_views)
        assert new.grad_fn is not None
        kept = None if keeps else whole.detach()
        held[at] = HeldLayer(leaf, kept, layout, calls[at], new.grad_fn)
        return new

    with exclusive(module) as undo, torch.set_grad_enabled(with_graph):
        for at, part in enumerate(parts):
            hook = on_this_thread(partial(keep, at))
            undo.callback(part.register_forward_hook(hook).remove)
        with as_cam_errors(module, inputs):
            given = inputs.run(module)
    for at, target in enumerate(targets):
        if calls[at] < target.number:
            raise NotRunError(
                f"The layer {target.path!r} runs {calls[at]} times: there is no call "
                f"{target.number}."
            )
    return held, given


def _check(layer: str, output: Tensor, of_images: Tensor, images: int) -> None:
    """Raises CamError unless a layer gives one map of real numbers per image."""
    if output.is_complex():
        raise CamError(
            f"The layer {layer!r} gives complex numbers, whose heat is not defined: name a layer= "
            "that gives real ones."
        )
    if len(of_images) != images:
        raise CamError(
            f"The layer {layer!r} gives {list(output.shape)} for {images} images, so it is "
            "unclear which map belongs to which image: name another layer=, or give a network that "
            "takes one part of an image as its picture."
        )


def _part(module: nn.Module, inputs: Inputs, path: str) -> nn.Module:
    names = path.split(".")
    for end in range(1, len(names) + 1):
        try:
            part = module.get_submodule(".".join(names[:end]))
        except AttributeError:
            break
        if isinstance(part, torch.jit.ScriptModule):
            raise CamError(scripted_part(".".join(names[:end])))
        if end == len(names) and path:
            return part
    raise layer_error(module, inputs, f"The network has no layer {path!r}.")


class NamedLayer:
    """A layer that a person has named.

    is_unclear: whether the last pass could not tell how its map lies, so that `trace` is needed.
    is_of_now: False if the layout comes from an earlier pass, whose path these images may not take.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Inputs,
        layer: str,
        reshape: Reshape | None,
        output: Output | None,
    ) -> None:
        number = layer.partition("#")[2]
        if number == "0" or layer.endswith("#") or (number and not number.isdecimal()):
            raise CamError(f"The layer {layer!r} names no call: write its number, from 1, after #.")
        self.target = LayerTarget(layer, int(number or 0), self._layout)
        self._module, self._inputs, self._output = module, inputs, output
        self._given = None if reshape is None else Rearranged(reshape)
        self._problem = ""
        # Found before the pass, which locks the network.
        self._maps: FeatureMaps | None = None
        self._path = self.target.path
        self.is_unclear = False
        self.is_of_now = True
        if self._given is None and not is_plain(module):
            self._maps = maps_of(module, inputs, output)
            part = _part(module, inputs, self._path)
            # A module with several names is listed under the first.
            names = (name for name, one in module.named_modules() if one is part)
            self._path = next(names, self._path)
            self.is_of_now = False

    def trace(self) -> None:
        """Runs the network to find out how the layer's map lies in its output."""
        paths = ExecutionPaths(self._module, self._inputs, self._output)
        try:
            self._maps, _ = paths.trace()
        except CamError:
            if not paths.known:
                raise
            self._maps = paths.known[0]  # of the same network with other weights: see `share_maps`
        paths.remember(self._maps)
        self.is_unclear, self.is_of_now = False, True

    def _layout(self, part: nn.Module, number: int, output: object) -> Layout | None:
        """How the map lies in the output of a call. None if the output holds no map that the logits
        depend on; `problem` then says why."""
        layer = self.target.name
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        self._problem = f"The layer {layer!r} gives no feature map but {shape}."
        if not isinstance(output, Tensor) or not (
            output.is_floating_point() or output.is_complex()
        ):
            return None
        if self._given is not None:
            return self._given.of(output, len(self._inputs))
        if self._maps is None:  # convolutional, see `is_plain`: channels come first
            images = self._inputs.images
            if output.ndim != images.ndim:
                self.is_unclear = output.ndim > 2  # tokens, of a part with attention
                return None
            self.is_unclear = may_lie_otherwise(part, output.shape, images.shape[2:])
            return None if self.is_unclear else _of_convolution(part, output)
        key = self._path, number
        if key in self._maps.unused:
            self._problem = (
                f"The logits do not depend on the positions in the layer {layer!r}: after a "
                "transformer's last block, only the class token counts."
            )
            return None
        if key not in self._maps.layouts and output.ndim == self._inputs.images.ndim:
            self._problem = (
                f"The layer {layer!r} gives {shape}, but no feature map that the logits depend on."
            )
        return self._maps.layouts.get(key)

    def problem(self) -> CamError:
        """The error that says why nothing was held. Not during a pass: it may run the network."""
        if not self._problem:
            return CamError(
                f"The layer {self.target.name!r} is not used in the forward pass of this network."
            )
        return layer_error(self._module, self._inputs, self._problem, self._output, maps=self._maps)


def _of_convolution(part: nn.Module, output: Tensor) -> Layout:
    """The layout of a convolution's output, without the batch norm that was folded into it."""
    folded = getattr(part, "folded_norm", None)
    if folded is None:
        return ChannelsFirst()
    return Folded(*(one.to(output) for one in folded))  # the module may have moved since


def layer_error(
    module: nn.Module,
    inputs: Inputs,
    problem: str,
    output: Output | None = None,
    *,
    maps: FeatureMaps | None = None,
) -> CamError:
    """An error about a target layer that lists the layers to choose from."""
    try:
        right = (maps or maps_of(module, inputs, output)).names
    except CamError as error:
        return error
    return CamError(f"{problem} The last feature maps of each resolution are: {right}.")


def independence_error(
    module: nn.Module,
    inputs: Inputs,
    target: LayerTarget,
    held: HeldLayer,
    logits: Tensor,
    logits_of: Any,
) -> CamError:
    """The error that says why no gradient leads from the logits to a layer. Runs the network once
    more, with another map there, to see whether the logits change."""

    def changed(part: nn.Module, number: int, output: Any) -> Layout | None:
        layout = target.layout_of(part, number, output)
        return None if layout is None else _Changed(layout)

    _, given = hold(module, inputs, [LayerTarget(target.name, held.call, changed)])
    if torch.equal(logits_of(given).detach(), logits.detach()):
        return CamError(f"The logits do not depend on the layer {target.name!r}.")
    return _without_gradients(target.name)


def _without_gradients(layer: str) -> CamError:
    return CamError(
        f"The logits depend on the layer {layer!r}, but the network computes them without "
        "gradients (no_grad, inference_mode or detach in its forward). Give a network that "
        "computes with gradients, or name a layer behind that."
    )


@dataclass(frozen=True)
class _Changed:
    """A layout that gives a map with other values."""

    layout: Layout

    def to_map(self, output: Tensor) -> Tensor:
        found = self.layout.to_map(output)
        return found + found.detach().abs().mean() + 1

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        return self.layout.put_back(changed, output)
