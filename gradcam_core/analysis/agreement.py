"""Where networks agree: how far the hottest places of their maps coincide.

Computed on a small raster over the whole photo, so it costs the same for a photo of any size.
`overlap_grades` has the words for an overlap.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcam_core.analysis.overlap_grades import grade_of
from gradcam_core.explanation.result import Explanation

HOTTEST = 0.2
"""Share of the region that a network "looked at": the hottest fifth of its map."""

FAINTEST = 1 / 255
"""Heat below which a place was not looked at, however cold the rest is: one grey level of 256."""

RASTER_PLACES = 2**16
"""Number of places of the raster on which maps are compared."""

_LEVELS = 10_000  # of heat; finer differences are rounding, and would break ties at random


@dataclass(frozen=True)
class Pair:
    """How alike the maps of two explanations are, within the region that all of them saw.

    first, second: indices of the explanations. overlap: intersection over union, in [0, 1], of the
    places that each looked at; None if a network has no map, or neither looked at any place there.
    chance: the overlap expected of two areas of these sizes placed at random, 0.11 for two fifths;
    None as above. correlation: Spearman's rank correlation of their heat, in [-1, 1]; None if one
    of the maps is constant.
    """

    first: int
    second: int
    overlap: float | None
    chance: float | None
    correlation: float | None

    @property
    def ends(self) -> tuple[int, int]:
        return self.first, self.second

    @property
    def words(self) -> str | None:
        """Words for the overlap, such as "mostly the same places"; None without an overlap."""
        return None if self.overlap is None else grade_of(self.overlap).words


@dataclass(frozen=True)
class Agreement:
    """Where several explanations of one photo looked, compared within what all of them saw.

    region: (left, top, right, bottom) in the photo's pixels. thresholds: for each explanation, the
    least heat of a place that it looked at, as a share of the maximum of its map over the photo;
    infinite for a degenerate map. They hold on any raster. pairs: all pairs of explanations.
    shares: the share of the region that exactly k of them looked at, for k from 0 to all; their sum
    is 1.
    """

    region: tuple[int, int, int, int]
    thresholds: tuple[float, ...]
    pairs: tuple[Pair, ...]
    shares: tuple[float, ...]

    @property
    def overlap(self) -> float | None:
        """The mean over all pairs that have an overlap; None if there are none."""
        overlaps = [pair.overlap for pair in self.pairs if pair.overlap is not None]
        return float(np.mean(overlaps)) if overlaps else None

    @property
    def words(self) -> str | None:
        """Words for the mean overlap, like `Pair.words`."""
        return None if self.overlap is None else grade_of(self.overlap).words

    def between_others(self, identities: Sequence[object]) -> Agreement:
        """The same without pairs of a map with itself, if one network stands in for two.

        identities: `Explanation.identity` of each.
        """
        pairs = (pair for pair in self.pairs if identities[pair.first] != identities[pair.second])
        return replace(self, pairs=tuple(pairs))

    def record(self, names: Sequence[str]) -> dict[str, object]:
        """The same in types that JSON has. names: of the explanations, in their order.

        Raises ValueError if there are not as many names as explanations.
        """
        thresholds = zip(names, self.thresholds, strict=True)
        return {
            "region": list(self.region),
            "hottest": HOTTEST,
            "looked_at": [
                {"name": name, "from_heat": heat if math.isfinite(heat) else None}
                for name, heat in thresholds
            ],
            "pairs": [
                {
                    "names": [names[pair.first], names[pair.second]],
                    "overlap": pair.overlap,
                    "chance": pair.chance,
                    "words": pair.words,
                    "rank_correlation": pair.correlation,
                }
                for pair in self.pairs
            ],
            "overlap": self.overlap,
            "words": self.words,
            "shares": list(self.shares),
        }


def agreement(explanations: Sequence[Explanation]) -> Agreement | None:
    """How far the networks looked at the same places; None if fewer than two have a map.

    A network looked at the hottest fifth of the region, `HOTTEST`. Places as hot as the coldest of
    these count, too, so it can be more than a fifth; places without heat never count, so it can be
    less. Also None if no part of the photo was seen by all. Raises ValueError for explanations of
    photos of different sizes.
    """
    sizes = {e.geometry.photo_size for e in explanations}
    if len(sizes) > 1:
        raise ValueError(f"The explanations are of different photos: {sorted(sizes)}.")
    mapless = {number for number, e in enumerate(explanations) if e.degenerate}
    if len(explanations) - len(mapless) < 2:
        return None
    lefts, tops, rights, bottoms = zip(*(e.box for e in explanations), strict=True)
    region = max(lefts), max(tops), min(rights), min(bottoms)
    if region[0] >= region[2] or region[1] >= region[3]:
        return None
    (photo_size,) = sizes
    size = raster(photo_size)
    part = _part(region, photo_size, size)
    heats = np.stack([heat_on(e, size)[part].ravel() for e in explanations])
    levels = np.rint(heats * _LEVELS).astype(int)
    thresholds = tuple(
        math.inf if e.degenerate else _threshold(one)
        for e, one in zip(explanations, levels, strict=True)
    )
    looked = heats >= np.array(thresholds)[:, None]
    ranks = [_ranks(one) for one in levels]
    counts = np.bincount(looked.sum(axis=0), minlength=len(explanations) + 1)
    return Agreement(
        region=region,
        thresholds=thresholds,
        pairs=tuple(
            Pair(
                i,
                j,
                *((None, None) if {i, j} & mapless else _overlap(looked[i], looked[j])),
                _correlation(ranks[i], ranks[j]),
            )
            for i, j in itertools.combinations(range(len(explanations)), 2)
        ),
        shares=tuple((counts / looked.shape[1]).tolist()),
    )


def looked_at(
    explanations: Sequence[Explanation], agreement: Agreement, size: tuple[int, int]
) -> np.ndarray:
    """How many of the networks looked at each place: uint8 [height, width], 0 outside the region.

    agreement: of these explanations. size: (width, height) of a raster over the whole photo.
    """
    part = _part(agreement.region, explanations[0].geometry.photo_size, size)
    count = np.zeros((size[1], size[0]), dtype=np.uint8)
    for e, threshold in zip(explanations, agreement.thresholds, strict=True):
        count[part] += heat_on(e, size)[part] >= threshold
    return count


def raster(photo_size: tuple[int, int], places: int = RASTER_PLACES) -> tuple[int, int]:
    """(width, height) of a raster over a whole photo, of about that many square places; of its
    pixels if it has fewer."""
    scale = min(1, math.sqrt(places / math.prod(photo_size)))
    width, height = (max(1, round(side * scale)) for side in photo_size)
    return width, height


def heat_on(e: Explanation, size: tuple[int, int]) -> np.ndarray:
    """The heat as a share of the maximum of the map over the photo: float32 [height, width].

    `Explanation.heatmap_at` is the same on a fine raster. It has a maximum of 1 on every raster;
    here the maximum may lie between the places of a coarse raster, so heat does not depend on it.
    """
    if e.degenerate:
        return np.zeros((size[1], size[0]), dtype=np.float32)
    return np.minimum(e.geometry.to_photo(e.feature_map, size) / e.geometry.peak(e.feature_map), 1)


def _part(
    region: tuple[int, int, int, int], photo_size: tuple[int, int], size: tuple[int, int]
) -> tuple[slice, slice]:
    """The rows and columns of a raster whose centres lie in the region; at least one of each."""
    columns, rows = (
        _range(region[axis] * size[axis] / photo, region[axis + 2] * size[axis] / photo)
        for axis, photo in enumerate(photo_size)
    )
    return rows, columns


def _range(start: float, end: float) -> slice:
    first, last = math.ceil(start - 0.5), math.ceil(end - 0.5)
    if first == last:
        first = math.floor((start + end) / 2)
        last = first + 1
    return slice(first, last)


def _threshold(levels: np.ndarray) -> float:
    # Counted, because NumPy's quantile takes ten times as long if many levels are the same.
    place = math.ceil((1 - HOTTEST) * (len(levels) - 1))
    coldest = int(np.searchsorted(np.cumsum(np.bincount(levels)), place, side="right"))
    # Half a level lower, so that the heat of a plateau counts however it was rounded.
    return max((coldest - 0.5) / _LEVELS, FAINTEST)


def _overlap(first: np.ndarray, second: np.ndarray) -> tuple[float | None, float | None]:
    """The overlap of two areas, and of random areas of their sizes; None if both are empty."""
    union = np.count_nonzero(first | second)
    if not union:
        return None, None
    areas = first.mean(), second.mean()
    both = areas[0] * areas[1]
    return float(np.count_nonzero(first & second) / union), float(both / (sum(areas) - both))


def _ranks(levels: np.ndarray) -> np.ndarray:
    """The rank of each place by heat, minus the mean of all ranks; ties share their mean rank."""
    counts = np.bincount(levels)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return ranks[levels] - (len(levels) + 1) / 2


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    spread = math.sqrt((first @ first) * (second @ second))
    return float(np.clip(first @ second / spread, -1, 1)) if spread else None
