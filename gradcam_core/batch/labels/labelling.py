"""Labels for the pictures of a batch: from folders, a CSV file or a column of a Parquet file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PureWindowsPath

from gradcam_core.batch.labels.ground_truth import GroundTruth, PictureLabel
from gradcam_core.batch.labels.label_file import LabelFile, read_label_file
from gradcam_core.batch.listing.source import Pictures, PictureSource, text_of_name
from gradcam_core.errors import GroundTruthError, LabelError
from gradcam_core.models.class_names.labels import Label, Labels
from gradcam_core.wording import counted, listed

FOLDER = "folder"
"""A value of `--labels`: the name of a picture's folder is its label."""

COLUMN = "column:"
"""A prefix in `--labels`, before the name of a Parquet file's column."""

NAMED = 3
"""The most labels or pictures that a message names."""


_WITH_POINT = re.compile(r"([0-9]+)\.0+")


@dataclass(frozen=True)
class _Source:
    """Where labels come from. identity: for `run.json`. where, remedy: words for messages. label:
    returns a picture's label, or None. is_meant: whether it is an error if a picture's label is not
    a class.
    """

    identity: str
    where: str
    remedy: str
    label: Callable[[PictureSource], PictureLabel | None]
    is_meant: Callable[[PictureSource], bool] = lambda picture: True


def column_of(labels: str | None) -> str | None:
    """The column that `--labels` names; None if it names none. Raises GroundTruthError if the name
    is empty."""
    if labels is None or not labels.startswith(COLUMN):
        return None
    if name := labels.removeprefix(COLUMN):
        return name
    raise GroundTruthError("--labels column: lacks the column's name: --labels column:label")


def with_labels(
    pictures: Pictures, labels: str, networks: Sequence[tuple[str, Labels]]
) -> tuple[Pictures, GroundTruth, Sequence[str]]:
    """The pictures with their labels, the class of each label in each network, and notes for the
    person.

    labels: `FOLDER`, `COLUMN` with a name, if pictures already have labels from it, or the path of
    a CSV file. networks: titles and classes. Raises GroundTruthError if a label is a class of no
    network, or if no picture has a label.
    """
    notes: list[str] = []
    if labels == FOLDER:
        source_of = _Source(
            FOLDER,
            "from its folder's name",
            "Rename the folder, or give a CSV file, in which pictures may lack a label.",
            _of_folder,
            _is_in_a_folder,
        )
    elif column := column_of(labels):
        source_of = _Source(
            labels,
            f"in the column {column}",
            "Correct it there, or leave it null.",
            lambda source: source.label,
        )
    else:
        file = _label_file(labels)
        entries = file.entries(pictures.walk_unread())
        notes += _unused(file, entries, pictures)
        source_of = _Source(
            f"of a CSV file with the fingerprint {file.digest}",
            f"in {file.file.name}",
            "Correct it there, or leave it empty.",
            partial(_of_file, file, entries),
        )
    sure, perhaps = Counter[PictureLabel](), Counter[PictureLabel]()
    count = 0
    for picture in pictures.walk_unread():
        count += 1
        if (label := source_of.label(picture)) is not None:
            (sure if source_of.is_meant(picture) else perhaps)[label] += 1
    given = [label for label in (*sure, *perhaps) if labels != FOLDER or not _is_with_point(label)]
    classes = _classes(given, networks)
    if unknown := {label: n for label, n in sure.items() if label not in classes}:
        raise GroundTruthError(f"{_unknown(unknown, networks)} {source_of.remedy}")
    if not classes:
        hint = f": {_of_folders(pictures)}" if labels == FOLDER else ""
        raise GroundTruthError(f"no picture has a label {source_of.where}{hint}")
    counts = Counter({label: n for label, n in (sure + perhaps).items() if label in classes})
    if without := count - counts.total():
        have = "has" if without == 1 else "have"
        notes.append(f"{without} of {count} pictures {have} no label {source_of.where}.")
    if label := next(filter(_is_with_point, classes), None):
        notes.append(
            f"Labels such as {label}, as numeric tables contain them, are read as indices: "
            f"{str(label).partition('.')[0]}."
        )
    notes += _lacking(classes, counts, networks)

    def walk() -> Iterator[PictureSource]:
        for picture in pictures.walk():
            label = source_of.label(picture)
            yield replace(picture, label=label if label in classes else None)

    return replace(pictures, walk=walk), GroundTruth(source_of.identity, classes), notes


def _of_folder(source: PictureSource) -> str | None:
    if source.path is not None:
        return text_of_name(Path(source.path).parent.name) or None
    return PureWindowsPath(source.key).parent.name or None  # splits at both kinds of slashes


def _is_in_a_folder(source: PictureSource) -> bool:
    """Whether a picture is in a folder below PHOTOS: the name of PHOTOS itself may be no class."""
    return "/" in source.key or "\\" in source.key


def _of_file(file: LabelFile, entries: Mapping[str, str], source: PictureSource) -> str | None:
    path = entries.get(source.key)
    return None if path is None else file.labels[path]


def _label_file(labels: str) -> LabelFile:
    path = Path(labels)
    if not labels or not path.exists():
        raise GroundTruthError(
            f"there is no file {labels!r}; --labels is {FOLDER}, a CSV file with the columns "
            f"path,label, or {COLUMN}NAME for a column of a Parquet file"
        )
    if path.is_dir():
        raise GroundTruthError(
            f"{labels} is a folder; where each picture's folder is named after its class, give "
            f"--labels {FOLDER}"
        )
    return read_label_file(path)


