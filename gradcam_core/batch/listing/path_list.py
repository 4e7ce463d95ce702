"""A list of pictures: a text file with a path or address per line, or a CSV file with a column of
them.

A relative path starts at the list's folder or, if it is not there, at the current one. Paths may be
quoted, and may have Windows' backslashes or the form file:///…
"""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path, PurePath
from urllib.parse import unquote

from gradcam_core.batch.csv_files import SEPARATORS, allow_long_fields, encoding_by_mark
from gradcam_core.batch.listing.content import HEAD_BYTES, looks_like_picture
from gradcam_core.batch.listing.source import (
    Found,
    PictureSource,
    Skipped,
    key_digest,
    text_of_name,
)
from gradcam_core.errors import PicturesError
from gradcam_core.images.remote.fetch import is_address, local_path
from gradcam_core.wording import file_name

TABLES = (".csv", ".tsv")
LISTS = (".txt", ".list", ".lst", *TABLES)

NAMED_TWICE = "named twice"

_HEADERS = (
    *("path", "paths", "file", "files", "filename", "file_name", "filepath", "file_path"),
    *("photo", "photos", "picture", "pictures", "image", "images", "img", "image_path"),
    *("img_path", "image_file", "image_name", "address", "url", "image_url"),
)
"""Names for the column of paths, the most likely first."""

_HEAD_ROWS = 20  # searched for a path if no column has one of these names

_QUOTES = ('"', "'", "“”", "«»", "`", "<>")
_UNSEEN = "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c"  # invisible marks, copied with texts
_OTHER_BREAKS = re.compile("[\x0b\x0c\x85\u2028\u2029]")  # of lines; names may contain them
_SEPARATORS = re.compile(r"\s*[,;|]\s*")
_LONGEST = 32_767  # letters in a path, on any system
_LOOKED_THROUGH = 4096  # letters of a line that are searched for the end of its path


def is_list(file: Path) -> bool:
    """Whether a file has the suffix of a list, and does not contain a picture. Raises PicturesError
    if it cannot be read."""
    if file.suffix.lower() not in LISTS:
        return False
    try:
        with file.open("rb") as opened:
            return not looks_like_picture(opened.read(HEAD_BYTES))
    except OSError as error:
        raise _unreadable(file, error) from error


def in_list(file: Path, suffixes: Collection[str]) -> Iterator[Found]:
    """The pictures that a list names, in its order; repeated ones are `Skipped`. suffixes: of
    pictures, which tell the column of paths if it has no name. Raises PicturesError if the list
    cannot be read."""
    taken: set[bytes] = set()
    for text in _entries(file, suffixes):
        if is_address(text):
            source, same = PictureSource(text_of_name(text), address=text), text
        else:
            key, path = _resolved(text, file.parent)
            source, same = PictureSource(key, path), _real(path)
        digest = key_digest(same)
        if digest in taken:
            yield Skipped(source.key, NAMED_TWICE)
            continue
        taken.add(digest)
        yield source


def check_some_are_there(file: Path, suffixes: Collection[str]) -> int:
    """How many pictures a list names. Raises PicturesError if none of them exists."""
    count, first, is_any = 0, "", False
    for one in in_list(file, suffixes):
        if isinstance(one, PictureSource):
            first = first or one.key
            count += 1
            is_any = is_any or one.address is not None or os.path.exists(one.path or "")
    if not count:
        raise PicturesError(f"{file} lists no pictures: give one path or address per line")
    if not is_any:
        none = f"none of the {count} paths in {file} leads to a file, such as {file_name(first)!r}"
        only = f"the path in {file} leads to no file: {file_name(first)!r}"
        raise PicturesError(f"{none if count > 1 else only}; paths are relative to {file.parent}")
    return count


def _entries(file: Path, suffixes: Collection[str]) -> Iterator[str]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error
    marked = encoding_by_mark(data)
    # File names are bytes: those that are not UTF-8 are looked up unchanged.
    is_wide = (marked or "").startswith(("utf-16", "utf-32"))
    text = data.decode(marked or "utf-8", "replace" if is_wide else "surrogateescape")
    del data
    text = text.rstrip("\x1a")  # DOS's mark for the end of a text
    if file.suffix.lower() in TABLES:
        yield from _cells(file, text.replace("\0", ""), suffixes)
    else:
        lines = text.split("\0") if "\0" in text else re.split(r"\r\n|\r|\n", text)
        yield from _lines(file, lines, suffixes)


def _unreadable(file: Path, error: OSError) -> PicturesError:
    return PicturesError(f"{file} cannot be read: {error.strerror or error}")


def _lines(file: Path, lines: list[str], suffixes: Collection[str]) -> Iterator[str]:
    is_first = True
    for line in _parted(file, lines):
        text = line.strip()
        if not text:
            continue
        if text != line and _is_there(line, file.parent):
            yield line
        elif _is_any_there(text, file.parent):
            yield text
        else:
            parts = text.split("\t")[:1]
            if parts == [text]:  # a label or other paths may follow
                parts = _cut(text, file.parent, suffixes)
            words = re.split(r"[\s,;|]", text)
            is_header = is_first and words[0].casefold() in _HEADERS
            is_header = is_header and not any(_is_picture(word, suffixes) for word in words)
            if text.startswith("#") or is_header:
                pass
            elif len(parts) > 1 and not _is_path(parts[0], text, file.parent, suffixes):
                yield text
            else:
                yield parts[0].strip()
                yield from (one for one in parts[1:] if _is_picture(one, suffixes))
        is_first = False


def _is_picture(text: str, suffixes: Collection[str]) -> bool:
    return PurePath(text.strip("".join(_QUOTES))).suffix.lower() in suffixes


