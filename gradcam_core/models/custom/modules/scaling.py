"""Checks whether a module scales its pictures before its first layer, as a module does that
normalises its input."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_LARGER, _SMALLER = 1.5, 0.1
"""Normalising scales values from 0 to 1 by more than the first, values to 255 by less than the
second. torchvision's networks that convert ImageNet's normalisation to another (`transform_input`)
scale by 0.4 to 0.5."""

_ROUNDED = 1e-3
"""What is left of uniform pictures after a filter that removes them, such as x - blurred x."""

_GREYS = (0.25, 0.75)
"""Values of uniform pictures, which stay uniform if they are resized or their channels are swapped.
They lie within the limits to which modules may clamp values."""


def scales_pictures(module: nn.Module, pictures: Tensor) -> bool:
    """Whether the first layer with weights gets each channel of the pictures scaled, and perhaps
    shifted, as raw pictures are normalised. pictures: any batch [2, C, H, W]."""
    import torch

    from gradcam_core.cam.network.hooks import exclusive, on_this_thread
    from gradcam_core.cam.target_layers.places import SeenError

    given: list[Tensor] = []

    def keep(_part: nn.Module, inputs: tuple[object, ...]) -> None:
        given.extend(one for one in inputs[:1] if isinstance(one, torch.Tensor))
        raise SeenError

    with exclusive(module) as undo, torch.no_grad(), suppress(SeenError):
        for part in module.modules():
            is_leaf = next(part.children(), None) is None
            if is_leaf and next(part.parameters(), None) is not None:
                undo.callback(part.register_forward_pre_hook(on_this_thread(keep)).remove)
        module(torch.stack([torch.full_like(pictures[0], grey) for grey in _GREYS]))
    if not given or given[0].ndim != 4 or given[0].shape[:2] != pictures.shape[:2]:
        return False
    dark, light = given[0].double().flatten(2).median(dim=2).values
    scales = ((light - dark) / (_GREYS[1] - _GREYS[0])).abs()
    return bool(((scales > _LARGER) | ((scales < _SMALLER) & (scales > _ROUNDED))).all())
