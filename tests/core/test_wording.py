"""Percentages say nothing that is not so."""

from __future__ import annotations

import pytest

from gradcam_core.wording import decimal, percentage, percentage_in_sentence


@pytest.mark.parametrize(
    ("share", "label", "in_sentence"),
    [
        (1.0, "> 99.9 %", "more than 99 %"),
        (0.9996, "> 99.9 %", "more than 99 %"),
        (0.9949, "99.5 %", "99 %"),
        (0.391, "39.1 %", "39 %"),
        (0.01, "1.0 %", "1 %"),
        (0.0015, "0.1 %", "0.15 %"),
        (0.00099, "< 0.1 %", "0.1 %"),
        (0.0, "< 0.1 %", "less than 0.01 %"),
    ],
)
def test_a_percentage_is_rounded_to_something_true(share: float, label: str, in_sentence: str):
    assert percentage(share).replace("\N{NO-BREAK SPACE}", " ") == label
    assert percentage_in_sentence(share) == in_sentence


def test_a_number_stays_with_its_sign_at_the_end_of_a_line():
    assert " %" not in percentage(0.5)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.125, "0.13"), (-0.125, "\u22120.13"), (-0.004, "0.00"), (0, "0.00"), (-1.0, "\u22121.00")],
)
def test_a_negative_number_has_a_minus_sign_and_no_hyphen(value: float, written: str):
    assert decimal(value) == written