def _is_path(part: str, text: str, folder: Path, suffixes: Collection[str]) -> bool:
    """Whether the first part of a line is an existing path, but not the folder "IMG" in a line such
    as "IMG 1.jpg"."""
    if not _is_any_there(part, folder):
        return False
    return not (_is_picture(text, suffixes) and os.path.isdir(_resolved(part, folder)[1]))


def _cut(text: str, folder: Path, suffixes: Collection[str]) -> list[str]:
    """Splits a line after the longest existing path, as names and labels may contain spaces, and at
    separators. If no path exists: at separators or else at the last space."""
    words = list(re.finditer(r"\S+", text[:_LOOKED_THROUGH]))
    for word in reversed(words[:-1]):
        path = text[: word.end()]
        if _is_picture(word[0], suffixes) and _is_path(path, text, folder, suffixes):
            return [path, *_SEPARATORS.split(text[word.end() :].strip())]
    return _SEPARATORS.split(text) if _SEPARATORS.search(text) else text.rsplit(None, 1)


def _parted(file: Path, lines: list[str]) -> Iterator[str]:
    for line in lines:
        if _OTHER_BREAKS.search(line.strip()) and not _is_there(line.strip(), file.parent):
            yield from _OTHER_BREAKS.split(line)
        else:
            yield line


def _cells(file: Path, text: str, suffixes: Collection[str]) -> Iterator[str]:
    allow_long_fields()
    separator, text = _separator(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    column, head = None, []
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if row[0].lstrip().startswith("#") and not _is_there(row[0].strip(), file.parent):
                continue
            if column is None:
                column, is_header = _column(file, row, suffixes)
                head.append(row)
                if column is None and len(head) > _HEAD_ROWS:
                    break
                if is_header:
                    continue
            if column is not None and column < len(row) and (cell := row[column].strip()):
                yield cell
    except csv.Error as error:
        raise PicturesError(f"line {rows.line_num} of {file} is not valid CSV: {error}") from error
    if head and column is None:
        raise PicturesError(
            f"{file} has no column of pictures: name one of paths `path`; its first line has "
            f"{file_name(', '.join(cell.strip() for cell in head[0]))}"
        )


def _separator(text: str) -> tuple[str, str]:
    """The separator of columns, and the text without the line in which Excel names it."""
    if named := re.match(r"sep=(.)(\r\n|\r|\n)", text, re.IGNORECASE):
        return named[1], text[named.end() :]
    lines = (line for line in re.split(r"[\r\n]+", text[:65536]) if not line.startswith("#"))
    first = next((line for line in lines if line.strip()), "")
    return max(SEPARATORS, key=first.count), text


def _column(file: Path, row: list[str], suffixes: Collection[str]) -> tuple[int | None, bool]:
    """The column of paths, None if this row does not show it; and whether this row is a header."""
    names = [cell.strip().casefold() for cell in row]
    named = [name for name in _HEADERS if name in names]
    cells = [cell.strip() for cell in row]
    if named and not any(_is_there(cell, file.parent) for cell in cells if cell):
        return names.index(named[0]), True
    for number, cell in enumerate(cells):
        is_path = PurePath(cell.replace("\\", "/")).suffix.lower() in suffixes
        if cell and (is_address(cell) or is_path or _is_there(cell, file.parent)):
            return number, False
    return (0 if len(row) == 1 else None), True


def _is_there(text: str, folder: Path) -> bool:
    return _found(text, folder) is not None


def _is_any_there(text: str, folder: Path) -> bool:
    return any(_is_there(one, folder) for one in _variants(text))


def _resolved(text: str, folder: Path) -> tuple[str, str]:
    """The key and the path of the picture that an entry names."""
    for variant in _variants(text):
        if path := _found(variant, folder):
            return text_of_name(_plain(variant)), path
    variant = next(iter(_variants(text)))
    return text_of_name(variant), os.path.join(folder, variant)


def _found(text: str, folder: Path) -> str | None:
    if not text or len(text) > _LONGEST or "\0" in text:
        return None
    for base in (folder, Path.cwd()):
        path = os.path.join(base, text)
        if os.path.lexists(path):
            return os.path.abspath(path)
    return None


def _real(path: str) -> str:
    """`os.path.realpath` with a cache: without it, each path resolves all its folders again."""
    if os.path.islink(path):
        return os.path.realpath(path)
    folder, name = os.path.split(path)
    return os.path.join(_real_folder(folder), name)


@lru_cache
def _real_folder(path: str) -> str:
    return os.path.realpath(path)


def _variants(text: str) -> Iterator[str]:
    """The ways to read an entry, the most literal first."""
    yield text
    stripped = text
    for pair in _QUOTES:
        if len(text) > 1 and text[0] == pair[0] and text[-1] == pair[-1]:
            stripped = text[1:-1]
            yield stripped
            yield stripped.replace(2 * pair[0], pair[0])  # CSV doubles quotes within quotes
    stripped = local_path(stripped.strip(_UNSEEN))
    yield stripped
    slashed = stripped.replace("\\", "/")
    for form in ("NFC", "NFD"):
        yield unicodedata.normalize(form, slashed)
    yield unquote(slashed, errors="surrogateescape")
    if not slashed.isascii():  # Windows' encoding in western Europe and America
        with_bytes = slashed.encode("utf-8", "surrogateescape")
        yield with_bytes.decode("cp1252", "replace")


def _plain(path: str) -> str:
    """The path as a key: "./a.jpg" becomes "a.jpg", but a path out of the folder stays as it is."""
    return os.path.normpath(path).replace(os.sep, "/")
