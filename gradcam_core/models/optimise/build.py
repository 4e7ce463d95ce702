"""Builds a network from its architecture and a file of weights, arranged so that it runs fast."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gradcam_core.models.optimise.arrange import arrange
from gradcam_core.models.optimise.meta_device import (
    WithoutFilling,
    WithoutRandomValues,
    meta_pass,
    without_values,
)
from gradcam_core.models.optimise.structure import (
    Structure,
    structure_in_order,
    structure_of,
)
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_network(
    architecture: str,
    path: Path,
    same_names: bool = True,
    img_size: tuple[int, int] | None = None,
    is_ours: bool = False,
) -> nn.Module:
    """The network of this timm name with the weights of a file, frozen, in eval mode and float32,
    on a GPU if there is one.

    same_names: whether the file's tensors have timm's names; otherwise they are in timm's order.
    img_size: (height, width) of the input that a transformer is built for; None is the published
    size. is_ours: whether the network is one of the built-in ones (see `structure_in_order`).
    Raises almost anything for a file that does not hold the weights: SafetensorError,
    UnpicklingError, RuntimeError, KeyError, EOFError, …
    """
    timm = import_timm()
    channels, *published = timm.get_pretrained_cfg(architecture).input_size
    arguments = {} if img_size is None else {"img_size": img_size}
    # The tensors come from the file, so none are allocated or filled here.
    with torch.device("meta"), WithoutFilling():
        module = timm.create_model(architecture, pretrained=False, **arguments).eval()
    own = module.state_dict()
    tensors = timm.models.load_state_dict(str(path), use_ema=False)
    if not same_names:
        tensors = dict(zip(own, tensors.values(), strict=True))
    if is_ours:
        structure = structure_in_order(module)
    else:
        structure, _ = structure_of(module, meta_pass((channels, *(img_size or published))))
    if arguments or tensors.keys() != own.keys() or not _complete(module, tensors):
        # timm's own loader converts tensors of older versions or of other input sizes.
        overlay = {"file": str(path)}
        with WithoutRandomValues():  # the loader raises if the file lacks tensors
            module = timm.create_model(
                architecture, pretrained=True, pretrained_cfg_overlay=overlay, **arguments
            )
    module.eval().float()
    arrange(module, structure)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


def network_skeleton(
    build: Callable[[], nn.Module], input_size: tuple[int, int, int], has_values: bool = False
) -> nn.Module:
    """The network of `own_network` without values, to see its modules and their outputs.

    has_values: gives it random values, also where `build` leaves a weight all 0, as it may a head's
    before training. A network that cannot run without values gets them, too.
    """
    if not has_values:
        module = without_values(build)
        try:
            arrange(module, structure_of(module, meta_pass(input_size))[0])
            return module
        except (RuntimeError, NotImplementedError):  # some networks cannot run without values
            pass
    module = build().eval()
    for parameter in module.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    arrange(module, Structure())
    return module


def own_network(
    build: Callable[[], nn.Module],
    tensors: Mapping[str, Tensor],
    input_size: tuple[int, int, int],
) -> nn.Module:
    """The network that `build` makes, with these values for its state dict, arranged, frozen and
    in eval mode, on a GPU if there is one. input_size: (channels, height, width)."""
    module = without_values(build)
    try:
        structure, _ = structure_of(module, meta_pass(input_size))
    except (RuntimeError, NotImplementedError):  # some networks cannot run without values
        structure = Structure()
    module = _with_values(module, build, tensors)
    arrange(module, structure)
    return module.to("cuda" if torch.cuda.is_available() else "cpu")


def network_as_built(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> nn.Module:
    """As `own_network`, but not arranged: for a single pass, arranging takes longer than it
    saves."""
    return _with_values(without_values(build), build, tensors)


def _with_values(
    module: nn.Module, build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]
) -> nn.Module:
    given = module.state_dict()  # its metadata holds versions, which torchvision's MNASNet needs
    for name, tensor in given.items():
        given[name] = tensors.get(name, torch.zeros(tensor.shape, dtype=tensor.dtype))
    if not _complete(module, given):
        with WithoutRandomValues():
            module = build().eval()  # computes values that files lack, such as position tables
        module.load_state_dict(given)
    return module.float()


def _complete(module: nn.Module, given: Mapping[str, Any]) -> bool:
    """Assigns these tensors to the network; False if others in it are still without values."""
    module.load_state_dict(given, assign=True)
    return not any(tensor.is_meta for tensor in chain(module.parameters(), module.buffers()))
