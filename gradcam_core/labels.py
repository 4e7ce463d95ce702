"""The 1000 ImageNet class names, offline, each with its synonyms: WordNet's lemmas.

They stand in a file of ours, not read from timm, because importing timm takes seconds and the page
needs the names before that. A test compares them with timm's.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

# WordNet gives two classes each of these names; the words in brackets tell them apart.
_DISTINGUISHED = {
    134: "crane (bird)",
    517: "crane (machine)",
    264: "Cardigan (dog)",
    474: "cardigan (garment)",
    638: "maillot (tights)",
    639: "maillot (swimsuit)",
}


class LabelError(ValueError):
    """No single class is meant. The message offers the nearest names."""


@dataclass(frozen=True)
class Label:
    """One class: its index, its name (unique) and all of its synonyms."""

    index: int
    name: str
    synonyms: tuple[str, ...]

    @cached_property
    def full_name(self) -> str:
        """The name, then the other synonyms: what a search box should look through."""
        return ", ".join((self.name, *self.synonyms[1:]))


@cache
def imagenet_labels() -> tuple[Label, ...]:
    """All 1000 labels of ImageNet-1k, in the order of the networks' outputs."""
    file = Path(__file__).with_name("imagenet_labels.txt")
    labels = []
    for index, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        synonyms = tuple(line.split(", "))
        labels.append(Label(index, _DISTINGUISHED.get(index, synonyms[0]), synonyms))
    return tuple(labels)


def find_label(wanted: int | str) -> Label:
    """The label of a class given by its index, its name or one of its synonyms.

    Upper and lower case do not matter. A class's own name goes before a synonym of another class.
    Raises LabelError if the class is unknown or the name stands for several, with the nearest.
    """
    labels = imagenet_labels()
    text = str(wanted).strip()
    if isinstance(wanted, int) or re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        index = int(wanted)
        if not 0 <= index < len(labels):
            raise LabelError(f"There is no class {index}: indices go from 0 to {len(labels) - 1}.")
        return labels[index]
    word = text.casefold()
    if not word:
        raise LabelError("No class is named. Give an index from 0 to 999 or a name.")
    for names in (_unique_names(), _names(), _synonyms()):
        found = names.get(word, ())
        if len(found) == 1:
            return labels[found[0]]
        if found:
            raise LabelError(f"{text!r} stands for several classes: {_offer(found)}.")
    near = _nearest(word)
    hint = f"The nearest names: {_offer(near)}." if near else "See the list of ImageNet classes."
    raise LabelError(f"There is no class {text!r}. {hint}")


@cache
def _unique_names() -> dict[str, tuple[int, ...]]:
    return {label.name.casefold(): (label.index,) for label in imagenet_labels()}


@cache
def _names() -> dict[str, tuple[int, ...]]:
    return _index((label.synonyms[0], label.index) for label in imagenet_labels())


@cache
def _synonyms() -> dict[str, tuple[int, ...]]:
    pairs = [(name, label.index) for label in imagenet_labels() for name in label.synonyms]
    pairs += [(label.full_name, label.index) for label in imagenet_labels()]
    return _index(pairs)


def _index(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, index in pairs:
        key = name.casefold()
        if index not in found.get(key, ()):
            found[key] = (*found.get(key, ()), index)
    return found


def _nearest(word: str, most: int = 5) -> list[int]:
    """Classes with a synonym that has this very word in it, then those spelt most like it."""
    names = _synonyms()
    having = [name for name in names if word in name.replace("-", " ").split()]
    alike = difflib.get_close_matches(word, names, n=most, cutoff=0.6)
    indices = [index for name in (*sorted(having, key=len), *alike) for index in names[name]]
    return list(dict.fromkeys(indices))[:most]


def _offer(indices: Iterable[int]) -> str:
    return ", ".join(f"{imagenet_labels()[index].name} ({index})" for index in indices)
