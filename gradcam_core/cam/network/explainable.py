"""Which networks can be explained, and the error messages for those that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.network.parts import parameters_of, parts_of
from gradcam_core.errors import CamError
from gradcam_core.system.memory import no_memory_sentence
from gradcam_core.wording import first_line

_SAME = (nn.DataParallel, nn.Sequential, nn.ModuleList, nn.ModuleDict, torch.fx.GraphModule)
"""Modules that behave the same in training mode, apart from the parts inside them."""


OF_A_NETWORK = (
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AssertionError,
    AttributeError,
    ArithmeticError,
)
"""What a network may raise for a batch that it does not accept."""


def check_images_do_not_mix(module: nn.Module) -> None:
    """Raises CamError for a network whose outputs depend on what else is in the batch."""
    for name, part in module.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            raise CamError(
                f"The part {name!r} of the network keeps no running statistics and uses those of "
                "each batch, which mixes images. Give one picture at a time, and choose a method "
                "that needs no further passes."
            )


def explainable(module: nn.Module) -> nn.Module:
    """The network, without the wrapper of `torch.compile`.

    Raises CamError if it is not a module, is TorchScript or quantised, has lazy parameters, or has
    a part in training mode, where a pass changes statistics and mixes the images of a batch.
    """
    if not isinstance(module, nn.Module):
        name = type(module).__qualname__
        raise CamError(f"The network is of the type {name}: a torch.nn.Module is expected.")
    module = getattr(module, "_orig_mod", module)
    if isinstance(module, torch.jit.ScriptModule):
        raise CamError(
            "The network is TorchScript (traced or scripted), whose layers cannot be inspected: "
            "give the module that it was made from."
        )
    parts = parts_of(module)
    if any("quantized" in kind.__module__.split(".") for kind in set(map(type, parts))):
        raise CamError(
            "The network is quantised, and integers have no gradients: give the float network "
            "that it was made from."
        )
    if any(map(is_lazy, parameters_of(parts))):
        raise CamError("The network has lazy modules without values: run it once first.")
    if True in [part.training for part in parts]:
        _check_training(module)
    return module


def unseen_part(module: nn.Module) -> str | None:
    """The name of a TorchScript part that may give feature maps, or None. An activation, a pooling
    or a single dense layer does not count."""
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            weights = [one for one in part.parameters() if one.ndim > 1]
            if len(weights) > 1 or any(one.ndim > 2 for one in weights):
                return name
    return None


def scripted_part(name: str) -> str:
    return (
        f"The part {name!r} of the network is TorchScript (traced or scripted), whose layers "
        "cannot be inspected: give the module that it was made from, or name a layer= outside it."
    )


def _check_training(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if not part.training:
            continue
        # The containers that torch.fx and torch.export make do nothing in training mode.
        is_made = type(part) is nn.Module or type(part).__module__.startswith("torch.export")
        if not is_made and not isinstance(part, _SAME):
            which = f"The part {name!r} of the network" if name else "The network"
            raise CamError(f"{which} is in training mode. Call .eval() on the network first.")


@contextmanager
def as_cam_errors(module: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Turns what a network raises in its first pass into a CamError that describes the batch."""
    try:
        yield
    except (CamError, torch.OutOfMemoryError):
        raise
    except OF_A_NETWORK as error:
        first = next(module.parameters(), None)
        weights = ""
        if first is not None:
            kind = str(first.dtype).removeprefix("torch.")
            weights = f"; its weights are {kind} on {first.device}"
        if no_memory := no_memory_sentence(error):
            raise CamError(f"{no_memory} The batch was {inputs.described()}{weights}.") from error
        reason = first_line(error) or type(error).__name__
        if inputs.images.ndim == 3 and any(isinstance(p, nn.Conv2d) for p in module.modules()):
            reason += (
                ". A single picture needs a first axis, for the batch: give it as picture[None]"
            )
        raise CamError(
            f"The network does not accept this batch, {inputs.described()}{weights}: {reason}"
        ) from error


@contextmanager
def as_gradient_errors() -> Iterator[None]:
    """Turns what a backward pass raises, for example at an operation without a gradient, into a
    CamError."""
    try:
        yield
    except (CamError, torch.OutOfMemoryError):
        raise
    except OF_A_NETWORK as error:
        reason = first_line(error) or type(error).__name__
        raise CamError(
            f"The network's gradients cannot be computed ({reason}): give a network whose "
            "backward pass runs, without hooks of its own, or choose a method that needs none, "
            "such as Eigen-CAM, Score-CAM or Ablation-CAM."
        ) from error
