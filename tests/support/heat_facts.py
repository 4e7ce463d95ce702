"""Facts about maps, computed with plain NumPy and SciPy on a raster: where the heat lies, and how
far hottest fifths overlap. Shares no code with `gradcam_core.analysis`."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

import gradcam_core as gc

SIDE = 210
"""Places along each side of the raster, whatever the photo's shape."""

centres = (np.arange(SIDE) + 0.5) / SIDE


class HeatFacts:
    """A map over the photo: `heat` [SIDE, SIDE] as shares of its maximum, 0 outside of what the
    network saw; `box` as shares of the photo's sides. level: the heat from which a place is hot."""

    level = 0.5

    def __init__(self, e: gc.Explanation) -> None:
        self._spots: dict[float, tuple[np.ndarray, float]] = {}  # by level
        width, height = e.geometry.photo_size
        left, top, right, bottom = e.box
        self.size = width, height
        self.box = left / width, top / height, right / width, bottom / height
        cells = np.asarray(e.feature_map, dtype=float)
        self.has_map = bool(np.isfinite(cells).all() and np.ptp(cells) > 1e-4 * cells.max() > 0)
        self.heat = np.zeros((SIDE, SIDE))
        if self.has_map:
            rows = self._positions(1, e, cells.shape[0])
            columns = self._positions(0, e, cells.shape[1])
            inside = [
                (centres > self.box[axis]) & (centres < self.box[axis + 2]) for axis in (0, 1)
            ]
            self.heat = _interpolated(cells, rows, columns) * np.outer(inside[1], inside[0])
            self.has_map = self.heat.max() > 0
            # The maximum lies at the centre of a cell, which the raster may miss.
            middles = (
                np.arange(np.ceil(seen.min()), np.floor(seen.max()) + 1)
                for seen in (rows[inside[1]], columns[inside[0]])
            )
            peak = max(self.heat.max(), _interpolated(cells, *middles).max(initial=0))
            self.heat /= peak or 1
        self.at_edges = self._at_edges(cells) if self.has_map else False

    @staticmethod
    def _positions(axis: int, e: gc.Explanation, cells: int) -> np.ndarray:
        """The raster's places along an axis, in cells from the centre of the first cell."""
        view = e.geometry
        in_input = centres * view.resized[axis] - view.offset[axis]
        return in_input / view.size[axis] * cells - 0.5

    def _at_edges(self, cells: np.ndarray) -> bool:
        """Whether the map is hot at a side beyond which the photo continues."""
        unseen = self.box[0], self.box[1], 1 - self.box[2], 1 - self.box[3]
        sides = cells[:, 0], cells[0], cells[:, -1], cells[-1]
        return any(
            share > 0.049 and side.max() > 0.499 * cells.max()
            for share, side in zip(unseen, sides, strict=True)
        )

    @property
    def hot(self) -> np.ndarray:
        return self.heat >= self.level

    def largest_spot(self) -> tuple[np.ndarray, float]:
        """The connected hot spot with the most heat, as a map, and its share of all hot heat."""
        if self.level not in self._spots:
            self._spots[self.level] = self._largest_spot()
        return self._spots[self.level]

    def _largest_spot(self) -> tuple[np.ndarray, float]:
        labels, count = ndimage.label(self.hot)
        sums = ndimage.sum(self.heat, labels, np.arange(1, count + 1))
        spot = np.where(labels == np.argmax(sums) + 1, self.heat, 0)
        return spot, float(np.max(sums) / np.sum(sums))

    def centre(self) -> tuple[float, float]:
        """(x, y) of the centre of mass of the largest spot."""
        y, x = ndimage.center_of_mass(self.largest_spot()[0])
        return (x + 0.5) / SIDE, (y + 0.5) / SIDE

    def length_over_width(self) -> float:
        """The largest spot's extent from top to bottom over its extent across, in photo pixels."""
        spot, (width, height) = self.largest_spot()[0], self.size
        down, across = (np.cov(centres, aweights=spot.sum(axis=axis), ddof=0) for axis in (1, 0))
        return float(np.sqrt(down / across) * height / width)

    def centre_near(self, x: float, y: float) -> tuple[float, float]:
        """The centre of mass, (x, y), of the hot places within a quarter of the photo of x, y."""
        near = (np.abs(centres - y) <= 0.25)[:, None] & (np.abs(centres - x) <= 0.25)
        down, across = ndimage.center_of_mass(np.where(near & self.hot, self.heat, 0))
        return (across + 0.5) / SIDE, (down + 0.5) / SIDE

    def median(self) -> tuple[float, float]:
        """(x, y) with half of the heat of all hot places on each side."""
        heat = np.where(self.hot, self.heat, 0)
        sums = [np.cumsum(heat.sum(axis=axis)) for axis in (0, 1)]
        x, y = (float(centres[np.searchsorted(one, one[-1] / 2)]) for one in sums)
        return x, y

    def share_near(self, x: float, y: float, only_x: bool = False, only_y: bool = False) -> float:
        """The share of the hot places' heat that lies within a quarter of the photo of (x, y).
        only_x, only_y: ignores the other direction."""
        near_x = (np.abs(centres - x) <= 0.25) | only_y
        near_y = (np.abs(centres - y) <= 0.25) | only_x
        heat = np.where(self.hot, self.heat, 0)
        return float((heat * np.outer(near_y, near_x)).sum() / heat.sum())


def _interpolated(cells: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    down, across = (
        np.array([np.interp(at, np.arange(count), one) for one in np.eye(count)])
        for at, count in zip((rows, columns), cells.shape, strict=True)
    )  # the weight of each cell at each place
    return down.T @ cells @ across


def hottest_fifth(one: HeatFacts, region: np.ndarray) -> np.ndarray:
    """bool [SIDE, SIDE]: the hottest fifth of a region, with all places that are as hot."""
    inside = one.heat[region]
    at = int(np.ceil(0.8 * len(inside) - 1e-9)) if len(inside) > 5 else -1
    coldest = np.partition(inside, at)[at]
    return region & (one.heat >= max(coldest - 1e-4, 1 / 255))


def common_region(several: list[HeatFacts]) -> np.ndarray:
    """bool [SIDE, SIDE]: what all networks saw."""
    lefts, tops, rights, bottoms = zip(*(one.box for one in several), strict=True)
    columns = (centres > max(lefts)) & (centres < min(rights))
    rows = (centres > max(tops)) & (centres < min(bottoms))
    return np.outer(rows, columns)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return float((first & second).sum() / (first | second).sum())


def overlap_by_chance(first: np.ndarray, second: np.ndarray, region: np.ndarray) -> float:
    """The expected overlap of two areas of these sizes that are placed at random."""
    a, b = first.sum() / region.sum(), second.sum() / region.sum()
    return float(a * b / (a + b - a * b)) if a and b else 0.0
