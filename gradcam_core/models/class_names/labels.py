"""The names of a network's classes: of its own, or the 1000 of ImageNet, offline, each with its
synonyms, WordNet's lemmas.

These stand in a file of ours, not read from timm, because importing timm takes seconds and the page
needs the names before that. A test compares them with timm's.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, overload

from gradcam_core.errors import LabelError
from gradcam_core.models.class_names.kinds import (
    is_noun,
    kind_named,
    kinds,
    near_in_meaning,
    noun_spelt_like,
    singulars,
)
from gradcam_core.models.class_names.related import related_names, related_words
from gradcam_core.models.class_names.spelling import as_heard, is_slip, plain, squeezed

# WordNet gives two classes each of these names; the words in brackets tell them apart.
_DISTINGUISHED = {
    134: "crane (bird)",
    517: "crane (machine)",
    264: "Cardigan (dog)",
    474: "cardigan (garment)",
    638: "maillot (tights)",
    639: "maillot (swimsuit)",
}


_GREAT_KINDS = ("animal", "vehicle", "musical instrument", "fruit")

OFFERED = 5
"""Classes that an error names, at most."""

_LONG_WORD = 6  # letters of a word of a name that may be misspelt without the rest of the name

_LETTERS = 3  # at least, of a word that is looked for in parts of others

_FIRST_LETTER = 0.1  # what it counts more, in that ratio, than other letters

ALIKE = 0.75
"""difflib's ratio of two words from which on one may be a misspelling of the other."""


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


