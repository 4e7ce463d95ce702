"""What the numbers of a result say, in a few sentences: nothing that is not in the numbers.

A network looks at the hottest fifth of its map, as in `agreement`; a place is hot from half of the
map's maximum on. Places are named by thirds of the photo.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from gradcam_core.analysis.agreement import agreement, heat_on, raster
from gradcam_core.cam.methods import method_named
from gradcam_core.explanation import Explanation

SENTENCES = 4
"""The most that `summary` gives."""

SAME = 0.5
"""Overlap from which on two networks look at the same place: equal fifths share two thirds."""

PARTLY = 0.2
"""Overlap below which they look at different places: equal fifths share less than a third."""

HOT = 0.5
"""Heat, as share of a map's maximum, from which on a place is hot."""

TOUCHING = 0.25
"""Share of the smallest hot area, from which on in common, that networks are hot together."""

MUCH = 1 / 3
"""Share of the photo from which on what is hot is much of the picture."""

APART = 1 / 3
"""Share of the photo's width or height from which on two places are far apart."""

SEVERAL = 0.25
"""Share of what is hot, far from the main spot, from which on the heat is in several places."""

MOST = 0.5
"""The same share, from which on the main spot does not have most of it."""

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

_PLACES = 2**14  # of the raster on which spots are told apart

_ALL = {2: "both", 3: "all three", 4: "all four", 5: "all five", 6: "all six"}

_LISTED = 3  # networks at different places, up to which each place is named

_Likeness: TypeAlias = Literal["alike", "in part", "apart"]


@dataclass(frozen=True)
class _Location:
    """Where heat lies: in one place, in several far apart, or all over.

    centre: (x, y) as shares of the photo's width and height, of the one place, or of the one among
    several that has most of the heat; None if there is none.
    """

    kind: Literal["one", "several", "spread"]
    centre: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """Of the centre: one of nine."""
        if self.centre is None:
            return ""
        x, y = (min(int(3 * share), 2) for share in self.centre)
        if x == 1:
            return ("top", "centre", "bottom")[y]
        return ("upper ", "", "lower ")[y] + ("left", "", "right")[x]

    def words(self, before: str = "") -> str:
        """before: stands before the name of a place."""
        if self.kind == "spread":
            return "spread over much of the picture"
        if self.kind == "one":
            return before + self.name
        return "in several places" + (f", most of all {before}{self.name}" if self.name else "")


@dataclass(frozen=True, eq=False)
class _Shown:
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


def where(e: Explanation) -> str:
    """Where in the photo the heat lies, as words that may follow a colon.

    One of nine places ("upper left", "top", "centre", "lower right", …): that of the centre of mass
    of the largest spot that is hot. "in several places" if a quarter of what is hot lies far from
    it, and "most of all" where, if more than half does not; "spread over much of the picture" if a
    third of the photo is hot. For a degenerate map, why it shows nothing.
    """
    return _clause(e.degenerate) if e.degenerate else _location([e]).words()


def summary(explanations: Sequence[Explanation]) -> tuple[str, ...]:
    """At most `SENTENCES` sentences on what networks made of one photo.

    The first of these, each only if there is something to say: what they predict; who has no map;
    where they look, and who spreads over more; for whom the class is improbable; who is unsure;
    whose heat is cut off. Networks are called by their titles, by their headings where two have
    the same title. Raises ValueError for explanations of photos of different sizes.
    """
    titles = [e.title for e in explanations]
    shown = [_Shown(e.title if titles.count(e.title) == 1 else e.heading, e) for e in explanations]
    parts = (_predictions, _missing_maps, _places, _improbable, _unsure, _cut_off)
    sentences = (sentence for part in parts for sentence in part(shown))
    return tuple(
        f"{sentence[0].upper()}{sentence[1:]}."
        for sentence in itertools.islice(sentences, SENTENCES)
    )


def _predictions(shown: Sequence[_Shown]) -> Iterator[str]:
    groups = _grouped((one for one in shown if one.has_scores), lambda one: one.e.top[0].name)
    targets = {one.e.target.name for one in shown}
    # The class that all explain, if no network predicts it.
    other = ""
    if len(targets) == 1 and targets.isdisjoint(group[0].e.top[0].name for group in groups):
        other = shown[0].e.target.name
    clauses = [_prediction(group, shown) for group in groups]
    if len(groups) == 1:
        yield clauses[0] + (f", not {other}" if other else "")
    elif groups:
        if other:
            clauses.append(f"{'neither' if sum(map(len, groups)) == 2 else 'none'} says {other}")
        yield f"they disagree: {'; '.join(clauses)}"


