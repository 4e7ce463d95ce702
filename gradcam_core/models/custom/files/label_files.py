"""Reads the names of a network's classes from a file: text, JSON, YAML or CSV."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradcam_core.errors import LabelError
from gradcam_core.wording import first_line

_LARGEST = 10_000_000  # bytes, so that a file of weights given as labels is not read
NAMES_KEYS = (
    "id2label",
    "label_names",
    "class_names",
    "classes",
    "class_to_idx",
    "idx_to_class",
    "label2id",
    "labels",
    "CLASSES",
    "categories",
    *("idx2label", "idx_to_label", "idx2class", "idx_to_name", "index_to_name", "id2name"),
    *("class2idx", "class_to_index", "label2idx", "label_to_idx", "label_to_id"),
    *("label_map", "labels_map", "target_names", "vocab", "names", "label_encoder", "classes_"),
    *("class_map", "class_mapping", "label_mapping", "class_indices", "class_labels", "int2label"),
)
"""Keys of JSON objects under which the names stand, the best first."""

CONFIGS = ("pretrained_cfg", "dataset_info", "dataset_meta", "meta")
_WORDNET = re.compile("n[0-9]{8}")
_NUMBERED = re.compile(r"\s*[\[(]?([0-9]+)(?:\s*[]:;,)=|]\s*|\.\s+|\s+-\s+|\s+)(\S.*)")
_NUMBERED_BEHIND = re.compile(r"\s*(\S.*?)(?:\s*[:;,=]\s*|\s+)([0-9]+)\s*")
_INDEX_COLUMNS = ("index", "id", "idx", "class_id", "class_index", "label_id")
_NAME_COLUMNS = ("name", "label", "class", "class_name", "label_name", "description")
_OF_INDICES = re.compile(
    r"(?:\b|_|(?<=[a-z])(?=[A-Z])|(?<=class)|(?<=label))"
    r"(?i:id|idx|index|code|nr|number|target|class|label)\W*$|(?i:nummer|index)\W*$"
)
"""Other headers of indices, such as "ClassId"; numbers under any others may be counts or ranks."""


def read_label_names(path: Path) -> list[str]:
    """The names in the order of the network's outputs, from a file in one of these forms.

    .txt: one name per line, after or before its index if all have one, or after WordNet's number;
    Python's dictionary or list. .json: a list of names; an object of names by index, or of indices
    by name (torchvision's `class_to_idx`); also under "id2label", "label_names", "classes",
    "class_to_idx" or the like, in "pretrained_cfg", too; Keras' pairs of WordNet's number and name
    by index; timm's "label_names" with "label_descriptions"; objects with "id" and "name".
    .csv, .tsv: a column of names, or one of indices and one of names, with a header or without.
    .names: like .txt, .yaml: like .json, as in YOLO. Raises LabelError for everything else, for an
    index that is missing, and for a file that cannot be read.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None and path.is_file():
        raise LabelError(f"{path.name} is not a {', '.join(_READERS)} file")
    try:
        if path.stat().st_size > _LARGEST:
            raise LabelError(f"{path.name} is too large to be a file of labels")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LabelError(f"{path.name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path.name} is not text in UTF-8") from None
    assert read is not None
    try:
        names = read(text)
    except LabelError as error:
        raise LabelError(f"{path.name}: {error}") from None
    if not names:
        raise LabelError(f"{path.name} has no labels in it")
    empty = next((n for n, name in enumerate(names) if not name.strip()), None)
    if empty is not None:
        raise LabelError(f"{path.name}: the name of class {empty} is empty")
    return names


def _from_text(text: str) -> list[str]:
    if text.lstrip().startswith(("{", "[")):
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError, LabelError):
            return names_in(ast.literal_eval(text.strip()))  # as Python prints it; nothing is run
    lines = text.rstrip().splitlines()
    of_wordnet = [line.strip().partition(" ") for line in lines]
    if of_wordnet and all(_WORDNET.fullmatch(one) and name for one, _, name in of_wordnet):
        return [name.strip() for *_, name in of_wordnet]
    numbered = [found.groups() for line in lines if (found := _NUMBERED.fullmatch(line))]
    behind = [found.groups() for line in lines if (found := _NUMBERED_BEHIND.fullmatch(line))]
    for pairs in (numbered, [(index, name) for name, index in behind]):
        if len(pairs) == len(lines) and (by_index := _by_index(pairs)):
            return _ordered(by_index)
    return lines


