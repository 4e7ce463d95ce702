"""Percentages say nothing that is not so, and the same everywhere."""

from __future__ import annotations

import pytest

from gradcam_core.wording import (
    TIED,
    amount,
    amounts,
    counted_percentage,
    decimal,
    digits_of_error,
    file_name,
    percentage,
    percentage_in_sentence,
    printable,
    whole_percentage,
    whole_percentage_in_sentence,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "> 99.9 %"),
        (0.9996, "> 99.9 %"),
        (0.9949, "99.5 %"),
        (0.391, "39.1 %"),
        (0.01, "1.0 %"),
        (0.0015, "0.1 %"),
        (0.00099, "< 0.1 %"),
        (0.0, "< 0.1 %"),
    ],
)
def test_a_probability_is_rounded_to_something_true(share: float, text: str):
    assert percentage(share).replace(TIED, " ") == percentage_in_sentence(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.002, "< 1 %"), (0.005, "1 %"), (0.495, "50 %"), (0.994, "99 %"),
     (0.9951, "> 99 %"), (1.0, "100 %")],
)  # fmt: skip
def test_only_all_places_are_100_percent_and_only_none_are_0(share: float, text: str):
    assert whole_percentage(share).replace(TIED, " ") == text
    assert whole_percentage_in_sentence(share) == text


def test_a_number_stays_with_its_sign_at_the_end_of_a_line():
    assert " %" not in percentage(0.5)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.125, "0.13"), (-0.125, "\u22120.13"), (-0.004, "0.00"), (0, "0.00"), (-1.0, "\u22121.00")],
)
def test_a_negative_number_has_a_minus_sign_and_no_hyphen(value: float, written: str):
    assert decimal(value) == written


def test_a_usual_file_name_stays_as_it_is_and_a_long_one_keeps_both_ends():
    joined = "نمی\N{ZERO WIDTH NON-JOINER}دانم 👩\N{ZERO WIDTH JOINER}🚀.jpg"
    for usual in ("kaffee ☕ (2).png", joined):
        assert file_name(usual) == usual
    long = file_name(f"first{'x' * 300}.jpeg")
    assert long.startswith("firstx")
    assert long.endswith("x.jpeg")
    assert len(long) == 80


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (41.3, "41.3 years"),
        (0.0, "0 years"),
        (-0.12, "−0.12 years"),
        (12345.6, "12346 years"),
        (250123.4, "250123 years"),
        (0.0001234, "0.0001234 years"),
        (-1.2e-9, "−1.2 × 10⁻⁹ years"),
        (3e15, "3 × 10¹⁵ years"),
        (-0.0, "0 years"),
    ],
)
def test_a_value_is_written_as_people_write_it(value: float, written: str):
    assert amount(value, "years") == written
    assert amount(value, "") == written.removesuffix(" years")


@pytest.mark.parametrize(
    ("count", "total", "text"),
    [
        (0, 3, "0.0 %"),
        (3, 3, "100.0 %"),
        (2, 3, "66.7 %"),
        (1, 5000, "< 0.1 %"),
        (4999, 5000, "> 99.9 %"),
    ],
)
def test_only_all_are_100_percent(count: int, total: int, text: str):
    assert counted_percentage(count, total).replace(TIED, " ") == text


@pytest.mark.parametrize(
    ("error", "digits"),
    [(30.09, 0), (10.0, 0), (4.23, 1), (0.351, 2), (0.01, 2), (0.0, 2), (float("nan"), 2)],
)
def test_a_figure_has_the_digits_that_its_error_leaves(error: float, digits: int):
    assert digits_of_error(error) == digits


@pytest.mark.parametrize(
    ("first", "second", "written"),
    [
        (0, 4095, ("0", "4095")),
        (1000.1, 1000.4, ("1000.1", "1000.4")),
        (300.0004, 300.0001, ("300.0004", "300.0001")),
        (-1e-9, 1e300, ("−1 × 10⁻⁹", "1 × 10³⁰⁰")),
        (3_000_000_000, 3_000_000_500, ("3000000000", "3000000500")),
        (1999.5, 1999.5, ("1999.5", "1999.5")),
    ],
)
def test_two_amounts_can_be_told_apart(first: float, second: float, written: tuple[str, str]):
    assert amounts(first, second) == written


def test_what_moves_a_terminal_is_written_out():
    name = "a\x1b[2J\n\u202egpj\u2028\x85é 猫 👩\u200d🚀\u3000.jpg"
    assert printable(name) == "a\\x1b[2J\\n\\u202egpj\\u2028\\x85é 猫 👩\u200d🚀\u3000.jpg"
