"""The words for an overlap."""

from __future__ import annotations

import itertools

import pytest

from gradcam_core.analysis.overlap_grades import GRADES, grade_of
from gradcam_core.wording import whole_percentage


@pytest.mark.parametrize(
    ("overlap", "words"),
    [
        (0.0, "different places"),
        (0.03, "different places"),
        (0.07, "few of the same places"),
        (0.11, "few of the same places"),  # as by chance
        (0.31, "some of the same places"),
        (0.499, "about half the same places"),
        (0.501, "about half the same places"),
        (0.69, "mostly the same places"),
        (0.85, "almost the same places"),
        (0.9999, "almost the same places"),
        (1.0, "the same places"),
    ],
)
def test_an_overlap_has_its_words(overlap: float, words: str):
    assert grade_of(overlap).words == words


def test_the_same_number_has_the_same_words_and_neighbours_differ_by_one_grade():
    told: dict[str, set[str]] = {}
    grades = [grade_of(n / 10_000) for n in range(10_001)]
    for n, grade in enumerate(grades):
        told.setdefault(whole_percentage(n / 10_000), set()).add(grade.words)
    assert all(len(words) == 1 for words in told.values())
    steps = {GRADES.index(b) - GRADES.index(a) for a, b in itertools.pairwise(grades)}
    assert steps == {0, 1}
