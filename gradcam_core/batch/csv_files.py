"""What CSV files have in common, whoever wrote them: separators, and how the text is encoded."""

from __future__ import annotations

import codecs

SEPARATORS = (",", ";", "\t")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_by_mark(data: bytes) -> str | None:
    """The encoding that the first bytes of a file name; None where they name none."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
