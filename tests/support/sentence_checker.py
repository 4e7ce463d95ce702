"""Reads the sentences about several explanations of one photo and compares each statement with the
numbers behind it.

It is independent of the code that makes the sentences: it finds names, numbers and words by regular
expressions and recomputes what they say. A sentence that it does not understand is an error, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.support.photo_facts import PhotoFacts
from tests.support.place_checker import check_alike, check_cut_off, check_no_map, check_places
from tests.support.prediction_checker import (
    check_guessing,
    check_improbable,
    check_predictions,
    check_says_too,
    check_undecided,
    check_unsure,
    check_values,
)

CHECKS: dict[str, Callable[[PhotoFacts, str], None]] = {
    r"\(overlap ": check_alike,
    r" reaches the edge of ": check_cut_off,
    r"^the heat of ": check_places,
    r"\bha(s no|s a) map\b": check_no_map,
    r" is improbable ": check_improbable,
    r" than guessing ": check_guessing,
    r" undecided: ": check_undecided,
    r" unsure": check_unsure,
    r", too \(": check_says_too,
    r" says that ": check_values,
    r" says? | see ": check_predictions,
}
"""For patterns of words, the check of a sentence that contains them; the first match counts."""


def check(facts: PhotoFacts, sentences: Sequence[str]) -> list[str]:
    """Raises AssertionError for a wrong statement. Returns the name of each sentence's check."""
    found = []
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z].*[^.]\.", sentence), sentence
        assert not re.search(r"-\d|(?<! is )\u2212|\u00a0|  | ,| ;|,,|;;", sentence), sentence
        text = sentence[:-1]
        if not text.startswith(tuple(facts.e)):
            text = text[0].lower() + text[1:]
        fitting = [kind for words, kind in CHECKS.items() if re.search(words, text)]
        assert fitting, f"not understood: {sentence}"
        fitting[0](facts, text)
        found.append(fitting[0].__name__)
    return found
