"""Checks what a map is to explain: classes, contrast classes, or a function of the output."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradcam_core.cam.network.outputs import described
from gradcam_core.cam.passes.open_pass import OpenPass
from gradcam_core.cam.target_layers.graph import depends_on
from gradcam_core.errors import CamError
from gradcam_core.upstream import with_copied_tensors

TargetFunction = Callable[[Any], Tensor]
"""Maps a network's output to one number per image [N]."""

Targets = int | Sequence[int] | TargetFunction | None
"""One class, one per image, a function, or None for each image's most probable class."""


def top_classes(logits: Tensor) -> list[int]:
    """The most probable class of each image: [N, classes] -> N."""
    return logits.nan_to_num(-torch.inf).argmax(dim=1).tolist()


def class_indices(targets: int | Sequence[int] | None, logits: Tensor) -> Tensor:
    """The class to explain in each image, int64 [N], given the logits [N, classes]. Raises CamError
    if the targets do not fit these, or if there are no such logits."""
    images = len(logits)
    if logits.ndim != 2:
        raise CamError(
            f"The network gives {list(logits.shape)} instead of logits [N, classes]. Give a "
            "function of its output as the target, for instance the mean of one channel over a "
            "mask, or output= to `forward`."
        )
    if not logits.shape[1]:
        raise CamError(f"The network gives {list(logits.shape)}: no classes to explain.")
    if targets is None:
        return torch.tensor(top_classes(logits), device=logits.device)
    if isinstance(targets, (Set, Mapping)):
        raise CamError(
            f"{targets!r} is a {type(targets).__name__}, which does not say which class belongs "
            "to which image: give a list with one class per image."
        )
    indices = [targets] * images if _is_one(targets) else list(targets)  # type: ignore[arg-type]
    if len(indices) != images:
        raise CamError(f"{len(indices)} target classes were given for {images} images.")
    return torch.tensor(_valid(indices, logits.shape[1]), device=logits.device)


def contrast_classes(contrast: Any, classes: int) -> list[int] | bool:
    """The contrast classes, each once; True if the method chooses them, False if there are none.
    Raises CamError for anything that is not a class."""
    if contrast is None:
        return False
    if isinstance(contrast, (bool, np.bool_)):
        return bool(contrast)
    if isinstance(contrast, str) and contrast == "auto":
        return True
    given = [contrast] if _is_one(contrast) else list(contrast)
    return list(dict.fromkeys(_valid(given, classes)))


def of_function(held: OpenPass, target: TargetFunction) -> OpenPass:
    """The same pass, whose logits [N, 1] are now the function's values. Raises CamError if the
    function fails, or does not give one float per image that depends on the layer."""

    def score(given: Any) -> Tensor:
        try:
            # A copy, because the function may write into its argument, which other targets read.
            found = target(with_copied_tensors(given))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a person's own code may raise anything
            raise CamError(
                f"The target function failed with {described(given)} "
                f"({type(error).__name__}: {error})."
            ) from error
        if not isinstance(found, Tensor) or found.ndim != 1:
            came = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise CamError(f"The target function gave {came} and must give one number per image.")
        if not found.is_floating_point():
            kind = str(found.dtype).removeprefix("torch.")
            raise CamError(f"The target function gave numbers of {kind} and must give floats.")
        return found[:, None].to(held.logits.device)

    with held.lock, torch.enable_grad():
        scores = score(held.given)
    if len(scores) != len(held.batch):
        raise CamError(
            f"The target function gave {len(scores)} numbers for {len(held.batch)} images."
        )
    if not depends_on(scores, held.leaf):
        raise CamError(
            "The result of the target function does not depend on the network's output, or its "
            f"part of that not on the layer {held.layer!r}."
        )
    return held.with_logits(scores, score)


def _is_one(targets: object) -> bool:
    is_number = isinstance(targets, (bool, str)) or not hasattr(targets, "__len__")
    return is_number or (isinstance(targets, (Tensor, np.ndarray)) and targets.ndim == 0)


def _valid(classes: Sequence[Any], count: int) -> list[int]:
    return [_index(one, count) for one in classes]


def _index(given: Any, count: int) -> int:
    """The index of a class. Raises CamError unless it is an integer from 0 to count - 1."""
    what = type(given).__name__
    try:
        if isinstance(given, (bool, np.bool_)) or getattr(given, "dtype", None) == torch.bool:
            raise TypeError
        index = operator.index(given)
    except TypeError:
        if callable(given):
            raise CamError(
                f"A {what} among several targets is not a class: give indices, or one function of "
                "the whole output that returns one number per image."
            ) from None
        raise CamError(
            f"{given!r} is a {what}, not a class: give its index, from 0 to {count - 1}."
        ) from None
    if not 0 <= index < count:
        raise CamError(f"There is no class {index}: the network has {count} classes.")
    return index
