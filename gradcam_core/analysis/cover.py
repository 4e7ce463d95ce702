"""What covering a place of the photo does to a network's answer, and which places to cover: the
hottest, and an equally large cold one for comparison.

A class that loses its probability if the hottest place is covered, and keeps it if the cold one is,
depends on the hottest place, unless the fill itself matters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from gradcam_core.analysis.agreement import HOTTEST, agreement, heat_on, raster
from gradcam_core.errors import CamError
from gradcam_core.explanation.result import Explanation
from gradcam_core.images.apply_covers import covered_mask
from gradcam_core.images.cover import Cover, Covers, Fill, covers_of

_RASTER_PLACES = 2**13
"""Number of places of the raster on which places to cover are searched."""

_RATIOS = (1.0, 4 / 3, 3 / 4, 16 / 9, 9 / 16, 2.5, 0.4)
"""Width over height, in pixels, of boxes that are tried for the hottest place."""

_HEAT_LEVELS = 10_000  # of all heat; finer differences are rounding

_NARROWEST = 0.05  # least side of a box, as a share of what the network saw


@dataclass(frozen=True)
class CoverEffect:
    """A network's view of the class explained before and after places were covered.

    before, after: its probability, or the value of a regression. rank_before, rank_after: its rank
    among all classes. All are None if the scores are not numbers. overlap, words: how far the
    hottest fifths of the maps before and after coincide, see `agreement`; None if a map has no
    heat.
    """

    before: float | None
    after: float | None
    rank_before: int | None
    rank_after: int | None
    overlap: float | None
    words: str | None

    def record(self) -> dict[str, object]:
        """The same in types that JSON has."""
        return asdict(self)


def cover_effect(e: Explanation) -> CoverEffect | None:
    """The effect of an explanation's covers; None if nothing is covered, or if the explanation of
    the uncovered photo is not available.
    """
    before = e.uncovered
    if before is None:
        return None
    compared = agreement([before, e])
    pair = compared.pairs[0] if compared else None
    return CoverEffect(
        before=before.target.probability if before.has_scores else None,
        after=e.target.probability if e.has_scores else None,
        rank_before=before.rank if before.has_scores else None,
        rank_after=e.rank if e.has_scores else None,
        overlap=pair.overlap if pair else None,
        words=pair.words if pair else None,
    )


def hottest_place(explanations: Explanation | Sequence[Explanation], fill: Fill = "blur") -> Cover:
    """The box with the most heat in a network's map, about a fifth of what the network saw; for
    several networks, in all their maps together, each as a share of its own heat.

    Raises CamError if no map has any heat, ValueError for explanations of different photos.
    """
    heat, (left, top, right, bottom) = _heat(_several(explanations))
    area = HOTTEST * (right - left) * (bottom - top)
    found = None
    for ratio in _RATIOS:
        width = min(right - left, max(1, round(math.sqrt(area * ratio))))
        size = width, min(bottom - top, max(1, round(area / width)))
        sums = _under(heat[top:bottom, left:right], np.ones(size[::-1], dtype=bool))
        place = np.unravel_index(int(sums.argmax()), sums.shape)
        most = float(sums[place]) * area / (size[0] * size[1])  # of whole cells: areas differ
        if found is None or most > found[0]:
            found = most, (left + int(place[1]), top + int(place[0])), size
    assert found is not None
    _, (x, y), size = found
    return _box_on(heat, x, y, size, fill)


def cold_places(
    explanations: Explanation | Sequence[Explanation], covers: Covers
) -> tuple[Cover, ...]:
    """For each of these covers, one of the same kind and area where the maps together are coldest,
    within what the network saw and away from all covers: it shows whether the place matters, or
    only the fact that something is covered.

    Each has the shape of its cover if that fits beside it; otherwise it is a box of another shape.
    Raises CamError if there is no room for a place of that area, ChoiceError for invalid covers.
    """
    heat, region = _heat(_several(explanations))
    size = heat.shape[1], heat.shape[0]
    covers = covers_of(covers)
    taken = covered_mask(covers, size)
    found = []
    for cover in covers:
        place = _moved(heat, taken, region, cover) or _other_box(heat, taken, region, cover)
        if place is None:
            raise CamError(
                "There is no room for an equally large cold place: cover less of the photo."
            )
        found.append(place)
        taken = taken | covered_mask([place], size)
    return tuple(found)


def _several(explanations: Explanation | Sequence[Explanation]) -> Sequence[Explanation]:
    return [explanations] if isinstance(explanations, Explanation) else explanations


def _heat(explanations: Sequence[Explanation]) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The heat of all maps together, each as a share of its own heat: float [height, width], a
    raster over the photo; and the part of this raster that all networks saw, as (left, top, right,
    bottom). Raises CamError if there is no heat, ValueError for different photos."""
    sizes = {e.geometry.photo_size for e in explanations}
    if len(sizes) > 1:
        raise ValueError(f"The explanations are of different photos: {sorted(sizes)}.")
    with_heat = [e for e in explanations if not e.degenerate]
    if not with_heat:
        raise CamError("No map has any heat, so there is no hottest or coldest place.")
    (photo_size,) = sizes
    size = raster(photo_size, _RASTER_PLACES)
    heats = [heat_on(e, size) for e in with_heat]
    lefts, tops, rights, bottoms = zip(*(e.box for e in with_heat), strict=True)
    scale_x, scale_y = size[0] / photo_size[0], size[1] / photo_size[1]
    left, top = math.ceil(max(lefts) * scale_x), math.ceil(max(tops) * scale_y)
    right, bottom = math.floor(min(rights) * scale_x), math.floor(min(bottoms) * scale_y)
    left, top = min(left, size[0] - 1), min(top, size[1] - 1)
    region = left, top, max(left + 1, right), max(top + 1, bottom)
    return sum(heat / max(float(heat.sum()), 1e-12) for heat in heats), region  # type: ignore[return-value]


