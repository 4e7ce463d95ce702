"""Whether networks look at the same place, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from gradcam_core.analysis.agreement import agreement, heat_on, raster
from gradcam_core.analysis.location import HOT, location_of
from gradcam_core.explanation import Explanation
from gradcam_core.wording import listed

SAME = 0.5
"""Overlap from which on two networks look at the same place: equal fifths share two thirds."""

PARTLY = 0.2
"""Overlap below which they look at different places: equal fifths share less than a third."""

TOUCHING = 0.25
"""Share of the smallest hot area, from which on in common, that networks are hot together."""

WIDER = 1.5
"""Times the hot area of every other network, from which on one is said to spread over more."""

_CERTAIN = 0.95  # of a ratio of areas: small ones are not counted more exactly on a raster

_LISTED = 3  # networks at different places, up to which each place is named

_Likeness: TypeAlias = Literal["alike", "in part", "apart"]


@dataclass(frozen=True, eq=False)
class Network:
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


def agreement_in_words(with_map: Sequence[Network], networks: Sequence[Network]) -> str:
    """Whether these look at the same place; empty if there is none that all of them saw."""
    comparison = _Comparison.of(with_map)
    if comparison is None:
        return ""
    # "They" are those whom the first sentence names, unless one had no scores.
    all_named = len(with_map) == len(networks) and all(one.has_scores for one in networks)
    they = "they" if all_named else names_of(with_map)
    group = comparison.largest_alike()
    if len(group) == len(with_map):
        differ = all(
            len({prediction(one.e).name for one in with_map}) > 1
            for prediction in (lambda e: e.target, lambda e: e.top[0])
        )
        return f"{'still, ' if differ else ''}{they} look at {_same_place(group)}"
    if group:
        return f"{names_of(group)} look at {_same_place(group)}; {comparison.rest(group)}"
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

    with_map: Sequence[Network]
    likeness: dict[frozenset[Network], _Likeness]

    @classmethod
    def of(cls, with_map: Sequence[Network]) -> _Comparison | None:
        found = agreement([one.e for one in with_map])
        if found is None:
            return None
        likeness: dict[frozenset[Network], _Likeness] = {}
        for pair in found.pairs:
            two = with_map[pair.first], with_map[pair.second]
            kind: _Likeness = "in part"
            if pair.overlap >= SAME:
                kind = "alike"
            elif pair.overlap < PARTLY and not _meet(two):
                kind = "apart"
            likeness[frozenset(two)] = kind
        return cls(with_map, likeness)

    def between(self, first: Network, second: Network) -> _Likeness:
        return self.likeness[frozenset((first, second))]

    def are_alike(self, group: Sequence[Network]) -> bool:
        """Whether every two are, and all are hot at a place together: peaks that lie elsewhere may
        have the same faint surroundings."""
        pairs = itertools.combinations(group, 2)
        return _meet(group) and all(self.between(*pair) == "alike" for pair in pairs)

    def largest_alike(self) -> tuple[Network, ...]:
        """The most that are all alike, two at least; the first such ones; or none."""
        for size in range(len(self.with_map), 1, -1):
            for group in itertools.combinations(self.with_map, size):
                if self.are_alike(group):
                    return group
        return ()

    def rest(self, group: Sequence[Network]) -> str:
        """What the others do while these look at the same place."""
        others = [one for one in self.with_map if one not in group]
        elsewhere = [
            one for one in others if all(self.between(one, each) == "apart" for each in group)
        ]
        in_part = [one for one in others if one not in elsewhere]
        clauses = []
        if in_part:
            verb = form(in_part, "looks", "look")
            clauses.append(f"{names_of(in_part)} {verb} there only in part")
        if elsewhere:
            place = _from(group, elsewhere) if self.are_alike(elsewhere) else ""
            verb = form(elsewhere, "looks", "look")
            clauses.append(f"{names_of(elsewhere)} {verb} elsewhere{place}")
        return "; ".join(clauses)


def _meet(group: Sequence[Network]) -> bool:
    """Whether there is a place, of a size that counts, where all of these are hot."""
    common = np.logical_and.reduce([one.hot for one in group]).sum()
    return bool(common > 0 and common >= TOUCHING * min(one.hot.sum() for one in group))


def _from(group: Sequence[Network], elsewhere: Sequence[Network]) -> str:
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


def _same_place(group: Sequence[Network]) -> str:
    location = location_of([one.e for one in group])
    if location.kind == "one":
        return f"the same spot, at the {location.name}"
    if location.kind == "spread":
        return f"the same places, {location.words()}"
    return "the same places" + (f", most of all at the {location.name}" if location.name else "")


def _each(with_map: Sequence[Network]) -> str:
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
    return f": {listed(places)}"


def widest_in_words(with_map: Sequence[Network]) -> str:
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


def names_of(group: Iterable[Network]) -> str:
    return listed([one.name for one in group])


def form(group: Sequence[Network], singular: str, plural: str) -> str:
    return singular if len(group) == 1 else plural
