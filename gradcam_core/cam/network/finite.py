"""Errors for values that are not finite, in what a network gives and in its maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradcam_core.errors import CamError


def check_finite(steps: Sequence[tuple[str, Tensor]], dtype: torch.dtype) -> None:
    """Raises CamError if one of these has values that are not finite, which names the first and
    the images where it is so.

    steps: in the order in which they are computed, each with its name; their rows are the images.
    dtype: in which the network computes.
    """
    for name, values in steps:
        is_finite = (
            values.isfinite().flatten(1).all(dim=1) if values.ndim > 1 else values.isfinite()
        )
        if not is_finite.all():
            wrong = [n for n, one in enumerate(is_finite.tolist()) if not one]
            raise CamError(not_finite(name, wrong, len(values), dtype))


def not_finite(name: str, wrong: Sequence[int], count: int, dtype: torch.dtype) -> str:
    """The sentence about these images, of so many."""
    which = "" if count == 1 else f" of the {numbered(wrong)}"
    came = f"{name}{which} has values that are not finite (NaN or infinite), so there is no map."
    if dtype is torch.float16:
        return (
            f"{came} In float16 numbers above 65504 are infinite: give the network and the batch "
            "in float32 or bfloat16."
        )
    return f"{came} Check the values of the picture and the weights of the network."


def numbered(images: Sequence[int]) -> str:
    """These images of a batch, for a person."""
    one = "image" if len(images) == 1 else "images"
    return f"{one} {', '.join(map(str, images))} (counted from 0)"
