"""The classes to offer for a word that is no class of a network."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
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
"""The most classes that an error names."""

_LONG_WORD = 6  # letters from which one word of a name is compared without the rest of the name

_LETTERS = 3  # letters from which a word is searched at the ends of others

ALIKE = 0.75
"""The least of difflib's ratios at which one word may be a misspelling of the other."""


@dataclass(frozen=True)
class Nearest:
    """Classes to offer for a word that is no class, the nearest first. how: "kind" if the word is
    their kind; "meaning", "related" or "name" if they are near in these. sentence: says so. names:
    for "name", the names and synonyms that are near, in lower case."""

    how: Literal["kind", "meaning", "related", "name"]
    sentence: str
    indices: tuple[int, ...]
    names: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class NearestNames:
    """Finds the nearest classes of one network. synonyms: for each name in lower case, the indices
    of its classes. index_of: returns the index of the class with a name. is_imagenet: whether
    WordNet knows the kinds of the classes."""

    synonyms: Mapping[str, tuple[int, ...]]
    index_of: Callable[[str], int]
    is_imagenet: bool

    @lru_cache(maxsize=1)  # noqa: B019 (of one word, for which a search asks several times)
    def to(self, text: str) -> Nearest | None:
        """The classes to offer for a word that is no class: those of that kind, or else those
        related to it, nearest in meaning, or nearest in name. None if none is like it."""
        word = plain(text)
        if meaning := self._in_meaning(word) or self._in_meaning(word.replace(" ", "-")):
            return meaning
        if near := self._containing(word):
            return Nearest("name", "The nearest names", self._classes(near), near)
        if " " in word and (meaning := self._in_meaning(word.split()[-1])):
            return meaning  # "a flying cow" is a cow
        if self.is_imagenet and is_noun(word):
            return None  # a word of its own: love is no slip of stove
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
            return Nearest("name", "The nearest in spelling", self._classes(spelt), spelt)
        return None

    def _in_meaning(self, word: str) -> Nearest | None:
        """ImageNet's classes for a noun: of that kind, related to it by a hand-made list, or near
        in meaning. They are tried before names with the word: a beach wagon is no beach."""
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
        """The synonyms by the sound of the whole name or of a long word in it, the shortest
        first."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.synonyms, key=len):
            whole = plain(name)
            words = (one for one in whole.replace("-", " ").split() if len(one) >= _LONG_WORD)
            for one in dict.fromkeys((whole, *words)):
                found.setdefault(as_heard(one), []).append(name)
        return found

    def _classes(self, names: Sequence[str]) -> tuple[int, ...]:
        """The indices of the classes with these names, in their order; at most `OFFERED`."""
        found = dict.fromkeys(index for name in names for index in self.synonyms[name])
        return tuple(found)[:OFFERED]

    def _containing(self, word: str) -> list[str]:
        """Synonyms that contain this word, then those with a word that begins or ends like it, in
        lower case; of each, the shortest first."""
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
        return [*sorted(having, key=len), *sorted(parts, key=len)]

    def _spelt_like(self, word: str) -> list[str]:
        """Synonyms spelt like the word, in lower case, the nearest first."""
        heard = as_heard(word)
        near = difflib.get_close_matches(heard, self._heard, n=OFFERED, cutoff=ALIKE)
        if self.is_imagenet:  # many names, which all kinds of words are like
            near = [one for one in near if one[:1] == heard[:1] and is_slip(heard, one)]
        return [name for one in near for name in self._heard[one]]


def _ratio(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word, other).ratio()


def _margin(noun: str) -> float:
    """By how much a noun must be more like a word than a class is: 0 for a kind, more for other
    nouns, most of which are rarer than classes."""
    return 0.0 if kinds().named(noun) else 0.1
