"""Labels in a column of a Parquet file: names or indices of classes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from gradcam_core.errors import PicturesError

TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_KINDS = (
    *TEXTS,
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_null),
)


def check_label_column(schema: pa.Schema, name: str, file: Path) -> None:
    """Raises PicturesError if the column is missing, or is neither text nor numbers."""
    if name not in schema.names:
        others = ", ".join(one for one in schema.names) or "none"
        raise PicturesError(f"{file} has no column {name} of labels; it has {others}")
    kind = schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(fits(kind) for fits in _KINDS):
        raise PicturesError(
            f"the column {name} of {file} is neither text nor whole numbers but {kind}: a label is "
            "the name or index of a class"
        )


def names_of_numbers(schema: pa.Schema, column: str) -> Sequence[str] | None:
    """The names that the numbers of a column stand for in Hugging Face's data sets, where they are
    classes of the data set, not of a network; None if the file does not state names."""
    try:
        said = json.loads((schema.metadata or {})[b"huggingface"])
        names = said["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def label_of(
    value: object, names: Sequence[str] | None, column: str, file: Path
) -> str | int | None:
    """The label in a cell: the name or the index of a class, None if it has none. names: what
    numbers stand for; None if they are indices of a network's classes. Raises PicturesError for a
    number that is not whole."""
    if isinstance(value, float):
        if math.isnan(value):  # how columns of numbers mark a missing value
            return None
        if not value.is_integer():
            raise PicturesError(
                f"the column {column} of {file} has {value:g}, which is not the index of a class"
            )
        value = int(value)
    if isinstance(value, int):
        if names is None:
            return value
        return names[value] if 0 <= value < len(names) else None
    return str(value).strip() or None if value is not None else None