def _unused(file: LabelFile, entries: Mapping[str, str], pictures: Pictures) -> Iterator[str]:
    """Yields a note if some lines name no picture. Raises GroundTruthError if no line names one."""
    used = set(entries.values())
    unused = [path for path in file.labels if path not in used]
    if not used:
        first = next(pictures.walk_unread()).key
        lines = f"its first line has {unused[0]!r}" if unused else "it has no lines"
        raise GroundTruthError(
            f"{file.file} names none of the pictures: {lines}, and the first picture is "
            f"{first!r}; paths are relative to PHOTOS"
        )
    if unused:
        yield (
            f"{len(unused)} of {len(file.labels)} lines of {file.file.name} name no picture here: "
            f"{_some(unused)}."
        )


def _classes(
    given: Sequence[PictureLabel], networks: Sequence[tuple[str, Labels]]
) -> dict[PictureLabel, tuple[int | None, ...]]:
    """For each label that is a class of any network: its index in each network, None in those that
    lack it. Raises GroundTruthError for an index that means different classes."""
    different: list[Labels] = []
    numbers = []  # the place of each network's class list in `different`
    for _, labels in networks:
        names = [label.name for label in labels]
        same = (n for n, other in enumerate(different) if [one.name for one in other] == names)
        number = next(same, len(different))
        if number == len(different):
            different.append(labels)
        numbers.append(number)
    classes = {}
    for label in given:
        found = [_find(label, labels) for labels in different]
        named = [one is not None and not _is_index(label, one) for one in found]
        if any(named):  # a number that is a name in one network is no index in others
            found = [one if is_name else None for one, is_name in zip(found, named, strict=True)]
        elif len(different) > 1 and any(found):
            raise GroundTruthError(
                f"the label {label} is a different class in each of these networks: give class "
                "names"
            )
        if any(found):
            indices = [None if one is None else one.index for one in found]
            classes[label] = tuple(indices[number] for number in numbers)
    return classes


def _find(label: PictureLabel, labels: Labels) -> Label | None:
    for one in _spellings(label):
        try:
            if found := labels.known(one):
                return found
        except LabelError:  # ambiguous, or too high for an index
            continue
    return None


def _spellings(label: PictureLabel) -> Iterator[PictureLabel]:
    """A label as it stands, then as names of folders may spell it: "tiger_cat" for tiger cat,
    "n02123045-tabby" for n02123045; and "281.0" for 281."""
    yield label
    if isinstance(label, str):
        # Only between words: otherwise "-1", for unknown, would become the class with index 1.
        yield re.sub(r"(?<=[^\W_])_(?=[^\W_])", " ", label)
        yield re.sub(r"(?<=[^\W_])[-_]+(?=[^\W_])", " ", label)
        if known := re.match(r"(n[0-9]{8})[-_ .]|([0-9]+)\.0+$", label, re.IGNORECASE):
            yield known[1] or known[2]


def _is_with_point(label: PictureLabel) -> bool:
    """Whether a label is an index as written by tables that lack some numbers: 281.0. Folders are
    not named like this."""
    return isinstance(label, str) and bool(_WITH_POINT.fullmatch(label.strip()))


def _is_index(label: PictureLabel, found: Label) -> bool:
    text = str(label).strip()
    return bool(re.fullmatch(r"[+-]?[0-9]+(\.0+)?", text)) and text not in found.synonyms


def _unknown(unknown: Mapping[PictureLabel, int], networks: Sequence[tuple[str, Labels]]) -> str:
    pictures = sum(unknown.values())
    named = [
        f"{label!r} ({counted(count, 'picture')})"
        for label, count in sorted(unknown.items(), key=lambda pair: -pair[1])
    ]
    titles = listed(list(dict.fromkeys(title for title, _ in networks)), " or ")
    first = max(unknown, key=lambda label: unknown[label])
    try:
        networks[0][1].find(first)
        reason = ""
    except LabelError as error:
        reason = f" {error}"
    have = "picture has a label that is" if pictures == 1 else "pictures have labels that are"
    return f"{pictures} {have} no class of {titles}: {_some(named)}.{reason}"


def _some(words: Sequence[str]) -> str:
    more = len(words) - NAMED
    return listed([*words[:NAMED], f"{more} more"] if more > 0 else words)


def _lacking(
    classes: Mapping[PictureLabel, tuple[int | None, ...]],
    counts: Counter[PictureLabel],
    networks: Sequence[tuple[str, Labels]],
) -> Iterator[str]:
    for number, (title, _) in enumerate(networks):
        lacking = [label for label, indices in classes.items() if indices[number] is None]
        if lacking:
            pictures = counted(sum(counts[label] for label in lacking), "picture")
            named = _some(list(map(str, lacking)))
            yield (
                f"{title} lacks the class of {pictures} ({named}) and is neither right nor wrong "
                "there."
            )


def _of_folders(pictures: Pictures) -> str:
    first = next(pictures.walk_unread()).key
    return (
        f"the first one is {first!r}; those of a class belong in a folder with its name, such as "
        "tabby/1.jpg"
    )
