"""Each CAM method as one small pure function of (activation, gradient), registered once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Method: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"


def gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al., ICCV 2017, eq. 1 and 2): every channel weighted by the mean of
    its gradient, summed, and what speaks against the class cut off.

    activation, gradient: [N, C, h, w] -> map [N, h, w], >= 0, not normalised.
    """
    weight = gradient.mean(dim=(2, 3), keepdim=True)
    return (weight * activation).sum(dim=1).relu()


METHODS: dict[str, Method] = {"gradcam": gradcam}


def method_named(name: str) -> Method:
    """The method registered under this name. Raises ValueError that lists the known ones."""
    try:
        return METHODS[name]
    except KeyError:
        known = ", ".join(METHODS)
        raise ValueError(f"There is no method {name!r}. Choose one of: {known}.") from None
