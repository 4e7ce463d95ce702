"""How published weights want a photo: its size, its crop, and how its values are normalised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

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


@dataclass(frozen=True)
class Preprocessing:
    """How published weights want their input: timm's data configuration, as far as it matters."""

    size: int  # side of the square input, pixels
    crop_share: float  # side of the crop over the short side of the photo
    resample: Image.Resampling
    mean: tuple[float, ...]  # of the channels, in [0, 1]
    std: tuple[float, ...]

    @classmethod
    def from_timm(cls, config: dict) -> Preprocessing:
        """From what `timm.data.resolve_data_config` gives. Raises ValueError if it is not a
        square centre crop, the only kind that the way back is written for."""
        _, height, width = config["input_size"]
        if height != width or config.get("crop_mode", "center") != "center":
            raise ValueError(f"not a square centre crop: {config}")
        return cls(
            size=height,
            crop_share=config["crop_pct"],
            resample=Image.Resampling[config["interpolation"].upper()],
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
        )

    @classmethod
    def from_torchvision(cls, transforms: Any) -> Preprocessing:
        """From the transforms that come with torchvision's weights of a classifier."""
        (size,), (short,) = transforms.crop_size, transforms.resize_size
        return cls(
            size=size,
            crop_share=size / short,
            resample=Image.Resampling[transforms.interpolation.name],
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
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
