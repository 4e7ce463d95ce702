"""Which modules of a network give feature maps, found by running it once and not by their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradcam_core.cam.hooks import exclusive
from gradcam_core.errors import CamError

_USUAL = 224  # pixels; side of the input where the network does not say


@dataclass(frozen=True)
class Stage:
    """The last feature map of one resolution. layer: dotted name. shape: (channels, h, w)."""

    layer: str
    shape: tuple[int, int, int]


def layers(module: nn.Module, batch: Tensor | None = None) -> list[Stage]:
    """The stages of a network in the order they run: of each resolution that a convolution gives,
    the module that ends last. So the norm and the activation that follow the last convolution of a
    resolution belong to it, and a pooling does not. The last one is the feature map of the paper.

    batch: an input [N, C, H, W], of which the first image is run; None is a black image of the size
    that timm's configuration of the network names, or 224 x 224. Any other module whose output is
    a feature map will do as a target layer, too: `module.named_modules()` has their names.
    Raises CamError if no convolution gives a feature map larger than 1 x 1, or if the network is in
    training mode.
    """
    ended: list[_Ended] = []

    def note(name: str, part: nn.Module, inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            tensors = (x for x in inputs if isinstance(x, Tensor) and x.ndim == 4)
            input_size = next((x.shape[2:] for x in tensors), None)
            ended.append(_Ended(name, part, input_size, output.shape))

    in_eval_mode(module)
    example = _example(module) if batch is None else batch[:1]
    with exclusive(module) as undo, torch.no_grad():
        for name, part in module.named_modules():
            if name:
                undo.callback(part.register_forward_hook(partial(note, name)).remove)
        module(example)
    resolutions = [each.size for each in ended if isinstance(each.part, nn.Conv2d)]
    reducing = [each for each in ended if each.reduces]
    last = {
        each.size: each
        for each in ended
        if not isinstance(each.part, nn.Identity)
        # The inside of a block that reduces the resolution is on the way to the next stage.
        and not any(
            each.name.startswith(f"{block.name}.") and each.size == block.input_size
            for block in reducing
        )
    }
    # By the last convolution of each, because a branch may leave a resolution and return to it.
    ordered = list(dict.fromkeys(size for size in reversed(resolutions) if size.numel() > 1))[::-1]
    if not ordered:
        raise CamError("The network has no convolution whose output is a feature map.")
    return [last[size].stage for size in ordered if size in last]


@dataclass(frozen=True)
class _Ended:
    """A module that gave a feature map. input_size: (height, width) of its input."""

    name: str
    part: nn.Module
    input_size: torch.Size | None
    shape: torch.Size

    @property
    def size(self) -> torch.Size:
        return self.shape[2:]

    @property
    def reduces(self) -> bool:
        """Whether this is a block that makes a smaller feature map, and not just a list of them."""
        is_block = type(self.part) is not nn.Sequential
        return is_block and self.size != self.input_size and self.size.numel() > 1

    @property
    def stage(self) -> Stage:
        return Stage(self.name, (self.shape[1], self.shape[2], self.shape[3]))


def in_eval_mode(module: nn.Module) -> None:
    """Raises CamError if a part of the network is in training mode, where a pass changes its
    statistics and mixes the images of a batch."""
    if any(part.training for part in module.modules()):
        raise CamError("The network is in training mode. Call .eval() on it first.")


def last_feature_map(module: nn.Module, batch: Tensor | None = None) -> str:
    """The dotted name of the last convolutional feature map before pooling, as in the paper.

    See `layers`, also for the error.
    """
    return layers(module, batch)[-1].layer


def no_such_layer(module: nn.Module, batch: Tensor, problem: str) -> CamError:
    """An error about a target layer that lists the right ones."""
    try:
        right = ", ".join(stage.layer for stage in layers(module, batch))
    except CamError as error:
        return error
    return CamError(f"{problem} The last feature maps of each resolution are: {right}.")


def _example(module: nn.Module) -> Tensor:
    config = getattr(module, "pretrained_cfg", None) or {}
    _, *size = config.get("input_size", (3, _USUAL, _USUAL))  # it may have other channels since
    like = next(module.parameters(), torch.empty(0))
    return torch.zeros(1, _channels(module), *size, device=like.device, dtype=like.dtype)


def _channels(module: nn.Module) -> int:
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    first = next(convolutions, None)
    return 3 if first is None else first.in_channels
