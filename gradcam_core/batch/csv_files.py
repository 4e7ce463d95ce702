"""Separators, field sizes and text encodings of CSV files from any program."""

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
_MOSTLY = 0.6  # of the characters of a list of paths, which may have some that are not ASCII

_FIELD_LETTERS = 2**30  # no field of a file that fits into memory is longer


def allow_long_fields() -> None:
    """Raises the csv module's limit of 131,072 characters, which texts or base64 may exceed."""
    if csv.field_size_limit() < _FIELD_LETTERS:
        csv.field_size_limit(_FIELD_LETTERS)


def encoding_by_mark(data: bytes) -> str | None:
    """The encoding of a file's first bytes: by their byte order mark, or UTF-16 if every other byte
    is zero, as for ASCII letters. None if neither applies."""
    named = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if named or len(data) < 4:
        return named
    first, second = data[:_HEAD_BYTES:2], data[1:_HEAD_BYTES:2]
    for zeros, others, name in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        if zeros.count(0) > _MOSTLY * len(zeros) and 0 not in others:
            return name
    return None
