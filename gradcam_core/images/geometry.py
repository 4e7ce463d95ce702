"""What a network sees of a photo, and the exact mapping of its feature map back to the photo.

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
"""The names of the views for people."""

DETAILS = (1, 2, 3)
"""Multiples of a network's own input size at which it may see a photo."""

RESIZE_MAX_PIXELS = 16_000_000
"""Largest size that a whole photo is resized to: 1 x 20000 would become 256 x 5120000."""

WHOLE_MAX_ASPECT = 3
"""Longest side in view="whole", as a multiple of the same side of the network's input."""


@dataclass(frozen=True)
class View:
    """How a photo becomes a network's input: resized as a whole, then cropped or padded.

    All sizes are (width, height). photo_size: of the photo. resized: of the whole photo after
    resizing. size: of the network's input. offset: where the input starts in the resized photo,
    (x, y); negative where it is padded. is_stretched: whether the aspect ratio may change.
    """

    photo_size: tuple[int, int]
    resized: tuple[int, int]
    size: tuple[int, int]
    offset: tuple[int, int]
    is_stretched: bool = False

    @property
    def title(self) -> str:
        """What this view shows of the photo, for people, such as "centre crop"."""
        is_cut, is_padded = (any(sign * start > 0 for start in self.offset) for sign in (1, -1))
        if self.is_stretched:
            return "centre crop of the stretched photo" if is_cut else "stretched photo"
        if is_padded:
            return "padded centre crop" if is_cut else "padded photo"
        return VIEW_TITLES["crop"]

    def enlarged(self, times: int) -> View:
        """The same region of the photo in an input `times` as wide and as high."""
        resized, size, offset = (
            (across * times, down * times)
            for across, down in (self.resized, self.size, self.offset)
        )
        return replace(self, resized=resized, size=size, offset=offset)

    @property
    def region(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the input, padding included, in the photo's pixels."""
        (left, right), (top, bottom) = (
            (start * pixels / full, (start + side) * pixels / full)
            for start, side, pixels, full in zip(
                self.offset, self.size, self.photo_size, self.resized, strict=True
            )
        )
        return left, top, right, bottom

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) around every photo pixel that the network sees a part of."""
        width, height = self.photo_size
        left, top, right, bottom = self.region
        return (
            max(0, math.floor(left)),
            max(0, math.floor(top)),
            min(width, math.ceil(right)),
            min(height, math.ceil(bottom)),
        )

    def picture(self, photo: ResizablePhoto, preprocessing: Preprocessing) -> Image.Image:
        """The network's input as an RGB picture of `self.size`; padding has the training mean."""
        left, top = self.offset
        if self.resized[0] * self.resized[1] <= RESIZE_MAX_PIXELS:
            resized = photo.resize(self.resized, preprocessing.resample)
            fill = tuple(round(255 * value) for value in preprocessing.for_channels(3).mean)
            picture = Image.new("RGB", self.size, fill)
            picture.paste(resized, (-left, -top))
            return picture
        # Resizes only what the network sees, with the same result up to rounding. Photos that
        # large are always cropped.
        return photo.resize(self.size, preprocessing.resample, box=self.region)

    def batch(self, photo: ResizablePhoto, preprocessing: Preprocessing) -> Tensor:
        """The network's input: float32 [1, channels, height, width], normalised as its weights
        expect. For one channel, the photo is converted to grey (ITU-R BT.601)."""
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
        """`to_photo` in bands of at most `high` rows, from the top down: float32 [rows, width]."""
        width, height = size
        rows, columns = feature_map.shape
        left, top, right, bottom = self.region
        across = _interpolation(width, self.photo_size[0], left, right, columns)
        down = _interpolation(height, self.photo_size[1], top, bottom, rows)
        cells = down @ feature_map.astype(np.float32)
        for start in range(0, height, high):
            yield cells[start : start + high] @ across.T

    def peak(self, feature_map: np.ndarray) -> float:
        """The maximum of the map over the photo, which `to_photo` approaches on a fine raster."""
        # A bilinear map is highest at a cell centre, or at an edge of the photo.
        width, height = self.photo_size
        left, top, right, bottom = self.region
        rows, columns = feature_map.shape
        down = _interpolated(feature_map, *_edges(height, top, bottom, rows))
        return float(_interpolated(down.T, *_edges(width, left, right, columns)).max())

    def hot(self, feature_map: np.ndarray, share: float) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in the photo's pixels around all places where the map is at
        least `share` times its `peak`, which must be > 0. Agrees with `to_photo` to a pixel."""
        width, height = self.photo_size
        left, top, right, bottom = self.region
        rows, columns = feature_map.shape
        least = share * self.peak(feature_map)
        # Along a line, the map is highest at a cell centre, or at an edge of the photo.
        across = _interpolated(feature_map.T, *_edges(width, left, right, columns))
        down = _interpolated(feature_map, *_edges(height, top, bottom, rows))
        high = (_interpolation(height, height, top, bottom, rows) @ across.T).max(axis=1)
        wide = (_interpolation(width, width, left, right, columns) @ down.T).max(axis=1)
        x, y = (np.flatnonzero(line >= min(least, line.max())) for line in (wide, high))
        return int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1


def crop_title(preprocessing: Preprocessing) -> str:
    """What the view "crop" shows with this preprocessing, in the words of `View.title`, before the
    photo is known."""
    is_cut = preprocessing.crop_share < 1
    if preprocessing.resizing == "stretch":
        return "centre crop of the stretched photo" if is_cut else "stretched photo"
    if preprocessing.resizing == "fit":
        return "padded centre crop" if is_cut else "padded photo"
    return VIEW_TITLES["crop"]


def view_of(
    photo_size: Sequence[int], preprocessing: Preprocessing, view: ViewName, detail: int = 1
) -> View:
    """The view of a photo of (width, height) for a network with this preprocessing.

    "crop" is the published preprocessing: the photo is resized (see `Resizing`) and its centre
    cropped. "whole" shows the whole photo at its own aspect ratio, resized to cover the network's
    input; where one side would exceed `WHOLE_MAX_ASPECT` times the input's, the photo is shrunk
    further and its other side padded. detail: multiple of the published width and height at which
    the same region is shown. Raises ChoiceError for an unknown view or detail.
    """
    check_view(view, detail)
    width, height = photo_size
    if view == "crop":
        return _centre_crop(width, height, preprocessing).enlarged(detail)
    return _whole(width, height, preprocessing.size).enlarged(detail)


def check_view(view: str, detail: int) -> None:
    """Raises ChoiceError for an unknown view or detail."""
    if detail not in DETAILS:
        raise ChoiceError(f"There is no detail {detail!r}. Choose one of: {_listed(DETAILS)}.")
    if view not in VIEWS:
        raise ChoiceError(f"There is no view {view!r}. Choose one of: {_listed(VIEWS)}.")


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _centre_crop(width: int, height: int, preprocessing: Preprocessing) -> View:
    # As torchvision's CenterCrop and timm's CenterCropOrPad, which round to whole pixels.
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
    # torchvision's Resize, which rounds the long side down.
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
    """Where the photo starts and ends along one axis, in cells from the centre of the first cell,
    limited to cell centres."""
    low, high = ((edge - start) / (end - start) * cells - 0.5 for edge in (0, photo))
    return max(low, 0), min(high, cells - 1)


def _interpolated(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values [cells, N] interpolated at every cell in [low, high], and at `low` and `high`."""
    at = np.clip(np.arange(len(values)), low, high)
    before = np.floor(at).astype(int)
    share = (at - before)[:, None]
    return values[before] * (1 - share) + values[np.ceil(at).astype(int)] * share


def _interpolation(raster: int, photo: int, start: float, end: float, cells: int) -> np.ndarray:
    """Weights [raster, cells] of linear interpolation along one axis, 0 outside [start, end].

    A raster pixel is inside if it overlaps any photo pixel that [start, end] overlaps.
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
