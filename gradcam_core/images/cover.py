"""Describes places of a photo that are covered before a network sees it.

Coordinates are shares of the photo's width and height, from its upper left corner, so that they fit
a photo of any size. `apply_covers` covers the places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from PIL import Image, ImageDraw

from gradcam_core.errors import ChoiceError

Fill = Literal["blur", "grey", "mean"]
FILLS: tuple[Fill, ...] = get_args(Fill)

MOST_COVERS = 32
"""The most covers of one photo."""

MOST_POINTS = 400
"""The most points of one brush stroke."""

MOST_RADIUS = 0.5
"""The largest radius of the brush, as a share of the photo's shorter side."""

_DIGITS = 4
_EXAMPLE = (
    'a box "left,top,right,bottom" in shares of the photo\'s width and height, such as '
    '"0.2,0.3,0.6,0.7" or "0.2,0.3,0.6,0.7:grey"'
)


@dataclass(frozen=True)
class Cover:
    """One covered place of a photo: a box, or a brush stroke.

    fill: "blur" (beyond recognition), "grey", or "mean", the mean colour of the photo. box: (left,
    top, right, bottom). points: the centres of the brush, (x, y) each, joined by straight lines;
    radius: the brush's radius as a fraction of the photo's shorter side. All other numbers are
    fractions of the photo's width or height, from 0 to 1. Raises ChoiceError for anything else.
    """

    fill: Fill = "blur"
    box: tuple[float, float, float, float] | None = None
    points: tuple[tuple[float, float], ...] = ()
    radius: float = 0.0

    def __post_init__(self) -> None:
        if self.fill not in FILLS:
            raise ChoiceError(
                f"A place cannot be covered with {str(self.fill)[:20]!r}. Choose one of: "
                f"{', '.join(FILLS)}."
            )
        if (self.box is None) == (not self.points):
            raise ChoiceError(f"A cover is {_EXAMPLE}, or a stroke of a brush.")
        numbers = [*(self.box or ()), *(one for point in self.points for one in point)]
        if not all(0 <= one <= 1 for one in numbers):  # also false for NaN
            raise ChoiceError(
                "A cover's numbers are fractions of the photo's sides, from 0 to 1, unlike those "
                f"of {self.text[:60]!r}."
            )
        if self.box and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ChoiceError(f"The box {self.text!r} is empty. Give {_EXAMPLE}.")
        if self.points and not 0 < self.radius <= MOST_RADIUS:
            raise ChoiceError(
                f"The radius of a brush is a share of the photo, from 0 to {MOST_RADIUS}."
            )
        if len(self.points) > MOST_POINTS:
            raise ChoiceError(f"A stroke of the brush has at most {MOST_POINTS} points.")

    @property
    def text(self) -> str:
        """The cover as a person, a link or the API writes it: "0.2,0.3,0.6,0.7:blur" for a box, or
        "x,y,x,y~radius:blur" for a brush stroke."""
        numbers = self.box or [one for point in self.points for one in point]
        written = ",".join(map(_written, numbers))
        return f"{written}{f'~{_written(self.radius)}' if self.points else ''}:{self.fill}"

    def record(self) -> dict[str, Any]:
        """The cover in JSON types; None for what it lacks."""
        return {
            "box": self.box and list(self.box),
            "points": [list(point) for point in self.points] or None,
            "radius": self.radius if self.points else None,
            "fill": self.fill,
        }

    def bounds(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the covered place in the pixels of a photo of (width,
        height): contains every covered pixel, and at least one pixel."""
        width, height = size
        if self.box is not None:
            left, top, right, bottom = self.box
            sides = left * width, top * height, right * width, bottom * height
        else:
            reach = self.radius * min(size)
            x, y = ([point[axis] * side for point in self.points] for axis, side in enumerate(size))
            sides = min(x) - reach, min(y) - reach, max(x) + reach, max(y) + reach
        # `text` has four digits, which may move an edge a little off the border of two pixels.
        first_x, first_y = (math.floor(side + 0.01) for side in sides[:2])
        last_x, last_y = (math.ceil(side - 0.01) for side in sides[2:])
        left_px = min(max(0, first_x), width - 1)
        top_px = min(max(0, first_y), height - 1)
        return (
            left_px,
            top_px,
            max(left_px + 1, min(width, last_x)),
            max(top_px + 1, min(height, last_y)),
        )

    def mask(self, size: tuple[int, int], bounds: tuple[int, int, int, int]) -> Image.Image:
        """Which pixels within `bounds` of a photo of this size are covered: a picture of mode "L",
        255 where covered, else 0."""
        left, top, right, bottom = bounds
        inside = right - left, bottom - top
        if self.box is not None:
            return Image.new("L", inside, 255)
        mask = Image.new("L", inside)
        draw = ImageDraw.Draw(mask)
        radius = max(0.5, self.radius * min(size))
        centres = [(x * size[0] - left, y * size[1] - top) for x, y in self.points]
        if len(centres) > 1:
            draw.line(centres, fill=255, width=max(1, round(2 * radius)))
        for x, y in centres:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        return mask


Covers = Cover | str | Mapping[str, Any] | Sequence[Any] | None
"""What a person may give as covers: see `covers_of`."""


def covers_of(given: Covers) -> tuple[Cover, ...]:
    """The covers that a person gave, each once: None, a `Cover`, its `text` (without ":fill" it is
    blurred), its `record`, four numbers of a box, or several of these. Raises ChoiceError."""
    if given is None:
        return ()
    is_one = isinstance(given, Cover | str | Mapping) or _are_numbers(given)
    if not is_one and not isinstance(given, Iterable):
        raise ChoiceError(f"A cover is {_EXAMPLE}, not {str(given)[:40]!r}.")
    several: Any = [given] if is_one else given
    found = tuple(dict.fromkeys(map(_cover_of, several)))
    if len(found) > MOST_COVERS:
        raise ChoiceError(f"{len(found)} places are too many to cover: at most {MOST_COVERS}.")
    return found


def _cover_of(given: Any) -> Cover:
    try:
        if isinstance(given, Cover):
            return given
        if isinstance(given, str):
            return _of_text(given)
        if isinstance(given, Mapping):
            known = dict(given)
            box, points = known.pop("box", None), known.pop("points", None) or ()
            radius, fill = known.pop("radius", None) or 0.0, known.pop("fill", "blur")
            if known:
                raise ValueError
            return _made(box, points, radius, fill)
        return _made(given, (), 0.0, "blur")
    except ChoiceError:
        raise
    except (TypeError, ValueError, OverflowError):
        raise ChoiceError(f"A cover is {_EXAMPLE}, not {str(given)[:40]!r}.") from None


def _of_text(text: str) -> Cover:
    place, _, fill = text.strip().partition(":")
    numbers, is_brush, radius = place.partition("~")
    given = [float(one) for one in numbers.split(",")]
    if not is_brush:
        return _made(given, (), 0.0, fill.strip() or "blur")
    points = list(zip(given[::2], given[1::2], strict=True))
    return _made(None, points, float(radius), fill.strip() or "blur")


def _made(box: Any, points: Any, radius: Any, fill: Any) -> Cover:
    sides: tuple[float, float, float, float] | None = None
    if box is not None:
        left, top, right, bottom = (_number(one) for one in box)
        sides = left, top, right, bottom
    places = tuple((_number(x), _number(y)) for x, y in points)
    return Cover(fill, sides, places, _number(radius))


def _number(given: Any) -> float:
    """Rounds to the digits of `Cover.text`, so that a cover equals the one read from its text."""
    if isinstance(given, bool | str):
        raise TypeError
    return round(float(given), _DIGITS)


def _are_numbers(given: Any) -> bool:
    try:
        return len(given) == 4 and all(float(one) == one for one in given)
    except (TypeError, ValueError):
        return False


def _written(number: float) -> str:
    return f"{number:.{_DIGITS}f}".rstrip("0").rstrip(".") or "0"
