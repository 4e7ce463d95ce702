"""Checks what sentences say about maps: how far they overlap, and where the heat lies."""

from __future__ import annotations

import re

import numpy as np

from tests.support.heat_facts import HeatFacts, centres, hottest_fifth, overlap, overlap_by_chance
from tests.support.photo_facts import NUMBER, PhotoFacts, whole

ALIKE = {
    "different places": (0, 4),
    "few of the same places": (5, 19),
    "some of the same places": (20, 39),
    "about half the same places": (40, 59),
    "mostly the same places": (60, 79),
    "almost the same places": (80, 99),
    "the same places": (100, 100),
}
"""Words for an overlap, and the whole percentages for which they are right."""

LOOK = "|".join(sorted(ALIKE, key=len, reverse=True))
OVERLAPS = rf"{NUMBER}(?: to {NUMBER})? %"

# The ranges along one side that words for places mean, as shares, with a tolerance of one place of
# the raster.
LOW, MIDDLE, HIGH, ANYWHERE = (-0.01, 0.345), (0.41, 0.59), (0.655, 1.01), (0.0, 1.0)
BEFORE, BEHIND = (0.325, 0.43), (0.57, 0.675)

SIDES = {
    "left of": (BEFORE, None),
    "right of": (BEHIND, None),
    "above": (None, BEFORE),
    "below": (None, BEHIND),
}
THIRDS = {
    f"{vertical}{horizontal}".strip(): (across, down)
    for vertical, down in (("upper ", LOW), ("", MIDDLE), ("lower ", HIGH))
    for horizontal, across in (("left", LOW), ("right", HIGH))
} | {"top": (MIDDLE, LOW), "centre": (MIDDLE, MIDDLE), "bottom": (MIDDLE, HIGH)}


def check_alike(facts: PhotoFacts, text: str) -> None:
    """Checks a sentence on how far networks look at the same places."""
    whole_text = text = text.removeprefix("still, ")
    text, joint = _without_joint_place(text)
    if joint:
        for name in facts.mapped:
            check_place(facts, name, joint)
        if "the heat of each" not in whole_text:
            check_shared(facts, joint)
    named: set[str] = set()
    best = []
    for clause in text.split("; "):
        if found := re.fullmatch(rf"(.+) look at ({LOOK}) \((overlap .+)\)", clause):
            which, names = "", found[1]
            if alike := re.fullmatch(r"(among the )?(most|least) alike are (.+), which", names):
                which, names = alike[2], alike[3]
                told = re.findall(rf"overlap ({NUMBER} %)", found[3])
                known = [one["overlap"] for one in facts.table.values()]
                same = [one for one in known if one is not None and [whole(one)] == told]
                assert (len(same) > 1) == bool(alike[1]), text
            group = facts.mapped if names == "they" else facts.who(names)
            assert names != "they" or len(facts.mapped) == len(facts.e), text
            pairs = [frozenset((a, b)) for a in group for b in group if a < b]
            _check_pairs(facts, pairs, found[2], found[3])
            if which == "least":
                known = [
                    one["overlap"] for one in facts.table.values() if one["overlap"] is not None
                ]
                assert facts.table[pairs[0]]["overlap"] == min(known), text
            elif len(group) == 2:
                best += pairs
        elif found := re.fullmatch(rf"(.+) looks at ({LOOK}) \((.+)\)", clause):
            numbers, _, chance = found[3].partition(", by chance ")
            beside = re.findall(rf"({NUMBER} %) with (.+?)(?: and |$)", numbers)
            assert " and ".join(f"{number} with {name}" for number, name in beside) == numbers, text
            group = [found[1], *(name for _, name in beside)]
            for number, name in beside:
                _check_pairs(
                    facts, [frozenset((found[1], name))], found[2], f"overlap {number}", False
                )
            _check_chance(facts, [frozenset((found[1], name)) for _, name in beside], chance)
        else:
            found = re.fullmatch(r"the overlap of (.+?) is (.+?)(?: \(by chance (.+)\))?", clause)
            assert found, text
            beside = re.findall(rf"({NUMBER} %) with (.+?)(?: and |$)", found[2])
            assert " and ".join(f"{number} with {name}" for number, name in beside) == found[2], (
                text
            )
            group = [found[1], *(name for _, name in beside)]
            for number, name in beside:
                _check_pairs(facts, [frozenset((found[1], name))], "", f"overlap {number}", False)
            _check_chance(
                facts, [frozenset((found[1], name)) for _, name in beside], found[3] or ""
            )
        named.update(group)
    assert named <= set(facts.mapped), text
    assert "most alike" in text or named == set(facts.mapped), text
    for pair in best:  # the pair that is named first must be the best
        known = [one["overlap"] or 0 for one in facts.table.values()]
        assert facts.table[pair]["overlap"] == max(known), text


