"""Copies a person's own network and arranges the copy to run as fast as those loaded here."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from gradcam_core.cam.network.explainable import as_cam_errors, explainable
from gradcam_core.cam.network.hooks import exclusive
from gradcam_core.cam.network.inputs import Batch, Inputs
from gradcam_core.cam.target_layers.layers import example_batch
from gradcam_core.errors import CamError
from gradcam_core.models.optimise.arrange import arrange, is_same
from gradcam_core.models.optimise.packed_conv import pack_convolutions
from gradcam_core.models.optimise.structure import Structure, structure_of, tensors_of
from gradcam_core.wording import first_line

_SAME = 1e-5
"""How far the copy's logits may differ, as a share of the largest logit."""

_MOST_IMAGES = 2


def prepare(module: nn.Module, batch: Batch | None = None) -> nn.Module:
    """An equivalent copy of a classifier that runs as fast as the networks loaded here: its weights
    are laid out as convolutions read them (`channels_last`), batch norms are folded into the
    preceding convolutions, and convolutions with a single output cell become matrix products. On a
    CPU, a second copy of the convolutions' weights is kept packed for single pictures of the
    batch's size.

    batch: an input as for `forward`; two of its images are run to trace the data flow. None is
    noise of the size in timm's configuration of the network, or 224 x 224. Modules keep their
    names, so `layer=` means the same: a folded norm becomes an Identity, and its convolution still
    names the output before the norm. The copy is frozen, on the module's device and in its
    precision; hooks are copied. Do not change its weights through `.data`. Norms without statistics
    or whose input is also read elsewhere, parts with hooks or computed weights, and parts in half
    precision are not folded. If the copy's output for the batch still differs by more than 1e-5 of
    the largest logit, nothing is folded. The module itself does not change.

    Folding: Jacob et al., CVPR 2018, section 3.2, eq. 14.

    Raises CamError if the module is in training mode, scripted or quantised, has no values, cannot
    be copied, or does not accept the batch.
    """
    module = explainable(module)
    _check(module)
    with torch.inference_mode(False), torch.no_grad():
        copy = _copy(module)
        inputs = Inputs.of(_noise(copy) if batch is None else batch).rows(slice(0, _MOST_IMAGES))
        inputs.check_values()
        with torch.autocast(inputs.images.device.type, enabled=False):
            structure, expected = _run(copy, inputs, batch is None)
            for tried in (structure, Structure()):
                try:
                    arrange(copy, tried)
                    if _is_same(inputs.run(copy), expected):
                        _pack(copy, inputs)
                        return copy
                except Exception:  # a person's own modules may fail with the new ones
                    pass
                del copy  # two copies at once take twice the memory
                copy = _copy(module)
    return copy


def _check(module: nn.Module) -> None:
    """Raises CamError for a network without values to copy, or with a compiled part."""
    if any(hasattr(part, "_orig_mod") for part in module.modules()):
        raise CamError(
            "Part of the network was made by torch.compile: give the original network. The copy "
            "can be compiled again."
        )
    if any(nn.parameter.is_lazy(parameter) for parameter in module.parameters()):
        raise CamError("The network has lazy modules without values: run it once first.")
    if any(parameter.is_meta for parameter in module.parameters()):
        raise CamError('The network is on the device "meta", where it has no values.')


def _copy(module: nn.Module) -> nn.Module:
    """A frozen deep copy. Raises CamError for a module that cannot be copied."""
    # deepcopy refuses computed values, such as the weights of weight_norm, because they belong to
    # an autograd graph.
    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in (*vars(part).values(), *part.buffers(recurse=False))
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        with exclusive(module):  # another thread's pass may have its hooks on the module
            copy = deepcopy(module, computed)
    except Exception as error:  # an attribute's own __deepcopy__ may raise anything
        raise CamError(
            f"The network cannot be copied: {_one_line(error)}. Make copy.deepcopy(module) work."
        ) from None
    for parameter in copy.parameters():
        parameter.grad = None
    return copy.requires_grad_(False)


def _noise(module: nn.Module) -> Tensor:
    like = example_batch(module)
    noise = torch.rand(like.shape, generator=torch.Generator().manual_seed(0), device="cpu")
    return noise.to(like)


def _run(module: nn.Module, inputs: Inputs, is_noise: bool) -> tuple[Structure, Any]:
    try:
        with as_cam_errors(module, inputs):
            return structure_of(module, inputs.run)
    except CamError as error:
        if is_noise:
            raise CamError(f"{error}. Give batch=, an input that it accepts.") from error
        raise


def _is_same(given: Any, expected: Any) -> bool:
    got, right = tensors_of(given), tensors_of(expected)
    if len(got) != len(right) or not any(bool(one.any()) for one in right):
        return False  # outputs that are all 0, as before training, prove nothing
    return all(is_same(one, other, _SAME) for one, other in zip(got, right, strict=True))


def _pack(copy: nn.Module, inputs: Inputs) -> None:
    alone = inputs.rows(slice(0, 1))
    with suppress(Exception):  # the network may not accept a single picture
        pack_convolutions(copy, lambda: alone.run(copy))


def _one_line(error: Exception) -> str:
    return (first_line(error) or type(error).__name__).rstrip(".")