def _by_index(pairs: Sequence[Sequence[str]]) -> dict[int, str]:
    """Names by index; {} if the numbers belong to the names, as in "0 stars", "1 star", in "0.5",
    "1.5", and in "grade 0", "grade 1". Numbers from 1 on that are in order may do so, too."""
    found = {int(index): name.strip() for index, name in pairs}
    indices, count = list(found), len(pairs)
    names = {name for name in found.values() if any(map(str.isalpha, name))}
    is_from_1 = indices != sorted(indices) and set(indices) == set(range(1, count + 1))
    are_indices = is_from_1 or set(indices) == set(range(count))
    return found if len(indices) == len(names) == count and are_indices else {}


def _from_json(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise LabelError(f"this is not JSON ({error})") from None
    return names_in(found)


def _from_yaml(text: str) -> list[str]:
    import yaml

    try:
        return names_in(yaml.load(text, yaml.BaseLoader))  # all as text: "no" is a name, too
    except (yaml.YAMLError, RecursionError) as error:
        raise LabelError(f"this is not YAML ({first_line(error)})") from None


def names_in(found: Any) -> list[str]:
    """The names of classes in a list of names, in names by index, or in indices by name; or in an
    object that has these beside other things, such as a config.json. Raises LabelError."""
    described = _described(found)
    return described if described is not None else _plain(found)


def _described(found: Any) -> list[str] | None:
    """The names in an object that has them under one of `NAMES_KEYS`, or their descriptions if it
    has those; None if there are none."""
    if not isinstance(found, Mapping):
        return None
    for key in CONFIGS:
        inner = found.get(key)
        if isinstance(inner, Mapping) and any(one in inner for one in (*NAMES_KEYS, *CONFIGS)):
            return names_in({**inner, **{k: found[k] for k in NAMES_KEYS if found.get(k)}})
    for key in NAMES_KEYS:
        if isinstance(found.get(key), list | tuple | Mapping) and found[key]:
            names = _plain(found[key])
            texts = found.get("label_descriptions")
            if isinstance(texts, list | tuple) and len(texts) == len(names):
                return _plain(texts)
            if isinstance(texts, Mapping):
                return [str(texts.get(name) or name) for name in names]
            return names
    return None


def _plain(found: Any) -> list[str]:
    if isinstance(found, list | tuple):
        if all(isinstance(name, str) for name in found):
            return list(found)
        if found and all(isinstance(entry, Mapping) for entry in found):
            return _of_entries(found)
        if _are_pairs(found):
            return [pair[1] for pair in found]
    if isinstance(found, Mapping):
        pairs = list(found.items())
        if all(_is_index(index) and isinstance(name, str) for index, name in pairs):
            return _ordered({int(index): name for index, name in pairs})
        if all(_is_index(index) for index in found) and _are_pairs(found.values()):  # Keras
            return _ordered({int(index): pair[1] for index, pair in pairs})
        if all(isinstance(name, str) and _is_index(index) for name, index in pairs):
            return _ordered({int(index): name for name, index in pairs})
    raise LabelError("the labels are neither a list of names nor names by index")


def _are_pairs(found: Iterable[Any]) -> bool:
    """Whether all are pairs of WordNet's number and a name, as in Keras."""
    return all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(text, str) for text in pair)
        and _WORDNET.fullmatch(pair[0])
        for pair in found
    )


