"""Where everything stands on the slide: pictures in rows, labels under them, bar and footer.

A layout of our own: matplotlib's constrained layout knows neither wrapped texts nor a grid that is
chosen by its texts. With subfigures and `wrap=True` or `textwrap`, labels overlapped or were cut in
8 of 8 cases (3 and 6 networks with long names, two shapes of photos).

Lengths are in pixels of the slide; y runs downwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from gradcam_core.errors import ChoiceError
from gradcam_core.explanation import Explanation
from gradcam_core.export.text import PIXELS_A_POINT, Font
from gradcam_core.images.geometry import ViewName
from gradcam_core.wording import TIED, percentage

NOTHING = "nothing for the class"
MOST = "most evidence"
"""Meaning of the two ends of the colour bar."""

WIDTH_PX, HEIGHT_PX = 1920, 1080

_MARGIN = 64
_GUTTER = 26  # between columns
_BETWEEN_ROWS = 40
_UNDER_PICTURE = 16
_ABOVE_BAR = 54
_ABOVE_FOOTER = 30

_LABEL_SIZES_PT = range(22, 5, -1)  # sizes, points
_LABEL_USUAL_PT = 20  # the least for `_USUAL_NETWORKS` networks
_USUAL_NETWORKS = 3
_LABEL_MIN_PT = 13  # what is smaller is taken where nothing else has room
_MIN_AREA_SHARE = 0.85  # share of their largest area that pictures may shrink to for larger labels
_ONE_ROW_BONUS = 1.5  # so many times larger must pictures be to be worth a second row
_LEADING = 1.24  # of lines, in sizes
_ASCENT = 0.95

_SMALL_PHOTO = (384, 216)  # the most of the photo beside the footer
_UNDER_SMALL = 40  # to the baseline of its label
_BESIDE_PHOTO = 44
_LARGE_PHOTO_BONUS = 1.4  # so many times larger must overlays be to be worth a small photo

_BAR = (380, 20)
_BAR_PT = 14
_FOOTER_PT = 11
_FOOTER_LINE = 31
_FOOTER_MAX_LINES = 14
_FOOTER_BASELINE = HEIGHT_PX - 54  # of its last line

_PHOTO = "Photo"

_VIEWS: dict[ViewName, str] = {"crop": "centre crop", "whole": "whole photo"}

_MIN_SIDE = 8  # side of a picture; a longer panorama is stretched to it


@dataclass(frozen=True)
class Place:
    """A rectangle; x, y: of its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True)
class Text:
    """One line of text. y: of its baseline."""

    text: str
    x: float
    y: float
    font: Font
    subdued: bool = False


_Label = tuple[str, ...]
"""The text under a picture: the heading, the class, how sure the network is, and why it has no map
if it has none; the photo's has only the first."""

_CLASS, _SURE = 1, 2

_FORMS = (((0,), (1,), (2,), (3,)), ((0,), (1, 2), (3,)), ((0, 1, 2, 3),))
"""Which parts of a label stand in one line."""


def _label(e: Explanation) -> _Label:
    sure = f"{percentage(e.target.probability)}, rank{TIED}{e.rank}"
    heading = e.heading.replace(" for ", f" for{TIED}")
    return (heading, e.target.name, sure, *([e.degenerate] if e.degenerate else []))


def _font(part: int, size: float) -> Font:
    return Font(size, bold=part == _CLASS)


@dataclass(frozen=True)
class Plan:
    """Where everything is on the slide."""

    photo: Place
    overlays: Sequence[Place]
    bar: Place
    texts: Sequence[Text]
    worth: float


def best_plan(aspect: float, explanations: Sequence[Explanation]) -> Plan:
    """aspect: width over height of the photo. Raises ValueError if there is no room."""
    plans = [_plan(aspect, explanations, beside) for beside in (False, True)]
    if found := [plan for plan in plans if plan is not None]:
        return max(found, key=lambda plan: plan.worth)
    raise ChoiceError(f"A figure has no room for {len(explanations)} networks.")