def check_shared(facts: PhotoFacts, words: str) -> None:
    """Fails unless most of the places at which all networks look are near the stated place."""
    shared = np.logical_and.reduce(
        [hottest_fifth(facts.heat[name], facts.region) for name in facts.mapped]
    )
    y, x = (float(np.median(one)) / len(shared) for one in np.nonzero(shared))
    check_centre(words, x, y, spare=0.15)


def _without_joint_place(text: str) -> tuple[str, str]:
    if of_each := re.fullmatch(r"(.+\))(, though|;) the heat of each (lies|is|runs) (.+)", text):
        assert (of_each[2] == ", though") == ("by chance" in text), text
        assert of_each[3] == verb_of(of_each[4]), text
        return of_each[1], of_each[4]
    before, found, joint = text.rpartition("), ")
    return (before + ")", joint) if found else (text, "")


def _check_pairs(
    facts: PhotoFacts,
    pairs: list[frozenset[str]],
    words: str,
    numbers: str,
    has_chance: bool = True,
) -> None:
    """Checks words and numbers, such as "overlap 12 to 17 %, by chance 11 %", against the table,
    and the table against the maps."""
    told, _, chance = numbers.removeprefix("overlap ").partition(", by chance ")
    overlaps = []
    for pair in pairs:
        assert pair in facts.table, pair
        entry = facts.table[pair]
        assert entry["overlap"] is not None, pairs
        first, second = (hottest_fifth(facts.heat[name], facts.region) for name in pair)
        assert abs(overlap(first, second) - entry["overlap"]) < 0.05, (pair, entry)
        by_chance = overlap_by_chance(first, second, facts.region)
        assert abs(by_chance - entry["chance"]) < 0.02, (pair, entry)
        overlaps.append(entry["overlap"])
    _check_range(told, overlaps)
    for share in overlaps if words else ():
        shown = re.findall(r"\d+", whole(share))[0]
        low, high = ALIKE[words]
        assert low <= int(shown) - ("<" in whole(share)) <= high, (words, whole(share))
    if has_chance:
        _check_chance(facts, pairs, chance)


def _check_chance(facts: PhotoFacts, pairs: list[frozenset[str]], chance: str) -> None:
    entries = [facts.table[pair] for pair in pairs]
    is_near = any(one["overlap"] < 0.195 and one["chance"] for one in entries)
    assert bool(chance) == is_near, (pairs, chance)
    if chance:
        _check_range(chance, [facts.table[pair]["chance"] for pair in pairs])


def _check_range(text: str, shares: list[float]) -> None:
    found = re.fullmatch(rf"({NUMBER})(?: to ({NUMBER}))? %", text)
    assert found, text
    ends = list(dict.fromkeys((whole(min(shares)), whole(max(shares)))))
    assert [f"{number} %" for number in found.groups() if number] == ends, (text, ends)