def _prediction(group: Sequence[_Shown], shown: Sequence[_Shown]) -> str:
    name = group[0].e.top[0].name
    values = _percentages([one.e.top[0].probability for one in group])
    # Such a name ends in brackets of its own: "crane (bird, 39 %)".
    said = f"{name[:-1]}, {values})" if name.endswith(")") else f"{name} ({values})"
    return f"{_subject(group, shown)} {_form(group, 'says', 'say')} {said}"


def _missing_maps(shown: Sequence[_Shown]) -> Iterator[str]:
    without = (one for one in shown if not one.has_map)
    for group in _grouped(without, lambda one: (one.e.degenerate, one.e.target.name)):
        names = [one.name for one in group]
        if len(names) == 1:
            subject = f"{names[0]} has no map"
        elif len(names) == 2:
            subject = f"neither {names[0]} nor {names[1]} has a map"
        else:
            subject = f"none of {_listed(names)} has a map"
        e = group[0].e
        yield f"{subject} of {e.target.name}: {_clause(e.degenerate)}"


def _places(shown: Sequence[_Shown]) -> Iterator[str]:
    seeing = [one for one in shown if one.has_map]
    if len(seeing) == 1:
        location = _location([seeing[0].e])
        verb = "is" if location.kind == "spread" else "lies"
        yield f"the heat of {seeing[0].name} {verb} {location.words('at the ')}"
    elif seeing:
        compared = _compared(seeing, shown)
        wider = _wider(seeing)
        # One of them is enough for a sentence that has two halves already.
        together = f"{compared}; {wider}" if compared and wider and ";" not in compared else ""
        yield from [together] if together else filter(None, (compared, wider))


def _compared(seeing: Sequence[_Shown], shown: Sequence[_Shown]) -> str:
    """Whether these look at the same place; empty if there is none that all of them saw."""
    comparison = _Comparison.of(seeing)
    if comparison is None:
        return ""
    # "They" are those whom the first sentence names, unless one had no scores.
    all_named = len(seeing) == len(shown) and all(one.has_scores for one in shown)
    they = "they" if all_named else _names(seeing)
    group = comparison.largest_alike()
    if len(group) == len(seeing):
        differ = all(
            len({prediction(one.e).name for one in seeing}) > 1
            for prediction in (lambda e: e.target, lambda e: e.top[0])
        )
        return f"{'still, ' if differ else ''}{they} look at {_same_place(group)}"
    if group:
        return f"{_names(group)} look at {_same_place(group)}; {comparison.rest(group)}"
    if set(comparison.likeness.values()) == {"apart"}:
        return f"{they} look at different places{_each(seeing)}"
    place = ""
    if _meet(seeing):
        location = _location([one.e for one in seeing])
        place = f", {location.words('at the ')}" if location.kind == "one" else ""
    return f"the places where {they} look overlap only in part{place}"


@dataclass(frozen=True)
class _Comparison:
    """How alike the maps of every two networks are: "alike" if they overlap by `SAME`, "apart" if
    by less than `PARTLY` and they are hot at no place together."""

    seeing: Sequence[_Shown]
    likeness: dict[frozenset[_Shown], _Likeness]

    @classmethod
    def of(cls, seeing: Sequence[_Shown]) -> _Comparison | None:
        found = agreement([one.e for one in seeing])
        if found is None:
            return None
        likeness: dict[frozenset[_Shown], _Likeness] = {}
        for pair in found.pairs:
            two = seeing[pair.first], seeing[pair.second]
            kind: _Likeness = "in part"
            if pair.overlap >= SAME:
                kind = "alike"
            elif pair.overlap < PARTLY and not _meet(two):
                kind = "apart"
            likeness[frozenset(two)] = kind
        return cls(seeing, likeness)

    def between(self, first: _Shown, second: _Shown) -> _Likeness:
        return self.likeness[frozenset((first, second))]

    def are_alike(self, group: Sequence[_Shown]) -> bool:
        """Whether every two are, and all are hot at a place together: peaks that lie elsewhere may
        have the same faint surroundings."""
        pairs = itertools.combinations(group, 2)
        return _meet(group) and all(self.between(*pair) == "alike" for pair in pairs)

    def largest_alike(self) -> tuple[_Shown, ...]:
        """The most that are all alike, two at least; the first such ones; or none."""
        for size in range(len(self.seeing), 1, -1):
            for group in itertools.combinations(self.seeing, size):
                if self.are_alike(group):
                    return group
        return ()

    def rest(self, group: Sequence[_Shown]) -> str:
        """What the others do while these look at the same place."""
        others = [one for one in self.seeing if one not in group]
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


