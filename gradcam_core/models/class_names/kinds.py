"""What ImageNet's classes are kinds of, and which are nearest in meaning to a word.

From WordNet 3.0 (Princeton University; its licence: `wordnet_licence.txt`), whose synsets the 1000
classes are. The tables are made by `scripts/wordnet.py`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from gradcam_core.models.class_names.spelling import as_heard, is_slip

TABLE = Path(__file__).with_name("wordnet_kinds.json")
NOUNS = Path(__file__).with_name("wordnet_nouns.json")

OF_ANOTHER_SENSE = {916, 922, 968}
"""Web site, menu and cup: in ImageNet's photographs these are no computer, no food and no drink,
which their synsets are."""


@dataclass(frozen=True)
class Kind:
    """names: WordNet's, the usual one first. parents: numbers of what it is a kind of. is_plain:
    whether people use the word, so that a sentence can have it."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    is_plain: bool

    @property
    def lower_names(self) -> list[str]:
        return [name.casefold() for name in self.names]


@dataclass(frozen=True, eq=False)
class Kinds:
    """parents: of each class, the numbers of its kinds. synsets: of each class, WordNet's number of
    it, "n02123045", which ImageNet's folders are named after."""

    kinds: tuple[Kind, ...]
    parents: tuple[tuple[int, ...], ...]
    synsets: tuple[str, ...]

    @cached_property
    def _above(self) -> tuple[tuple[int, ...], ...]:
        """Of each class, every kind above it, the nearest first."""
        found = []
        for parents in self.parents:
            kinds = list(parents)
            for kind in kinds:  # grows while it is read
                kinds += [one for one in self.kinds[kind].parents if one not in kinds]
            found.append(tuple(kinds))
        return tuple(found)

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """Of each kind, the indices of its classes."""
        found: list[list[int]] = [[] for _ in self.kinds]
        for index, kinds in enumerate(self._above):
            for kind in kinds:
                found[kind].append(index)
        return tuple(map(tuple, found))

    @cached_property
    def by_synset(self) -> dict[str, int]:
        """The index of each class by WordNet's number of it."""
        return {synset: index for index, synset in enumerate(self.synsets)}

    def narrowest(self, classes: Iterable[int]) -> int | None:
        """The number of the narrowest kind with a plain name that all of these classes are."""
        given = set(classes)
        if not given or given & OF_ANOTHER_SENSE:
            return None
        common = set.intersection(*(set(self._above[index]) for index in given))
        plain = [kind for kind in common if self.kinds[kind].is_plain]
        return min(plain, key=lambda kind: (len(self.members[kind]), kind), default=None)

    def shared(self, classes: Iterable[int]) -> str | None:
        """The name of the narrowest kind that all of these ImageNet classes are, in a plain word:
        "cat" for tabby and Egyptian cat; None if there is no such word."""
        kind = self.narrowest(classes)
        return None if kind is None else self.kinds[kind].names[0]

    def named(self, word: str) -> list[int]:
        """The classes that are of a kind of this name."""
        found = [
            (len(self.members[n]), self.members[n])
            for n, kind in enumerate(self.kinds)
            if word in kind.lower_names
        ]
        return [index for _, members in sorted(found) for index in members]


@cache
def kinds() -> Kinds:
    """Those of ImageNet's 1000 classes."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return Kinds(
        tuple(
            Kind(tuple(one["names"]), tuple(one["parents"]), one["is_plain"])
            for one in table["kinds"]
        ),
        tuple(map(tuple, table["classes"])),
        tuple(table["synsets"]),
    )


@cache
def _nouns() -> tuple[dict[str, list[int]], dict[str, str]]:
    table = json.loads(NOUNS.read_text(encoding="utf-8"))
    return table["near"], table["singular"]


_TRIED = 5  # nouns that are spelt most like a word

_LEAST_EXCHANGED = 5  # letters of a word that is looked for in another order

_LEAST_OF_OTHERS = 6  # letters of a slip of a noun that is no kind: "coche" is no cloche

ENDINGS = (("ches", "ch"), ("shes", "sh"), ("ses", "s"), ("xes", "x"), ("zes", "z"),
           ("ies", "y"), ("men", "man"), ("s", ""))  # fmt: skip
"""Of regular plurals and their singulars, as in WordNet's own morphology (morphy, 7WN)."""


