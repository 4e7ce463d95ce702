"""The figure for a slide: the photo and what each network found in it, exactly 16:9.

Lengths are in pixels of a slide of 1920 x 1080, of which a point has two; y runs downwards.
"""

from __future__ import annotations

import base64
import io
import math
import re
import threading
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any, Literal, get_args

import matplotlib
import numpy as np
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D
from PIL import Image

from gradcam_core.errors import ChoiceError
from gradcam_core.explanation import Explanation
from gradcam_core.images.geometry import ViewName
from gradcam_core.images.render import COLORMAP, OPACITY, colormap_table

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = get_args(Theme)

NOTHING = "nothing for the class"
MOST = "most evidence"
"""What the two ends of the colour bar mean."""

_WIDTH, _HEIGHT = 1920, 1080
_POINT = 2
_SHARPER = 2  # pictures have so many pixels to a pixel of the slide, for large screens and the SVG

_MARGIN = 64
_GUTTER = 26  # between columns
_BETWEEN_ROWS = 40
_UNDER_PICTURE = 16
_ABOVE_BAR = 54
_ABOVE_FOOTER = 30

_LABELS = range(22, 5, -1)  # sizes, points
_LABELS_USUAL = 20  # the least for `_NETWORKS_USUAL` networks
_NETWORKS_USUAL = 3
_LABELS_LEAST = 13  # what is smaller is taken where nothing else has room
_WORTH = 0.85  # share of their largest area that pictures may shrink to for larger labels
_ONE_ROW = 1.5  # so many times larger must pictures be to be worth a second row
_LEADING = 1.24  # of lines, in sizes
_ASCENT = 0.95
_LINES = 6  # at most, of each part of a label

_SMALL = (384, 216)  # the most of the photo beside the footer
_UNDER_SMALL = 40  # to the baseline of its label
_BESIDE_PHOTO = 44
_SAME_SIZE = 1.4  # so many times larger must overlays be to be worth a small photo

_BAR = (380, 20)
_BAR_TEXT = 14
_FOOTER_TEXT = 11
_FOOTER_LINE = 31
_FOOTER_LINES = 14
_FOOTER_BASELINE = _HEIGHT - 54  # of its last line

_PHOTO = "Photo"

_VIEWS: dict[ViewName, str] = {"crop": "centre crop", "whole": "whole photo"}

_THINNEST = 8  # side of a picture; a longer panorama is stretched to it

_FAMILY = "DejaVu Sans"  # comes with matplotlib
_TIED = "\N{NO-BREAK SPACE}"
_SLACK = 1.02  # texts are drawn with hinting, which may widen them


@dataclass(frozen=True)
class _Colours:
    background: str
    text: str
    subdued: str
    line: str


_COLOURS: dict[Theme, _Colours] = {
    "light": _Colours(background="#ffffff", text="#14171f", subdued="#555c6b", line="#c9cdd6"),
    "dark": _Colours(background="#0f1116", text="#f3f4f7", subdued="#a9b0be", line="#3d4350"),
}


def figure(
    photo: Image.Image,
    explanations: Sequence[Explanation],
    theme: Theme = "light",
    colormap: str = COLORMAP,
    opacity: float = OPACITY,
) -> Figure:
    """The photo and each network's overlay, with its name, the class explained and how sure it is.

    photo: RGB. explanations: of this photo, at least one. The photo is as large as the overlays, or
    small beside the footer where that makes these much larger. Labels have 20 points or more for up
    to three networks; for more of them they shrink, to 13 points and, where that has no room
    either, further. See `png` and `svg`. Raises ValueError for an unknown theme, or if there is no
    room for so many networks.
    """
    if theme not in THEMES:
        raise ChoiceError(f"There is no theme {theme!r}. Choose one of: {', '.join(THEMES)}.")
    colours = _COLOURS[theme]
    slide = Figure(
        figsize=(_WIDTH / 72 / _POINT, _HEIGHT / 72 / _POINT),
        dpi=72 * _POINT,
        facecolor=colours.background,
    )
    slide.set_label(", ".join(e.heading for e in explanations))
    plan = _best_plan(photo.width / photo.height, explanations)
    resized, larger = {}, photo
    for size in sorted({plan.photo.size, plan.overlays[0].size}, reverse=True):
        resized[size] = larger = _resized(larger, size)
    _draw_picture(slide, np.asarray(resized[plan.photo.size]), plan.photo, "photo")
    for e, place in zip(explanations, plan.overlays, strict=True):
        overlay = e.overlay(resized[place.size], colormap, opacity)
        _draw_picture(slide, np.asarray(overlay), place, e.heading)
    _draw_picture(slide, _bar(colormap, colours, plan.bar), plan.bar, "colour bar")
    for text in plan.texts:
        _draw_text(slide, text, colours)
    return slide


