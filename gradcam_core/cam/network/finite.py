"""Errors for values that are not finite in a network's outputs and maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradcam_core.errors import CamError


def check_finite(steps: Sequence[tuple[str, Tensor]], dtype: torch.dtype) -> None:
    """Raises CamError for the first step with values that are not finite. The error names the step
    and the images concerned.

    steps: names and values [N, ...], in the order of their computation. dtype: the network's.
    """
    for name, values in steps:
        is_finite = (
            values.isfinite().flatten(1).all(dim=1) if values.ndim > 1 else values.isfinite()
        )
        if not is_finite.all():
            wrong = [n for n, one in enumerate(is_finite.tolist()) if not one]
            raise CamError(not_finite(name, wrong, len(values), dtype))


def not_finite(name: str, wrong: Sequence[int], count: int, dtype: torch.dtype) -> str:
    """The error message. wrong: the numbers of the images concerned, of `count` in all."""
    which = "" if count == 1 else f" of the {numbered(wrong)}"
    came = f"{name}{which} has values that are not finite (NaN or infinite), so there is no map."
    if dtype is torch.float16:
        return (
            f"{came} In float16 numbers above 65504 are infinite: give the network and the batch "
            "in float32 or bfloat16."
        )
    return f"{came} Check the values of the picture and the weights of the network."


def numbered(images: Sequence[int]) -> str:
    """Names these images of a batch: "images 0, 2 (counted from 0)"."""
    one = "image" if len(images) == 1 else "images"
    return f"{one} {', '.join(map(str, images))} (counted from 0)"
