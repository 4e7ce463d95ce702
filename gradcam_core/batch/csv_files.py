"""What CSV files have in common, whoever wrote them: separators, and how the text is encoded."""

from __future__ import annotations

import codecs
import csv

SEPARATORS = (",", ";", "\t", "|")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_HEAD_BYTES = 4096
_MOSTLY = 0.6  # of the letters of a list with paths

_FIELD_LETTERS = 2**30  # as many as a file has that fits into memory


def allow_long_fields() -> None:
    """Python's own limit is 131,072 letters, which a column of texts or of base64 may exceed."""
    if csv.field_size_limit() < _FIELD_LETTERS:
        csv.field_size_limit(_FIELD_LETTERS)


def encoding_by_mark(data: bytes) -> str | None:
    """The encoding that the first bytes of a file name, or that its zeros show: every other byte
    of plain letters in UTF-16; None where there is none."""
    named = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if named or len(data) < 4:
        return named
    first, second = data[:_HEAD_BYTES:2], data[1:_HEAD_BYTES:2]
    for zeros, others, name in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        if zeros.count(0) > _MOSTLY * len(zeros) and 0 not in others:
            return name
    return None