def _resized(photo: Image.Image, size: tuple[int, int]) -> Image.Image:
    sharper = size[0] * _SHARPER, size[1] * _SHARPER
    return photo.resize(sharper, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _bar(colormap: str, colours: _Colours, place: _Place) -> np.ndarray:
    """The colours from no heat to most, fading out as they do over a photo: uint8 [H, W, 3]."""
    background, line = (
        255 * np.array(to_rgb(colour)) for colour in (colours.background, colours.line)
    )
    across = np.linspace(0, 255, place.width * _SHARPER).round().astype(int)
    table = colormap_table(colormap)[across]
    opaque = table[:, 3:] / 255
    row = table[:, :3] * opaque + background * (1 - opaque)
    pixels = np.repeat(row[None], place.height * _SHARPER, axis=0)
    for edges in (pixels, pixels.swapaxes(0, 1)):  # an end may have the background's colour
        edges[:_SHARPER] = edges[-_SHARPER:] = line
    return pixels.round().astype(np.uint8)


def _draw_picture(slide: Figure, pixels: np.ndarray, place: _Place, name: str) -> None:
    """pixels: uint8 [H, W, 3]. name: of the axes."""
    bottom = _HEIGHT - place.y - place.height
    rectangle = (
        place.x / _WIDTH,
        bottom / _HEIGHT,
        place.width / _WIDTH,
        place.height / _HEIGHT,
    )
    axes = slide.add_axes(rectangle, label=name)
    axes.set_axis_off()
    picture = _Picture(axes, interpolation="none", origin="upper")
    picture.set_data(pixels)
    picture.set_extent(picture.get_extent())  # and the limits of the axes
    picture.set_clip_path(axes.patch)
    axes.add_image(picture)


class _Picture(AxesImage):
    """A picture that has as many pixels as its place is drawn as it is.

    Matplotlib would resample it all the same, which takes a hundred times its memory and three
    times the time of all the rest; and an SVG's pictures it would compress as much as it can and
    forbid to be scaled smoothly.
    """

    def draw(self, renderer: RendererBase) -> None:
        writer = getattr(renderer, "writer", None)
        if writer is None:
            return super().draw(renderer)
        pixels, file = np.asarray(self.get_array()), io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)
        data = base64.b64encode(file.getvalue()).decode()
        place, (_, top) = self.get_window_extent(renderer), renderer.get_canvas_width_height()
        writer.element(
            "image",
            x=f"{place.x0:g}",
            y=f"{top - place.y1:g}",
            width=f"{place.width:g}",
            height=f"{place.height:g}",
            attrib={"preserveAspectRatio": "none", "xlink:href": f"data:image/png;base64,{data}"},
        )
        return None

    def make_image(
        self, renderer: RendererBase, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[np.ndarray, float, float, Affine2D]:
        pixels = np.asarray(self.get_array())
        place = self.get_window_extent(renderer)
        if unsampled or not np.allclose(place.size, pixels.shape[1::-1], atol=0.01):
            return super().make_image(renderer, magnification, unsampled)
        opaque = np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)
        return np.dstack([pixels, opaque])[::-1], place.x0, place.y0, Affine2D()


