"""Finds the logits in a network's output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gradcam_core.errors import CamError

Output = Callable[[Any], Tensor]
"""Takes a network's output; gives its logits [N, classes], or whatever the targets take."""

_LOGITS = ("logits", "out")


def logits_of_output(output: Any) -> Tensor:
    """The logits, where it is clear which they are: the output itself if it is a tensor; the entry
    `logits` of a mapping or object (as Hugging Face returns it), or `out` (torchvision's
    segmentation); the only tensor [N, classes], or the only tensor, of a tuple. [N] becomes
    [N, 1], and [N, classes, 1, 1] becomes [N, classes].

    Raises CamError, which describes the output, for anything else.
    """
    found = _among(output)
    if isinstance(output, Tensor) and not output.is_floating_point():
        raise CamError(
            f"The network gives {described(output)}, but logits are floats: give a network that "
            "returns its logits, not the classes that follow from them, or pass output=, a "
            "function that returns them."
        )
    is_clear = found is not None and found.layout == torch.strided and found.ndim > 0
    if found is None or not is_clear or not found.is_floating_point():
        raise CamError(
            f"The network gives {described(output)}: it is unclear which part holds the logits. "
            "Pass output=, a function that returns them as a tensor [N, classes]."
        )
    if found.ndim > 3 and found.shape[2:].numel() == 1:
        return found.flatten(1)
    return found[:, None] if found.ndim == 1 else found


def logits_selector(pick: Output | None) -> Callable[[Any], Tensor]:
    """`logits_of_output`, or the person's own function if there is one. The function returned
    raises CamError if that fails or returns no tensor of floats."""
    if pick is None:
        return logits_of_output

    def logits(output: Any) -> Tensor:
        try:
            found = pick(output)
        except Exception as error:  # a person's own code may raise anything
            raise CamError(
                f"output= failed with {described(output)} ({type(error).__name__}: {error})."
            ) from None
        is_plain = isinstance(found, Tensor) and found.layout == torch.strided
        if not is_plain or not found.ndim or not found.is_floating_point():
            raise CamError(
                f"output= gave {described(found)} and must give a tensor [N, classes] of floats."
            )
        return found[:, None] if found.ndim == 1 else found

    return logits


def _among(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        named = output
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        named = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    elif hasattr(output, "_asdict"):
        named = output._asdict()
    elif isinstance(output, (tuple, list)):
        named = dict(enumerate(output))
    else:
        named = {name: getattr(output, name, None) for name in _LOGITS}
    for name in _LOGITS:
        if isinstance(named.get(name), Tensor):
            return named[name]
    tensors = [one for one in named.values() if isinstance(one, Tensor)]
    flat = [one for one in tensors if one.ndim == 2]
    if len(flat) == 1:
        return flat[0]
    return tensors[0] if len(tensors) == 1 else None


def described(output: Any) -> str:
    """Types and shapes of an output, for an error message."""
    if isinstance(output, Tensor):
        kind = "a tensor" if output.layout == torch.strided else "a sparse tensor"
        return f"{kind} {list(output.shape)} of {str(output.dtype).removeprefix('torch.')}"
    if isinstance(output, Mapping):
        return "{" + ", ".join(f"{name!r}: {described(one)}" for name, one in output.items()) + "}"
    if isinstance(output, (tuple, list)):
        return f"({', '.join(map(described, output))})"
    return type(output).__name__