def _box_on(heat: np.ndarray, x: int, y: int, size: tuple[int, int], fill: Fill) -> Cover:
    height, width = heat.shape
    right, bottom = min(width, x + size[0]), min(height, y + size[1])
    first, last = (_share(x / width), _share(y / height)), (_share(right / width),)
    return Cover(fill, (*first, *last, _share(bottom / height)))


def _moved(
    heat: np.ndarray, taken: np.ndarray, region: tuple[int, int, int, int], cover: Cover
) -> Cover | None:
    """The same cover at the coldest place of the region that is free; None if there is none."""
    size = heat.shape[1], heat.shape[0]
    left, top, right, bottom = cover.bounds(size)
    mask = covered_mask([cover], size)[top:bottom, left:right]
    place = _coldest(heat, taken, region, mask)
    if place is None:
        return None
    by_x, by_y = (place[0] - left) / size[0], (place[1] - top) / size[1]

    def moved(x: float, y: float) -> tuple[float, float]:
        return _share(x + by_x), _share(y + by_y)

    if cover.box is not None:
        return replace(cover, box=(*moved(*cover.box[:2]), *moved(*cover.box[2:])))
    return replace(cover, points=tuple(moved(x, y) for x, y in cover.points))


def _other_box(
    heat: np.ndarray, taken: np.ndarray, region: tuple[int, int, int, int], cover: Cover
) -> Cover | None:
    """A box with the area of the cover at the coldest place where any such box fits."""
    left, top, right, bottom = region
    area = int(covered_mask([cover], (heat.shape[1], heat.shape[0])).sum())
    found: tuple[float, Cover] | None = None
    for width in range(max(1, round(_NARROWEST * (right - left))), right - left + 1):
        height = round(area / width)
        if not _NARROWEST * (bottom - top) <= height <= bottom - top:
            continue
        mask = np.ones((height, width), dtype=bool)
        place = _coldest(heat, taken, region, mask)
        if place is None:
            continue
        x, y = place
        most = float(heat[y : y + height, x : x + width].sum())
        if found is None or most < found[0]:
            found = most, _box_on(heat, x, y, (width, height), cover.fill)
    return found and found[1]


def _coldest(
    heat: np.ndarray, taken: np.ndarray, region: tuple[int, int, int, int], mask: np.ndarray
) -> tuple[int, int] | None:
    """(x, y) of the upper left corner where a mask covers the least heat and nothing that is taken;
    of several such places, the nearest to the middle. None if it fits nowhere."""
    left, top, right, bottom = region
    height, width = mask.shape
    if height > bottom - top or width > right - left:
        return None
    inside = slice(top, bottom), slice(left, right)
    sums = _under(heat[inside], mask)
    is_free = np.rint(_under(taken[inside].astype(float), mask)) == 0
    if not is_free.any():
        return None
    levels = np.where(is_free, np.rint(sums * _HEAT_LEVELS), np.inf)
    y, x = np.nonzero(levels == levels.min())
    middle = np.hypot(y - (sums.shape[0] - 1) / 2, x - (sums.shape[1] - 1) / 2).argmin()
    return left + int(x[middle]), top + int(y[middle])


def _under(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The sum of the values under a mask at every place where it fits."""
    rows, columns = values.shape
    turned = np.fft.rfft2(mask.astype(float), values.shape).conj()
    sums = np.fft.irfft2(np.fft.rfft2(values) * turned, values.shape)
    return sums[: rows - mask.shape[0] + 1, : columns - mask.shape[1] + 1]


def _share(number: float) -> float:
    return round(min(max(number, 0.0), 1.0), 4)
