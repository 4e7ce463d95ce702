"""What the numbers of a result say, in a few sentences: nothing that is not in the numbers.

A network looks at the hottest fifth of its map, as in `agreement`; see `location` for the places.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from gradcam_core.analysis.agreement import agreement, heat_on, raster
from gradcam_core.analysis.location import HOT, clause, location_of
from gradcam_core.cam.methods import method_named
from gradcam_core.explanation import Explanation
from gradcam_core.wording import percentage_in_sentence

SENTENCES = 4
"""The most that `summary` gives."""

SAME = 0.5
"""Overlap from which on two networks look at the same place: equal fifths share two thirds."""

PARTLY = 0.2
"""Overlap below which they look at different places: equal fifths share less than a third."""

TOUCHING = 0.25
"""Share of the smallest hot area, from which on in common, that networks are hot together."""

WIDER = 1.5
"""Times the hot area of every other network, from which on one is said to spread over more."""

CLOSE = 0.1
"""Difference of the two highest probabilities below which a network is unsure."""

WEAK = 0.3
"""Highest probability below which it is unsure, too."""

IMPROBABLE = 0.01
"""Probability below which a class is improbable for a network."""

CUT_OFF = 0.05
"""Share of the photo's width or height that a network must miss at a side to be told so."""

_CERTAIN = 0.95  # of a ratio of areas: small ones are not counted more exactly on a raster

_ALL = {2: "both", 3: "all three", 4: "all four", 5: "all five", 6: "all six"}

_LISTED = 3  # networks at different places, up to which each place is named

_Likeness: TypeAlias = Literal["alike", "in part", "apart"]


@dataclass(frozen=True, eq=False)
class _Network:
    """An explanation and what its network is called."""

    name: str
    e: Explanation

    @property
    def has_scores(self) -> bool:
        """Whether its probabilities are any: all are 0 where the scores are not numbers."""
        return self.e.top[0].probability > 0

    @property
    def has_map(self) -> bool:
        return not self.e.degenerate

    @cached_property
    def hot(self) -> np.ndarray:
        """bool [height, width] of the raster that networks are compared on."""
        return heat_on(self.e, raster(self.e.geometry.photo_size)) >= HOT


def summary(explanations: Sequence[Explanation]) -> tuple[str, ...]:
    """At most `SENTENCES` sentences on what networks made of one photo.

    The first of these, each only if there is something to say: what they predict; who has no map;
    where they look, and who spreads over more; for whom the class is improbable; who is unsure;
    whose heat is cut off. Networks are called by their titles, by their headings where two have
    the same title. Raises ValueError for explanations of photos of different sizes.
    """
    titles = [e.title for e in explanations]
    networks = [
        _Network(e.title if titles.count(e.title) == 1 else e.heading, e) for e in explanations
    ]
    parts = (_predictions, _missing_maps, _places, _improbable, _unsure, _cut_off)
    sentences = (sentence for part in parts for sentence in part(networks))
    return tuple(
        f"{sentence[0].upper()}{sentence[1:]}."
        for sentence in itertools.islice(sentences, SENTENCES)
    )


def _predictions(networks: Sequence[_Network]) -> Iterator[str]:
    groups = _grouped((one for one in networks if one.has_scores), lambda one: one.e.top[0].name)
    targets = {one.e.target.name for one in networks}
    # The class that all explain, if no network predicts it.
    other = ""
    if len(targets) == 1 and targets.isdisjoint(group[0].e.top[0].name for group in groups):
        other = networks[0].e.target.name
    clauses = [_prediction(group, networks) for group in groups]
    if len(groups) == 1:
        yield clauses[0] + (f", not {other}" if other else "")
    elif groups:
        if other:
            clauses.append(f"{'neither' if sum(map(len, groups)) == 2 else 'none'} says {other}")
        yield f"they disagree: {'; '.join(clauses)}"


def _prediction(group: Sequence[_Network], networks: Sequence[_Network]) -> str:
    name = group[0].e.top[0].name
    values = _percentages([one.e.top[0].probability for one in group])
    # Such a name ends in brackets of its own: "crane (bird, 39 %)".
    said = f"{name[:-1]}, {values})" if name.endswith(")") else f"{name} ({values})"
    return f"{_subject(group, networks)} {_form(group, 'says', 'say')} {said}"


def _missing_maps(networks: Sequence[_Network]) -> Iterator[str]:
    without = (one for one in networks if not one.has_map)
    for group in _grouped(without, lambda one: (one.e.degenerate, one.e.target.name)):
        names = [one.name for one in group]
        if len(names) == 1:
            subject = f"{names[0]} has no map"
        elif len(names) == 2:
            subject = f"neither {names[0]} nor {names[1]} has a map"
        else:
            subject = f"none of {_listed(names)} has a map"
        e = group[0].e
        yield f"{subject} of {e.target.name}: {clause(e.degenerate)}"


