"""Covers places of a photo before a network sees it, to find what it does without them.

A covered photo has a notice that says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from gradcam_core.images.cover import FILLS, Cover
from gradcam_core.images.decoded import Decoded
from gradcam_core.wording import listed, whole_percentage_in_sentence

BLUR_SHARE = 0.1
"""Standard deviation of the blur, as a share of the photo's shorter side: hides everything."""

_FILLED = {"blur": "blurred", "grey": "grey", "mean": "in the photo's mean colour"}
_GREY = (128, 128, 128)
_BLURRED_PX = 192  # longest side of the copy that is blurred; the blur has no finer detail
_RASTER_PX = 512  # longest side of the raster on which areas are measured


def covered(photo: Decoded, covers: Sequence[Cover]) -> Decoded:
    """The photo with these places covered as well, and a notice about all its covers. Blur and mean
    colour are those of the photo as given, so the order of `covers` does not change them."""
    if not covers:
        return photo
    before = photo.image
    image, small = before.copy(), _blurred(before)
    mean = tuple(round(float(one)) for one in np.asarray(small).mean(axis=(0, 1)))
    for cover in covers:
        bounds = cover.bounds(before.size)
        left, top, right, bottom = bounds
        mask = None if cover.box else cover.mask(before.size, bounds)  # a box fills its bounds
        if cover.fill == "blur":
            x, y = small.width / before.width, small.height / before.height
            part = left * x, top * y, right * x, bottom * y
            fill = small.resize((right - left, bottom - top), Image.Resampling.BILINEAR, part)
            image.paste(fill, bounds, mask)
        else:
            image.paste(_GREY if cover.fill == "grey" else mean, bounds, mask)
    every = (*photo.covers, *covers)
    notices = photo.notices[: len(photo.notices) - bool(photo.covers)]
    return Decoded(image, (*notices, notice(every, before.size)), photo.brightness, every)


def covered_share(covers: Sequence[Cover], size: tuple[int, int]) -> float:
    """The share of a photo of (width, height) that is covered, in [0, 1]; exact for one box, else
    measured on a raster."""
    if len(covers) == 1 and covers[0].box is not None:
        left, top, right, bottom = covers[0].box
        return (right - left) * (bottom - top)
    return float(covered_mask(covers, size).mean())


def covered_mask(covers: Sequence[Cover], size: tuple[int, int]) -> np.ndarray:
    """Which places are covered: bool [rows, columns], on a raster over a photo of (width, height)
    that has its aspect ratio and is no larger."""
    scale = min(1, _RASTER_PX / max(size))
    raster = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    mask = Image.new("L", raster)
    for cover in covers:
        bounds = cover.bounds(raster)
        mask.paste(255, bounds, cover.mask(raster, bounds))
    return np.asarray(mask) > 0


def how_covered(covers: Sequence[Cover], size: tuple[int, int]) -> str:
    """How much of a photo of (width, height) is covered, and how, to complete a sentence: "12 % of
    it covered (blurred)"."""
    return "{} of it covered ({})".format(*_share_and_fills(covers, size))


def notice(covers: Sequence[Cover], size: tuple[int, int]) -> str:
    """The notice beside a photo of (width, height) with these places covered."""
    places = "A place" if len(covers) == 1 else f"{len(covers)} places"
    are = "is" if len(covers) == 1 else "are"
    share, fills = _share_and_fills(covers, size)
    return f"{places} of the photo {are} covered, {share} of it: {fills}."


def _share_and_fills(covers: Sequence[Cover], size: tuple[int, int]) -> tuple[str, str]:
    used = {cover.fill for cover in covers}
    share = whole_percentage_in_sentence(covered_share(covers, size))
    return share, listed([_FILLED[one] for one in FILLS if one in used])


def _blurred(photo: Image.Image) -> Image.Image:
    """A small copy of the photo, blurred beyond recognition (Gaussian, mirrored at the edges, as
    `gradcam_core.analysis.trust.deletion_insertion` blurs a network's input)."""
    scale = min(1, _BLURRED_PX / max(photo.size))
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    several = max(1, round(1 / scale / 2))  # merging whole pixels first is several times as fast
    small = (photo.reduce(several) if several > 1 else photo).resize(size, Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32)
    sigma = max(BLUR_SHARE * min(size), 1e-3)
    across, down = (_gaussian(side, sigma) for side in size)
    spread = np.einsum("yj,jic,xi->yxc", down, pixels, across, optimize=True)
    return Image.fromarray(np.rint(spread).clip(0, 255).astype(np.uint8))


def _gaussian(side: int, sigma: float) -> np.ndarray:
    """Weights of a blur along one axis: float32 [side, side]; each row sums to 1."""
    places = np.arange(side)
    kernel = np.zeros((side, side))
    reach = min(side - 1, int(2.5 * sigma))
    for step in range(-reach, reach + 1):
        there = np.abs(places + step)
        there = np.where(there >= side, 2 * (side - 1) - there, there)
        kernel[places, np.clip(there, 0, side - 1)] += math.exp(-0.5 * (step / sigma) ** 2)
    return (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
