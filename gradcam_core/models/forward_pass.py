"""Runs a loaded network on its device, in its precision, and puts its errors into words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

from gradcam_core.errors import CamError
from gradcam_core.models.model import Model
from gradcam_core.wording import first_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gradcam_core.cam.run import Run


def run_model(model: Model, batches: Sequence[Tensor], layer: str | None = None) -> Run:
    """One forward pass over batches [N, C, H, W] of equal size, held open at a layer.

    layer: its dotted name, or several names as `Model.layer_named` joins them, for which the result
    is a `FusedRun`; None is the default target layer. Raises CamError, also for whatever a person's
    own network raises, and ExecutionPathError if the images have to be run one by one.
    """
    import torch

    from gradcam_core.cam.forward import forward
    from gradcam_core.cam.passes.opening import ExecutionPathError

    device = device_of(model)
    batch = (batches[0] if len(batches) == 1 else torch.cat(list(batches))).to(device)
    given = {} if model.output is None else {"output": model.output}
    try:
        with precision(device.type):
            names = layer and model.each_layer(layer)
            if names and len(names) > 1:
                # A FusedRun lacks only what belongs to a single layer: the activation and steps.
                return cast("Run", forward(model.module, batch, names, **given))
            return forward(model.module, batch, layer or model.target_layer, **given)
    except ExecutionPathError:
        raise
    except Exception as error:  # a person's own code may raise anything
        reason = error.__cause__ if isinstance(error, CamError) else error
        if model.info.recipe is None or reason is None:
            raise
        raise CamError(_refused(model, batch, reason)) from error


def _refused(model: Model, batch: torch.Tensor, error: BaseException) -> str:
    height, width = batch.shape[2:]
    text = first_line(error)
    what = f"{model.info.title} does not accept a picture of {width} × {height} pixels ({text})"
    is_usual = (height, width) == model.preprocessing.size
    return f"{what}." if is_usual else f"{what}: choose detail 1 and the view “crop”."


def device_of(model: Model) -> torch.device:
    """The device of the network's weights, where its inputs must be, too."""
    return next(model.module.parameters()).device


def precision(device: str) -> AbstractContextManager:
    """A context for bfloat16, twice as fast, on a GPU that supports it; float32 elsewhere."""
    import torch

    enabled = device == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device, dtype=torch.bfloat16, enabled=enabled)
