"""Searching classes as a person types: by part of a name, by kind, or else by what is nearest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gradcam_core.errors import LabelError
from gradcam_core.models.kinds import NEW_WORDS, kind_named, singulars
from gradcam_core.models.labels import Label, Labels


@dataclass(frozen=True)
class Match:
    """One class that was found. by: its name or a synonym has the text in it; it is of that kind;
    or, where there is no such class, it is near in meaning or in spelling."""

    label: Label
    by: Literal["name", "kind", "meaning", "spelling"]


def search(labels: Labels, text: str) -> Sequence[Match]:
    """The classes for a text, the best first; all of them for an empty one."""
    word = " ".join(re.sub(r"[_\s]+", " ", text).split()).casefold()
    numbered = _by_number(labels, word)
    if numbered is not None:
        return [Match(numbered, "name")]
    singular = set[str]() if word in NEW_WORDS else set(singulars(word)) - {word}
    found = []
    for label in labels:
        name = label.full_name.casefold()
        if word in name or not singular.isdisjoint(re.findall(r"\w+", name)):
            found.append(Match(label, "name"))
    if word:
        whole = re.compile(rf"\b{re.escape(word)}\b")
        found.sort(
            key=lambda match: (
                word not in match.label.full_name.casefold().split(", "),
                not whole.search(match.label.full_name.casefold()),
                not match.label.name.casefold().startswith(word),
            )
        )
    if labels.is_imagenet:
        known = {match.label.index for match in found}
        _, members = kind_named(word)
        found += [Match(labels[index], "kind") for index in members if index not in known]
    if found:
        return found
    near = labels.nearest(word)
    if near is None:
        return []
    by: Literal["meaning", "spelling"] = "spelling" if near.how == "name" else "meaning"
    return [Match(labels[index], by) for index in near.indices]


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
