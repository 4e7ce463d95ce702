"""Pictures of one size in rows, with labels under them, as large as there is room for.

Lengths are in pixels; y runs downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import accumulate

from gradcam_core.export.text import PIXELS_A_POINT, Font

_GUTTER = 26  # between columns
_BETWEEN_ROWS = 40
_UNDER_PICTURE = 16

_LABEL_SIZES_PT = range(22, 5, -1)  # sizes, points
_LABEL_USUAL_PT = 20  # preferred minimum for up to `_USUAL_NETWORKS` networks
_USUAL_NETWORKS = 3
_LABEL_MIN_PT = 13  # smaller labels only where nothing else fits
_MIN_AREA_SHARE = 0.85  # share of their largest area that pictures may shrink to for larger labels
_ONE_ROW_BONUS = 1.5  # a second row must make pictures larger by this factor
_LEADING = 1.24  # distance of lines, in font sizes
_ASCENT = 0.95  # from the top of a line to its baseline, in font sizes

_MIN_SIDE = 8  # a panorama whose short side would be smaller is stretched


@dataclass(frozen=True)
class Place:
    """A rectangle. x, y: its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True)
class Text:
    """One line of text. x, y: the start of its baseline."""

    text: str
    x: float
    y: float
    font: Font
    subdued: bool = False


Label = tuple[str, ...]
"""The parts of the text under a picture: heading, class, how sure the network is; then, only where
they apply, what is unusual about the map and why there is none. The photo has only a heading."""

_CLASS, _SURE = 1, 2

Form = tuple[tuple[int, ...], ...]
_FORMS: tuple[Form, ...] = (
    ((0,), (1,), (2,), (3,), (4,)),
    ((0,), (1, 2), (3,), (4,)),
    ((0, 1, 2, 3, 4),),
)
"""Ways to set a label: for each line, which parts stand in it."""


def _font(part: int, size: float) -> Font:
    return Font(size, bold=part == _CLASS)


def fitted(aspect: float, width: int, height: float) -> tuple[int, int]:
    """Width and height of the largest picture that fits a room. aspect: its width / height."""
    height = min(height, width / aspect)
    return max(round(height * aspect), _MIN_SIDE), max(round(height), _MIN_SIDE)


@dataclass(frozen=True)
class Grid:
    """Pictures of one size in rows, with labels under them; its upper left corner is (0, 0).

    whole: whether no word of the labels is broken or left out.
    """

    pictures: Sequence[Place]
    texts: Sequence[Text]
    height: int
    rows: int
    whole: bool

    @property
    def area(self) -> int:
        """The area of one picture."""
        return self.pictures[0].width * self.pictures[0].height


def best_grid(
    labels: tuple[Label, ...], networks: int, aspect: float, width: int, height: int
) -> Grid | None:
    """The grid with the largest pictures that leaves room for readable labels; None if none fits.
    aspect: width / height of a picture. width, height: of the room."""

    # Arranged only when needed: most figures have room for large labels.
    @cache
    def of_size(size: int) -> Grid | None:
        return _largest(labels, aspect, (width, height), size)

    least = _LABEL_MIN_PT if networks > _USUAL_NETWORKS else _LABEL_USUAL_PT
    usual = of_size(least)
    enough = usual.area * _MIN_AREA_SHARE if usual else 0
    for size in _LABEL_SIZES_PT:
        grid = of_size(size)
        if grid and grid.whole and (size < least or grid.area >= enough):
            return grid
    fitting = {size: grid for size in _LABEL_SIZES_PT if (grid := of_size(size))}
    return fitting[min(_LABEL_MIN_PT, max(fitting))] if fitting else None


def _largest(
    labels: tuple[Label, ...], aspect: float, room: tuple[int, int], size: int
) -> Grid | None:
    grids = [
        grid
        for columns in range(1, len(labels) + 1)
        for form in _FORMS
        if (grid := _arranged(labels, aspect, room, size, columns, form)) is not None
    ]
    return max(
        grids,
        key=lambda grid: (grid.whole, grid.area * (_ONE_ROW_BONUS if grid.rows == 1 else 1)),
        default=None,
    )


def _arranged(
    labels: tuple[Label, ...],
    aspect: float,
    room: tuple[int, int],
    size: int,
    columns: int,
    form: Form,
) -> Grid | None:
    """A grid of that many columns; None if it does not fit. form: see `_FORMS`."""
    pitch = (room[0] + _GUTTER) // columns
    rows = [labels[start : start + columns] for start in range(0, len(labels), columns)]
    captions = []
    for row in rows:
        caption = _captions(row, labels, size, pitch - _GUTTER, form)
        if caption is None:
            return None
        captions.append(caption)
    left = room[1] - _BETWEEN_ROWS * (len(rows) - 1) - sum(caption.height for caption in captions)
    if left // len(rows) < _MIN_SIDE:
        return None
    width, height = fitted(aspect, pitch - _GUTTER, left // len(rows))
    pictures, texts, top = [], [], 0
    for caption in captions:
        for column, written in enumerate(caption.texts):
            place = Place(column * pitch, top, width, height)
            pictures.append(place)
            texts += [replace(t, x=place.x + t.x, y=top + height + t.y) for t in written]
        top += height + caption.height + _BETWEEN_ROWS
    whole = all(caption.whole for caption in captions)
    return Grid(pictures, texts, top - _BETWEEN_ROWS, len(rows), whole)


@dataclass(frozen=True)
class _Captions:
    """The labels of one row. texts: of each label, relative to its picture's lower left corner."""

    texts: Sequence[Sequence[Text]]
    height: int
    whole: bool


@lru_cache(maxsize=4096)  # the layout tries the same columns with each number of sentences
def _captions(
    row: tuple[Label, ...],
    labels: tuple[Label, ...],
    size: int,
    width: int,
    form: Form,
) -> _Captions | None:
    """Sets a row's labels with equal parts at equal heights; None if parts that share a line do not
    fit it.

    labels: of all rows, whose shared lines align.
    """
    texts: list[list[Text]] = [[] for _ in row]
    lines, whole = 0, True
    for parts in form:
        ends = [0.0]
        if len(parts) > 1:
            ends = list(accumulate((_widest(labels, part, size) for part in parts), initial=0.0))
            if ends[-1] > width:
                return None
        most = 0
        for part, x in zip(parts, ends, strict=False):
            font = _font(part, size)
            for label, written in zip(row, texts, strict=True):
                if part >= len(label):
                    continue
                wrapped, intact = font.wrapped(label[part], width if len(parts) == 1 else math.inf)
                whole = whole and intact
                most = max(most, len(wrapped))
                for number, line in enumerate(wrapped, start=lines):
                    y = _UNDER_PICTURE + (number * _LEADING + _ASCENT) * font.pixels
                    written.append(Text(line, x, y, font, subdued=part >= _SURE))
        lines += most
    height = math.ceil(_UNDER_PICTURE + lines * _LEADING * size * PIXELS_A_POINT)
    return _Captions(texts, height, whole)


def _widest(labels: Sequence[Label], part: int, size: int) -> float:
    """The width that a part takes in a shared line, with a space after it."""
    font = _font(part, size)
    return max(
        (font.width(label[part]) + font.pixels for label in labels if part < len(label)), default=0
    )
