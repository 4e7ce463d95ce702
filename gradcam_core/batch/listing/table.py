"""The pictures of Parquet files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradcam_core.batch.labels.label_column import (
    TEXTS,
    check_label_column,
    label_of,
    names_of_numbers,
)
from gradcam_core.batch.listing.path_list import NAMED_TWICE
from gradcam_core.batch.listing.source import (
    UNREAD,
    Found,
    Pictures,
    PictureSource,
    Skipped,
    key_digest,
    pictures_of,
)
from gradcam_core.errors import PicturesError
from gradcam_core.images.remote.fetch import is_address
from gradcam_core.wording import first_line

_ROWS_AT_ONCE = 16  # few, because rows with pictures are large


def in_tables(files: Sequence[Path], label_column: str | None) -> Pictures:
    """The pictures of Parquet files: see `_rows`. label_column: the column of their labels, if any.
    Raises PicturesError if a file cannot be read, lacks a column, or if all are empty."""
    count = 0
    for file in files:
        with _opened(file) as table:
            _columns(table.schema_arrow, file)
            if label_column is not None:
                check_label_column(table.schema_arrow, label_column, file)
            count += table.metadata.num_rows
    if not count:
        raise PicturesError(f"{files[0]} has no rows")
    walk = partial(_rows, files, label_column)
    return pictures_of(count, walk, partial(walk, is_read=False))


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, memory_map=False)
    except PermissionError as error:
        raise PicturesError(f"{file} cannot be read: Permission denied") from error
    except (OSError, pa.ArrowException) as error:
        raise PicturesError(
            f"{file} cannot be read as a Parquet file: {first_line(error)}"
        ) from error


def _rows(
    files: Sequence[Path], label_column: str | None = None, is_read: bool = True
) -> Iterator[Found]:
    """Yields the pictures of tables.

    Bytes of picture files are in the column `bytes` or `image`, or else in the only binary column.
    Paths are in the column `path` or, if there are no bytes, in the only column of strings. They
    start at the table's folder or, if they are not there, at the current one. A column of structs
    {bytes, path}, as in Hugging Face's data sets, has both.

    Keys are the paths as they stand; bytes without a path have the key `row-<n>`, counted over all
    files from 0. A path without bytes that comes again is skipped. Bytes under a path that comes
    again are another picture, with the key `<path>#row-<n>`.
    """
    known: set[bytes] = set()
    number = 0
    for file in files:
        with _opened(file) as table:
            schema = table.schema_arrow
            path_name, data_name = _columns(schema, file)
            numbered = label_column and names_of_numbers(schema, label_column)
            pictures = [path_name, data_name]
            if not is_read:
                pictures = [path_name if path_name != data_name else f"{path_name}.path"]
            columns = [name for name in (*pictures, label_column) if name]
            try:
                for batch in table.iter_batches(_ROWS_AT_ONCE, columns=columns):
                    pairs = _pairs(batch, path_name, data_name, is_read)
                    for (path, data), value in zip(
                        pairs, _values(batch, label_column), strict=True
                    ):
                        source = _source(path or None, data or None, number, file.parent, known)
                        if isinstance(source, PictureSource) and label_column:
                            label = label_of(value, numbered or None, label_column, file)
                            source = replace(source, label=label)
                        yield source
                        number += 1
            except (OSError, pa.ArrowException) as error:
                raise PicturesError(f"{file} is damaged: {first_line(error)}") from error


def _source(
    path: str | None, data: bytes | None, number: int, folder: Path, known: set[bytes]
) -> Found:
    key = path or f"row-{number}"
    digest = key_digest(key)
    is_known = digest in known
    known.add(digest)
    if is_known and data is None:
        return Skipped(key, NAMED_TWICE)
    if data is not None:
        return PictureSource(f"{key}#row-{number}" if is_known else key, None, data)
    if path is None:
        return PictureSource(key)
    if is_address(path):
        return PictureSource(key, address=path)
    beside = folder / path
    return PictureSource(key, str(beside if os.path.lexists(beside) else Path(path).absolute()))


def _columns(schema: pa.Schema, file: Path) -> tuple[str | None, str | None]:
    """The names of the columns of paths and of bytes; the same name twice for a column of structs.
    Raises PicturesError if there is neither."""
    structs = [
        field.name
        for field in schema
        if pa.types.is_struct(field.type)
        and {"bytes", "path"} <= {inner.name for inner in field.type}
    ]
    if structs:
        name = "image" if "image" in structs else structs[0]
        return name, name
    data = _named(schema, _is_binary, ("bytes", "image"))
    path = _named(schema, _is_text, ("path",), is_needed=data is None)
    if path is None and data is None:
        there = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise PicturesError(
            f"{file} has no column of pictures: name one of paths (string) `path`, or one of bytes "
            f"(binary) `bytes`; it has {there or 'none'}"
        )
    return path, data


def _named(
    schema: pa.Schema,
    is_fit: Callable[[pa.DataType], bool],
    usual: Sequence[str],
    is_needed: bool = True,
) -> str | None:
    fit = [field.name for field in schema if is_fit(field.type)]
    for name in usual:
        if name in fit:
            return name
    return fit[0] if is_needed and len(fit) == 1 else None


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_of(kind) for is_of in TEXTS)


def _is_binary(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    types = pa.types
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _pairs(
    batch: pa.RecordBatch, path: str | None, data: str | None, is_read: bool
) -> Iterator[tuple[str | None, bytes | None]]:
    if path == data:
        for row in batch.column(path).to_pylist():
            if row is None:
                yield None, None
            else:
                yield row["path"], row["bytes"] if is_read else UNREAD
        return
    unread = [UNREAD] * batch.num_rows if data else [None] * batch.num_rows
    contents = _values(batch, data) if is_read else unread
    yield from zip(_values(batch, path), contents, strict=True)


def _values(batch: pa.RecordBatch, name: str | None) -> Sequence[Any]:
    return batch.column(name).to_pylist() if name else [None] * batch.num_rows