def _places(networks: Sequence[_Network]) -> Iterator[str]:
    with_map = [one for one in networks if one.has_map]
    if len(with_map) == 1:
        location = location_of([with_map[0].e])
        verb = "is" if location.kind == "spread" else "lies"
        yield f"the heat of {with_map[0].name} {verb} {location.words('at the ')}"
    elif with_map:
        compared = _compared(with_map, networks)
        wider = _wider(with_map)
        # One of them is enough for a sentence that has two halves already.
        together = f"{compared}; {wider}" if compared and wider and ";" not in compared else ""
        yield from [together] if together else filter(None, (compared, wider))


def _compared(with_map: Sequence[_Network], networks: Sequence[_Network]) -> str:
    """Whether these look at the same place; empty if there is none that all of them saw."""
    comparison = _Comparison.of(with_map)
    if comparison is None:
        return ""
    # "They" are those whom the first sentence names, unless one had no scores.
    all_named = len(with_map) == len(networks) and all(one.has_scores for one in networks)
    they = "they" if all_named else _names(with_map)
    group = comparison.largest_alike()
    if len(group) == len(with_map):
        differ = all(
            len({prediction(one.e).name for one in with_map}) > 1
            for prediction in (lambda e: e.target, lambda e: e.top[0])
        )
        return f"{'still, ' if differ else ''}{they} look at {_same_place(group)}"
    if group:
        return f"{_names(group)} look at {_same_place(group)}; {comparison.rest(group)}"
    if set(comparison.likeness.values()) == {"apart"}:
        return f"{they} look at different places{_each(with_map)}"
    place = ""
    if _meet(with_map):
        location = location_of([one.e for one in with_map])
        place = f", {location.words('at the ')}" if location.kind == "one" else ""
    return f"the places where {they} look overlap only in part{place}"


@dataclass(frozen=True)
class _Comparison:
    """How alike the maps of every two networks are: "alike" if they overlap by `SAME`, "apart" if
    by less than `PARTLY` and they are hot at no place together."""

    with_map: Sequence[_Network]
    likeness: dict[frozenset[_Network], _Likeness]

    @classmethod
    def of(cls, with_map: Sequence[_Network]) -> _Comparison | None:
        found = agreement([one.e for one in with_map])
        if found is None:
            return None
        likeness: dict[frozenset[_Network], _Likeness] = {}
        for pair in found.pairs:
            two = with_map[pair.first], with_map[pair.second]
            kind: _Likeness = "in part"
            if pair.overlap >= SAME:
                kind = "alike"
            elif pair.overlap < PARTLY and not _meet(two):
                kind = "apart"
            likeness[frozenset(two)] = kind
        return cls(with_map, likeness)

    def between(self, first: _Network, second: _Network) -> _Likeness:
        return self.likeness[frozenset((first, second))]

    def are_alike(self, group: Sequence[_Network]) -> bool:
        """Whether every two are, and all are hot at a place together: peaks that lie elsewhere may
        have the same faint surroundings."""
        pairs = itertools.combinations(group, 2)
        return _meet(group) and all(self.between(*pair) == "alike" for pair in pairs)

    def largest_alike(self) -> tuple[_Network, ...]:
        """The most that are all alike, two at least; the first such ones; or none."""
        for size in range(len(self.with_map), 1, -1):
            for group in itertools.combinations(self.with_map, size):
                if self.are_alike(group):
                    return group
        return ()

    def rest(self, group: Sequence[_Network]) -> str:
        """What the others do while these look at the same place."""
        others = [one for one in self.with_map if one not in group]
        elsewhere = [
            one for one in others if all(self.between(one, each) == "apart" for each in group)
        ]
        in_part = [one for one in others if one not in elsewhere]
        clauses = []
        if in_part:
            verb = _form(in_part, "looks", "look")
            clauses.append(f"{_names(in_part)} {verb} there only in part")
        if elsewhere:
            place = _from(group, elsewhere) if self.are_alike(elsewhere) else ""
            verb = _form(elsewhere, "looks", "look")
            clauses.append(f"{_names(elsewhere)} {verb} elsewhere{place}")
        return "; ".join(clauses)


def _meet(group: Sequence[_Network]) -> bool:
    """Whether there is a place, of a size that counts, where all of these are hot."""
    common = np.logical_and.reduce([one.hot for one in group]).sum()
    return bool(common > 0 and common >= TOUCHING * min(one.hot.sum() for one in group))


def _from(group: Sequence[_Network], elsewhere: Sequence[_Network]) -> str:
    """Where the others look, seen from where these do: the place's name, or the direction."""
    here, there = (location_of([one.e for one in those]) for those in (group, elsewhere))
    if there.kind != "one" or there.centre is None:
        return ""
    if here.centre is None or here.name != there.name:
        return f", {there.words('at the ')}"
    right, down = (
        (to - start) * side
        for to, start, side in zip(
            there.centre, here.centre, group[0].e.geometry.photo_size, strict=True
        )
    )
    if abs(right) >= abs(down):
        return f", further {'right' if right > 0 else 'left'}"
    return f", further {'down' if down > 0 else 'up'}"


def _same_place(group: Sequence[_Network]) -> str:
    location = location_of([one.e for one in group])
    if location.kind == "one":
        return f"the same spot, at the {location.name}"
    if location.kind == "spread":
        return f"the same places, {location.words()}"
    return "the same places" + (f", most of all at the {location.name}" if location.name else "")