def _plan(aspect: float, explanations: Sequence[Explanation], beside: bool) -> Plan | None:
    """beside: the photo stands beside the footer, small; else it is the first of the pictures."""
    small = _fitted(aspect, *_SMALL_PHOTO)
    left = _MARGIN + (small[0] + _BESIDE_PHOTO if beside else 0)
    bar_font, font = Font(_BAR_PT), Font(_FOOTER_PT)
    footer = _footer(explanations, font, WIDTH_PX - _MARGIN - left)

    bar_middle = _FOOTER_BASELINE - len(footer) * _FOOTER_LINE - _ABOVE_FOOTER
    bar_left = left + round(bar_font.width(NOTHING)) + 20
    bar = Place(bar_left, bar_middle - _BAR[1] // 2, *_BAR)
    photo = Place(_MARGIN, _FOOTER_BASELINE - _UNDER_SMALL - small[1], *small)
    top = min(bar.y, photo.y) if beside else bar.y
    labels: list[_Label] = [] if beside else [(_PHOTO,)]
    labels += [_label(e) for e in explanations]
    room = top - _ABOVE_BAR - _MARGIN
    grid = _best_grid(labels, len(explanations), aspect, room)
    if grid is None:
        return None
    down = _MARGIN + (room - grid.height) * 2 // 5  # a little above the middle looks centred
    places = [replace(place, y=down + place.y) for place in grid.pictures]
    texts = [replace(text, y=down + text.y) for text in grid.texts]
    if beside:
        texts.append(Text(_PHOTO, _MARGIN, _FOOTER_BASELINE, bar_font, subdued=True))
    else:
        photo, *places = places
    baseline = bar_middle + 0.36 * bar_font.pixels
    texts.append(Text(NOTHING, left, baseline, bar_font, subdued=True))
    texts.append(Text(MOST, bar.x + bar.width + 20, baseline, bar_font, subdued=True))
    for number, line in enumerate(footer, start=1 - len(footer)):
        y = _FOOTER_BASELINE + number * _FOOTER_LINE
        texts.append(Text(line, left, y, font, subdued=True))
    return Plan(photo, places, bar, texts, grid.area * (1 if beside else _LARGE_PHOTO_BONUS))


def _fitted(aspect: float, width: int, height: float) -> tuple[int, int]:
    """The largest picture of this width over height in a room of this size."""
    height = min(height, width / aspect)
    return max(round(height * aspect), _MIN_SIDE), max(round(height), _MIN_SIDE)


@dataclass(frozen=True)
class _Grid:
    """Pictures of one size in rows, with labels under them, from the top of the topmost on.

    whole: whether no word of the labels is broken or left out.
    """

    pictures: Sequence[Place]
    texts: Sequence[Text]
    height: int
    rows: int
    whole: bool

    @property
    def area(self) -> int:
        """Of one picture."""
        return self.pictures[0].width * self.pictures[0].height


def _best_grid(labels: Sequence[_Label], networks: int, aspect: float, room: int) -> _Grid | None:
    """The largest pictures in a room of this height, for labels of a good size."""
    found = {size: _largest(labels, aspect, room, size) for size in _LABEL_SIZES_PT}
    fitting = {size: grid for size, grid in found.items() if grid is not None}
    if not fitting:
        return None
    least = _LABEL_MIN_PT if networks > _USUAL_NETWORKS else _LABEL_USUAL_PT
    enough = fitting[least].area * _MIN_AREA_SHARE if least in fitting else 0
    for size, grid in fitting.items():
        if grid.whole and (size < least or grid.area >= enough):
            return grid
    return fitting[min(_LABEL_MIN_PT, max(fitting))]


def _largest(labels: Sequence[_Label], aspect: float, room: int, size: int) -> _Grid | None:
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
    labels: Sequence[_Label],
    aspect: float,
    room: int,
    size: int,
    columns: int,
    form: Sequence[Sequence[int]],
) -> _Grid | None:
    """The pictures in so many columns; None if there is no room for that. form: see `_FORMS`."""
    pitch = (WIDTH_PX - 2 * _MARGIN + _GUTTER) // columns
    rows = [labels[start : start + columns] for start in range(0, len(labels), columns)]
    captions = []
    for row in rows:
        caption = _captions(row, labels, size, pitch - _GUTTER, form)
        if caption is None:
            return None
        captions.append(caption)
    left = room - _BETWEEN_ROWS * (len(rows) - 1) - sum(caption.height for caption in captions)
    if left // len(rows) < _MIN_SIDE:
        return None
    width, height = _fitted(aspect, pitch - _GUTTER, left // len(rows))
    pictures, texts, top = [], [], 0
    for caption in captions:
        for column, written in enumerate(caption.texts):
            place = Place(_MARGIN + column * pitch, top, width, height)
            pictures.append(place)
            texts += [replace(t, x=place.x + t.x, y=top + height + t.y) for t in written]
        top += height + caption.height + _BETWEEN_ROWS
    whole = all(caption.whole for caption in captions)
    return _Grid(pictures, texts, top - _BETWEEN_ROWS, len(rows), whole)


@dataclass(frozen=True)
class _Captions:
    """The labels of one row: the texts of each from the lower left corner of its picture on."""

    texts: Sequence[Sequence[Text]]
    height: int
    whole: bool


def _captions(
    row: Sequence[_Label],
    labels: Sequence[_Label],
    size: int,
    width: int,
    form: Sequence[Sequence[int]],
) -> _Captions | None:
    """The same parts of a row's labels at the same height; None if a line of several is too wide.

    labels: those of all rows, which are aligned to one another.
    """
    texts: list[list[Text]] = [[] for _ in row]
    lines, whole = 0, True
    for parts in form:
        ends = list(accumulate((_widest(labels, part, size) for part in parts), initial=0.0))
        if len(parts) > 1 and ends[-1] > width:
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


def _widest(labels: Sequence[_Label], part: int, size: int) -> float:
    """The width of a part in a line of several, with the space after it."""
    font = _font(part, size)
    return max(
        (font.width(label[part]) + font.pixels for label in labels if part < len(label)), default=0
    )


def _way(e: Explanation) -> str:
    layer = "" if e.is_of_last_layer else f", layer {e.layer}"
    return f"{e.how}{layer}, {_VIEWS[e.view]}"


def _footer(explanations: Sequence[Explanation], font: Font, width: float) -> list[str]:
    """How the maps were made, how to read them, and the notices of the networks."""
    ways = dict.fromkeys(map(_way, explanations))
    if len(ways) > 1:
        ways = dict.fromkeys(f"{e.title}: {_way(e)}" for e in explanations)
    text = f"{' · '.join(ways)}. Each picture has a scale of its own."
    if any(e.box != (0, 0, *e.geometry.photo_size) for e in explanations):
        text += " What a network did not see is darkened."
    notices = dict.fromkeys(e.notice for e in explanations if e.notice)
    lines = [line for one in (text, *notices) for line in font.wrapped(one, width, 99)[0]]
    if len(lines) > _FOOTER_MAX_LINES:
        rest = font.cut(" ".join(lines[_FOOTER_MAX_LINES - 1 :]), width)
        lines = [*lines[: _FOOTER_MAX_LINES - 1], rest]
    return lines