def check_places(facts: PhotoFacts, text: str) -> None:
    """Checks a sentence on where the heat of each network lies, and whose heat covers more."""
    told: list[str] = []
    verb = ""
    for clause in text.split("; "):
        if found := re.fullmatch(
            r"the heat of (.+) covers at least (twice|[\d.]+ times) as much as that of "
            r"(any other|(.+))",
            clause,
        ):
            times = 2.0 if found[2] == "twice" else float(found[2].split()[0])
            areas = {name: facts.heat[name].hot.sum() for name in facts.mapped}
            own = areas.pop(found[1])
            assert found[4] is None or list(areas) == [found[4]], text
            assert own >= 0.97 * times * max(areas.values()), (text, own, areas)
            continue
        found = re.fullmatch(
            rf"(?:the heat|that) of (.+?) (lies |is |runs )?((?:{FIRST}).*)", clause
        )
        assert found, text
        verb = found[2] or verb
        assert verb == f"{verb_of(found[3])} ", text
        for name in facts.who(found[1]):
            check_place(facts, name, found[3])
            told.append(name)
    assert sorted(told) in ([], sorted(facts.mapped)), text


FIRST = "at|in|spread|across|down|above|below|left|right"
"""The words with which places begin."""


def verb_of(words: str) -> str:
    """The verb between "the heat" and a place."""
    return {"spread": "is", "across": "runs", "down": "runs"}.get(words.split()[0], "lies")


def check_place(facts: PhotoFacts, name: str, words: str) -> None:
    """Fails unless the heat of a map is at the stated place. Tries several levels, as spots may
    barely touch or barely not."""
    heat, wrong = facts.heat[name], None
    for heat.level in (0.49, 0.51, 0.5):
        try:
            _check_place(heat, words)
        except AssertionError as error:
            wrong = wrong or error
        else:
            wrong = None
            break
    heat.level = 0.5
    if wrong:
        raise wrong


def _check_place(heat: HeatFacts, words: str) -> None:
    spot, share = heat.largest_spot()
    x, y = heat.centre()
    area = heat.hot.mean()
    if words == "spread over much of the picture":
        assert area > 0.325, (words, area)
        return
    assert area < 0.34, (words, area)
    if words == "in several places":
        assert heat.share_near(x, y) < 0.72, words
        return
    if found := re.fullmatch(r"in several places, most of all (.+)", words):
        assert 0.49 < share < 0.72, (words, share)
        assert heat.share_near(x, y) < 0.72, words
        check_centre(found[1], x, y)
    elif found := re.fullmatch(r"spread around the (.+?)( side)?", words):
        assert found[1] in THIRDS, words
        assert bool(found[2]) == (found[1] in ("left", "right")), words
        if share < 0.7:  # by several spots
            x, y = heat.centre_near(x, y)
        across, down = (
            (low if low < 0.3 else 0.325, high if high > 0.7 else 0.675)
            for low, high in THIRDS[found[1]]
        )
        assert across[0] <= x <= across[1], (words, x)
        assert down[0] <= y <= down[1], (words, y)
        assert area > 0.24 or heat.share_near(x, y) < 0.72, (words, area)
    elif found := re.fullmatch(r"(across|down) (?:the picture, )?(.+)", words):
        along, beside = (0, 1) if found[1] == "across" else (1, 0)
        assert spot.sum(axis=along)[far((x, y)[along])].sum() > 0.24 * spot.sum(), words
        assert spot.sum(axis=beside)[far((x, y)[beside])].sum() < 0.26 * spot.sum(), words
        assert (heat.length_over_width() > 0.95) if along else (heat.length_over_width() < 1.05)
        assert found[2] in BANDS, words
        bounds = BANDS[found[2]]
        assert bounds[0] <= (x, y)[beside] <= bounds[1], (words, x, y)
    else:
        assert heat.share_near(x, y) > 0.68 or _fills_short_side(heat, x, y), words
        if share < 0.7:  # by several spots
            x, y = heat.centre_near(x, y)
        check_centre(words, x, y)
        # Must also hold for the median, on each side of which lies half of all heat.
        check_centre(words, *heat.median(), spare=0.12)