def _draw_text(slide: Figure, text: _Text, colours: _Colours) -> None:
    slide.text(
        text.x / _WIDTH,
        1 - text.y / _HEIGHT,
        text.text,
        size=text.font.size,
        weight="bold" if text.font.bold else "normal",
        family=_FAMILY,
        color=colours.subdued if text.subdued else colours.text,
        ha="left",
        va="baseline",
        parse_math=False,
        usetex=False,
    )


_rendering = threading.Lock()  # matplotlib's settings belong to the whole process

_SETTINGS: dict[Any, Any] = {
    "savefig.bbox": None,
    "savefig.transparent": False,
    "svg.fonttype": "path",  # looks the same everywhere, also without the font
    "svg.hashsalt": "gradcam",
    "svg.image_inline": True,
}


def png(figure: Figure) -> bytes:
    """The figure as a PNG of 1920 x 1080 pixels. May be called by several threads."""
    canvas = _Canvas()
    with _rendering, matplotlib.rc_context(_SETTINGS):
        figure.savefig(canvas, format="rgba", dpi=72 * _POINT * _SHARPER)
    file = io.BytesIO()
    canvas.reduced.save(file, format="PNG", dpi=(72 * _POINT, 72 * _POINT))
    return file.getvalue()


class _Canvas(io.BytesIO):
    """A file that takes what matplotlib has drawn in one piece, and keeps it reduced to the pixels
    of the slide. What is drawn has 33 MB, and so had a copy of it."""

    reduced: Image.Image

    def write(self, drawn: Any) -> int:
        size = _WIDTH * _SHARPER, _HEIGHT * _SHARPER
        whole = Image.frombuffer("RGBA", size, drawn, "raw", "RGBA", 0, 1)
        self.reduced = whole.reduce(_SHARPER).convert("RGB")
        return len(drawn)


def svg(figure: Figure) -> bytes:
    """The figure as an SVG that needs nothing but itself. May be called by several threads.

    Texts are drawn as paths; the metadata has them as texts.
    """
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # the date is another each time
    metadata["Title"] = figure.get_label()
    metadata["Description"] = "\n".join(text.get_text() for text in figure.texts)
    file = io.BytesIO()
    with _rendering, matplotlib.rc_context(_SETTINGS):
        figure.savefig(file, format="svg", metadata=metadata)
    # Some readers fetch the document type from its address.
    return re.sub(rb"<!DOCTYPE[^>]*>\s*", b"", file.getvalue())


@dataclass(frozen=True)
class _Font:
    size: float  # points
    bold: bool = False

    @property
    def pixels(self) -> float:
        return self.size * _POINT

    def width(self, text: str) -> float:
        return _width_of_unit(text, self.bold) * self.pixels * _SLACK

    def wrapped(self, text: str, width: float, most: int = _LINES) -> tuple[list[str], bool]:
        """Lines no wider than this, at most so many, and whether all words are in them whole."""
        lines: list[str] = []
        whole = True
        for word in text.split(" "):
            joined = f"{lines[-1]} {word}" if lines else word
            if self.width(joined) <= width:
                lines[-1:] = [joined]
                continue
            *pieces, last = self._pieces(word, width)
            whole = whole and not pieces
            lines += [*pieces, last]
        if len(lines) > most:
            lines, whole = [*lines[: most - 1], self.cut(" ".join(lines[most - 1 :]), width)], False
        return [line.replace(_TIED, " ") for line in lines], whole

    def _pieces(self, word: str, width: float) -> list[str]:
        """The word, broken where it has hyphens, and only without them anywhere."""
        if self.width(word) <= width or len(word) < 2:
            return [word]
        fit = max(self._fitting(word, width), 1)
        at = word.rfind("-", 0, fit) + 1 or fit
        return [word[:at], *self._pieces(word[at:], width)]

    def cut(self, text: str, width: float) -> str:
        """As much of the text as fits, with an ellipsis if that is not all."""
        if self.width(text) <= width:
            return text
        fit = self._fitting(text, width - self.width("…"))
        return f"{text[:fit].rstrip(' ,·')}…"

    def _fitting(self, text: str, width: float) -> int:
        """How many letters of the text fit."""
        lengths = range(len(text) + 1)
        return max(bisect_right(lengths, width, key=lambda n: self.width(text[:n])) - 1, 0)


