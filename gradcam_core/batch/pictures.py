"""Finds the pictures of a batch in a folder, a pattern, a list of paths, a ZIP file or Parquet
files. They are read one after the other, so that a million take no more memory than a few."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from gradcam_core.batch.listing.archive import (
    OTHER_ARCHIVES,
    check_readable,
    in_archive,
    is_archive,
)
from gradcam_core.batch.listing.folder import in_folder
from gradcam_core.batch.listing.path_list import check_some_are_there, in_list, is_list
from gradcam_core.batch.listing.pattern import Pattern, is_wild
from gradcam_core.batch.listing.skipped import SkippedCounts
from gradcam_core.batch.listing.source import (
    Found,
    Pictures,
    PictureSource,
    Skipped,
    pictures_of,
    text_of_name,
)
from gradcam_core.batch.listing.table import in_tables
from gradcam_core.errors import PicturesError
from gradcam_core.images.formats.suffixes import SUFFIXES
from gradcam_core.images.remote.fetch import is_address
from gradcam_core.system.files import broken_link
from gradcam_core.wording import printable

_TABLE = ".parquet"


def find_pictures(where: str, leave_out: Path, label_column: str | None = None) -> Pictures:
    """The pictures of a folder and the folders in it, a pattern in the manner of a shell (`**` for
    any depth), a list of paths and addresses, a ZIP file, a Parquet file or a pattern for several,
    a single file, or an address on the web.

    leave_out: a folder to skip: that of the results. Hidden files and folders are skipped, too. In
    a folder, pictures are recognised by their `SUFFIXES`, or by their content if they have no
    suffix; their keys are paths relative to the folder, or to the part of the pattern without
    wildcards. The files of `listing` describe each kind. label_column: the column of Parquet files
    that holds the labels. Raises PicturesError if there are no pictures or no such column; `walk`
    raises it if something cannot be read.
    """
    if is_address(where):
        _refuse_column(where, label_column)
        return _one(PictureSource(where, address=where))
    if not where.strip():
        raise PicturesError("PHOTOS is empty; give a folder, such as . for this one")
    path, left_out = Path(where), _absolute(leave_out)
    mode = _mode(path)
    if mode is None and is_wild(where):
        return _of_pattern(where, left_out, label_column)
    if mode is None:
        raise PicturesError(
            broken_link(path)
            or f"there is no folder or file {where}; PHOTOS is a folder, a pattern in quotes such "
            "as 'photos/*.jpg', a list of paths (TXT, CSV), a ZIP or Parquet file, or an address"
        )
    path = _absolute(path)
    if stat.S_ISREG(mode) and path.suffix.lower() == _TABLE:
        return in_tables([path], label_column)
    _refuse_column(where, label_column)
    if stat.S_ISDIR(mode):
        return _counted(where, partial(in_folder, path, left_out, SUFFIXES))
    if not stat.S_ISREG(mode):
        raise PicturesError(f"{where} is not a file or folder, but a pipe or a device")
    if is_list(path):
        count = check_some_are_there(path, SUFFIXES)
        walk = partial(in_list, path, SUFFIXES)
        return pictures_of(count, walk, walk)
    if is_archive(path):
        check_readable(path)
        unread = partial(in_archive, path, SUFFIXES, is_read=False)
        return _counted(where, partial(in_archive, path, SUFFIXES), unread)
    if path.suffix.lower() in OTHER_ARCHIVES:
        raise PicturesError(
            f"{where} is an unsupported kind of archive: unpack it and give the folder, or make a "
            "ZIP file"
        )
    return _one(PictureSource(text_of_name(path.name), str(path)))


def _mode(path: Path) -> int | None:
    """The `st_mode` of a file or folder; None if it does not exist. Raises PicturesError if it
    cannot be looked up."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise PicturesError(f"no file can have the name {printable(str(path))}") from error
    except OSError as error:
        raise PicturesError(f"{path} cannot be read: {error.strerror or error}") from error


def _one(source: PictureSource) -> Pictures:
    return Pictures(1, lambda: iter([source]), lambda: iter([source]))


def _of_pattern(where: str, left_out: Path, label_column: str | None) -> Pictures:
    pattern = Pattern(where)
    root = _absolute(pattern.root)
    if not root.is_dir():
        raise PicturesError(f"there is no picture in {where}: there is no folder {pattern.root}")
    first = next(_paths(root, left_out, (*SUFFIXES, _TABLE), pattern), None)
    if first is not None and first.suffix.lower() == _TABLE:
        tables = sorted(_paths(root, left_out, (_TABLE,), pattern))
        return in_tables([one for one in tables if one.suffix.lower() == _TABLE], label_column)
    _refuse_column(where, label_column)
    return _counted(where, partial(in_folder, root, left_out, SUFFIXES, pattern))


def _paths(
    root: Path, left_out: Path, suffixes: Collection[str], pattern: Pattern
) -> Iterator[Path]:
    for one in in_folder(root, left_out, suffixes, pattern):
        if isinstance(one, PictureSource) and one.path is not None:
            yield Path(one.path)


def _refuse_column(where: str, label_column: str | None) -> None:
    if label_column is not None:
        raise PicturesError(
            f"only a Parquet file has a column of labels, and {where} is not one: use --labels "
            "folder, or a CSV file"
        )


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _counted(
    where: str,
    walk: Callable[[], Iterator[Found]],
    unread: Callable[[], Iterator[Found]] | None = None,
) -> Pictures:
    count, skipped = 0, SkippedCounts()
    for one in (unread or walk)():
        if isinstance(one, Skipped):
            skipped.add(one)
        else:
            count += 1
    if not count:
        lines = "; ".join(skipped.lines())
        hint = ""
        if _TABLE in lines.lower():
            hint = f". Give Parquet files themselves: several as 'photos/*{_TABLE}', in quotes"
        elif "{" in where and is_wild(where):
            hint = "; a pattern cannot have braces, such as {jpg,png}"
        raise PicturesError(
            f"there is no picture in {where}" + (f"; left out: {lines}" if lines else "") + hint
        )
    return pictures_of(count, walk, unread or walk)
