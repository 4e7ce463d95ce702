"""What to offer for a word that is no class of a network."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from gradcam_core.models.class_names.kinds import (
    is_noun,
    kind_named,
    kinds,
    near_in_meaning,
    noun_spelt_like,
    singulars,
)
from gradcam_core.models.class_names.related import related_names, related_words
from gradcam_core.models.class_names.spelling import as_heard, is_slip, plain

OFFERED = 5
"""Classes that an error names, at most."""

_LONG_WORD = 6  # letters of a word of a name that may be misspelt without the rest of the name

_LETTERS = 3  # at least, of a word that is looked for in parts of others

ALIKE = 0.75
"""difflib's ratio of two words from which on one may be a misspelling of the other."""


@dataclass(frozen=True)
class Nearest:
    """Classes to offer for a word that is none, the nearest first. how: "kind" if they are what the
    word says; "meaning", "related" or "name". sentence: says so."""

    how: Literal["kind", "meaning", "related", "name"]
    sentence: str
    indices: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class NearestNames:
    """Of the classes of one network. synonyms: the classes that each name stands for, by their
    indices; the names in lower case. index_of: the class of this name. is_imagenet: whether WordNet
    knows what the classes are kinds of."""

    synonyms: Mapping[str, tuple[int, ...]]
    index_of: Callable[[str], int]
    is_imagenet: bool

    def to(self, text: str) -> Nearest | None:
        """What to offer for a word that is no class: the classes of that kind, or else those
        nearest in meaning, related to it, or nearest in name. None if there is nothing like it."""
        word = plain(text)
        if meaning := self._in_meaning(word) or self._in_meaning(word.replace(" ", "-")):
            return meaning
        if near := self._containing(word):
            return Nearest("name", "The nearest names", tuple(near))
        if " " in word and (meaning := self._in_meaning(word.split()[-1])):
            return meaning  # "a flying cow" is a cow
        if self.is_imagenet and is_noun(word):
            return None  # a word of its own: love does not mean stove
        spelt = self._spelt_like(word)
        meant = noun_spelt_like(word, ALIKE, related_words()) if self.is_imagenet else None
        if meant and not (spelt and _ratio(word, spelt[0]) >= _ratio(word, meant) - _margin(meant)):
            found = self._in_meaning(meant)
            if not found:
                return None
            if found.how == "kind":
                kind = f"The kind nearest in spelling is {kind_named(meant)[0]}"
                return Nearest("name", kind, found.indices)
            return Nearest("name", f"Did you mean “{meant}”? {found.sentence}", found.indices)
        if spelt:
            indices = dict.fromkeys(index for name in spelt for index in self.synonyms[name])
            return Nearest("name", "The nearest in spelling", tuple(indices)[:OFFERED])
        return None

    def _in_meaning(self, word: str) -> Nearest | None:
        """ImageNet's classes for a noun: of that kind, related to it by a list made by hand, or
        near in meaning. A name with the word may mean something else: a beach wagon is no beach."""
        if not self.is_imagenet:
            return None
        kind, members = kind_named(word)
        if members:
            return Nearest("kind", f"Kinds of {kind}", tuple(members))
        if names := related_names(tuple(singulars(word))):
            related = tuple(self.index_of(name) for name in names)
            return Nearest("related", "Related classes", related)
        if near := near_in_meaning(word):
            return Nearest("meaning", "The nearest in meaning", tuple(near))
        return None

    @cached_property
    def _heard(self) -> dict[str, list[str]]:
        """The synonyms by how they, or long words of them, sound; the shortest first."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.synonyms, key=len):
            whole = plain(name)
            words = (one for one in whole.replace("-", " ").split() if len(one) >= _LONG_WORD)
            for one in dict.fromkeys((whole, *words)):
                found.setdefault(as_heard(one), []).append(name)
        return found

    def _containing(self, word: str) -> list[int]:
        """Classes with a synonym that has this very word in it, then with one that begins or ends
        so."""
        names = self.synonyms
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
        return list(dict.fromkeys(index for name in found for index in names[name]))[:OFFERED]

    def _spelt_like(self, word: str) -> list[str]:
        """Synonyms, in lower case, the nearest first."""
        heard = as_heard(word)
        near = difflib.get_close_matches(heard, self._heard, n=OFFERED, cutoff=ALIKE)
        if self.is_imagenet:  # many names, which all kinds of words are like
            near = [one for one in near if one[:1] == heard[:1] and is_slip(heard, one)]
        return [name for one in near for name in self._heard[one]]


def _ratio(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word, other).ratio()


def _margin(noun: str) -> float:
    """By how much more a noun must be like a word than a class is: nothing if it is a kind; most
    nouns are rarer than classes."""
    return 0.0 if kinds().named(noun) else 0.1
