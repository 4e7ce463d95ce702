"""One forward pass, kept open at the target layer; any class's map from it.

A map needs the gradient at one layer only. So the network runs without an autograd graph up to
that layer, where a forward hook hands on a copy that requires grad; from there on gradients are
enabled. A class then costs a backward pass through the head alone.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from gradcam_core.cam.hooks import exclusive
from gradcam_core.cam.layers import in_eval_mode, last_feature_map, no_such_layer
from gradcam_core.cam.open_pass import OpenPass, precision_here
from gradcam_core.cam.run import Run
from gradcam_core.errors import CamError


def forward(module: nn.Module, batch: Tensor, layer: str | None = None) -> Run:
    """Run a classifier on a batch [N, 3, H, W] and hold the pass open at a layer.

    layer: the dotted name of a module whose output is a feature map [N, C, h, w]; None finds the
    last convolutional one by running the network once more (see `layers`). The module is left as
    it was; one run at a time per module, others wait. The batch is not differentiated.

    Raises CamError if the module is in training mode, has no such layer, the layer gives no
    feature map, or the logits [N, classes] do not depend on it.
    """
    with torch.inference_mode(False):  # see `Run.cam`
        in_eval_mode(module)
        name = last_feature_map(module, batch) if layer is None else layer
        leaf, logits = _run(module, batch, name)
    if leaf is None:
        raise CamError(f"The layer {name!r} is not used in the forward pass of this network.")
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise CamError("The network does not give logits of shape [N, classes].")
    if not logits.requires_grad:
        raise CamError(f"The logits do not depend on the layer {name!r}.")
    precision = precision_here(leaf.device.type)
    open_pass = OpenPass(module, name, batch, leaf, logits, precision)
    return Run(open_pass, slice(0, len(logits)))


def _run(module: nn.Module, batch: Tensor, name: str) -> tuple[Tensor | None, object]:
    """The activation at the layer, of its last call if there are several, and the output."""
    target = dict(module.named_modules()).get(name) if name else None
    if target is None:
        raise no_such_layer(module, batch, f"The network has no layer {name!r}.")
    leaf: Tensor | None = None

    def hold(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        nonlocal leaf
        if not _is_feature_map(output):
            raise _NoFeatureMapError(output)
        leaf = output.detach().requires_grad_()
        torch.set_grad_enabled(True)
        # The clone, because an in-place operation (ReLU after a batch norm) refuses a leaf.
        return leaf.clone()

    try:
        with exclusive(module) as undo, torch.no_grad():
            undo.callback(target.register_forward_hook(hold).remove)
            output = module(batch)
            return leaf, output
    except _NoFeatureMapError as error:
        problem = f"The layer {name!r} gives no feature map [N, C, h, w] but {error}."
        raise no_such_layer(module, batch, problem) from None


class _NoFeatureMapError(Exception):
    def __init__(self, output: object) -> None:
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        super().__init__(str(shape))


def _is_feature_map(output: object) -> TypeGuard[Tensor]:
    return isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point()
