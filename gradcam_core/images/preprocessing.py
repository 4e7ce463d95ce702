"""How published weights want a photo: its size, its crop, and how its values are normalised."""

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
    """What a view needs of an RGB photo, a Pillow image or one that is elsewhere."""

    @property
    def size(self) -> tuple[int, int]: ...

    def resize(
        self,
        size: tuple[int, int],
        resample: Image.Resampling,
        box: tuple[float, float, float, float] | None = None,
    ) -> Image.Image: ...


LEAST_SIDE_PX, MOST_SIDE_PX = 8, 2048
"""Of a network's input, as people give it."""


class InputSize(NamedTuple):
    """Of a network's input in pixels: height first, as in timm and PyTorch. Pillow and `View` have
    the width first: see `width_height`."""

    height: int
    width: int

    @classmethod
    def of(cls, given: Any) -> InputSize:
        """From 224, the side of a square; "256x128"; or (256, 128). Raises ValueError."""
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
"""What a photo is resized to before the crop. "cover": as small as the input's sides over the crop
share allow, as timm does; "short side": its short side to the input's long one over the crop share,
as torchvision does, which is the same for a square; "stretch": to the input's sides over the crop
share, whatever its aspect ratio is; "fit": as large as these sides allow, and padded."""

CROP_MODES: dict[str, Resizing] = {"center": "cover", "squash": "stretch", "border": "fit"}
"""How timm calls them."""


@dataclass(frozen=True)
class Preprocessing:
    """How published weights want their input: timm's data configuration, as far as it matters."""

    size: InputSize
    crop_share: float  # sides of the crop over those of the resized photo, see `Resizing`
    resample: Image.Resampling
    mean: tuple[float, ...]  # of the channels, in [0, 1]
    std: tuple[float, ...]
    resizing: Resizing = "cover"

    @classmethod
    def from_timm(cls, config: dict) -> Preprocessing:
        """From what `timm.data.resolve_data_config` gives. Raises ValueError for a crop mode that
        is not known."""
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
        """From the transforms that come with torchvision's weights of a classifier. Raises
        ValueError if they do what cannot be followed, see `crop_from`."""
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
        """The same for a network that has another number of them: grey levels are normalised as RGB
        is on average."""
        if channels == self.channels:
            return self
        mean, std = (sum(values) / len(values) for values in (self.mean, self.std))
        return replace(self, mean=(mean,) * channels, std=(std,) * channels)


def crop_from(size: InputSize, resized: Sequence[int]) -> tuple[float, Resizing]:
    """The crop share and the kind of resizing where a photo's short side becomes resized[0], or its
    sides become resized (height, width), and this size is cut from the middle. Raises ValueError
    where the crop is larger, or not of the same aspect ratio."""
    is_stretched = len(resized) == 2
    if size.is_square and not is_stretched:
        return size.height / resized[0], "cover"
    sides = size if is_stretched else (max(size),)
    # A little less, so that no rounding makes the photo a pixel smaller.
    share = math.nextafter(min(map(operator.truediv, sides, resized)), 0)
    if share >= 1 or [math.floor(side / share) for side in sides] != list(resized):
        raise ValueError(
            f"a crop of {size.height}x{size.width} from a picture resized to "
            f"{'x'.join(map(str, resized))} cannot be followed"
        )
    return share, "stretch" if is_stretched else "short side"


def normalised(picture: np.ndarray, preprocessing: Preprocessing) -> Tensor:
    """A network's input from pixels: uint8 [height, width, 3] -> float32 [1, channels,
    height, width]. See `View.batch` in `geometry`."""
    import torch

    if preprocessing.channels == 1:
        picture = np.array(Image.fromarray(picture).convert("L"))
    pixels = picture.astype(np.float32) / 255
    pixels = pixels.reshape(*pixels.shape[:2], preprocessing.channels)
    mean = np.array(preprocessing.mean, dtype=np.float32)
    std = np.array(preprocessing.std, dtype=np.float32)
    return torch.from_numpy((pixels - mean) / std).permute(2, 0, 1)[None]
