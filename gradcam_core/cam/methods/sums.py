"""Sums over channels and places, the parts of the methods' formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDING = 1e-6
"""The error of a sum of float32 terms, as a share of the sum of their absolute values."""


def weighted_sum(weight: Tensor, activation: Tensor) -> Tensor:
    """relu(sum_k w_k A_k) -> [N, h, w]; all 0 where a map does not exceed its rounding error."""
    terms = weight * activation
    total = terms.sum(dim=1)
    places = tuple(range(1, total.ndim))
    rounding = _ROUNDING * terms.abs().sum(dim=1).amax(dim=places, keepdim=True)
    return total.relu().masked_fill(total.amax(dim=places, keepdim=True) <= rounding, 0)


def places(tensor: Tensor) -> tuple[int, ...]:
    """The axes of the places in a tensor [N, C, *places]."""
    return tuple(range(2, tensor.ndim))


def over_places(weight: Tensor, activation: Tensor) -> Tensor:
    """Weights [N, C] as [N, C, 1, 1], the shape that multiplies an activation [N, C, h, w]."""
    return weight.view(*weight.shape, *[1] * (activation.ndim - 2))


def quotient(above: Tensor, below: Tensor) -> Tensor:
    """above / below, 0 where below is 0."""
    return (above / below).masked_fill(below == 0, 0)
