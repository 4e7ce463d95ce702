"""Searching classes as a person types: by name, kind, meaning, part of a name, or spelling."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.kinds import singulars
from gradcam_core.models.class_names.labels import Label, Labels
from gradcam_core.models.class_names.spelling import plain, squeezed

By = Literal["name", "kind", "meaning", "related", "part", "spelling"]


@dataclass(frozen=True)
class Match:
    """One class that was found. by: "name" if its name or a synonym contains the word; "kind" if it
    is of that kind; "meaning" or "related" if it is near in these; "part" if a word of its name
    begins or ends like this; "spelling" if its name is spelt similarly."""

    label: Label
    by: By


def search(labels: Labels, text: str) -> Sequence[Match]:
    """The classes that match a text, the best first; all classes for an empty text.

    First come classes of that name; then classes of that kind or, if no class has the name, the
    nearest in meaning; then other names that contain the word, and words that begin or end like it.
    If there are none of these, the nearest in spelling.
    """
    word = _words(text)
    numbered = _by_number(labels, word)
    if numbered is not None:
        return [Match(numbered, "name")]
    if not word:
        return [Match(label, "name") for label in labels]
    forms = _forms(word)
    whole = re.compile(rf"\b({'|'.join(map(re.escape, forms))})\b")
    edge = re.compile(rf"\b{re.escape(word)}|{re.escape(word)}\b")
    same = [label for label in labels if _is_named(label, forms)]
    found = {label.index: Match(label, "name") for label in same}
    near = labels.nearest(word) if labels.is_imagenet else None
    if near and (near.how == "kind" or (near.how in ("meaning", "related") and not found)):
        by: By = near.how
        for index in sorted(near.indices, key=lambda n: not whole.search(_name(labels[n]))):
            found.setdefault(index, Match(labels[index], by))
    for way, pattern in (("name", whole), ("part", edge)):
        having = [label for label in labels if pattern.search(_name(label))]
        for label in sorted(having, key=lambda one: not one.name.casefold().startswith(word)):
            found.setdefault(label.index, Match(label, "name" if way == "name" else "part"))
    if not found and (alike := labels.nearest(word)):
        return [Match(labels[index], "spelling") for index in alike.indices]
    return list(found.values())


def note(labels: Labels, text: str, found: Sequence[Match]) -> str:
    """A sentence on why these classes were found; "" if the text names all of them, or is empty."""
    word = _words(text)
    if not word or _by_number(labels, word):
        return ""
    others = [match for match in found if not _is_named(match.label, _forms(word))]
    if found and not others:
        return ""
    near = labels.nearest(word)
    says = {
        "kind": near.sentence if near else "",
        "meaning": "The nearest in meaning",
        "related": near.sentence if near else "",
        "name": "Names with this word",
        "part": "Names with a word that begins or ends like this",
        "spelling": near.sentence if near else "",
    }
    parts = [says[by] for by in dict.fromkeys(match.by for match in others)]
    if len(others) < len(found):
        parts.insert(0, f"“{text}”")
    listed = ", then ".join([*parts[:1], *(part[0].lower() + part[1:] for part in parts[1:])])
    if len(others) < len(found):
        return f"{listed}:"
    sentence = f"“{text}” is not one of the {len(labels)} classes."
    return f"{sentence} {listed}:" if listed else f"{sentence} {labels.kinds_sentence}"


def _words(text: str) -> str:
    return " ".join(re.sub(r"[_\s-]+", " ", plain(text)).split())


def _forms(word: str) -> Sequence[str]:
    """The word, and the words that it may be the plural of."""
    return singulars(word)


def _name(label: Label) -> str:
    return _words(label.full_name)


def _is_named(label: Label, forms: Sequence[str]) -> bool:
    names = (label.name, *label.synonyms, label.full_name)
    return not set(map(squeezed, forms)).isdisjoint(map(squeezed, names))


def _by_number(labels: Labels, word: str) -> Label | None:
    """The class with this index or WordNet number, unless the text is in a name."""
    if not re.fullmatch(r"[0-9]+|n[0-9]{8}", word):
        return None
    if any(word in label.full_name.casefold() for label in labels):
        return None
    try:
        return labels.known(word)
    except LabelError:
        return None
