"""What networks made of one photo, in a few sentences that say nothing the numbers do not.

A network looks at the hottest fifth of its map, as in `agreement`; see `location` for the places.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from gradcam_core.analysis.comparison import (
    Network,
    agreement_in_words,
    form,
    names_of,
    widest_in_words,
)
from gradcam_core.analysis.location import HOT, clause, location_of
from gradcam_core.cam.methods import method_named
from gradcam_core.explanation import Explanation
from gradcam_core.wording import listed, percentage_in_sentence

SENTENCES = 4
"""The most that `summary` gives."""

CLOSE = 0.1
"""Difference of the two highest probabilities below which a network is unsure."""

WEAK = 0.3
"""Highest probability below which it is unsure, too."""

IMPROBABLE = 0.01
"""Probability below which a class is improbable for a network."""

CUT_OFF = 0.05
"""Share of the photo's width or height that a network must miss at a side to be named."""

_ALL = {2: "both", 3: "all three", 4: "all four", 5: "all five", 6: "all six"}


def summary(explanations: Sequence[Explanation]) -> tuple[str, ...]:
    """At most `SENTENCES` sentences on what networks made of one photo.

    The first of these, each only if there is something to say: what they predict; who has no map;
    where they look, and who spreads over more; for whom the class is improbable; who is unsure;
    whose heat is cut off. Networks are called by their titles, by their headings where two have
    the same title. Raises ValueError for explanations of photos of different sizes.
    """
    titles = [e.title for e in explanations]
    networks = [
        Network(e.title if titles.count(e.title) == 1 else e.heading, e) for e in explanations
    ]
    parts = (_predictions, _missing_maps, _places, _improbable, _unsure, _cut_off)
    sentences = (sentence for part in parts for sentence in part(networks))
    return tuple(
        f"{sentence[0].upper()}{sentence[1:]}."
        for sentence in itertools.islice(sentences, SENTENCES)
    )


def _predictions(networks: Sequence[Network]) -> Iterator[str]:
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


def _prediction(group: Sequence[Network], networks: Sequence[Network]) -> str:
    name = group[0].e.top[0].name
    values = _percentages([one.e.top[0].probability for one in group])
    # Such a name ends in brackets of its own: "crane (bird, 39 %)".
    prediction = f"{name[:-1]}, {values})" if name.endswith(")") else f"{name} ({values})"
    return f"{_subject(group, networks)} {form(group, 'says', 'say')} {prediction}"


def _missing_maps(networks: Sequence[Network]) -> Iterator[str]:
    without = (one for one in networks if not one.has_map)
    for group in _grouped(without, lambda one: (one.e.degenerate, one.e.target.name)):
        names = [one.name for one in group]
        if len(names) == 1:
            subject = f"{names[0]} has no map"
        elif len(names) == 2:
            subject = f"neither {names[0]} nor {names[1]} has a map"
        else:
            subject = f"none of {listed(names)} has a map"
        e = group[0].e
        yield f"{subject} of {e.target.name}: {clause(e.degenerate)}"


def _places(networks: Sequence[Network]) -> Iterator[str]:
    with_map = [one for one in networks if one.has_map]
    if len(with_map) == 1:
        location = location_of([with_map[0].e])
        verb = "is" if location.kind == "spread" else "lies"
        yield f"the heat of {with_map[0].name} {verb} {location.words('at the ')}"
    elif with_map:
        compared = agreement_in_words(with_map, networks)
        wider = widest_in_words(with_map)
        # One of them is enough for a sentence that has two halves already.
        together = f"{compared}; {wider}" if compared and wider and ";" not in compared else ""
        yield from [together] if together else filter(None, (compared, wider))


def _improbable(networks: Sequence[Network]) -> Iterator[str]:
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
        where_it_is = form(group, "its map shows where it", "their maps show where they")
        yield (
            f"for {_subject(group, networks)}, {group[0].e.target.name} is improbable "
            f"({values}{rank}): {where_it_is} would look for it"
        )


def _unsure(networks: Sequence[Network]) -> Iterator[str]:
    weak, close = [], []
    for one in networks:
        best, second = (prediction.probability for prediction in one.e.top[:2])
        if one.has_scores and best < WEAK:
            weak.append(one)
        elif one.has_scores and best - second < CLOSE:
            close.append(one)
    clauses = []
    if weak:
        only = form(
            weak,
            f"its best guess has only {percentage_in_sentence(weak[0].e.top[0].probability)}",
            f"their best guesses have less than {percentage_in_sentence(WEAK)}",
        )
        clauses.append(f"{_subject(weak, networks)} {form(weak, 'is', 'are')} unsure: {only}")
    if close:
        first, second = (prediction.probability for prediction in close[0].e.top[:2])
        points = _points(first - second if len(close) == 1 else CLOSE, len(close) > 1)
        too = ", too" if weak else ""
        clauses.append(
            f"{_subject(close, networks)} {form(close, 'is', 'are')} unsure{too}: "
            f"{form(close, 'its', 'their')} top two are {points} apart"
        )
    if clauses:
        yield "; ".join(clauses)


def _cut_off(networks: Sequence[Network]) -> Iterator[str]:
    group = [one for one in networks if one.has_map and _is_cut_off(one.e)]
    if group:
        saw = form(group, "it", "they")
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
    networks: Iterable[Network], key: Callable[[Network], Hashable]
) -> list[list[Network]]:
    """Those with the same key together, in the order of their firsts."""
    groups: dict[Hashable, list[Network]] = {}
    for one in networks:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _subject(group: Sequence[Network], networks: Sequence[Network]) -> str:
    """The words "both", "all three" and so on if there are no others, else their names."""
    if len(group) == len(networks) > 1:
        return _ALL.get(len(group), f"all {len(group)}")
    return names_of(group)


def _percentages(probabilities: Sequence[float]) -> str:
    """One for each; only one if they look the same."""
    words = [percentage_in_sentence(probability) for probability in probabilities]
    return listed(words if len(set(words)) > 1 else words[:1])


def _points(share: float, is_bound: bool) -> str:
    """A difference of probabilities, or a bound that it stays below."""
    count = round(100 * share)
    points = "1 point" if share < 0.01 or count == 1 else f"{count} points"
    return f"less than {points}" if share < 0.01 or is_bound else points