@lru_cache(maxsize=8192)
def _width_of_unit(text: str, bold: bool) -> float:
    font = FontProperties(family=_FAMILY, weight="bold" if bold else "normal", size=100)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 100


@dataclass(frozen=True)
class _Place:
    """A rectangle; x, y: of its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True)
class _Text:
    """One line of text. y: of its baseline."""

    text: str
    x: float
    y: float
    font: _Font
    subdued: bool = False


_Label = tuple[str, ...]
"""What stands under a picture: the heading, the class, how sure the network is, and what must be
said besides; the photo's has only the first."""

_CLASS, _SURE = 1, 2

_FORMS = (((0,), (1,), (2,), (3,)), ((0,), (1, 2), (3,)), ((0, 1, 2, 3),))
"""Which parts of a label stand in one line."""


def _label(e: Explanation) -> _Label:
    sure = f"{_percent(e.target.probability)}, rank{_TIED}{e.rank}"
    heading = e.heading.replace(" for ", f" for{_TIED}")
    return (heading, e.target.name, sure, *([e.degenerate] if e.degenerate else []))


def _font(part: int, size: float) -> _Font:
    return _Font(size, bold=part == _CLASS)


def _percent(share: float) -> str:
    # A network is never wholly sure, and rounding must not say so.
    if share >= 0.9995:
        return f">{_TIED}99.9%"
    return f"<{_TIED}0.1%" if share < 0.001 else f"{share:.1%}"


@dataclass(frozen=True)
class _Plan:
    """Where everything is on the slide."""

    photo: _Place
    overlays: Sequence[_Place]
    bar: _Place
    texts: Sequence[_Text]
    worth: float


def _best_plan(aspect: float, explanations: Sequence[Explanation]) -> _Plan:
    """aspect: width over height of the photo. Raises ValueError if there is no room."""
    plans = [_plan(aspect, explanations, beside) for beside in (False, True)]
    if found := [plan for plan in plans if plan is not None]:
        return max(found, key=lambda plan: plan.worth)
    raise ChoiceError(f"A figure has no room for {len(explanations)} networks.")