def _meet(group: Sequence[_Shown]) -> bool:
    """Whether there is a place, of a size that counts, where all of these are hot."""
    common = np.logical_and.reduce([one.hot for one in group]).sum()
    return bool(common > 0 and common >= TOUCHING * min(one.hot.sum() for one in group))


def _from(group: Sequence[_Shown], elsewhere: Sequence[_Shown]) -> str:
    """Where the others look, seen from where these do: the place's name, or the direction."""
    here, there = (_location([one.e for one in those]) for those in (group, elsewhere))
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


def _same_place(group: Sequence[_Shown]) -> str:
    location = _location([one.e for one in group])
    if location.kind == "one":
        return f"the same spot, at the {location.name}"
    if location.kind == "spread":
        return f"the same places, {location.words()}"
    return "the same places" + (f", most of all at the {location.name}" if location.name else "")


def _each(seeing: Sequence[_Shown]) -> str:
    """Where each of a few looks, if each has one place and no two are called the same."""
    locations = [_location([one.e]) for one in seeing]
    names = {location.name for location in locations if location.kind == "one"}
    if len(seeing) > _LISTED or len(names) < len(seeing):
        return ""
    verbs = [" looks", *[""] * len(seeing)]
    places = [
        f"{one.name}{verb} {location.words('at the ')}"
        for one, verb, location in zip(seeing, verbs, locations, strict=False)
    ]
    return f": {_listed(places)}"


def _wider(seeing: Sequence[_Shown]) -> str:
    """Who spreads over clearly more of the photo than any other does; empty if none."""
    *others, second, widest = sorted(seeing, key=lambda one: one.hot.sum())
    if not second.hot.any():
        return ""
    times = _CERTAIN * widest.hot.sum() / second.hot.sum()
    if times < WIDER:
        return ""
    words = "twice" if int(times) == 2 else f"{max(WIDER, int(times)):g} times"
    than = "any other" if others else "the other"
    return f"{widest.name} spreads over at least {words} the area of {than}"


def _improbable(shown: Sequence[_Shown]) -> Iterator[str]:
    looking = (
        one
        for one in shown
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
            f"for {_subject(group, shown)}, {group[0].e.target.name} is improbable "
            f"({values}{rank}): {where_it_is} would look for it"
        )


def _unsure(shown: Sequence[_Shown]) -> Iterator[str]:
    weak, close = [], []
    for one in shown:
        best, second = (prediction.probability for prediction in one.e.top[:2])
        if one.has_scores and best < WEAK:
            weak.append(one)
        elif one.has_scores and best - second < CLOSE:
            close.append(one)
    clauses = []
    if weak:
        only = _form(
            weak,
            f"its best guess has only {_percentage(weak[0].e.top[0].probability)}",
            f"their best guesses have less than {_percentage(WEAK)}",
        )
        clauses.append(f"{_subject(weak, shown)} {_form(weak, 'is', 'are')} unsure: {only}")
    if close:
        first, second = (prediction.probability for prediction in close[0].e.top[:2])
        points = _points(first - second if len(close) == 1 else CLOSE, len(close) > 1)
        too = ", too" if weak else ""
        clauses.append(
            f"{_subject(close, shown)} {_form(close, 'is', 'are')} unsure{too}: "
            f"{_form(close, 'its', 'their')} top two are {points} apart"
        )
    if clauses:
        yield "; ".join(clauses)


