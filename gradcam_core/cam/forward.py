"""Runs a network once and keeps the pass open at the target layer, for the map of any class.

A map needs the gradient at one layer only. So the network runs without an autograd graph up to
that layer, where a forward hook passes on a copy that requires grad; from there on gradients are
enabled. A class then costs a backward pass through the head alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import nn

from gradcam_core.cam.joined_layers import FusedRun
from gradcam_core.cam.network.explainable import check_images_do_not_mix, explainable
from gradcam_core.cam.network.inputs import Batch, Inputs
from gradcam_core.cam.network.outputs import Output
from gradcam_core.cam.passes.opening import LayersToOpen
from gradcam_core.cam.run import Run
from gradcam_core.cam.target_layers.layout import Reshape
from gradcam_core.errors import CamError

Layer = str | nn.Module
"""A dotted name, or the module itself."""

Layers = list[str] | list[nn.Module] | tuple[Layer, ...]


@overload
def forward(
    module: nn.Module,
    batch: Batch,
    layer: Layer | None = None,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> Run: ...


@overload
def forward(
    module: nn.Module,
    batch: Batch,
    layer: Layers,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> FusedRun: ...


def forward(
    module: nn.Module,
    batch: Batch,
    layer: Layer | Layers | None = None,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> Run | FusedRun:
    """Run a classifier on a batch [N, C, H, W] and keep the pass open at a layer.

    batch: for a network with several inputs, a tuple or a dictionary, whose first float tensor with
    four dimensions (or else three) is taken as the pictures.

    layer: a module, or its dotted name, whose output is a feature map: [N, C, h, w], [N, h, w, C],
    or tokens [N, L, C] on a grid. If it runs several times, "name#2" is its second call; without a
    number, the last call is used. None is the network's last feature map, found by an extra run the
    first time (see `layers`). Several names fuse their maps, see `FusedRun`.

    reshape: a function from the output of a layer with an unknown layout to a map [N, C, h, w] of
    its values. output: a function from the network's output to its logits [N, classes], if it is
    unclear which part holds them.

    Volumes and signals work like images. The module does not change, and other threads may use it
    meanwhile. The batch is not differentiated, and must not be changed before slow methods run.

    Raises CamError if the network cannot be explained or does not accept the batch, if it has no
    such layer, if the layer gives no feature map, or if the logits do not depend on it.
    """
    with torch.inference_mode(False):  # see `Run.cam`
        network = explainable(module)
        inputs = Inputs.of(batch)
        if len(inputs) > 1:
            check_images_do_not_mix(network)
        given: Sequence[object] = layer if isinstance(layer, (list, tuple)) else [layer]
        names = [_name(module, one) for one in given]
        if not names:
            raise CamError("layer= names no layers: give one name or more, or None.")
        request = LayersToOpen(network, names, reshape, output)
        passes = request.run(inputs)
    runs = [Run(one, slice(0, len(inputs))) for one in passes]
    return FusedRun(runs) if isinstance(layer, (list, tuple)) else runs[0]


def _name(module: nn.Module, layer: object) -> str | None:
    """The dotted name of a layer; None for None. Raises CamError for a module outside the network,
    and for other types."""
    if layer is None:
        return None
    if isinstance(layer, str):
        return layer.removeprefix("_orig_mod.")
    if isinstance(layer, nn.Module):
        for name, part in module.named_modules():
            if part is layer and name:
                return name.removeprefix("_orig_mod.")
        raise CamError(f"The layer, a {type(layer).__name__}, is not part of the network.")
    raise CamError(
        f"The layer {layer!r} is of the type {type(layer).__name__}: its dotted name, or the "
        "module itself, is expected."
    )
