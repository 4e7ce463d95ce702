"""What CSV files have in common, whoever wrote them: separators, and how the text is encoded."""

from __future__ import annotations

import codecs
import csv

SEPARATORS = (",", ";", "\t")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_FIELD_LETTERS = 2**30  # as many as a file has that fits into memory


def allow_long_fields() -> None:
    """Python's own limit is 131,072 letters, which a column of texts or of base64 may exceed."""
    if csv.field_size_limit() < _FIELD_LETTERS:
        csv.field_size_limit(_FIELD_LETTERS)


def encoding_by_mark(data: bytes) -> str | None:
    """The encoding that the first bytes of a file name; None where they name none."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
