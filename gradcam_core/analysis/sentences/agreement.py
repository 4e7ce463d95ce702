"""Whether networks look at the same places, and where their heat lies, in words.

Only the overlap tells how alike two networks are, as in the table beside the sentences. A place is
stated for several networks only if it is the place of each of their maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcam_core.analysis.agreement import Agreement, Pair
from gradcam_core.analysis.location import Location
from gradcam_core.analysis.overlap_grades import Grade, grade_of
from gradcam_core.analysis.sentences.named_network import NamedNetwork, grouped, names_of, subject
from gradcam_core.wording import whole_percentage_in_sentence

WIDER = 1.5
"""A network's heat covers more if its hot area is at least this many times that of any other."""

_CERTAIN = 0.95  # areas are counted on a raster, so this share of their ratio is certain

_MAX_PLACES_APART = 4  # the most places that one sentence names

_ALIKE = 40  # percent of overlap from which networks that differ "still" look at the same


def comparison(
    with_map: Sequence[NamedNetwork], networks: Sequence[NamedNetwork], found: Agreement | None
) -> Iterator[str]:
    """Up to two sentences on the networks that have a map, at least two: how far they look at the
    same places; where the heat of each lies, and whose covers more. found: the agreement of all
    networks, as in the table; None if there is none."""
    pairs = [pair for pair in found.pairs if pair.overlap is not None] if found else []
    pairs.sort(key=lambda pair: pair.overlap or 0, reverse=True)
    locations = {one.location for one in with_map}
    alike, places = "", _places(with_map, networks)
    if len({_grade(pair) for pair in pairs}) == 1:
        alike = _all_alike(pairs, with_map, networks)
        if len({location.clause for location in locations}) == 1:
            alike += _joint_place(_grade(pairs[-1]), locations.pop())
            places = ""
    elif pairs:
        alike = _most_and_least_alike(pairs, networks)
    yield from filter(None, (alike, "; ".join(filter(None, (places, _widest(with_map))))))


def _joint_place(grade: Grade, place: Location) -> str:
    """A clause on the place at which all maps lie. It stands for the places that they share only if
    these are most of what each looks at, and lie at one place; otherwise for the heat of each."""
    if grade.group == "same" and place.kind == "one":
        return f", {place.clause}"
    then = ", though" if grade.is_near_chance else ";"
    return f"{then} the heat of each {place.verb} {place.clause}"


def _all_alike(
    pairs: Sequence[Pair], with_map: Sequence[NamedNetwork], networks: Sequence[NamedNetwork]
) -> str:
    """A clause on how alike all networks are. pairs: all of one grade."""
    # "They" refers to the networks of the first sentence, which omits those without scores.
    all_named = len(with_map) == len(networks) and all(one.e.has_scores for one in networks)
    they = "they" if all_named else names_of(with_map)
    still = "still, " if _grade(pairs[0]).least >= _ALIKE and _differ(with_map) else ""
    return f"{still}{they} {_look_at(pairs)}"


def _most_and_least_alike(pairs: Sequence[Pair], networks: Sequence[NamedNetwork]) -> str:
    """Clauses on the most and the least alike networks. pairs: the most alike first."""
    best, *others = pairs
    if len(others) == 2:
        return f"{_names(best, networks)} {_look_at([best])}; {_third(best, others, networks)}"
    written = [_range([pair.overlap]) for pair in pairs]
    return "; ".join(
        f"{'among the ' if written.count(_range([pair.overlap])) > 1 else ''}{most} alike are "
        f"{_names(pair, networks)}, which {_look_at([pair])}"
        for most, pair in (("most", best), ("least", others[-1]))
    )


def _third(best: Pair, others: Sequence[Pair], networks: Sequence[NamedNetwork]) -> str:
    """A clause on what the third network looks at, beside the two most alike."""
    (third,) = {*others[0].ends, *others[1].ends} - {*best.ends}
    name = networks[third].name
    overlaps = [
        (whole_percentage_in_sentence(pair.overlap or 0), networks[sum(pair.ends) - third].name)
        for pair in others
    ]
    chance = _by_chance(others)
    by = " and ".join(f"{overlap} with {other}" for overlap, other in overlaps)
    if len({_grade(pair) for pair in others}) > 1:
        return f"the overlap of {name} is {by}" + (f" ({chance})" if chance else "")
    return f"{name} looks at {_grade(others[0]).words} ({', '.join(filter(None, (by, chance)))})"


def _look_at(pairs: Sequence[Pair]) -> str:
    """The words "look at mostly the same places (overlap 69 %)". pairs: all of one grade."""
    return f"look at {_grade(pairs[0]).words} (overlap {_numbers(pairs)})"


def _numbers(pairs: Sequence[Pair]) -> str:
    """The overlaps of these pairs: "69 %", "3 to 12 %, by chance 11 %"."""
    overlaps = _range([pair.overlap for pair in pairs])
    return ", ".join(filter(None, (overlaps, _by_chance(pairs))))


def _by_chance(pairs: Sequence[Pair]) -> str:
    """The overlap expected by chance if that of a pair is near it: "by chance 11 %". Otherwise
    empty, also if one network has no heat in what all saw."""
    if not any(_grade(pair).is_near_chance and pair.chance for pair in pairs):
        return ""
    return f"by chance {_range([pair.chance for pair in pairs])}"


def _range(shares: Sequence[float | None]) -> str:
    known = [share for share in shares if share is not None]
    ends = [whole_percentage_in_sentence(share) for share in (min(known), max(known))]
    return " to ".join(dict.fromkeys(ends)).replace(" % to ", " to ")


def _grade(pair: Pair) -> Grade:
    return grade_of(pair.overlap or 0)


def _names(pair: Pair, networks: Sequence[NamedNetwork]) -> str:
    return names_of([networks[end] for end in pair.ends])


def _differ(with_map: Sequence[NamedNetwork]) -> bool:
    """Whether networks explain different classes, and also predict different ones; False if one
    predicts values."""
    if any(one.e.unit is not None for one in with_map):
        return False
    return all(
        len({prediction.name for prediction in those}) > 1
        for those in ([one.e.target for one in with_map], [one.e.top[0] for one in with_map])
    )


def _places(with_map: Sequence[NamedNetwork], networks: Sequence[NamedNetwork]) -> str:
    """Where the heat of each lies; empty if there are too many places."""
    groups = grouped(with_map, lambda one: one.location.clause)
    if len(groups) > _MAX_PLACES_APART:
        return ""
    clauses: list[str] = []
    verb = ""
    for group in groups:
        location = group[0].location
        repeated = "" if location.verb == verb else f"{location.verb} "
        verb = location.verb
        heat = "that" if clauses else "the heat"
        clauses.append(f"{heat} of {subject(group, networks)} {repeated}{location.clause}")
    return "; ".join(clauses)


def _widest(with_map: Sequence[NamedNetwork]) -> str:
    """A clause on the network whose heat covers clearly more of the photo than any other's; empty
    if there is none, or if its place already says so."""
    *others, second, widest = sorted(with_map, key=lambda one: one.hot_area)
    if not second.hot_area or widest.location.kind in ("spread", "around"):
        return ""
    times = _CERTAIN * widest.hot_area / second.hot_area
    if times < WIDER:
        return ""
    words = "twice" if int(times) == 2 else f"{max(WIDER, int(times)):g} times"
    than = "any other" if others else second.name
    return f"the heat of {widest.name} covers at least {words} as much as that of {than}"
