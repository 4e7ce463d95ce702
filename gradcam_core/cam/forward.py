"""One forward pass, kept open at the target layer; any class's map from it.

A map needs the gradient at one layer only. So the network runs without an autograd graph up to
that layer, where a forward hook hands on a copy that requires grad; from there on gradients are
enabled. A class then costs a backward pass through the head alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradcam_core.cam.hooks import exclusive, here_only
from gradcam_core.cam.layers import in_eval_mode, is_plain, maps_of
from gradcam_core.cam.layout import ChannelsFirst, Folded, Layout, Rearranged, Reshape
from gradcam_core.cam.open_pass import OpenPass, precision_here
from gradcam_core.cam.outputs import Output, chosen_by
from gradcam_core.cam.run import Run
from gradcam_core.cam.stages import Maps
from gradcam_core.errors import CamError


def forward(
    module: nn.Module,
    batch: Tensor,
    layer: str | None = None,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> Run:
    """Run a classifier on a batch [N, C, H, W] and hold the pass open at a layer.

    layer: the dotted name of a module whose output is a feature map: [N, C, h, w], [N, h, w, C], or
    tokens [N, L, C] that lie on a grid; "name#2" is its second call, where it runs several times,
    and its last one is meant where none is named. None is the last feature map of the network,
    found by running it once more the first time (see `layers`). reshape: from the output of a layer
    that is not known to a map [N, C, h, w] of values in it. output: from what the network gives to
    its logits [N, classes], where that is not clear. Volumes and signals work like images. The
    module is left as it was, and other threads may use it meanwhile. The batch is not
    differentiated.

    Raises CamError if the module is in training mode, has no such layer, the layer gives no
    feature map, or the logits do not depend on it.
    """
    with torch.inference_mode(False):  # see `Run.cam`
        in_eval_mode(module)
        if not len(batch):
            raise CamError(f"The batch {list(batch.shape)} has no images.")
        logits_of = chosen_by(output)
        if layer is None:
            if reshape is not None:
                raise CamError("reshape= belongs to a layer: name it as layer=.")
            last = maps_of(module, batch[:1], logits_of).found[-1]
            held, given = _run(module, batch, last.name, last.number, lambda *_: last.layout)
            name = last.stage.layer
        else:
            name = layer
            path, _, number = layer.partition("#")
            if number and not number.isdecimal():
                raise CamError(f"The layer {layer!r} names no call: after # comes its number.")
            layout = _Layouts(module, batch, layer, reshape, logits_of)
            held, given = _run(module, batch, path, int(number or 0), layout)
            if held is None:
                raise layout.problem()
        if held is None:
            raise CamError(f"The layer {name!r} did not run as it did before.")
        logits = logits_of(given)
    if len(logits) != len(batch):
        raise CamError(
            f"The network gives {list(logits.shape)} for {len(batch)} images: its first side must "
            "be that of the batch."
        )
    if not logits.requires_grad:
        raise CamError(f"The logits do not depend on the layer {name!r}.")
    precision = precision_here(held.leaf.device.type)
    open_pass = OpenPass(
        module,
        name,
        held.call,
        held.layout,
        batch,
        held.leaf,
        held.output,
        given,
        logits,
        logits_of,
        precision,
    )
    return Run(open_pass, slice(0, len(logits)))


@dataclass
class _Held:
    """leaf: the map that requires grad. output: what the module gave, where the map is not all of
    it. call: its number."""

    leaf: Tensor
    output: Tensor | None
    layout: Layout
    call: int


def _run(
    module: nn.Module,
    batch: Tensor,
    name: str,
    number: int,
    layout_of: Callable[[nn.Module, int, Any], Layout | None],
) -> tuple[_Held | None, Any]:
    """What is held of a layer, and the network's output. number: of the call to hold, 0 for the
    last that gives a feature map."""
    target = dict(module.named_modules()).get(name) if name else None
    if target is None:
        raise _no_such_layer(module, batch, f"The network has no layer {name!r}.")
    held: _Held | None = None
    calls = 0

    def hold(part: nn.Module, _inputs: object, output: object) -> Tensor | None:
        nonlocal held, calls
        calls += 1
        if number and calls != number:
            return None
        layout = layout_of(part, calls, output)
        if layout is None:
            return None
        assert isinstance(output, Tensor)
        leaf = layout.to_map(output.detach())
        if held is not None and leaf[0, 0].numel() <= 1 < held.leaf[0, 0].numel():
            return None  # of a vector, behind the pooling
        leaf = leaf.requires_grad_()
        keeps = isinstance(layout, ChannelsFirst)
        held = _Held(leaf, None if keeps else output.detach(), layout, calls)
        torch.set_grad_enabled(True)
        # The clone, because an in-place operation (ReLU after a batch norm) refuses a leaf.
        return leaf.clone() if keeps else layout.put_back(leaf, output.detach())

    with exclusive(module) as undo, torch.no_grad():
        undo.callback(target.register_forward_hook(here_only(hold)).remove)
        given = module(batch)
    if calls < number:
        raise CamError(f"The layer {name!r} runs {calls} times: there is no call {number}.")
    return held, given


class _Layouts:
    """The layout of a layer that a person has named."""

    def __init__(
        self,
        module: nn.Module,
        batch: Tensor,
        layer: str,
        reshape: Reshape | None,
        logits_of: Callable[[Any], Tensor],
    ) -> None:
        self._module, self._batch, self._layer = module, batch, layer
        self._given = None if reshape is None else Rearranged(reshape)
        self._problem = ""
        # Found before the pass: while it runs the network is taken.
        self._maps: Maps | None = None
        if self._given is None and not is_plain(module):
            self._maps = maps_of(module, batch[:1], logits_of)

    def __call__(self, part: nn.Module, number: int, output: object) -> Layout | None:
        """The layout of what a call of the layer gave; None, and `problem` why, if it holds no map
        that the logits depend on."""
        key = self._path, number
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        self._problem = f"The layer {self._layer!r} gives no feature map but {shape}."
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        if self._given is not None:
            return self._given
        if self._maps is None:  # a network of convolutions, whose channels come first
            is_map = output.ndim == self._batch.ndim and len(output) == len(self._batch)
            return _of_convolution(part) if is_map else None
        if key in self._maps.unused:
            self._problem = (
                f"The logits do not depend on the places of the layer {self._layer!r}: behind a "
                "transformer's last block only the class token counts."
            )
            return None
        return self._maps.layouts.get(key)

    def problem(self) -> CamError:
        """Why nothing was held. Not to be asked while the network runs."""
        if not self._problem:
            return CamError(
                f"The layer {self._layer!r} is not used in the forward pass of this network."
            )
        return _no_such_layer(self._module, self._batch, self._problem, self._maps)

    @property
    def _path(self) -> str:
        return self._layer.partition("#")[0]


def _of_convolution(part: nn.Module) -> Layout:
    """A batch norm that was folded into a convolution is behind it."""
    folded = getattr(part, "folded_norm", None)
    return ChannelsFirst() if folded is None else Folded(*folded)


def _no_such_layer(
    module: nn.Module, batch: Tensor, problem: str, maps: Maps | None = None
) -> CamError:
    """An error about a target layer that lists the right ones."""
    try:
        right = (maps or maps_of(module, batch[:1])).names
    except CamError as error:
        return error
    return CamError(f"{problem} The last feature maps of each resolution are: {right}.")