@dataclass(frozen=True)
class Nearest:
    """Classes to offer for a word that is none, the nearest first. how: "kind" if they are what the
    word says; "meaning", "related" or "name". sentence: says so."""

    how: Literal["kind", "meaning", "related", "name"]
    sentence: str
    indices: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Labels(Sequence[Label]):
    """The classes of a network in the order of its outputs, and finding one. title: of them all.
    is_imagenet: whether WordNet knows what they are kinds of."""

    title: str
    labels: tuple[Label, ...]
    is_imagenet: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> Label: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Label, ...]: ...

    def __getitem__(self, at: int | slice) -> Label | tuple[Label, ...]:
        return self.labels[at]

    def find(self, name: int | str) -> Label:
        """The label of a class given by its index, its name, one of its synonyms, or WordNet's
        number of an ImageNet class, such as n02123045.

        Upper and lower case do not matter, nor do accents, hyphens and spaces between letters, and
        a plural will do. A class's own name goes before a
        synonym of another class, and a name that is a number before an index, if it is given as
        text. Raises LabelError if the class is unknown or the name stands for several, with the
        nearest.
        """
        if label := self.known(name):
            return label
        text = str(name).strip()
        near = self.nearest(text)
        hint = f"{near.sentence}: {self._offer(near.indices)}." if near else self.kinds_sentence
        raise LabelError(f"There is no class {text!r} among the {len(self)}. {hint}")

    def known(self, name: int | str) -> Label | None:
        """The same; None for a word that is no class, without a search for the nearest."""
        text = str(name).strip()
        word = text.casefold()
        if not word:
            raise LabelError(
                f"No class is named. Give an index from 0 to {len(self) - 1} or a name."
            )
        if isinstance(name, str):
            spaced = " ".join(word.replace("_", " ").split())  # tabby_cat, as programs write it
            apart = spaced.replace("-", " ")  # golden-retriever, as folders are called
            forms = dict.fromkeys((word, *singulars(spaced), *singulars(apart)))
            tables = self._unique_names, self._names, self._synonyms
            tries = [names.get(one, ()) for one in forms for names in tables]
            tries += [self._squeezed.get(squeezed(one), ()) for one in forms]
            for found in filter(None, tries):
                if len(found) == 1:
                    return self[found[0]]
                several = self._offer(found)
                raise LabelError(f"{text!r} stands for several classes: {several}.")
        if self.is_imagenet and word in kinds().by_synset:
            return self[kinds().by_synset[word]]
        if re.fullmatch(r"[+-]?[0-9]{1,9}", text):
            index = int(text)
            if not 0 <= index < len(self):
                raise LabelError(
                    f"There is no class {index}: indices go from 0 to {len(self) - 1}."
                )
            return self[index]
        return None

    def nearest(self, text: str) -> Nearest | None:
        """What to offer for a word that is no class: the classes of that kind, or else those
        nearest in meaning, related to it, or nearest in name. None if there is nothing like it."""
        word = plain(text)
        in_meaning = _in_meaning if self.is_imagenet else lambda word: None
        if meaning := in_meaning(word) or in_meaning(word.replace(" ", "-")):
            return meaning
        if near := self._containing(word):
            return Nearest("name", "The nearest names", tuple(near))
        if " " in word and (meaning := in_meaning(word.split()[-1])):
            return meaning  # "a flying cow" is a cow
        if self.is_imagenet and is_noun(word):
            return None  # a word of its own: love does not mean stove
        spelt = self._spelt_like(word)
        meant = noun_spelt_like(word, ALIKE, related_words()) if self.is_imagenet else None
        if meant and (not spelt or _ratio(word, meant) - _margin(meant) > _ratio(word, spelt[0])):
            found = _in_meaning(meant)
            if not found:
                return None
            if found.how == "kind":
                kind = f"The kind nearest in spelling is {kind_named(meant)[0]}"
                return Nearest("name", kind, found.indices)
            return Nearest("name", f"Did you mean “{meant}”? {found.sentence}", found.indices)
        if spelt:
            indices = dict.fromkeys(index for name in spelt for index in self._synonyms[name])
            return Nearest("name", "The nearest in spelling", tuple(indices)[:OFFERED])
        return None

    @cached_property
    def kinds_sentence(self) -> str:
        """What classes there are, for whoever named none of them."""
        if not self.is_imagenet:
            return f"Its classes are: {self._offer(range(len(self)))}."
        table = kinds()
        counted = (f"{kind}s ({len(set(table.named(kind)))})" for kind in _GREAT_KINDS)
        return (
            f"None near it was found; ImageNet's names are English. The classes are "
            f"{', '.join(counted)}, clothes, food, furniture, tools and more."
        )

    @cached_property
    def _unique_names(self) -> dict[str, tuple[int, ...]]:
        return _index((label.name, label.index) for label in self)

    @cached_property
    def _names(self) -> dict[str, tuple[int, ...]]:
        return _index((label.synonyms[0], label.index) for label in self)

    @cached_property
    def _synonyms(self) -> dict[str, tuple[int, ...]]:
        pairs = [(name, label.index) for label in self for name in label.synonyms]
        pairs += [(label.full_name, label.index) for label in self]
        return _index(pairs)

    @cached_property
    def _squeezed(self) -> dict[str, tuple[int, ...]]:
        return _index(
            (squeezed(name), index) for name in self._synonyms for index in self._synonyms[name]
        )

    @cached_property
    def _heard(self) -> dict[str, list[str]]:
        """The synonyms by how they, or long words of them, sound; the shortest first."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._synonyms, key=len):
            whole = plain(name)
            words = (one for one in whole.replace("-", " ").split() if len(one) >= _LONG_WORD)
            for one in dict.fromkeys((whole, *words)):
                found.setdefault(as_heard(one), []).append(name)
        return found

    @cached_property
    def _words(self) -> set[str]:
        """That are in names."""
        return {word for name in self._synonyms for word in name.replace("-", " ").split()}

    def _containing(self, word: str, most: int = OFFERED) -> list[int]:
        """Classes with a synonym that has this very word in it, then with one that begins or ends
        so."""
        names = self._synonyms
        words = singulars(word)
        whole = {name: plain(name).replace("-", " ").split() for name in names}
        spaced = {name: f" {' '.join(whole[name])} " for name in names}
        having = [name for name in names if any(f" {one} " in spaced[name] for one in words)]
        parts = [
            name
            for name in names
            if len(word) >= _LETTERS
            and any(one.startswith(word) or one.endswith(word) for one in whole[name])
        ]
        found = (*sorted(having, key=len), *sorted(parts, key=len))
        return list(dict.fromkeys(index for name in found for index in names[name]))[:most]

    def _spelt_like(self, word: str) -> list[str]:
        """Synonyms, in lower case, the nearest first."""
        heard = as_heard(word)
        near = difflib.get_close_matches(heard, self._heard, n=OFFERED, cutoff=ALIKE)
        if self.is_imagenet:  # many names, which all kinds of words are like
            near = [one for one in near if is_slip(heard, one)]
        return [name for one in near for name in self._heard[one]]

    def _offer(self, indices: Sequence[int]) -> str:
        named = [f"{self[index].name} ({index})" for index in indices[:OFFERED]]
        more = len(indices) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def _in_meaning(word: str) -> Nearest | None:
    """ImageNet's classes for a noun: of that kind, related to it by a list made by hand, or near in
    meaning. A name that has the word may mean something else: a beach wagon is no beach."""
    kind, members = kind_named(word)
    if members:
        return Nearest("kind", f"Kinds of {kind}", tuple(members))
    if names := related_names(tuple(singulars(word))):
        related = tuple(imagenet_labels().find(name).index for name in names)
        return Nearest("related", "Related classes", related)
    if near := near_in_meaning(word):
        return Nearest("meaning", "The nearest in meaning", tuple(near))
    return None


def _ratio(word: str, other: str) -> float:
    """How alike they are. The first letter is rarely wrong."""
    ratio = difflib.SequenceMatcher(None, word, other).ratio()
    return ratio if word[:1] == other[:1] else ratio - _FIRST_LETTER


def _margin(noun: str) -> float:
    """By how much more a noun must be like a word than a class is: nothing if it is a kind; most
    nouns are rarer than classes."""
    return 0.0 if kinds().named(noun) else 0.1


@cache
def imagenet_labels() -> Labels:
    """All 1000 labels of ImageNet-1k, in the order of the networks' outputs."""
    file = Path(__file__).with_name("imagenet_labels.txt")
    labels = []
    for index, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        synonyms = tuple(line.split(", "))
        labels.append(Label(index, _DISTINGUISHED.get(index, synonyms[0]), synonyms))
    return Labels("list of ImageNet classes", tuple(labels), is_imagenet=True)