def _each(with_map: Sequence[_Network]) -> str:
    """Where each of a few looks, if each has one place and no two are called the same."""
    locations = [location_of([one.e]) for one in with_map]
    names = {location.name for location in locations if location.kind == "one"}
    if len(with_map) > _LISTED or len(names) < len(with_map):
        return ""
    verbs = [" looks", *[""] * len(with_map)]
    places = [
        f"{one.name}{verb} {location.words('at the ')}"
        for one, verb, location in zip(with_map, verbs, locations, strict=False)
    ]
    return f": {_listed(places)}"


def _wider(with_map: Sequence[_Network]) -> str:
    """Who spreads over clearly more of the photo than any other does; empty if none."""
    *others, second, widest = sorted(with_map, key=lambda one: one.hot.sum())
    if not second.hot.any():
        return ""
    times = _CERTAIN * widest.hot.sum() / second.hot.sum()
    if times < WIDER:
        return ""
    words = "twice" if int(times) == 2 else f"{max(WIDER, int(times)):g} times"
    than = "any other" if others else "the other"
    return f"{widest.name} spreads over at least {words} the area of {than}"


def _improbable(networks: Sequence[_Network]) -> Iterator[str]:
    looking = (
        one
        for one in networks
        if one.has_scores
        and one.has_map
        and one.e.rank > 1
        and one.e.target.probability < IMPROBABLE
        and method_named(one.e.method).knows_class
    )
    for group in _grouped(looking, lambda one: one.e.target.name):
        values = _percentages([one.e.target.probability for one in group])
        rank = f", rank {group[0].e.rank}" if len(group) == 1 else ""
        where_it_is = _form(group, "its map shows where it", "their maps show where they")
        yield (
            f"for {_subject(group, networks)}, {group[0].e.target.name} is improbable "
            f"({values}{rank}): {where_it_is} would look for it"
        )


def _unsure(networks: Sequence[_Network]) -> Iterator[str]:
    weak, close = [], []
    for one in networks:
        best, second = (prediction.probability for prediction in one.e.top[:2])
        if one.has_scores and best < WEAK:
            weak.append(one)
        elif one.has_scores and best - second < CLOSE:
            close.append(one)
    clauses = []
    if weak:
        only = _form(
            weak,
            f"its best guess has only {percentage_in_sentence(weak[0].e.top[0].probability)}",
            f"their best guesses have less than {percentage_in_sentence(WEAK)}",
        )
        clauses.append(f"{_subject(weak, networks)} {_form(weak, 'is', 'are')} unsure: {only}")
    if close:
        first, second = (prediction.probability for prediction in close[0].e.top[:2])
        points = _points(first - second if len(close) == 1 else CLOSE, len(close) > 1)
        too = ", too" if weak else ""
        clauses.append(
            f"{_subject(close, networks)} {_form(close, 'is', 'are')} unsure{too}: "
            f"{_form(close, 'its', 'their')} top two are {points} apart"
        )
    if clauses:
        yield "; ".join(clauses)


def _cut_off(networks: Sequence[_Network]) -> Iterator[str]:
    group = [one for one in networks if one.has_map and _is_cut_off(one.e)]
    if group:
        saw = _form(group, "it", "they")
        yield (
            f"the heat of {_subject(group, networks)} reaches the edge of what {saw} saw: "
            "there may be more outside"
        )


def _is_cut_off(e: Explanation) -> bool:
    """Whether it is hot at a side of the view where the photo goes on."""
    width, height = e.geometry.photo_size
    left, top, right, bottom = e.box
    heat = e.feature_map
    sides = (
        (left / width, heat[:, 0]),
        (top / height, heat[0]),
        (1 - right / width, heat[:, -1]),
        (1 - bottom / height, heat[-1]),
    )
    return any(share >= CUT_OFF and side.max() >= HOT * heat.max() for share, side in sides)


def _grouped(
    networks: Iterable[_Network], key: Callable[[_Network], Hashable]
) -> list[list[_Network]]:
    """Those with the same key together, in the order of their firsts."""
    groups: dict[Hashable, list[_Network]] = {}
    for one in networks:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _subject(group: Sequence[_Network], networks: Sequence[_Network]) -> str:
    """The words "both", "all three" and so on if there are no others, else their names."""
    if len(group) == len(networks) > 1:
        return _ALL.get(len(group), f"all {len(group)}")
    return _names(group)


def _names(group: Iterable[_Network]) -> str:
    return _listed([one.name for one in group])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _form(group: Sequence[_Network], singular: str, plural: str) -> str:
    return singular if len(group) == 1 else plural


def _percentages(probabilities: Sequence[float]) -> str:
    """One for each; only one if they look the same."""
    words = [percentage_in_sentence(probability) for probability in probabilities]
    return _listed(words if len(set(words)) > 1 else words[:1])


def _points(share: float, is_bound: bool) -> str:
    """A difference of probabilities, or a bound that it stays below."""
    count = round(100 * share)
    points = "1 point" if share < 0.01 or count == 1 else f"{count} points"
    return f"less than {points}" if share < 0.01 or is_bound else points
