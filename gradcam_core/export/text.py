"""Texts in a figure: measuring them, breaking them into lines, and drawing them.

matplotlib's own `wrap=True` breaks at the edge of the figure instead of a column, and does not
report how many lines it made; the layout needs both.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from gradcam_core.export.fonts import families, in_order, is_inside_letter
from gradcam_core.wording import TIED

PIXELS_A_POINT = 2

_MAX_LINES = 6  # of each part of a label
_SLACK = 1.02  # texts are drawn with hinting, which may widen them


@dataclass(frozen=True)
class Font:
    """A font of one size and weight. Widths in its methods are in pixels."""

    size: float  # points
    bold: bool = False

    @property
    def pixels(self) -> float:
        return self.size * PIXELS_A_POINT

    def width(self, text: str) -> float:
        return _width_of_unit(text, self.bold) * self.pixels * _SLACK

    def wrapped(
        self, text: str, width: float, max_lines: int = _MAX_LINES
    ) -> tuple[tuple[str, ...], bool]:
        """The text in at most max_lines lines that fit the width, and whether all its words are
        whole."""
        return _wrapped(self, text, width, max_lines)

    def pieces(self, word: str, width: float) -> list[str]:
        """The word in pieces that fit the width, broken after a hyphen where possible."""
        if self.width(word) <= width or len(word) < 2:
            return [word]
        fit = max(self._fitting(word, width), 1)
        at = word.rfind("-", 0, fit) + 1 or fit
        while is_inside_letter(word, at):
            at += 1
        if at == len(word):
            return [word]
        return [word[:at], *self.pieces(word[at:], width)]

    def cut(self, text: str, width: float) -> str:
        """As much of the text as fits, with an ellipsis if some is left out."""
        if self.width(text) <= width:
            return text
        fit = self._fitting(text, width - self.width("…"))
        while is_inside_letter(text, fit):
            fit -= 1
        return f"{text[:fit].rstrip(' ,·')}…"

    def _fitting(self, text: str, width: float) -> int:
        """How many characters of the text fit."""
        lengths = range(len(text) + 1)
        return max(bisect_right(lengths, width, key=lambda n: self.width(text[:n])) - 1, 0)


def draw_line(figure: Figure, text: str, x: float, y: float, font: Font, colour: str) -> None:
    """Draw one line of text. x, y: start of its baseline in pixels; y runs downwards."""
    width, height = figure.get_size_inches() * 72 * PIXELS_A_POINT
    figure.text(
        x / width,
        1 - y / height,
        in_order(text),
        size=font.size,
        weight="bold" if font.bold else "normal",
        family=families(text),
        color=colour,
        parse_math=False,
        usetex=False,
    )


@lru_cache(maxsize=8192)
def _width_of_unit(text: str, bold: bool) -> float:
    font = FontProperties(family=families(text), weight="bold" if bold else "normal", size=100)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 100


@lru_cache(maxsize=8192)  # the layout tries the same columns with each number of sentences
def _wrapped(font: Font, text: str, width: float, max_lines: int) -> tuple[tuple[str, ...], bool]:
    lines: list[str] = []
    whole, space, length = True, font.width(" "), 0.0
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines else word
        # Adds up widths of words, and measures the line only where kerning may decide: measuring
        # it again for each word took most of the layout's time.
        longer = length + space + font.width(word) if lines else font.width(word)
        if abs(longer - width) < font.pixels:
            longer = font.width(joined)
        if longer <= width:
            lines[-1:], length = [joined], longer
            continue
        *pieces, last = font.pieces(word, width)
        whole = whole and not pieces
        lines += [*pieces, last]
        length = font.width(last)
    if len(lines) > max_lines:
        rest = font.cut(" ".join(lines[max_lines - 1 :]), width)
        lines, whole = [*lines[: max_lines - 1], rest], False
    return tuple(line.replace(TIED, " ") for line in lines), whole
