"""A CSV file of labels: a line for each picture, as written by spreadsheets and programs."""

from __future__ import annotations

import csv
import hashlib
import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcam_core.batch.csv_files import SEPARATORS, allow_long_fields, encoding_by_mark
from gradcam_core.batch.listing.source import PictureSource
from gradcam_core.errors import GroundTruthError

COLUMNS = ("path", "label")

_EXPECTED_FORMAT = "the first line of a CSV file of labels must name the columns path,label"


@dataclass(frozen=True)
class LabelFile:
    """The labels of a CSV file. labels: by path, in the form of `_plain`; None for an empty label.

    file: absolute. digest: of paths and labels, however the file writes them.
    """

    file: Path
    labels: Mapping[str, str | None]

    @property
    def digest(self) -> str:
        said = sorted((path, label or "") for path, label in self.labels.items())
        return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def entries(self, sources: Iterable[PictureSource]) -> dict[str, str]:
        """The path that this file has for each picture, by the picture's key; pictures that the
        file does not name are left out.

        The file may name a picture by its key, its absolute path, or its path from the file's
        folder or the current one; or by its file name alone, if no other picture has that name.
        Raises GroundTruthError for a file name alone that several pictures have, or if one picture
        has two lines with different labels.
        """
        found: dict[str, str] = {}
        by_name: dict[str, list[str]] = {}
        twice: dict[str, str] = {}  # name and path of pictures with a line for each of these
        for source in sources:
            path = next((one for one in self._names_of(source) if one in self.labels), None)
            if path is not None:
                found[source.key] = path
            name = _plain(source.key).rsplit("/", 1)[-1]
            if name in self.labels and path is None:
                by_name.setdefault(name, []).append(source.key)
            elif name in self.labels and path != name:
                twice[name] = str(path)
        used = set(found.values())
        for name, keys in by_name.items():
            if name in used:
                continue
            if len(keys) > 1:
                raise GroundTruthError(
                    f"{self.file.name} names {name} without its folder, and {len(keys)} pictures "
                    f"have that name, {keys[0]} and {keys[1]} among them: write the paths"
                )
            found[keys[0]] = name
            used.add(name)
        for name, path in twice.items():
            if name not in used and self.labels[name] != self.labels[path]:
                raise GroundTruthError(
                    f"{self.file.name} gives {path} the label {self.labels[path]!r} and {name}, "
                    f"which is the same picture, {self.labels[name]!r}: write one line for it"
                )
        return found

    def _names_of(self, source: PictureSource) -> Iterator[str]:
        yield _plain(source.key)
        yield _plain(re.sub(r"#row-[0-9]+$", "", source.key))
        if source.path is not None:
            yield _plain(source.path)
            for folder in (self.file.parent, Path.cwd()):
                try:
                    yield _plain(os.path.relpath(source.path, folder))
                except ValueError:  # on another drive of Windows
                    continue


def read_label_file(file: Path) -> LabelFile:
    """Reads a CSV file of labels, with the encodings and separators that spreadsheets use.

    Raises GroundTruthError, with the line, if the file cannot be read as one or a path has two
    labels.
    """
    lines = re.split(r"\r\n|\r|\n", _text(file))
    start = 0
    if lines and lines[0].lower().startswith("sep="):  # Excel's own way to name the separator
        start = 1
    while start < len(lines) and not lines[start].strip(" \t,;"):
        start += 1
    if start == len(lines):
        raise GroundTruthError(f"{file} is empty: {_EXPECTED_FORMAT}")
    allow_long_fields()
    separator, columns = _header(file, lines[start])
    labels: dict[str, str | None] = {}
    first_line: dict[str, int] = {}
    rows = csv.reader(lines[start + 1 :], delimiter=separator, strict=True)
    try:
        for row in rows:
            number = start + 1 + rows.line_num
            values = [value.strip() for value in row]
            if not any(values):
                continue
            if any(values[len(columns) :]):
                raise GroundTruthError(
                    f"line {number} of {file} has {len(values)} values and the first line "
                    f"{len(columns)}: put a value with {separator!r} in it into quotes"
                )
            named = dict(zip(columns, values, strict=False))
            path, label = _plain(named["path"]), _nfc(named.get("label", "")) or None
            if not named["path"]:
                raise GroundTruthError(f"line {number} of {file} has no path")
            if path in labels and (labels[path] or "").casefold() != (label or "").casefold():
                raise GroundTruthError(
                    f"{file} has two labels for {path}: {labels[path] or 'none'} in line "
                    f"{first_line[path]}, {label or 'none'} in line {number}"
                )
            labels.setdefault(path, label)
            first_line.setdefault(path, number)
    except csv.Error as error:
        number = start + 1 + rows.line_num
        raise GroundTruthError(f"line {number} of {file} is not valid CSV: {error}") from error
    return LabelFile(Path(os.path.abspath(file)), labels)


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise GroundTruthError(f"{file} cannot be read: {error.strerror or error}") from error
    marked = encoding_by_mark(data)
    # Without a mark: UTF-8, or else the encoding of Excel in western Europe and America.
    for encoding in [marked] if marked else ["utf-8", "cp1252"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise GroundTruthError(f"{file} is not UTF-8 text: save it as CSV UTF-8; {_EXPECTED_FORMAT}")


def _header(file: Path, line: str) -> tuple[str, Sequence[str]]:
    """The separator, and the names of the columns. Raises GroundTruthError if `COLUMNS` are not
    among them."""
    found = {}
    for separator in SEPARATORS:
        names = next(csv.reader([line], delimiter=separator))
        found[separator] = [name.strip().casefold() for name in names]
    for separator, columns in found.items():
        if all(columns.count(name) == 1 for name in COLUMNS):
            return separator, columns
    columns = max(found.values(), key=len)
    raise GroundTruthError(f"{_EXPECTED_FORMAT}; that of {file} has {', '.join(columns)[:200]}")


def _plain(path: str) -> str:
    """A path in one form: normalised, with "/", and in NFC."""
    return posixpath.normpath(_nfc(path).replace("\\", "/"))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
