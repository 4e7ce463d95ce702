"""Printing to a terminal, pipe or log that lacks a character: something like it is printed instead,
so that nothing that was computed is lost to a sign that could not be shown."""

from __future__ import annotations

import codecs
import sys
import unicodedata

_LIKE = {
    "…": "...",
    "×": "x",
    "÷": "/",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "←": "<-",
    "≤": "<=",
    "≥": ">=",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "«": '"',
    "»": '"',
    "•": "*",
    "·": "*",
    "±": "+-",
    "°": " degrees",
    "ß": "ss",
    "æ": "ae",
    "ø": "o",
    "ł": "l",
}

_HANDLER = "gradcam-something-like-it"


def print_whatever_can_be_shown() -> None:
    """From now on, no character keeps this process from printing."""
    codecs.register_error(_HANDLER, _something_like_it)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not None, nor what a notebook or a test has instead
            stream.reconfigure(errors=_HANDLER)


def _something_like_it(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_like(letter, error.encoding) for letter in text), error.end


def _like(letter: str, encoding: str) -> str:
    # "é" is an e with an accent, and "ﬁ" an f and an i.
    bare = (
        part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part)
    )
    for text in (_LIKE.get(letter, letter), "".join(bare)):
        try:
            text.encode(encoding)
        except UnicodeError:
            continue
        if text:
            return text
    return "?"
