"""Where in the photo the heat lies, in words.

A place is hot if it has at least half of the map's maximum. Places are named by thirds of the
photo. In the middle third, the words also say on which side of the centre a place is, so that
neighbouring places have similar words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradcam_core.analysis.agreement import heat_on, raster
from gradcam_core.explanation.result import Explanation

HOT = 0.5
"""Least heat of a hot place, as a share of the map's maximum."""

MUCH = 1 / 3
"""Share of the photo that must be hot for heat to be spread over much of the picture."""

WIDE = 1 / 4
"""Share of the photo that must be hot for heat to be spread around a place, and not at it."""

NEAR = 1 / 4
"""Distance that is near a place, on either side, as a share of the photo's width or height."""

COMPACT = 0.7
"""Share of all hot places' heat that must be near one place for the heat to lie there."""

MOST = 0.5
"""Share of all hot places' heat above which a spot has most of it."""

LONG = 0.25
"""Share of a spot's heat that must be far from its centre in one direction for a long spot."""

CENTRAL = 0.08
"""Distance from the middle that is still central, as a share of the photo's width or height."""

_RASTER_PLACES = 2**14  # of the raster on which spots are separated

_ABOVE = {-1: "above", 1: "below"}
_BESIDE = {-1: "left of", 1: "right of"}
_ACROSS = ("the top", "the middle", "the bottom")
_DOWN = ("the left side", "the middle", "the right side")


@dataclass(frozen=True)
class Location:
    """Where heat lies.

    kind: at one place, spread around it, in a band across the photo or down it, in several places,
    or all over. centre: (x, y) of the place or band, or of the spot among several that has most of
    the heat, as shares of the photo's width and height; None if there is none.
    """

    kind: Literal["one", "around", "across", "down", "several", "spread"]
    centre: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """Words that may follow a colon: "upper left", "spread around the centre"."""
        return self.clause.removeprefix("at the ")

    @property
    def verb(self) -> str:
        """The verb between "the heat" and `clause`."""
        if self.kind in ("across", "down"):
            return "runs"
        return "is" if self.kind in ("spread", "around") else "lies"

    @property
    def clause(self) -> str:
        """Words for a sentence: "at the upper left", "in several places"."""
        if self.kind == "spread":
            return "spread over much of the picture"
        if self.centre is None:
            return "in several places"
        x, y = self.centre
        if self.kind == "several":
            return f"in several places, most of all {_place(x, y)}"
        if self.kind == "around":
            place = _third(x, y)
            side = " side" if place in ("left", "right") else ""
            return f"spread around the {place}{side}"
        if self.kind == "across":
            return _band("across", _ACROSS, _ABOVE, y)
        return _band("down", _DOWN, _BESIDE, x) if self.kind == "down" else _place(x, y)


def _third(x: float, y: float) -> str:
    """The name of one ninth of the photo."""
    if 1 / 3 <= x < 2 / 3:
        return ("top", "centre", "bottom")[_index(y)]
    return ("upper ", "", "lower ")[_index(y)] + ("left", "", "right")[_index(x)]


def _place(x: float, y: float) -> str:
    name, above, beside = _third(x, y), _ABOVE.get(_off(y)), _BESIDE.get(_off(x))
    sides = " and ".join(filter(None, (above, beside)))
    if name == "centre":
        return f"{sides} the centre" if sides else "at the centre"
    return f"at the {name}, {sides} the middle" if sides else f"at the {name}"


def _band(verb: str, names: tuple[str, ...], sides: dict[int, str], share: float) -> str:
    side = sides.get(_off(share))
    return f"{verb} the picture, {side} the middle" if side else f"{verb} {names[_index(share)]}"


def _index(share: float) -> int:
    return int(share >= 1 / 3) + int(share >= 2 / 3)


def _off(share: float) -> int:
    """-1 or 1 on either side of the centre within the middle third; otherwise 0."""
    if _index(share) != 1 or abs(share - 0.5) <= CENTRAL:
        return 0
    return 1 if share > 0.5 else -1


