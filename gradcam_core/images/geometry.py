"""What a network sees of a photo, and the exact way back from its feature map to the photo.

Coordinates are continuous: pixel i of an axis covers [i, i + 1] and has its centre at i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image

from gradcam_core.errors import ChoiceError
from gradcam_core.images.preprocessing import (
    InputSize,
    Preprocessing,
    ResizablePhoto,
    normalised,
)

if TYPE_CHECKING:
    from torch import Tensor

ViewName = Literal["crop", "whole"]
VIEWS: tuple[ViewName, ...] = get_args(ViewName)

VIEW_TITLES: dict[ViewName, str] = {"crop": "centre crop", "whole": "whole photo"}
"""What people read for them."""

DETAILS = (1, 2, 3)
"""Multiples of its own input size that a network may see a picture at."""

RESIZE_MAX_PIXELS = 16_000_000
"""Largest size that a whole photo is resized to: one of 1 x 20000 would become 256 x 5120000."""

WHOLE_MAX_ASPECT = 3
"""Most that a side is in view="whole", as a multiple of the same side of the network's input."""


@dataclass(frozen=True)
class View:
    """How a photo fills a network's input: resized as a whole, then cropped or padded.

    All sizes are (width, height). photo_size: of the photo. resized: what the whole photo is
    resized to. size: of the network's input. offset: where that input starts in the resized
    photo; negative where it is padded. is_stretched: whether the aspect ratio is not kept.
    """

    photo_size: tuple[int, int]
    resized: tuple[int, int]
    size: tuple[int, int]
    offset: tuple[int, int]
    is_stretched: bool = False

    @property
    def title(self) -> str:
        """What the published preprocessing shows of a photo, for people: "centre crop"."""
        is_cut, is_padded = (any(sign * start > 0 for start in self.offset) for sign in (1, -1))
        if self.is_stretched:
            return "centre crop of the stretched photo" if is_cut else "stretched photo"
        if is_padded:
            return "padded centre crop" if is_cut else "padded photo"
        return VIEW_TITLES["crop"]

    def enlarged(self, times: int) -> View:
        """The same region of the photo in an input that is so many times as wide and high."""
        resized, size, offset = (
            (across * times, down * times)
            for across, down in (self.resized, self.size, self.offset)
        )
        return replace(self, resized=resized, size=size, offset=offset)

    @property
    def region(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the input in the photo's pixels, padding included."""
        (left, right), (top, bottom) = (
            (start * pixels / full, (start + side) * pixels / full)
            for start, side, pixels, full in zip(
                self.offset, self.size, self.photo_size, self.resized, strict=True
            )
        )
        return left, top, right, bottom

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom): every pixel of the photo that the network sees some of."""
        width, height = self.photo_size
        left, top, right, bottom = self.region
        return (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(width, math.ceil(right)),
            min(height, math.ceil(bottom)),
        )

    def picture(self, photo: ResizablePhoto, preprocessing: Preprocessing) -> Image.Image:
        """The network's input as a picture of `self.size`; padding has the training mean."""
        left, top = self.offset
        if self.resized[0] * self.resized[1] <= RESIZE_MAX_PIXELS:
            resized = photo.resize(self.resized, preprocessing.resample)
            fill = tuple(round(255 * value) for value in preprocessing.for_channels(3).mean)
            picture = Image.new("RGB", self.size, fill)
            picture.paste(resized, (-left, -top))
            return picture
        # Only what the network sees of it, the same up to rounding. Such photos are cropped.
        return photo.resize(self.size, preprocessing.resample, box=self.region)

    def batch(self, photo: ResizablePhoto, preprocessing: Preprocessing) -> Tensor:
        """The network's input: float32 [1, channels, height, width], normalised as its weights want
        it. For one channel the photo is turned into grey levels (ITU-R BT.601)."""
        return normalised(np.array(self.picture(photo, preprocessing)), preprocessing)

    def to_photo(self, feature_map: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """A feature map laid over the photo: bilinear between cell centres, 0 outside `box`.

        feature_map: float [h, w], stretched over the network's input. size: (width, height) of
        the raster that covers the whole photo; None is the photo's own. -> float32 [height, width]
        """
        size = size or self.photo_size
        return next(self.bands_to_photo(feature_map, size, size[1]))

    def bands_to_photo(
        self, feature_map: np.ndarray, size: tuple[int, int], high: int
    ) -> Iterator[np.ndarray]:
        """`to_photo` from the top down, so many rows at a time: float32 [<= high, width] each."""
        width, height = size
        rows, columns = feature_map.shape
        left, top, right, bottom = self.region
        across = _interpolation(width, self.photo_size[0], left, right, columns)
        down = _interpolation(height, self.photo_size[1], top, bottom, rows)
        cells = down @ feature_map.astype(np.float32)
        for start in range(0, height, high):
            yield cells[start : start + high] @ across.T

    def peak(self, feature_map: np.ndarray) -> float:
        """The maximum of the map over the photo; `to_photo` nears it on a fine raster."""
        # Bilinear between cell centres: highest at one of them, or where the photo's edge cuts.
        width, height = self.photo_size
        left, top, right, bottom = self.region
        rows, columns = feature_map.shape
        down = _interpolated(feature_map, *_edges(height, top, bottom, rows))
        return float(_interpolated(down.T, *_edges(width, left, right, columns)).max())

    def hot(self, feature_map: np.ndarray, share: float) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in the photo's pixels of all where the map has this share of
        its `peak`, which is > 0, or more: to a pixel what `to_photo` has there."""
        width, height = self.photo_size
        left, top, right, bottom = self.region
        rows, columns = feature_map.shape
        least = share * self.peak(feature_map)
        # Along a line the map is highest at a cell's centre, or where the photo's edge cuts.
        across = _interpolated(feature_map.T, *_edges(width, left, right, columns))
        down = _interpolated(feature_map, *_edges(height, top, bottom, rows))
        high = (_interpolation(height, height, top, bottom, rows) @ across.T).max(axis=1)
        wide = (_interpolation(width, width, left, right, columns) @ down.T).max(axis=1)
        x, y = (np.flatnonzero(line >= min(least, line.max())) for line in (wide, high))
        return int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1


def crop_title(preprocessing: Preprocessing) -> str:
    """What the view "crop" is for a network with this preprocessing, before there is a photo: in
    the words of `View.title`."""
    is_cut = preprocessing.crop_share < 1
    if preprocessing.resizing == "stretch":
        return "centre crop of the stretched photo" if is_cut else "stretched photo"
    if preprocessing.resizing == "fit":
        return "padded centre crop" if is_cut else "padded photo"
    return VIEW_TITLES["crop"]


def view_of(
    photo_size: Sequence[int], preprocessing: Preprocessing, view: ViewName, detail: int = 1
) -> View:
    """The view of a photo of (width, height) that a network with this preprocessing gets.

    "crop" is the published one: resized (see `Resizing`), the centre cropped.
    "whole" shows all of the photo at its own aspect ratio, as small as covers the network's input;
    where one side would be more than `WHOLE_MAX_ASPECT` times the input's, the photo is shrunk
    further and the other side padded. detail: how many times as wide and high the same region is
    shown; 1 is the published size. Raises ChoiceError for a name or a detail that there is not.
    """
    check_view(view, detail)
    width, height = photo_size
    if view == "crop":
        return _centre_crop(width, height, preprocessing).enlarged(detail)
    return _whole(width, height, preprocessing.size).enlarged(detail)


def check_view(view: str, detail: int) -> None:
    """Raises ChoiceError for a view or a detail that there is not."""
    if detail not in DETAILS:
        raise ChoiceError(f"There is no detail {detail!r}. Choose one of: {_listed(DETAILS)}.")
    if view not in VIEWS:
        raise ChoiceError(f"There is no view {view!r}. Choose one of: {_listed(VIEWS)}.")


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _centre_crop(width: int, height: int, preprocessing: Preprocessing) -> View:
    # torchvision's CenterCrop and timm's CenterCropOrPad: whole pixels.
    size = preprocessing.size.width_height
    resized = _resized(width, height, preprocessing)
    left, top = (
        round((full - side) / 2.0) if full >= side else -((side - full) // 2)
        for full, side in zip(resized, size, strict=True)
    )
    is_stretched = preprocessing.resizing == "stretch"
    return View((width, height), resized, size, (left, top), is_stretched)


def _resized(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    size = preprocessing.size
    across, down = (math.floor(side / preprocessing.crop_share) for side in size.width_height)
    if preprocessing.resizing == "stretch":
        return across, down
    # timm's ResizeKeepRatio:
    if preprocessing.resizing == "fit":
        ratio = max(height / down, width / across)
        return max(1, round(width / ratio)), max(1, round(height / ratio))
    if preprocessing.resizing == "cover" and not size.is_square:
        ratio = min(height / down, width / across)
        return round(width / ratio), round(height / ratio)
    # torchvision's Resize: the long side cut down.
    short = max(across, down)
    if width <= height:
        return short, int(short * height / width)
    return int(short * width / height), short


def _whole(width: int, height: int, size: InputSize) -> View:
    cover = max(size.width / width, size.height / height)
    most = min(WHOLE_MAX_ASPECT * size.width / width, WHOLE_MAX_ASPECT * size.height / height)
    scale = min(cover, most)
    resized = max(1, round(width * scale)), max(1, round(height * scale))
    side = max(size.width, resized[0]), max(size.height, resized[1])
    margin = (side[0] - resized[0]) // 2, (side[1] - resized[1]) // 2
    return View((width, height), resized, side, (-margin[0], -margin[1]))


def _edges(photo: int, start: float, end: float, cells: int) -> tuple[float, float]:
    """Where the photo starts and ends along one axis, counted in cells from the first's centre."""
    low, high = ((edge - start) / (end - start) * cells - 0.5 for edge in (0, photo))
    return max(low, 0), min(high, cells - 1)


def _interpolated(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """[cells, N] at every row that lies in [low, high], and at these two."""
    at = np.clip(np.arange(len(values)), low, high)
    before = np.floor(at).astype(int)
    share = (at - before)[:, None]
    return values[before] * (1 - share) + values[np.ceil(at).astype(int)] * share


def _interpolation(raster: int, photo: int, start: float, end: float, cells: int) -> np.ndarray:
    """Weights [raster, cells] of linear interpolation along one axis, 0 outside [start, end].

    A raster pixel belongs to the inside if it covers any of the box, that is, of the photo's
    pixels that [start, end] touches.
    """
    step = photo / raster
    low = np.arange(raster, dtype=np.float64) * step
    position = (low + step / 2 - start) / (end - start) * cells - 0.5
    position = np.clip(position, 0, cells - 1)
    before = np.minimum(np.floor(position).astype(int), max(cells - 2, 0))
    share = position - before
    weights = np.zeros((raster, cells), dtype=np.float32)
    index = np.arange(raster)
    weights[index, before] = 1 - share
    if cells > 1:
        weights[index, before + 1] = share
    weights[(low + step <= math.floor(start)) | (low >= math.ceil(end))] = 0
    return weights
