"""The input that published weights expect: its size, its crop, and its normalisation."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


class ResizablePhoto(Protocol):
    """What a view needs of an RGB photo: a Pillow image, or a photo held elsewhere."""

    @property
    def size(self) -> tuple[int, int]: ...

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: tuple[float, float, float, float] | None = None,
    ) -> Image.Image: ...


LEAST_SIDE_PX, MOST_SIDE_PX = 8, 2048
"""Limits for a side of a network's input that people give."""


class InputSize(NamedTuple):
    """Size of a network's input in pixels, height first, as in timm and PyTorch. Pillow and `View`
    have the width first: see `width_height`."""

    height: int
    width: int

    @classmethod
    def of(cls, given: Any) -> InputSize:
        """Reads 224, the side of a square; "256x128"; or (256, 128), height first. Raises
        ValueError for anything else."""
        if isinstance(given, str) and re.fullmatch(r"[0-9]+([xX×][0-9]+)?", given):
            given = [int(side) for side in re.split("[xX×]", given)]
        sides = list(given) if isinstance(given, list | tuple) else [given]
        if len(sides) not in (1, 2) or any(type(side) is not int for side in sides):
            raise ValueError(f"{given!r} is not a size")
        if not all(LEAST_SIDE_PX <= side <= MOST_SIDE_PX for side in sides):
            raise ValueError(f"{given!r} is not from {LEAST_SIDE_PX} to {MOST_SIDE_PX} pixels")
        return cls(sides[0], sides[-1])

    @property
    def is_square(self) -> bool:
        return self.height == self.width

    @property
    def width_height(self) -> tuple[int, int]:
        return self.width, self.height


Resizing = Literal["cover", "short side", "stretch", "fit"]
"""How a photo is resized before the crop. The target is the input's size divided by the crop share.
"cover": the smallest size that covers the target, as in timm. "short side": the photo's short side
becomes the target's long side, as in torchvision, which is the same for a square. "stretch": the
target itself, whatever the photo's aspect ratio. "fit": the largest size inside the target, then
padded."""

CROP_MODES: dict[str, Resizing] = {"center": "cover", "squash": "stretch", "border": "fit"}
"""timm's names for them."""


@dataclass(frozen=True)
class Preprocessing:
    """The input that published weights expect: what matters of timm's data configuration."""

    size: InputSize
    crop_share: float  # of the resized photo's sides that the crop has, see `Resizing`
    resample: Image.Resampling
    mean: tuple[float, ...]  # of the channels, in [0, 1]
    std: tuple[float, ...]
    resizing: Resizing = "cover"

    @classmethod
    def from_timm(cls, config: dict) -> Preprocessing:
        """From the result of `timm.data.resolve_data_config`. Raises ValueError for an unknown crop
        mode."""
        mode = config.get("crop_mode") or "center"
        if mode not in CROP_MODES:
            raise ValueError(f"crop_mode is {mode!r}, and only {', '.join(CROP_MODES)} will do")
        _, height, width = config["input_size"]
        return cls(
            size=InputSize(height, width),
            crop_share=config["crop_pct"],
            resample=Image.Resampling[config["interpolation"].upper()],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            resizing=CROP_MODES[mode],
        )

    @classmethod
    def from_torchvision(cls, transforms: Any) -> Preprocessing:
        """From the transforms of a torchvision classifier's weights. Raises ValueError if
        `crop_from` does not support their sizes."""
        size = InputSize(transforms.crop_size[0], transforms.crop_size[-1])
        share, resizing = crop_from(size, transforms.resize_size)
        return cls(
            size=size,
            crop_share=share,
            resample=Image.Resampling[transforms.interpolation.name],
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            resizing=resizing,
        )

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for grey levels."""
        return len(self.mean)

    def for_channels(self, channels: int) -> Preprocessing:
        """The same for a network with so many channels. If these differ from `self.channels`, each
        has the average mean and standard deviation."""
        if channels == self.channels:
            return self
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return replace(self, mean=(mean,) * channels, std=(std,) * channels)


def crop_from(size: InputSize, resized: Sequence[int]) -> tuple[float, Resizing]:
    """(crop share, kind of resizing) for a crop of this size from the centre of a resized photo.

    resized: (short side,), or (height, width) of a photo that is stretched. Raises ValueError if
    the crop is larger than that, or has another aspect ratio."""
    is_stretched = len(resized) == 2
    if size.is_square and not is_stretched:
        return size.height / resized[0], "cover"
    sides = size if is_stretched else (max(size),)
    # A little less, so that rounding does not make the resized photo a pixel smaller.
    share = math.nextafter(min(map(operator.truediv, sides, resized)), 0)
    if share >= 1 or [math.floor(side / share) for side in sides] != list(resized):
        raise ValueError(
            f"a crop of {size.height}x{size.width} from a picture resized to "
            f"{'x'.join(map(str, resized))} cannot be followed"
        )
    return share, "stretch" if is_stretched else "short side"


def normalised(picture: np.ndarray, preprocessing: Preprocessing) -> Tensor:
    """Normalises the pixels of a network's input: uint8 [height, width, 3] -> float32 [1, channels,
    height, width]. See `geometry.View.batch`."""
    import torch

    if preprocessing.channels == 1:
        picture = np.array(Image.fromarray(picture).convert("L"))
    pixels = picture.astype(np.float32) / 255
    pixels = pixels.reshape(*pixels.shape[:2], preprocessing.channels)
    mean = np.array(preprocessing.mean, dtype=np.float32)
    std = np.array(preprocessing.std, dtype=np.float32)
    return torch.from_numpy((pixels - mean) / std).permute(2, 0, 1)[None]