BANDS = {
    "the top": LOW, "the left side": LOW, "above the middle": BEFORE, "left of the middle": BEFORE,
    "the middle": MIDDLE, "below the middle": BEHIND, "right of the middle": BEHIND,
    "the bottom": HIGH, "the right side": HIGH,
}  # fmt: skip


def far(share: float) -> np.ndarray:
    """bool [SIDE]: the places along one side that are not near this share."""
    return np.abs(centres - share) > 0.25


def _fills_short_side(heat: HeatFacts, x: float, y: float) -> bool:
    """Whether the heat of a narrow photo is one spot: near its centre along the photo's longer
    side, and, in pixels, no longer along the shorter side."""
    is_wide = heat.size[0] > heat.size[1]
    ratio = heat.length_over_width() if is_wide else 1 / heat.length_over_width()
    near = heat.share_near(x, y, only_x=is_wide, only_y=not is_wide)
    return ratio < 1.05 and near > 0.5


def check_centre(words: str, x: float, y: float, spare: float = 0.0) -> None:
    """Fails unless (x, y) is at the place in words, such as "at the top, right of the middle" or
    "above and left of the centre". spare: a tolerance."""
    across, down = MIDDLE, MIDDLE
    sides = words
    if found := re.fullmatch(r"at the ([\w ]+?)(?:, (.+) the middle)?", words):
        assert found[1] in THIRDS, words
        (across, down), sides = THIRDS[found[1]], found[2] or ""
    else:
        assert words.endswith(" the centre"), words
        sides = words.removesuffix(" the centre")
    for side in filter(None, sides.split(" and ")):
        assert side in SIDES, words
        across, down = SIDES[side][0] or across, SIDES[side][1] or down
    assert across[0] - spare <= x <= across[1] + spare, (words, x, y)
    assert down[0] - spare <= y <= down[1] + spare, (words, x, y)


def check_no_map(facts: PhotoFacts, text: str) -> None:
    found = re.fullmatch(
        r"(?:(?P<one>.+) has no map|neither (?P<a>.+) nor (?P<b>.+) has a map"
        r"|none of (?P<more>.+) has a map)(?: of (?P<label>.+?))?: (?P<why>.+)",
        text,
    )
    assert found, text
    names = (
        facts.who(found["more"])
        if found["more"]
        else [name for name in (found["one"], found["a"], found["b"]) if name]
    )
    for name in names:
        cells = facts.e[name].feature_map
        assert name not in facts.mapped, text
        is_of_none = facts.e[name].method == "eigencam"
        assert found["label"] == (None if is_of_none else facts.e[name].target.name), text
        if found["why"] == "the network's scores for this picture are not numbers":
            assert not np.isfinite(cells).all(), text
        elif found["why"] == "nothing here is hot":
            assert is_of_none, text
            assert cells.max() <= 0, text
        elif found["why"] in (
            "nothing here is evidence for this class",
            "nothing here raises this value",
        ):
            assert (facts.e[name].unit is None) == found["why"].endswith("class"), text
            assert cells.max() <= 0, text
        elif found["why"] == "the network saw one pixel, so the heat points at no place":
            left, top, right, bottom = facts.e[name].box
            assert (right - left, bottom - top) == (1, 1), text
        elif found["why"].startswith("this layer has one cell"):
            assert cells.size == 1, text
        else:
            assert found["why"] == "the heat is the same everywhere, so it points at no place", text
            assert np.ptp(cells) < 0.001 * cells.max(), text


def check_cut_off(facts: PhotoFacts, text: str) -> None:
    found = re.fullmatch(
        r"the heat of (.+) reaches the edge of what (it|they) saw: there may be more outside", text
    )
    assert found, text
    names = facts.who(found[1])
    assert (found[2] == "it") == (len(names) == 1), text
    assert all(facts.heat[name].at_edges for name in names), text
