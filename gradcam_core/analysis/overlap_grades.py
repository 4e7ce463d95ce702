"""Words for how alike the places are where networks look, the same for the page, the report, the
API and the command line.

Neighbouring grades have similar words, so that overlaps on either side of a border do not read as
opposites; and the number stands beside the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradcam_core.wording import decimal


@dataclass(frozen=True)
class Grade:
    """Words for a range of overlaps. least: its lowest overlap, in whole percents as displayed.
    group: for colours."""

    least: int
    words: str
    group: Literal["different", "partly", "same"]

    @property
    def is_near_chance(self) -> bool:
        """Whether the overlap expected by chance should stand beside the number."""
        return self.group == "different"


GRADES = (
    Grade(0, "different places", "different"),
    Grade(5, "few of the same places", "different"),
    Grade(20, "some of the same places", "partly"),
    Grade(40, "about half the same places", "partly"),
    Grade(60, "mostly the same places", "same"),
    Grade(80, "almost the same places", "same"),
    Grade(100, "the same places", "same"),
)
"""From no overlap to a full one. Two fifths placed at random overlap by 11 %."""


def grade_of(overlap: float) -> Grade:
    """The grade of an overlap (intersection over union) in [0, 1]. It depends on the percentage as
    displayed, so that the same number has the same words."""
    percents = min(int(decimal(100 * overlap, 0)), 100 if overlap >= 1 else 99)
    return next(grade for grade in reversed(GRADES) if grade.least <= percents)