def _of_entries(found: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names in objects with an index and a name each, such as COCO's categories."""
    names = []
    for n, entry in enumerate(found):
        name = next((entry[key] for key in _NAME_COLUMNS if isinstance(entry.get(key), str)), None)
        index = next((entry[key] for key in _INDEX_COLUMNS if _is_index(entry.get(key))), n)
        if name is None:
            raise LabelError(f"entry {n} of the labels has no name")
        names.append((int(index), name))
    indices = [index for index, _ in names]
    if len(set(indices)) < len(indices):
        raise LabelError("two entries of the labels have the same index")
    return _ordered(dict(names))


def _is_index(value: Any) -> bool:
    return not isinstance(value, bool) and str(value).isdecimal()


def _is_of_numbers(column: Iterable[str]) -> bool:
    return all(cell.strip().isdecimal() for cell in column)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    return [row for row in rows if any(cell.strip() for cell in row)]


def _from_csv(text: str) -> list[str]:
    rows = _rows(text, ",")
    for other in ";\t":  # as spreadsheets write it where the comma is the decimal sign
        found = _rows(text, other)
        has_header = bool(found) and any(cell.strip().lower() in _NAME_COLUMNS for cell in found[0])
        is_table = len({len(row) for row in found}) == 1 and len(found[0]) > 1
        if is_table and (
            has_header or any(map(_is_of_numbers, zip(*(found[1:] or found), strict=True)))
        ):
            rows = found
            break
    if not rows:
        return []
    header = [re.sub(r"\W+", "_", cell.strip().lower()) for cell in rows[0]]
    names = [n for n, cell in enumerate(header) if cell in _NAME_COLUMNS]
    indices = [n for n, cell in enumerate(header) if cell in _INDEX_COLUMNS]
    first = rows[0]
    if names:
        rows = rows[1:]
        # Some files call the index "label" or "class"; other numbers there belong to the names.
        digits = [
            n for n in names if all(row[n : n + 1] and _is_index(row[n].strip()) for row in rows)
        ]
        texts = [n for n in names if n not in digits]
        starts = (0, 1) if texts else (0,)  # from 1 on is refused below
        counted = [list(range(start, start + len(rows))) for start in starts]
        numbers = [n for n in digits if sorted(int(row[n]) for row in rows) in counted]
        indices, names = (
            indices or numbers,
            texts or [n for n in names if n not in numbers] or names,
        )
        indices = [n for n in indices if n != names[0]] or _other_orders(rows, first)
        name, index = names[0], indices[0] if indices else None
    elif len(header) == 1:
        name, index = 0, None
    elif len(header) == 2 and all(len(row) == 2 for row in rows):
        columns = list(zip(*rows, strict=True))
        index = next((n for n in (0, 1) if _is_of_numbers(columns[n])), None)
        if index is None:  # the first row may be a header of other words
            rows = rows[1:]
            index = next(
                (
                    n
                    for n in (0, 1)
                    if _OF_INDICES.search(first[n]) and _is_of_numbers(columns[n][1:])
                    if all(any(map(str.isalpha, name)) for name in columns[1 - n][1:])
                ),
                None,
            )
        if index is None:
            raise LabelError(
                "of two columns one has to hold indices; or give them the header index,name"
            )
        name = 1 - index
    else:
        raise LabelError('no column is called "name", and there is more than one')
    if any(len(row) <= max(name, index or 0) for row in rows):
        raise LabelError("some rows have fewer columns than others")
    if index is None:
        return [row[name] for row in rows]
    if not all(row[index].strip().isdecimal() for row in rows):
        raise LabelError("some indices are not whole numbers")
    by_index = {int(row[index]): row[name] for row in rows}
    if len(by_index) < len(rows):
        raise LabelError("two rows have the same index")
    return _ordered(by_index)


def _other_orders(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[int]:
    """The column of `_OF_INDICES` by whose numbers the rows are in another order; [] if there is
    none. Raises LabelError if two have different orders."""
    found: dict[tuple[int, ...], int] = {}
    for n in range(min(map(len, [header, *rows]))):
        is_of_indices = (
            _OF_INDICES.search(header[n]) and header[n].strip().lower() not in _NAME_COLUMNS
        )
        if is_of_indices and all(_is_index(row[n].strip()) for row in rows):
            numbers = tuple(int(row[n]) for row in rows)
            is_order = sorted(numbers) in [list(range(k, k + len(rows))) for k in (0, 1)]
            if is_order and numbers != tuple(sorted(numbers)):
                found[numbers] = n
    if len(found) > 1:
        raise LabelError('several columns may hold the indices: call the right one "index"')
    return list(found.values())


def _ordered(names: Mapping[int, str]) -> list[str]:
    count = len(names)
    if count > 1 and names.keys() == set(range(1, count + 1)):
        raise LabelError(
            f"the indices are 1 to {count}, and those of a network's outputs are 0 to "
            f"{count - 1}: subtract 1 if you mean those"
        )
    if missing := sorted(set(range(count)) - set(names)):
        raise LabelError(f"class {missing[0]} has no name: indices start at 0 and leave none out")
    return [names[index] for index in range(count)]


_READERS: dict[str, Callable[[str], list[str]]] = {
    ".txt": _from_text,
    ".json": _from_json,
    ".csv": _from_csv,
    ".tsv": _from_csv,
    ".names": _from_text,
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
}
