"""The sums over channels and places that the formulas of the methods are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDING = 1e-6
"""Share of the sum of the absolute values that a sum of float32 terms may be off by."""


def weighted_sum(weight: Tensor, activation: Tensor) -> Tensor:
    """relu(sum_k w_k A_k); all 0 where a map is no more than the rounding of its sum."""
    terms = weight * activation
    total = terms.sum(dim=1)
    places = tuple(range(1, total.ndim))
    rounding = _ROUNDING * terms.abs().sum(dim=1).amax(dim=places, keepdim=True)
    return total.relu().masked_fill(total.amax(dim=places, keepdim=True) <= rounding, 0)


def places(tensor: Tensor) -> tuple[int, ...]:
    """The axes of the places in [N, C, *places]."""
    return tuple(range(2, tensor.ndim))


def over_places(weight: Tensor, activation: Tensor) -> Tensor:
    """A weight for each channel [N, C] in a form that is multiplied with an activation."""
    return weight.view(*weight.shape, *[1] * (activation.ndim - 2))


def quotient(above: Tensor, below: Tensor) -> Tensor:
    """above / below, 0 where below is 0."""
    return (above / below).masked_fill(below == 0, 0)