def _cut_off(shown: Sequence[_Shown]) -> Iterator[str]:
    group = [one for one in shown if one.has_map and _is_cut_off(one.e)]
    if group:
        saw = _form(group, "it", "they")
        yield (
            f"the heat of {_subject(group, shown)} reaches the edge of what {saw} saw: "
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


def _location(explanations: Sequence[Explanation]) -> _Location:
    """Where the heat lies that all of these have: at each place the least of theirs."""
    photo_size = explanations[0].geometry.photo_size
    size = raster(photo_size, _PLACES)
    heat = np.minimum.reduce([heat_on(e, size) for e in explanations])
    if not heat.any():  # all that is seen is smaller than a place of this raster
        left, top, right, bottom = explanations[0].box
        centre = (left + right) / 2 / photo_size[0], (top + bottom) / 2 / photo_size[1]
        return _Location("one", centre)
    hot = heat >= HOT * heat.max()
    if hot.mean() >= MUCH:
        return _Location("spread")
    spots = _spots(hot)
    main = spots == np.bincount(spots[hot], weights=heat[hot]).argmax()
    rows, columns = ((np.arange(side) + 0.5) / side for side in heat.shape)
    weights = np.where(main, heat, 0)
    y = np.average(rows, weights=weights.sum(axis=1))
    x = np.average(columns, weights=weights.sum(axis=0))
    far = np.maximum(np.abs(rows - y)[:, None], np.abs(columns - x)) >= APART
    # A large ring has its centre where it is not.
    inside = main[int(y * size[1]), int(x * size[0])]
    share = heat[hot & far & ~(main & inside)].sum() / heat[hot].sum()
    if share < SEVERAL:
        return _Location("one", (x, y))
    return _Location("several", (x, y) if inside and share < MOST else None)


def _spots(mask: np.ndarray) -> np.ndarray:
    """The parts of a mask that are connected by sides: int [H, W], counted from 1, 0 outside."""
    height, width = mask.shape
    padded = np.zeros((height, width + 1), dtype=np.int8)  # so that no run goes on in the next row
    padded[:, :width] = mask
    steps = np.diff(padded.ravel(), prepend=np.int8(0))
    starts, ends = (np.flatnonzero(steps == step).tolist() for step in (1, -1))
    parts = list(range(len(starts)))  # of each run of a row, an earlier run of the same part

    def first(run: int) -> int:
        while parts[run] != run:
            parts[run] = run = parts[parts[run]]
        return run

    above = 0
    for run, (start, end) in enumerate(zip(starts, ends, strict=True)):
        while ends[above] <= start - (width + 1):
            above += 1
        for other in range(above, run):
            if starts[other] >= end - (width + 1):
                break
            one, two = sorted((first(other), first(run)))
            parts[two] = one
    firsts = [first(run) for run in range(len(starts))]
    numbers = {run: number for number, run in enumerate(dict.fromkeys(firsts), 1)}
    spots = np.zeros(padded.shape, dtype=int)
    lengths = np.subtract(ends, starts)
    names = np.array([numbers[run] for run in firsts], dtype=int)
    spots[padded > 0] = np.repeat(names, lengths.astype(int))
    return spots[:, :width]


def _grouped(shown: Iterable[_Shown], key: Callable[[_Shown], Hashable]) -> list[list[_Shown]]:
    """Those with the same key together, in the order of their firsts."""
    groups: dict[Hashable, list[_Shown]] = {}
    for one in shown:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _subject(group: Sequence[_Shown], shown: Sequence[_Shown]) -> str:
    """The words "both", "all three" and so on if there are no others, else their names."""
    if len(group) == len(shown) > 1:
        return _ALL.get(len(group), f"all {len(group)}")
    return _names(group)


def _names(group: Iterable[_Shown]) -> str:
    return _listed([one.name for one in group])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _form(group: Sequence[_Shown], singular: str, plural: str) -> str:
    return singular if len(group) == 1 else plural


def _clause(sentence: str) -> str:
    """A sentence as it stands after a colon."""
    return sentence[0].lower() + sentence[1:].removesuffix(".")


def _percentages(probabilities: Sequence[float]) -> str:
    """One for each; only one if they look the same."""
    words = [_percentage(probability) for probability in probabilities]
    return _listed(words if len(set(words)) > 1 else words[:1])


def _percentage(probability: float) -> str:
    percent = 100 * probability
    if percent >= 99.5:
        return "more than 99 %"
    if percent >= 1:
        return f"{percent:.0f} %"
    return f"{round(percent, 2):g} %" if percent >= 0.01 else "less than 0.01 %"


def _points(share: float, is_bound: bool) -> str:
    """A difference of probabilities, or a bound that it stays below."""
    count = round(100 * share)
    points = "1 point" if share < 0.01 or count == 1 else f"{count} points"
    return f"less than {points}" if share < 0.01 or is_bound else points
