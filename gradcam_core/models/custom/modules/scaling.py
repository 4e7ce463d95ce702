"""Whether a person's module scales its pictures before its first layer, as one does that normalises
them itself."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_LARGER, _SMALLER = 1.5, 0.1
"""By which pictures are scaled that have values from 0 to 1, or to 255. torchvision's networks that
change ImageNet's normalisation to another one (`transform_input`) scale by 0.4 to 0.5."""

_ROUNDED = 1e-3
"""What is left of even pictures behind a filter that takes them away, such as x - blurred x."""

_GREYS = (0.25, 0.75)
"""Even pictures, which stay so where they are resized or their channels change places, and lie
between the limits that values may be clamped to."""


def scales_pictures(module: nn.Module, pictures: Tensor) -> bool:
    """pictures: any [2, C, H, W]. Whether the first layer that has weights is given each channel of
    pictures times a number, and perhaps plus another one, as raw pictures are normalised."""
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
