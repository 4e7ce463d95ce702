"""Tests whether the network's answer rests on a map's hottest places: compares the class's
probability without them, and with nothing but them, with the same for the map laid elsewhere.

Deletion and insertion (Petsiuk, Das and Saenko, "RISE", BMVC 2018, algorithm 2), with two changes
that tell right maps from misplaced ones more often (docs/trust.md has the figures). Deleted places
are blurred, like those not yet inserted, beyond recognition. The logarithm of the probability
counts, because the probability itself moves little near 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from gradcam_core.analysis.trust.limits import (
    CANDIDATES,
    DELETED_SHARES,
    INSERTED_SHARES,
    LEAD_WEIGHTS,
    LEAST_DIFFERENCE,
    LEAST_PROBABILITY,
    LEAST_SPREAD,
    PLACEMENTS,
)
from gradcam_core.images.apply_covers import BLUR_SHARE

_COARSE = 4  # the overlap is measured at every fourth pixel
_JITTER = 0.1  # share of the picture's sides by which a seed may move the placements
_STEP_Y, _STEP_X = 1 / 1.3247179572447460, 1 / 1.3247179572447460**2  # of Roberts' R2 sequence


@dataclass(frozen=True)
class Curve:
    """shares: of the pixels that are changed, from 0 to 1. probabilities: of the class at each
    share."""

    shares: tuple[float, ...]
    probabilities: tuple[float, ...]

    @property
    def area(self) -> float:
        """The area under the curve, by the trapezoidal rule, in [0, 1]."""
        return float(np.trapezoid(self.probabilities, self.shares))

    @property
    def level(self) -> float:
        """Mean logarithm of the probability between the ends, where some pixels are changed."""
        inner = [max(one, LEAST_PROBABILITY) for one in self.probabilities[1:-1]]
        return sum(map(math.log, inner)) / len(inner)


@dataclass(frozen=True)
class Lead:
    """How much more a map's hottest places matter than those of the same map laid elsewhere.

    deletion, insertion: how much more deletion lowers, and insertion raises, the logarithm of the
    probability than with the map elsewhere. difference: their weighted mean. value: that mean in
    standard deviations between the placements elsewhere. count: of these placements.
    """

    value: float
    difference: float
    deletion: float
    insertion: float
    count: int

    @property
    def error(self) -> float:
        """Standard error of the value. It grows with the value, whose unit is estimated from the
        same placements (Hedges, "Distribution theory for Glass's estimator", 1981, eq. 8)."""
        return math.hypot(self._error_at_0, self.value / math.sqrt(2 * (self.count - 1)))

    @property
    def _error_at_0(self) -> float:
        """The standard error if placement made no difference: the hypothesis to rule out."""
        return 1 / math.sqrt(self.count)

    @property
    def is_large(self) -> bool:
        """Whether the difference is large enough to count, see `LEAST_DIFFERENCE`."""
        return abs(self.difference) >= LEAST_DIFFERENCE

    @property
    def is_settled(self) -> bool:
        """Whether the value differs from 0 by more than chance (`PLACEMENTS`) and the difference is
        large and of the same sign."""
        needed = [errors for count, errors in PLACEMENTS.items() if count <= self.count]
        above, below = (needed or list(PLACEMENTS.values())[:1])[-1]
        by_chance = (above if self.value > 0 else below) * self._error_at_0
        agrees = self.value * self.difference > 0
        return abs(self.value) > by_chance and self.is_large and agrees

    def record(self) -> dict[str, float]:
        return asdict(self) | {"error": self.error}

    @classmethod
    def of(cls, own: tuple[Curve, Curve], elsewhere: Sequence[tuple[Curve, Curve]]) -> Lead:
        """own: the curves of deletion and insertion for the map. elsewhere: the same for at least
        two placements elsewhere."""
        levels = np.array([_levels(pair) for pair in elsewhere])
        mean, scale = levels.mean(axis=0), levels.std(axis=0, ddof=1) + LEAST_DIFFERENCE
        scores = (levels - mean) / scale @ LEAD_WEIGHTS
        unit = max(scores.std(ddof=1), LEAST_SPREAD)
        lead = _levels(own) - mean
        value, difference = float(lead / scale @ LEAD_WEIGHTS / unit), float(lead @ LEAD_WEIGHTS)
        deletion, insertion = lead.tolist()
        return cls(value, difference, deletion, insertion, len(levels))


def _levels(pair: tuple[Curve, Curve]) -> np.ndarray:
    deletion, insertion = pair
    return np.array([-deletion.level, insertion.level])


def placements(heatmap: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields the map laid elsewhere, without end, each [H, W] and as smooth as the map itself.

    heatmap: [H, W]. Of every `CANDIDATES` placements, it takes the one that overlaps the map least:
    the overlap holds part of the evidence for the class, too, and so says little about whether the
    map is at the right place.
    """
    candidates, coarse = _moved_and_mirrored(heatmap, seed), heatmap[::_COARSE, ::_COARSE]

    def overlap(place: np.ndarray) -> float:
        return float((place[::_COARSE, ::_COARSE] * coarse).sum())

    while True:
        yield min(islice(candidates, CANDIDATES), key=overlap)


