"""The pictures of a batch: those of a folder, of a pattern, or of Parquet files, one after the
other, so that a million of them take no more memory than a few."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gradcam_core.batch.label_column import check_label_column, label_of, names_of_numbers
from gradcam_core.errors import PicturesError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff"),
    *(".bmp", ".dib", ".avif", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""File name suffixes of the pictures in a folder, in lower case."""

NOTHING_THERE = "This row has neither the bytes of a picture nor a path."

UNREAD = b"\0"
"""In place of the bytes of a picture, where they do not matter."""

_ROWS_AT_ONCE = 16  # of a Parquet file: with pictures in them, rows are large

_WILD = "*?["


@dataclass(frozen=True)
class PictureSource:
    """One picture that is to be read.

    key: its name in the data set, unique. path: of its file, or data: its bytes; both None where a
    table has a row without a picture. label: what it truly is, by the name or index of a class;
    None if that is not known.
    """

    key: str
    path: str | None = None
    data: bytes | None = None
    label: str | int | None = None


@dataclass(frozen=True)
class Pictures:
    """Pictures, and a way to walk through them, always in the same order.

    count: how many there are at most; a table may name some twice. walk_unread: the same pictures
    in the same order, but where they are bytes, these are not read: `data` is `UNREAD`.
    """

    count: int
    walk: Callable[[], Iterator[PictureSource]]
    walk_unread: Callable[[], Iterator[PictureSource]]


def find_pictures(where: str, leave_out: Path, label_column: str | None = None) -> Pictures:
    """The pictures of a folder and the folders in it, a pattern in the manner of a shell (`**` for
    any depth), a Parquet file or a pattern for several, or a single file.

    leave_out: a folder that is not looked into: that of the results. Hidden files and folders are
    not looked at either. A folder's pictures are known by their `SUFFIXES`, and their keys are
    paths relative to it, or to the part of the pattern without wildcards. See `_rows` for tables,
    of which `label_column` has the labels.
    Raises PicturesError if there are none, or no such column; `walk` raises it where something
    cannot be read.
    """
    path, left_out = Path(where), _absolute(leave_out)
    if path.is_dir():
        _refuse_column(where, label_column)
        return _counted(where, partial(_in_folder, _absolute(path), "", left_out))
    if path.is_file():
        if path.suffix.lower() == ".parquet":
            return _tables([_absolute(path)], label_column)
        _refuse_column(where, label_column)
        one = _file(_absolute(path), path.name)
        return Pictures(1, lambda: iter([one]), lambda: iter([one]))
    if not any(sign in where for sign in _WILD):
        raise PicturesError(
            f"there is no folder or file {where}; PHOTOS is a folder, a pattern in quotes such as "
            "'photos/*.jpg', or a Parquet file"
        )
    matches = partial(_matching, where, left_out)
    if (first := next(matches(), None)) and Path(first.path or "").suffix.lower() == ".parquet":
        return _tables(sorted(Path(match.path or "") for match in matches()), label_column)
    _refuse_column(where, label_column)
    return _counted(where, matches)


def _refuse_column(where: str, label_column: str | None) -> None:
    if label_column is not None:
        raise PicturesError(
            f"labels are in a column of a Parquet file only, and {where} is none: use "
            "--labels folder, or a CSV file"
        )


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _counted(where: str, walk: Callable[[], Iterator[PictureSource]]) -> Pictures:
    count = sum(1 for _ in walk())
    if not count:
        raise PicturesError(f"there is no picture in {where}")
    return Pictures(count, walk, walk)


def _file(path: Path, key: str) -> PictureSource:
    return PictureSource(text_of_name(key), str(path))


def text_of_name(name: str) -> str:
    """A file's name as text, which one that is no UTF-8 could not be written into a data set as."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _in_folder(folder: Path, prefix: str, left_out: Path) -> Iterator[PictureSource]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((e.name, e.is_dir(follow_symlinks=False), e.is_file()) for e in found)
    except OSError as error:
        raise PicturesError(
            f"the folder {folder} cannot be read: {error.strerror or error}"
        ) from error
    for name, is_folder, is_file in entries:
        if name.startswith("."):
            continue
        if is_folder and folder / name != left_out:
            yield from _in_folder(folder / name, f"{prefix}{name}/", left_out)
        elif is_file and Path(name).suffix.lower() in SUFFIXES:
            yield _file(folder / name, prefix + name)


def _matching(pattern: str, left_out: Path) -> Iterator[PictureSource]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(sign in part for sign in _WILD))
    root = Path(*parts[:fixed])
    for match in sorted(glob.iglob(pattern, recursive=True)):
        path = Path(match)
        if path.is_file() and left_out not in _absolute(path).parents:
            yield _file(_absolute(path), path.relative_to(root).as_posix())


def _tables(files: Sequence[Path], label_column: str | None) -> Pictures:
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
    return Pictures(count, walk, partial(walk, is_read=False))


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, memory_map=False)
    except (OSError, pa.ArrowException) as error:
        raise PicturesError(
            f"{file} cannot be read as a Parquet file: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _rows(
    files: Sequence[Path], label_column: str | None = None, is_read: bool = True
) -> Iterator[PictureSource]:
    """The pictures of tables: the column `bytes` or `image`, or else the only binary one, has the
    bytes of files; `path`, or else the only one of strings where there are no bytes, has paths,
    those that are not absolute as seen from the table's folder or else from here; a column of
    structs {bytes, path}, as Hugging Face's data sets have it, has both.

    Keys are the paths as they stand, or `row-<n>`, counted over all files from 0, for bytes without
    one. Of paths that are named several times the first one counts; bytes are other pictures, also
    under the same path, and get `#row-<n>` behind it.
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
                        if source and label_column:
                            label = label_of(value, numbered or None, label_column, file)
                            source = replace(source, label=label)
                        if source:
                            yield source
                        number += 1
            except (OSError, pa.ArrowException) as error:
                raise PicturesError(f"{file} is damaged: {_first_line(error)}") from error


def _source(
    path: str | None, data: bytes | None, number: int, folder: Path, known: set[bytes]
) -> PictureSource | None:
    key = path or f"row-{number}"
    digest = key_digest(key)
    is_known = digest in known
    known.add(digest)
    if is_known and data is None:
        return None
    if data is not None:
        return PictureSource(f"{key}#row-{number}" if is_known else key, None, data)
    if path is None:
        return PictureSource(key)
    beside = folder / path
    return PictureSource(key, str(beside if os.path.lexists(beside) else Path(path).absolute()))


def key_digest(key: str) -> bytes:
    """In place of a key, where a million of them are to take little memory."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def _columns(schema: pa.Schema, file: Path) -> tuple[str | None, str | None]:
    """The names of the columns of paths and of bytes; twice the same for one of structs."""
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
        raise PicturesError(
            f"{file} has no column of pictures: name one of paths `path`, or one of bytes `bytes`; "
            f"it has {', '.join(schema.names) or 'none'}"
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
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


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
