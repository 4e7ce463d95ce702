"""Where in the photo the heat lies, in words.

A place is hot from half of the map's maximum on. Places are named by thirds of the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradcam_core.analysis.agreement import heat_on, raster
from gradcam_core.explanation import Explanation

HOT = 0.5
"""Heat, as share of a map's maximum, from which on a place is hot."""

MUCH = 1 / 3
"""Share of the photo from which on what is hot is much of the picture."""

APART = 1 / 3
"""Share of the photo's width or height from which on two places are far apart."""

SEVERAL = 0.25
"""Share of what is hot, far from the main spot, from which on the heat is in several places."""

MOST = 0.5
"""The same share, from which on the main spot does not have most of it."""

_PLACES = 2**14  # of the raster on which spots are told apart


@dataclass(frozen=True)
class Location:
    """Where heat lies: in one place, in several far apart, or all over.

    centre: (x, y) as shares of the photo's width and height, of the one place, or of the one among
    several that has most of the heat; None if there is none.
    """

    kind: Literal["one", "several", "spread"]
    centre: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Of the centre: one of nine."""
        if self.centre is None:
            return ""
        x, y = (min(int(3 * share), 2) for share in self.centre)
        if x == 1:
            return ("top", "centre", "bottom")[y]
        return ("upper ", "", "lower ")[y] + ("left", "", "right")[x]

    def words(self, before: str = "") -> str:
        """before: stands before the name of a place."""
        if self.kind == "spread":
            return "spread over much of the picture"
        if self.kind == "one":
            return before + self.name
        return "in several places" + (f", most of all {before}{self.name}" if self.name else "")


def where(e: Explanation) -> str:
    """Where in the photo the heat lies, as words that may follow a colon.

    One of nine places ("upper left", "top", "centre", "lower right", …): that of the centre of mass
    of the largest spot that is hot. "in several places" if a quarter of what is hot lies far from
    it, and "most of all" where, if more than half does not; "spread over much of the picture" if a
    third of the photo is hot. For a degenerate map, why it shows nothing.
    """
    return clause(e.degenerate) if e.degenerate else location_of([e]).words()


def location_of(explanations: Sequence[Explanation]) -> Location:
    """Where the heat lies that all of these have: at each place the least of theirs."""
    photo_size = explanations[0].geometry.photo_size
    size = raster(photo_size, _PLACES)
    heat = np.minimum.reduce([heat_on(e, size) for e in explanations])
    if not heat.any():  # all that is seen is smaller than a place of this raster
        left, top, right, bottom = explanations[0].box
        centre = (left + right) / 2 / photo_size[0], (top + bottom) / 2 / photo_size[1]
        return Location("one", centre)
    hot = heat >= HOT * heat.max()
    if hot.mean() >= MUCH:
        return Location("spread")
    spots = _spots(hot)
    main = spots == np.bincount(spots[hot], weights=heat[hot]).argmax()
    rows, columns = ((np.arange(side) + 0.5) / side for side in heat.shape)
    weights = np.where(main, heat, 0)
    y = np.average(rows, weights=weights.sum(axis=1))
    x = np.average(columns, weights=weights.sum(axis=0))
    far = np.maximum(np.abs(rows - y)[:, None], np.abs(columns - x)) >= APART
    # A large ring has its centre where it is not.
    inside = main[int(y * size[1]), int(x * size[0])]
    share = heat[hot & far & ~(main & inside)].sum() / heat[hot].sum()
    if share < SEVERAL:
        return Location("one", (x, y))
    return Location("several", (x, y) if inside and share < MOST else None)


def _spots(mask: np.ndarray) -> np.ndarray:
    """The parts of a mask that are connected by sides: int [H, W], counted from 1, 0 outside."""
    height, width = mask.shape
    padded = np.zeros((height, width + 1), dtype=np.int8)  # so that no run goes on in the next row
    padded[:, :width] = mask
    steps = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = (np.flatnonzero(steps == step).tolist() for step in (1, -1))
    parts = list(range(len(starts)))  # of each run of a row, an earlier run of the same part

    def first(run: int) -> int:
        while parts[run] != run:
            parts[run] = run = parts[parts[run]]
        return run

    above = 0
    for run, (start, end) in enumerate(zip(starts, ends, strict=True)):
        while ends[above] <= start - (width + 1):
            above += 1
        for other in range(above, run):
            if starts[other] >= end - (width + 1):
                break
            one, two = sorted((first(other), first(run)))
            parts[two] = one
    firsts = [first(run) for run in range(len(starts))]
    numbers = {run: number for number, run in enumerate(dict.fromkeys(firsts), 1)}
    spots = np.zeros(padded.shape, dtype=int)
    lengths = np.subtract(ends, starts)
    names = np.array([numbers[run] for run in firsts], dtype=int)
    spots[padded > 0] = np.repeat(names, lengths.astype(int))
    return spots[:, :width]


def clause(sentence: str) -> str:
    """A sentence as it stands after a colon."""
    return sentence[0].lower() + sentence[1:].removesuffix(".")
