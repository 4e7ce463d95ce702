"""The layout of the slide: pictures in rows, labels under them, colour bar and footer.

matplotlib's constrained layout supports neither wrapped text nor a grid that depends on its text.
With subfigures and `wrap=True` or `textwrap`, labels overlapped or were cut in 8 of 8 cases (3 and
6 networks with long names, two shapes of photos).

Lengths are in pixels of the slide; y runs downwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradcam_core.cam.methods.registry import method_named
from gradcam_core.errors import ChoiceError
from gradcam_core.explanation.result import Explanation
from gradcam_core.export.fonts import drawable
from gradcam_core.export.grid import Label, Place, Text, best_grid, fitted
from gradcam_core.export.text import Font
from gradcam_core.wording import TIED, percentage

NOTHING, MOST = "nothing for the class", "most evidence"
"""Labels of the two ends of the colour bar."""

MOST_AGAINST, MOST_FOR = "against the class", "for the class"
FOR_OTHER, FOR_OTHERS = "for the other class", "for the others"
"""The same for signed maps. With a contrast, the lower end is for the other class or classes."""

LEAST_HEAT, MOST_HEAT = "no heat", "most heat"
"""The same for methods that do not depend on the class, and for networks that predict values."""

LOWERS, RAISES = "lowers the value", "raises the value"
"""The same for signed maps of values."""

WIDTH_PX, HEIGHT_PX = 1920, 1080

_MARGIN = 64
_ABOVE_BAR = 54
_ABOVE_FOOTER = 30

_SMALL_PHOTO = (384, 216)  # largest size of a photo beside the footer
_UNDER_SMALL = 40  # from the photo to the baseline of its label
_BESIDE_PHOTO = 44
_LARGE_PHOTO_BONUS = 1.4  # a small photo must make overlays larger by this factor

_BAR = (380, 20)
_BAR_PT = 14
_FOOTER_PT = 11
_FOOTER_LINE = 31
_FOOTER_MAX_LINES = 14
_UNDER_SENTENCES = 12  # between the sentences and the footer
_FOOTER_BASELINE = HEIGHT_PX - 54  # of its last line

# To make room for sentences, overlays may shrink to the smaller of these:
_ENOUGH_AREA = 200 * 200
_MIN_AREA_SHARE = 0.5  # of their area without sentences

_PHOTO = "Photo"


def _label(e: Explanation) -> Label:
    sure = f"{percentage(e.target.probability)}, rank{TIED}{e.rank}"
    if e.unit is not None:
        sure = _together(e.score(e.target))
    heading = e.heading.replace(" for ", f" for{TIED}")
    more = filter(None, (_together(e.unusual), e.degenerate))
    return tuple(map(drawable, (heading, e.question, sure, *more)))


@dataclass(frozen=True)
class Plan:
    """Where everything is on the slide. worth: the higher, the better the layout."""

    photo: Place
    overlays: Sequence[Place]
    bar: Place
    texts: Sequence[Text]
    worth: float

    @property
    def area(self) -> int:
        """The area of one overlay."""
        return self.overlays[0].width * self.overlays[0].height


def best_plan(
    aspect: float, explanations: Sequence[Explanation], sentences: Sequence[str] = ()
) -> Plan:
    """The layout with the largest overlays. aspect: width / height of the photo. sentences: about
    the findings, the most important first; the last are left out if overlays would become too
    small. Raises ChoiceError if there is no room for so many networks."""

    def best(count: int) -> Plan | None:
        plans = [_plan(aspect, explanations, sentences[:count], beside) for beside in (False, True)]
        return max(filter(None, plans), key=lambda plan: plan.worth, default=None)

    without = best(0)
    if without is None:
        raise ChoiceError(f"A figure has no room for {len(explanations)} networks.")
    least = min(_ENOUGH_AREA, _MIN_AREA_SHARE * without.area)
    for count in range(len(sentences), 0, -1):
        plan = best(count)
        if plan and plan.area >= least:
            return plan
    return without


def _plan(
    aspect: float, explanations: Sequence[Explanation], sentences: Sequence[str], beside: bool
) -> Plan | None:
    """The layout; None if there is no room. beside: whether the photo is small and beside the
    footer; otherwise it is the first picture of the grid."""
    small = fitted(aspect, *_SMALL_PHOTO)
    bar_font, font = Font(_BAR_PT), Font(_FOOTER_PT)
    small_width = max(small[0], math.ceil(bar_font.width(_PHOTO)))
    left = _MARGIN + (small_width + _BESIDE_PHOTO if beside else 0)
    width = WIDTH_PX - _MARGIN - left
    footer = _footer(explanations, font, width)
    text = drawable(_together(" ".join(sentences)))
    said = font.wrapped(text, width, 99)[0] if sentences else ()
    said_baseline = (
        _FOOTER_BASELINE - len(footer) * _FOOTER_LINE - (_UNDER_SENTENCES if said else 0)
    )
    bar_middle = said_baseline - len(said) * _FOOTER_LINE - _ABOVE_FOOTER
    has_values = any(e.unit is not None for e in explanations)
    is_of_class = not has_values and all(method_named(e.method).knows_class for e in explanations)
    lowest, highest = (NOTHING, MOST) if is_of_class else (LEAST_HEAT, MOST_HEAT)
    if is_of_class and all(e.contrast for e in explanations):
        lowest += " rather than others"
    if explanations[0].signed_map is not None:
        lowest, highest = (LOWERS, RAISES) if has_values else (MOST_AGAINST, MOST_FOR)
        if all(e.contrast for e in explanations):
            lowest = FOR_OTHER if all(len(e.contrast) == 1 for e in explanations) else FOR_OTHERS
    bar_left = left + round(bar_font.width(lowest)) + 20
    bar = Place(bar_left, bar_middle - _BAR[1] // 2, *_BAR)
    photo = Place(_MARGIN, _FOOTER_BASELINE - _UNDER_SMALL - small[1], *small)
    top = min(bar.y, photo.y) if beside else bar.y
    of_photo: tuple[Label, ...] = () if beside else ((_PHOTO,),)
    labels = (*of_photo, *map(_label, explanations))
    room = top - _ABOVE_BAR - _MARGIN
    grid = best_grid(labels, len(explanations), aspect, WIDTH_PX - 2 * _MARGIN, room)
    if grid is None:
        return None
    down = _MARGIN + (room - grid.height) * 2 // 5  # a little above the middle looks centred
    places = [replace(one, x=_MARGIN + one.x, y=down + one.y) for one in grid.pictures]
    texts = [replace(one, x=_MARGIN + one.x, y=down + one.y) for one in grid.texts]
    if beside:
        texts.append(Text(_PHOTO, _MARGIN, _FOOTER_BASELINE, bar_font, subdued=True))
    else:
        photo, *places = places
    baseline = bar_middle + 0.36 * bar_font.pixels
    texts.append(Text(lowest, left, baseline, bar_font, subdued=True))
    texts.append(Text(highest, bar.x + bar.width + 20, baseline, bar_font, subdued=True))
    for lines, last in ((said, said_baseline), (footer, _FOOTER_BASELINE)):
        for number, line in enumerate(lines, start=1 - len(lines)):
            y = last + number * _FOOTER_LINE
            texts.append(Text(line, left, y, font, subdued=lines is footer))
    return Plan(photo, places, bar, texts, grid.area * (1 if beside else _LARGE_PHOTO_BONUS))


def _together(text: str) -> str:
    """Ties numbers to their signs, so that no line breaks between them: "< 0.1 %", "2 ×"."""
    return re.sub(r"(?<=[<>]) (?=\d)| (?=[%×])", TIED, text)


def _way(e: Explanation) -> str:
    layer = "" if e.is_of_last_layer else f", {e.layer_title}"
    return f"{e.how}{layer}, {e.view_title}"


def _footer(explanations: Sequence[Explanation], font: Font, width: float) -> list[str]:
    """Lines on how the maps were made, how to read them, and notices of the photo and networks."""
    ways = dict.fromkeys(map(_way, explanations))
    if len(ways) > 1:
        ways = dict.fromkeys(f"{e.title}: {_way(e)}" for e in explanations)
    text = f"{' · '.join(ways)}. Each picture has a scale of its own."
    if any(e.box != (0, 0, *e.geometry.photo_size) for e in explanations):
        text += " What a network did not see is darkened."
    notices = dict.fromkeys(notice for e in explanations for notice in e.photo_notices)
    notices |= dict.fromkeys(e.notice for e in explanations if e.notice)
    texts = map(drawable, (text, *notices))
    lines = [line for one in texts for line in font.wrapped(one, width, 99)[0]]
    if len(lines) > _FOOTER_MAX_LINES:
        rest = font.cut(" ".join(lines[_FOOTER_MAX_LINES - 1 :]), width)
        lines = [*lines[: _FOOTER_MAX_LINES - 1], rest]
    return lines
