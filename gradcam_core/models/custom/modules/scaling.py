"""Whether a person's module scales its pictures before its first layer, as one does that normalises
them itself."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gradcam_core.models.custom.modules.places import SeenError

if TYPE_CHECKING:
    from torch import Tensor, nn

_LARGER, _SMALLER = 1.5, 0.1
"""By which pictures are scaled that have values from 0 to 1, or to 255. torchvision's networks that
change ImageNet's normalisation to another one (`transform_input`) scale by 0.4 to 0.5."""

_EXACT = 1e-3  # of the deviation: how far values may lie from what the scale gives


def scales_pictures(module: nn.Module, pictures: Tensor) -> bool:
    """pictures: noise [N, C, H, W]. Whether the first layer that has weights is given each channel
    of them times a number, and perhaps plus another one, as raw pictures are normalised."""
    import torch

    from gradcam_core.cam.network.hooks import exclusive, on_this_thread

    given: list[Tensor] = []

    def keep(_part: nn.Module, inputs: tuple[object, ...]) -> None:
        given.extend(one for one in inputs[:1] if isinstance(one, torch.Tensor))
        raise SeenError

    with exclusive(module) as undo, torch.no_grad(), suppress(SeenError):
        for part in module.modules():
            is_leaf = next(part.children(), None) is None
            if is_leaf and next(part.parameters(), None) is not None:
                undo.callback(part.register_forward_pre_hook(on_this_thread(keep)).remove)
        module(pictures.clone())
    if not given or given[0].shape != pictures.shape:
        return False
    before, after = (one.double().transpose(0, 1).flatten(1) for one in (pictures, given[0]))
    before = before - before.mean(dim=1, keepdim=True)
    after = after - after.mean(dim=1, keepdim=True)
    scales = (before * after).sum(dim=1) / before.square().sum(dim=1)
    apart = (after - scales[:, None] * before).abs().amax(dim=1)
    if bool((apart > _EXACT * after.std(dim=1)).any()):
        return False
    return bool(((scales > _LARGER) | (scales < _SMALLER)).all())