NEW_WORDS = {
    word: older
    for older, words in {
        "boat": ("yacht",),
        "cellphone": ("iphone", "smartphone"),
        "dessert": ("cake",),
        "flower": ("rose", "tulip"),
        "insect": ("bug",),
        "person": ("human", "people"),
        "television": ("telly", "tv"),
        "vegetable": ("carrot",),
        "washbasin": ("sink",),
        "wheel": ("tire", "tyre"),
    }.items()
    for word in words
}
"""Common words that WordNet 3.0 lacks, or lacks in this sense, or knows nothing near of, and words
that it has for them."""


def singulars(word: str) -> Sequence[str]:
    """What a word may be the plural of, itself first; in lower case."""
    word = word.casefold()
    regular = [word.removesuffix(end) + instead for end, instead in ENDINGS if word.endswith(end)]
    irregular = filter(None, [_nouns()[1].get(word)])
    return list(dict.fromkeys([word, *irregular, *regular]))


def _meant(word: str) -> Sequence[str]:
    """The same, with older words for new ones."""
    words = singulars(word)
    return list(dict.fromkeys([*words, *filter(None, map(NEW_WORDS.get, words))]))


def is_noun(word: str) -> bool:
    """Whether this is a noun, perhaps in the plural, that cannot be a misspelling of another: a
    common one, or one that is spelt like a class or kind; near any class or not."""
    return any(one in _nouns()[0] for one in _meant(word))


def kind_named(word: str) -> tuple[str, list[int]]:
    """WordNet's name of the kind that a noun, perhaps in the plural, means ("cattle" for cows), and
    the ImageNet classes of that kind; none if it names no kind. The usual senses count."""
    table = kinds()
    for one in _meant(word):
        if one in _nouns()[0]:
            nodes = [n for n in _nouns()[0][one] if n >= 0 and one in table.kinds[n].lower_names]
            named = " or ".join(dict.fromkeys(table.kinds[n].names[0] for n in nodes))
            members = [index for n in nodes for index in table.members[n]]
        else:
            named, members = one, table.named(one)
        if members:
            return named, list(dict.fromkeys(members))
    return word, []


def noun_spelt_like(word: str, ratio: float, others: Iterable[str] = ()) -> str | None:
    """The noun, plain name of a kind or other word that is spelt most like this, by difflib's
    ratio, or with its letters in another order; None if none is. The first letter is rarely wrong.
    Of words for people, who are no classes, none is taken."""
    known = [kind.names[0].casefold() for kind in kinds().kinds if kind.is_plain]
    people = set(kinds().named("person"))
    offered = {noun for noun, near in _nouns()[0].items() if not people.issuperset(_classes(near))}
    if len(word) < _LEAST_OF_OTHERS:
        offered &= {name for kind in kinds().kinds for name in kind.lower_names}
    nouns = [
        one for one in dict.fromkeys([*known, *sorted(offered), *others]) if one[:1] == word[:1]
    ]
    letters = sorted(word)
    for noun in nouns:
        if len(word) >= _LEAST_EXCHANGED and sorted(noun) == letters:
            return noun
    heard = {as_heard(noun): noun for noun in nouns}
    near = difflib.get_close_matches(as_heard(word), heard, _TRIED, ratio)
    return next((heard[one] for one in near if is_slip(as_heard(word), one)), None)


def _classes(near: Iterable[int]) -> list[int]:
    """Of classes and kinds, as the table of nouns has them."""
    members = kinds().members
    return [index for node in near for index in ([-1 - node] if node < 0 else members[node])]


def near_in_meaning(word: str) -> list[int]:
    """The ImageNet classes nearest in meaning to a noun, the nearest first; empty if WordNet's
    table of nouns lacks it or nothing is near."""
    near = (_classes(_nouns()[0].get(one, ())) for one in _meant(word))
    return list(dict.fromkeys(next(filter(None, near), [])))
