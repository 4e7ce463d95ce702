"""The results of networks for one photo in a few sentences that say nothing the numbers do not.

A network looks at the hottest fifth of its map, as in `agreement`; see `location` for the places.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial

from gradcam_core.analysis.agreement import Agreement, agreement
from gradcam_core.analysis.location import HOT, clause
from gradcam_core.analysis.sentences.agreement import comparison
from gradcam_core.analysis.sentences.cover import covered_sentences
from gradcam_core.analysis.sentences.named_network import (
    NamedNetwork,
    form,
    grouped,
    percentages,
    subject,
)
from gradcam_core.analysis.sentences.predictions import doubts, predictions
from gradcam_core.analysis.trust.limits import IMPROBABLE
from gradcam_core.cam.methods.registry import method_named
from gradcam_core.explanation.result import Explanation
from gradcam_core.wording import listed

SENTENCES = 5
"""The most sentences that `summary` returns."""

CUT_OFF = 0.05
"""Share of the photo's width or height that a network must miss at a side to cut off heat."""


def summary(
    explanations: Sequence[Explanation], compared: Agreement | None = None
) -> tuple[str, ...]:
    """At most `SENTENCES` sentences on the results of networks for one photo.

    They are the first of these, as far as there is something to say: which networks are shown
    several times; what covering a place has changed; what networks predict; which have no map; how
    far they look at the same places; where their heat lies, and whose covers more; for which the
    class is improbable; which are unsure; whose heat is cut off. Networks are named by their
    titles, or by their headings if two have the same title. compared: their `agreement`, if it is
    at hand: computing it takes longer than all the rest. Raises ValueError for explanations of
    photos of different sizes.
    """
    # A network that stands in for several counts once.
    shared = list(_shared(explanations))
    others = [e for several in shared for e in several[1:]]
    distinct = [e for e in explanations if not any(e is other for other in others)]
    if others:
        compared = None
    titles = [e.title for e in distinct]
    networks = [
        NamedNetwork(e.title if titles.count(e.title) == 1 else e.heading, e) for e in distinct
    ]
    places = partial(_places, compared=compared)
    parts = (covered_sentences, predictions, _missing_maps, places, _improbable, doubts, _cut_off)
    sentences = itertools.chain(
        map(_one_network, shared), (sentence for part in parts for sentence in part(networks))
    )
    names = tuple(f"{one.name} " for one in networks)  # not capitalised: iNet
    return tuple(
        f"{one if one.startswith(names) else one[0].upper() + one[1:]}."
        for one in itertools.islice(sentences, SENTENCES)
    )


def _shared(explanations: Sequence[Explanation]) -> Iterator[list[Explanation]]:
    """Groups of explanations that are shown as several networks but are of one."""
    for identity in dict.fromkeys(e.identity for e in explanations):
        several = [e for e in explanations if e.identity == identity]
        if len({e.heading for e in several}) > 1:
            yield several


def _one_network(several: Sequence[Explanation]) -> str:
    instead_of = listed([e.stands_in_for for e in several if e.stands_in_for])
    times = "twice" if len(several) == 2 else f"{len(several)} times"
    return f"{several[0].title} stands in for {instead_of}, so one network is shown {times}"


def _missing_maps(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    without = (one for one in networks if not one.has_map)
    for group in grouped(without, lambda one: (one.e.degenerate, _what_is_missing(one.e))):
        e = group[0].e
        a, thing = "any" if e.is_only_against else "a", _what_is_missing(e)
        names = [one.name for one in group]
        if len(names) == 1:
            beginning = f"{names[0]} has no {thing}"
        elif len(names) == 2:
            beginning = f"neither {names[0]} nor {names[1]} has {a} {thing}"
        else:
            beginning = f"none of {listed(names)} has {a} {thing}"
        yield f"{beginning}: {clause(e.degenerate)}"


def _what_is_missing(e: Explanation) -> str:
    if not method_named(e.method).knows_class:
        return "map"
    # The class has a signed map, all of it against it.
    return f"{'heat for' if e.is_only_against else 'map of'} {e.target.in_sentence}"


def _places(networks: Sequence[NamedNetwork], compared: Agreement | None) -> Iterator[str]:
    with_map = [one for one in networks if one.has_map]
    if len(with_map) == 1:
        ((name, location),) = ((one.name, one.location) for one in with_map)
        yield f"the heat of {name} {location.verb} {location.clause}"
    elif with_map:
        found = compared or agreement([one.e for one in networks])
        yield from comparison(with_map, networks, found)


def _improbable(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    looking = (
        one
        for one in networks
        if one.e.has_scores
        and one.has_map
        and one.e.unit is None
        and one.e.rank > 1
        and one.e.target.probability < IMPROBABLE
        and method_named(one.e.method).knows_class
    )
    for group in grouped(looking, lambda one: one.e.target.name):
        values = percentages([one.e.target.probability for one in group])
        rank = f", rank {group[0].e.rank}" if len(group) == 1 else ""
        where_it_is = form(group, "its map shows where it", "their maps show where they")
        yield (
            f"for {subject(group, networks)}, {group[0].e.target.in_sentence} is improbable "
            f"({values}{rank}): {where_it_is} would look for it"
        )


def _cut_off(networks: Sequence[NamedNetwork]) -> Iterator[str]:
    group = [one for one in networks if one.has_map and _is_cut_off(one.e)]
    if group:
        saw = form(group, "it", "they")
        yield (
            f"the heat of {subject(group, networks)} reaches the edge of what {saw} saw: "
            "there may be more outside"
        )


def _is_cut_off(e: Explanation) -> bool:
    """Whether the map is hot at a side of the view beyond which the photo goes on."""
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