def _plan(aspect: float, explanations: Sequence[Explanation], beside: bool) -> _Plan | None:
    """beside: the photo stands beside the footer, small; else it is the first of the pictures."""
    small = _fitted(aspect, *_SMALL)
    left = _MARGIN + (small[0] + _BESIDE_PHOTO if beside else 0)
    bar_font, font = _Font(_BAR_TEXT), _Font(_FOOTER_TEXT)
    footer = _footer(explanations, font, _WIDTH - _MARGIN - left)

    bar_middle = _FOOTER_BASELINE - len(footer) * _FOOTER_LINE - _ABOVE_FOOTER
    bar_left = left + round(bar_font.width(NOTHING)) + 20
    bar = _Place(bar_left, bar_middle - _BAR[1] // 2, *_BAR)
    photo = _Place(_MARGIN, _FOOTER_BASELINE - _UNDER_SMALL - small[1], *small)
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
        texts.append(_Text(_PHOTO, _MARGIN, _FOOTER_BASELINE, bar_font, subdued=True))
    else:
        photo, *places = places
    baseline = bar_middle + 0.36 * bar_font.pixels
    texts.append(_Text(NOTHING, left, baseline, bar_font, subdued=True))
    texts.append(_Text(MOST, bar.x + bar.width + 20, baseline, bar_font, subdued=True))
    for number, line in enumerate(footer, start=1 - len(footer)):
        y = _FOOTER_BASELINE + number * _FOOTER_LINE
        texts.append(_Text(line, left, y, font, subdued=True))
    return _Plan(photo, places, bar, texts, grid.area * (1 if beside else _SAME_SIZE))


def _fitted(aspect: float, width: int, height: float) -> tuple[int, int]:
    """The largest picture of this width over height in a room of this size."""
    height = min(height, width / aspect)
    return max(round(height * aspect), _THINNEST), max(round(height), _THINNEST)


@dataclass(frozen=True)
class _Grid:
    """Pictures of one size in rows, with labels under them, from the top of the topmost on.

    whole: whether no word of the labels is broken or left out.
    """

    pictures: Sequence[_Place]
    texts: Sequence[_Text]
    height: int
    rows: int
    whole: bool

    @property
    def area(self) -> int:
        """Of one picture."""
        return self.pictures[0].width * self.pictures[0].height


def _best_grid(labels: Sequence[_Label], networks: int, aspect: float, room: int) -> _Grid | None:
    """The largest pictures in a room of this height, for labels of a good size."""
    found = {size: _largest(labels, aspect, room, size) for size in _LABELS}
    fitting = {size: grid for size, grid in found.items() if grid is not None}
    if not fitting:
        return None
    least = _LABELS_LEAST if networks > _NETWORKS_USUAL else _LABELS_USUAL
    enough = fitting[least].area * _WORTH if least in fitting else 0
    for size, grid in fitting.items():
        if grid.whole and (size < least or grid.area >= enough):
            return grid
    return fitting[min(_LABELS_LEAST, max(fitting))]


def _largest(labels: Sequence[_Label], aspect: float, room: int, size: int) -> _Grid | None:
    grids = [
        grid
        for columns in range(1, len(labels) + 1)
        for form in _FORMS
        if (grid := _arranged(labels, aspect, room, size, columns, form)) is not None
    ]
    return max(
        grids,
        key=lambda grid: (grid.whole, grid.area * (_ONE_ROW if grid.rows == 1 else 1)),
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
    pitch = (_WIDTH - 2 * _MARGIN + _GUTTER) // columns
    rows = [labels[start : start + columns] for start in range(0, len(labels), columns)]
    captions = []
    for row in rows:
        caption = _captions(row, labels, size, pitch - _GUTTER, form)
        if caption is None:
            return None
        captions.append(caption)
    left = room - _BETWEEN_ROWS * (len(rows) - 1) - sum(caption.height for caption in captions)
    if left // len(rows) < _THINNEST:
        return None
    width, height = _fitted(aspect, pitch - _GUTTER, left // len(rows))
    pictures, texts, top = [], [], 0
    for caption in captions:
        for column, written in enumerate(caption.texts):
            place = _Place(_MARGIN + column * pitch, top, width, height)
            pictures.append(place)
            texts += [replace(t, x=place.x + t.x, y=top + height + t.y) for t in written]
        top += height + caption.height + _BETWEEN_ROWS
    whole = all(caption.whole for caption in captions)
    return _Grid(pictures, texts, top - _BETWEEN_ROWS, len(rows), whole)


@dataclass(frozen=True)
class _Captions:
    """The labels of one row: the texts of each from the lower left corner of its picture on."""

    texts: Sequence[Sequence[_Text]]
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
    texts: list[list[_Text]] = [[] for _ in row]
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
                    written.append(_Text(line, x, y, font, subdued=part >= _SURE))
        lines += most
    height = math.ceil(_UNDER_PICTURE + lines * _LEADING * size * _POINT)
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


def _footer(explanations: Sequence[Explanation], font: _Font, width: float) -> list[str]:
    """How the maps were made, how to read them, and what must be said of the networks."""
    ways = dict.fromkeys(map(_way, explanations))
    if len(ways) > 1:
        ways = dict.fromkeys(f"{e.title}: {_way(e)}" for e in explanations)
    text = f"{' · '.join(ways)}. Each picture has a scale of its own."
    if any(e.box != (0, 0, *e.geometry.photo_size) for e in explanations):
        text += " What a network did not see is darkened."
    notices = dict.fromkeys(e.notice for e in explanations if e.notice)
    lines = [line for one in (text, *notices) for line in font.wrapped(one, width, 99)[0]]
    if len(lines) > _FOOTER_LINES:
        rest = font.cut(" ".join(lines[_FOOTER_LINES - 1 :]), width)
        lines = [*lines[: _FOOTER_LINES - 1], rest]
    return lines