def labels_of(names: Iterable[str], title: str = "list of classes", noun: str = "class") -> Labels:
    """Labels from the names of classes, in the order of a network's outputs; two of the same name
    are told apart by their index, and what is no name is called by its index, too: "class 3"."""
    given = [" ".join(name.split()) for name in names]
    names = [_readable(name, f"{noun} {n}") for n, name in enumerate(given)]
    count = Counter(name.casefold() for name in names)
    return Labels(
        title,
        tuple(
            Label(n, name if count[name.casefold()] == 1 else f"{name} ({n})", (given[n] or name,))
            for n, name in enumerate(names)
        ),
    )


def _readable(name: str, instead: str) -> str:
    """A name as it can stand in a sentence. Without a letter, digit or sign it is none: "says - (36
    %)"."""
    if any(unicodedata.category(letter)[0] in "LNS" for letter in name):
        return name
    visible = "".join(letter for letter in name if letter.isprintable()).strip()
    return f"{instead} ({visible})" if visible else instead


def find_label(wanted: int | str) -> Label:
    """The ImageNet class of this index, name or synonym; see `Labels.find`."""
    return imagenet_labels().find(wanted)


def find_in_all(name: int | str, networks: Sequence[tuple[str, Labels]]) -> list[int]:
    """The index of a class in each of several networks, given by their titles and labels.

    Raises LabelError as `Labels.find` does, if a network lacks the class, and for an index where
    networks have different classes.
    """
    if len({id(labels) for _, labels in networks}) == 1:
        return [networks[0][1].find(name).index] * len(networks)
    found = []
    for title, labels in networks:
        try:
            label = labels.find(name)
        except LabelError as error:
            raise LabelError(f"{title}: {error}") from None
        if str(name).strip().casefold() == str(label.index) != label.name.casefold():
            raise LabelError(
                f"{label.index} is a different class in each of these networks: give the name of "
                "a class that all of them have."
            )
        found.append(label.index)
    return found


def _index(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for name, index in pairs:
        key = name.casefold()
        if index not in found.get(key, ()):
            found[key] = (*found.get(key, ()), index)
    return found