def where(e: Explanation) -> str:
    """Where in the photo the heat lies, as words that may follow a colon.

    - "Spread over much of the picture" if a third of the photo is hot.
    - One of nine places ("upper left", "top", "centre", "lower right", …) if `COMPACT` of the heat
      is near the centre of mass of the spot with the most heat. If this spot alone has less, the
      centre is that of all heat near it. Off the centre within the middle third, the words say so:
      "right of the centre", "top, left of the middle". "Spread around" the place if a quarter of
      the photo is hot.
    - "Across" or "down" the picture for a spot that is long in pixels. A spot that fills the height
      of a strip, but not its length, is at a place; one as long both ways is "around" it.
    - "In several places" otherwise, and the spot that has most of the heat, if one has.

    For a degenerate map, why it shows nothing.
    """
    return clause(e.degenerate) if e.degenerate else location_of(e).words


def location_of(e: Explanation) -> Location:
    """Where the heat lies in a map that has some."""
    photo_size = e.geometry.photo_size
    size = raster(photo_size, _RASTER_PLACES)
    heat = heat_on(e, size)
    if not heat.any():  # the network saw less than one place of this raster
        left, top, right, bottom = e.box
        centre = (left + right) / 2 / photo_size[0], (top + bottom) / 2 / photo_size[1]
        return Location("one", centre)
    # Hot is a share of the heatmap's maximum, which a coarser raster may miss.
    most = heat.max() if size == photo_size or heat.max() < HOT else 1
    hot = heat >= HOT * most
    if hot.mean() >= MUCH:
        return Location("spread")
    spots = _spots(hot)
    heat = np.where(hot, heat, 0)
    spot = np.where(spots == np.bincount(spots[hot], weights=heat[hot]).argmax(), heat, 0)
    rows, columns = ((np.arange(side) + 0.5) / side for side in heat.shape)
    x, y = _centre(spot, columns, rows)
    near_x, near_y = np.abs(columns - x) <= NEAR, np.abs(rows - y) <= NEAR
    share = spot.sum() / heat.sum()
    at_or_around: Literal["around", "one"] = "around" if hot.mean() >= WIDE else "one"
    if heat[np.ix_(near_y, near_x)].sum() >= COMPACT * heat.sum():
        if share < COMPACT:  # such as two spots of similar heat: the place between them
            x, y = _centre(np.where(np.outer(near_y, near_x), heat, 0), columns, rows)
        return Location(at_or_around, (x, y))
    if share < COMPACT:
        is_there = spot[np.ix_(near_y, near_x)].sum() >= COMPACT * spot.sum()
        return Location("several", (x, y) if is_there and share > MOST else None)
    wide, high = (1 - part.sum() / spot.sum() for part in (spot[:, near_x], spot[near_y]))
    if (wide >= LONG) == (high >= LONG):
        return Location("around", (x, y))
    width, height = (
        pixels * np.sqrt(np.average((places - centre) ** 2, weights=spot.sum(axis=axis)))
        for pixels, places, centre, axis in zip(
            photo_size, (columns, rows), (x, y), (0, 1), strict=True
        )
    )
    is_across = wide >= LONG
    is_long = width > height if is_across else height > width
    if not is_long:  # it fills the short side of a strip
        return Location(at_or_around, (x, y))
    return Location("across" if is_across else "down", (x, y))


def _centre(heat: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """(x, y) of the heat's centre of mass."""
    x = np.average(columns, weights=heat.sum(axis=0))
    return float(x), float(np.average(rows, weights=heat.sum(axis=1)))


def _spots(mask: np.ndarray) -> np.ndarray:
    """Numbers the parts of a mask that are connected by sides: int [H, W], from 1; 0 outside."""
    height, width = mask.shape
    padded = np.zeros((height, width + 1), dtype=np.int8)  # ends each run with its row
    padded[:, :width] = mask
    steps = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = (np.flatnonzero(steps == step).tolist() for step in (1, -1))
    parts = list(range(len(starts)))  # for each run in a row, an earlier run of the same part

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
    """A sentence in the form that may follow a colon."""
    return sentence[0].lower() + sentence[1:].removesuffix(".")
