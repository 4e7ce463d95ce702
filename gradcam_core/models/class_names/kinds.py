"""The kinds of ImageNet's classes, and the classes nearest in meaning to a word.

Both come from WordNet 3.0 (Princeton University; licence: `wordnet_licence.txt`), whose synsets the
1000 classes are. `scripts/wordnet.py` makes the tables.
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
"""Web site, menu and cup: their synsets are a computer, food and a drink, which ImageNet's
photographs do not show."""


@dataclass(frozen=True)
class Kind:
    """A kind of things. names: WordNet's, the usual one first. parents: numbers of the kinds above
    it. is_plain: whether its first name is a common word, fit for a sentence."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    is_plain: bool

    @property
    def lower_names(self) -> list[str]:
        return [name.casefold() for name in self.names]


@dataclass(frozen=True, eq=False)
class Kinds:
    """Kinds, whose numbers are their positions. parents: for each class, the numbers of its kinds.
    synsets: for each class, its WordNet number, such as "n02123045", the name of its folder in
    ImageNet."""

    kinds: tuple[Kind, ...]
    parents: tuple[tuple[int, ...], ...]
    synsets: tuple[str, ...]

    @cached_property
    def _above(self) -> tuple[tuple[int, ...], ...]:
        """For each class, all kinds above it, the nearest first."""
        found = []
        for parents in self.parents:
            kinds = list(parents)
            for kind in kinds:  # the list grows during the loop
                kinds += [one for one in self.kinds[kind].parents if one not in kinds]
            found.append(tuple(kinds))
        return tuple(found)

    @cached_property
    def members(self) -> tuple[tuple[int, ...], ...]:
        """For each kind, the indices of its classes."""
        found: list[list[int]] = [[] for _ in self.kinds]
        for index, kinds in enumerate(self._above):
            for kind in kinds:
                found[kind].append(index)
        return tuple(map(tuple, found))

    @cached_property
    def by_synset(self) -> dict[str, int]:
        """The index of each class, by its WordNet number."""
        return {synset: index for index, synset in enumerate(self.synsets)}

    def narrowest(self, classes: Iterable[int]) -> int | None:
        """The number of the narrowest kind with a plain name that contains all these classes; None
        if there is none."""
        given = set(classes)
        if not given or given & OF_ANOTHER_SENSE:
            return None
        common = set.intersection(*(set(self._above[index]) for index in given))
        plain = [kind for kind in common if self.kinds[kind].is_plain]
        return min(plain, key=lambda kind: (len(self.members[kind]), kind), default=None)

    def shared(self, classes: Iterable[int]) -> str | None:
        """The plain name of the narrowest kind that contains all these ImageNet classes: "cat" for
        tabby and Egyptian cat; None if there is none."""
        kind = self.narrowest(classes)
        return None if kind is None else self.kinds[kind].names[0]

    def named(self, word: str) -> list[int]:
        """The indices of the classes of all kinds with this name, the narrowest kind first. word:
        in lower case."""
        found = [
            (len(self.members[n]), self.members[n])
            for n, kind in enumerate(self.kinds)
            if word in kind.lower_names
        ]
        return [index for _, members in sorted(found) for index in members]


@cache
def kinds() -> Kinds:
    """The kinds of ImageNet's 1000 classes."""
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


_TRIED = 5  # similar nouns that are tried

_LEAST_EXCHANGED = 5  # letters from which a word is also searched with these in another order

_LEAST_OF_OTHERS = 6  # letters of a slip of a noun that is no kind: "coche" is no cloche

ENDINGS = (("ches", "ch"), ("shes", "sh"), ("ses", "s"), ("xes", "x"), ("zes", "z"),
           ("ies", "y"), ("men", "man"), ("s", ""))  # fmt: skip
"""Endings of regular plurals and their singulars, as in WordNet's morphology (morphy, 7WN)."""


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
"""Common words that WordNet 3.0 lacks, lacks in this sense, or relates to no class; and the words
that it has for them."""


def singulars(word: str) -> Sequence[str]:
    """The word, then the words that it may be the plural of; in lower case."""
    word = word.casefold()
    regular = [word.removesuffix(end) + instead for end, instead in ENDINGS if word.endswith(end)]
    irregular = filter(None, [_nouns()[1].get(word)])
    return list(dict.fromkeys([word, *irregular, *regular]))


def _meant(word: str) -> Sequence[str]:
    """The `singulars` of a word, then older words for new ones."""
    words = singulars(word)
    return list(dict.fromkeys([*words, *filter(None, map(NEW_WORDS.get, words))]))


def is_noun(word: str) -> bool:
    """Whether a word is a known noun, perhaps in the plural, and so no misspelling of another: a
    common noun, or one that is spelt like a class or kind, even if no class is near it."""
    return any(one in _nouns()[0] for one in _meant(word))


def kind_named(word: str) -> tuple[str, list[int]]:
    """WordNet's name of the kind that a noun, perhaps in the plural, means ("cattle" for cows), and
    the indices of its ImageNet classes; none if it names no kind. Only usual senses count."""
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
    """The noun, plain name of a kind or word of others that is spelt most like this one: with the
    same letters in another order, or with at least this ratio of difflib's. None if there is none.
    Only words with the same first letter are compared, as it is rarely wrong; words for people are
    left out, because people are no classes."""
    known = [kind.names[0].casefold() for kind in kinds().kinds if kind.is_plain]
    offered = _nouns_of_no_people()
    if len(word) < _LEAST_OF_OTHERS:
        offered = offered & {name for kind in kinds().kinds for name in kind.lower_names}
    first = as_heard(word)[:1]
    nouns = [
        one
        for one in dict.fromkeys([*known, *sorted(offered), *others])
        if as_heard(one)[:1] == first
    ]
    letters = sorted(word)
    for noun in nouns:
        if len(word) >= _LEAST_EXCHANGED and sorted(noun) == letters:
            return noun
    heard = {as_heard(noun): noun for noun in nouns}
    near = difflib.get_close_matches(as_heard(word), heard, _TRIED, ratio)
    return next((heard[one] for one in near if is_slip(as_heard(word), one)), None)


@cache
def _nouns_of_no_people() -> frozenset[str]:
    people = set(kinds().named("person"))
    return frozenset(
        noun for noun, near in _nouns()[0].items() if not people.issuperset(_classes(near))
    )


def _classes(near: Iterable[int]) -> list[int]:
    """The indices of the classes in an entry of the table of nouns: -1 - index stands for a class,
    the number of a kind for all its classes."""
    members = kinds().members
    return [index for node in near for index in ([-1 - node] if node < 0 else members[node])]


def near_in_meaning(word: str) -> list[int]:
    """The indices of the ImageNet classes nearest in meaning to a noun, the nearest first; empty if
    the table of nouns lacks it or nothing is near."""
    near = (_classes(_nouns()[0].get(one, ())) for one in _meant(word))
    return list(dict.fromkeys(next(filter(None, near), [])))
