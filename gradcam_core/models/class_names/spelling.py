"""Which spellings are of the same word, and which may be slips of it."""

from __future__ import annotations

import re
import unicodedata

_AROUND = " \"'“”‘.,:;?!"  # may surround a word, but are no part of it

_ACCENTS = re.compile("[\u0300-\u036f]")

_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_])[\s_'-]+(?=[^\W\d_])")

_SHORT, _LONG = 5, 8  # letters from which a word may have one slip, or two
"""A shorter word may only have a letter too often or two letters exchanged: other changes mostly
make words of their own, in this or another language."""


def plain(text: str) -> str:
    """The text in lower case, without accents and surrounding marks: "cafe" for "“Café”?"."""
    letters = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'"))
    return unicodedata.normalize("NFC", _ACCENTS.sub("", letters)).strip(_AROUND)


def squeezed(text: str) -> str:
    """The `plain` text without spaces and hyphens between letters: "shihtzu" for "Shih-Tzu"."""
    return _BETWEEN_LETTERS.sub("", plain(text))


def as_heard(word: str) -> str:
    """Roughly how a word sounds: equal for "chihuahua" and "chiwawa", "elephant" and "elefant"."""
    first = {"c": "k", "x": "z"}.get(word[:1], word[:1])  # "kanoe", "zylophone"
    return (first + word[1:]).replace("hua", "wa").replace("ph", "f")


def is_slip(word: str, other: str) -> bool:
    """Whether a word may be the other one, mistyped or misheard."""
    if len(word) < _SHORT and set(word) != set(other):
        return False
    return _edits(word, other) <= (1 if len(word) < _LONG else 2)


def _edits(word: str, other: str) -> int:
    """How many letters to remove, insert, replace, or exchange with the next."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        row = [i]
        for j, beside in enumerate(other, 1):
            best = min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != beside))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == beside:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, above = above, row
    return above[-1]