def _moved_and_mirrored(heatmap: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields the map moved, with wrap-around at the edges, and mirrored in turn. Positions spread
    evenly over the picture (Roberts' R2 sequence), shifted a little by the seed, so that a few
    suffice and chance plays no part."""
    height, width = heatmap.shape
    y, x = _JITTER * np.random.default_rng(seed).random(2)
    mirrored = (heatmap, heatmap[::-1], heatmap[:, ::-1], heatmap[::-1, ::-1])
    for number in count(1):
        shift = int((y + number * _STEP_Y) % 1 * height), int((x + number * _STEP_X) % 1 * width)
        yield np.roll(mirrored[(number - 1) % 4], shift, axis=(0, 1))


def blurred(image: Tensor) -> Tensor:
    """A network's input [1, C, H, W], blurred beyond recognition."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR_SHARE * min(image.shape[2:])
    # SciPy filters one axis at a time; torchvision's gaussian_blur takes thirty times as long.
    found = gaussian_filter(
        image.cpu().numpy(), sigma, mode="mirror", radius=int(2.5 * sigma), axes=(2, 3)
    )
    return torch.from_numpy(found).to(image)


def replaced(start: Tensor, end: Tensor, heatmap: np.ndarray, share: float) -> Tensor:
    """`start`, with the hottest share of its pixels taken from `end`. start, end: [1, C, H, W].
    heatmap: [H, W] -> [1, C, H, W]."""
    order = np.argsort(-heatmap, axis=None, kind="stable")[: int(heatmap.size * share)]
    hottest = torch.from_numpy(order).to(start.device)
    version = start.flatten(2).clone()
    version[:, :, hottest] = end.flatten(2)[:, :, hottest]
    return version.view_as(start)


@dataclass(frozen=True)
class Backgrounds:
    """A network's input [1, C, H, W], and the same blurred."""

    image: Tensor
    blur: Tensor

    @classmethod
    def of(cls, image: Tensor) -> Backgrounds:
        image = image.contiguous()
        return cls(image, blurred(image))

    def versions(self, heatmap: np.ndarray) -> list[Tensor]:
        """The input with the hottest places deleted, for each of `DELETED_SHARES`, then with only
        the hottest places shown, for each of `INSERTED_SHARES`."""
        deleted = [replaced(self.image, self.blur, heatmap, share) for share in DELETED_SHARES]
        alone = [replaced(self.blur, self.image, heatmap, share) for share in INSERTED_SHARES]
        return deleted + alone


def curves(ends: Sequence[float], inner: Sequence[float]) -> tuple[Curve, Curve]:
    """The curves of deletion and insertion, from the class's probabilities. ends: for the image and
    the blurred image. inner: for `Backgrounds.versions`."""
    image, blur = ends
    count = len(DELETED_SHARES)
    deletion = Curve((0.0, *DELETED_SHARES, 1.0), (image, *inner[:count], blur))
    insertion = Curve((0.0, *INSERTED_SHARES, 1.0), (blur, *inner[count:], image))
    return deletion, insertion


def shown_alone(image: Tensor, heatmap: np.ndarray) -> Tensor:
    """The picture seen through the heatmap: unchanged where that is 1, the training mean where it
    is 0 (Chattopadhay and others, "Grad-CAM++", WACV 2018, section 4.1.1).

    image: a network's input [1, C, H, W]. heatmap: [H, W] in [0, 1] -> [1, C, H, W].
    """
    return image * torch.from_numpy(heatmap).to(image)
