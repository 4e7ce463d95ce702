"""Checks what sentences say about predictions."""

from __future__ import annotations

import itertools
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import gradcam_core as gc
from tests.support.photo_facts import PERCENTS, PhotoFacts, percent

KINDS = Path(gc.__file__).parent / "models/class_names/wordnet_kinds.json"

OTHER_THINGS = {"cup", "menu", "web site"}
"""Classes whose photographs do not show what their synset says."""


@cache
def _table() -> Any:
    return json.loads(KINDS.read_text(encoding="utf-8"))


def kinds_of(index: int) -> set[str]:
    """The names of everything that a class of ImageNet is a kind of."""
    found: set[int] = set()
    new = set(_table()["classes"][index])
    while new:
        found |= new
        new = {up for one in new for up in _table()["kinds"][one]["parents"]} - found
    return {
        _table()["kinds"][one]["names"][0] for one in found if _table()["kinds"][one]["is_plain"]
    }


def shared_kinds(facts: PhotoFacts, names: list[str]) -> set[str]:
    """The kinds, in plain words, that the top classes of these networks have in common."""
    best = [facts.e[name].top[0] for name in names]
    labels = gc.imagenet_labels()
    if any(e.independent and e.top[0].probability < 0.5 for e in map(facts.e.get, names) if e):
        return set()
    if any(one.index >= 1000 or labels[one.index].name != one.name for one in best):
        return set()
    if OTHER_THINGS & {one.name for one in best}:
        return set()
    return set.intersection(*(kinds_of(one.index) for one in best))


def known_to(facts: PhotoFacts, name: str) -> tuple[set[str], bool]:
    """The known classes of a network, ImageNet's or its own, and whether these are all."""
    e = facts.e[name]
    own = {one.name for one in e.top}
    imagenet = {label.name for label in gc.imagenet_labels()}
    if e.classes == 1000 and own <= imagenet:
        return imagenet, True
    return own, len(e.top) == e.classes


def check_predictions(facts: PhotoFacts, text: str) -> None:
    told: dict[str, list[str]] = {}
    kinds: list[tuple[list[str], str, str]] = []  # networks, article, kind
    head, _, rest = text.partition(": ")
    of_head = r"they disagree$|they know different classes$|classes differ$| see | say "
    if not rest or not re.search(of_head, head):
        head, rest = "", text
    for clause in rest.split("; "):
        if found := re.fullmatch(r"(neither|none) says (.+)", clause):
            assert (found[1] == "neither") == (len(facts.scored) == 2), text
            _check_nobody_says(facts, found[2])
        elif found := re.fullmatch(r"(.+?\)) see (an? )?(.+)", clause):
            kinds.append((_bracketed(facts, found[1], told), found[2] or "", found[3]))
        else:
            clause, _, other = clause.partition(", not ")
            _says(facts, clause, told)
            if other:
                _check_nobody_says(facts, other)
    assert sorted(told) == sorted(facts.scored), text
    assert (len(set(map(tuple, told.values()))) > 1) == bool(head), text
    if found := re.fullmatch(r"(.+) see (an? )?(.+?)( but differ on which)?", head):
        assert sorted(facts.who(found[1])) == sorted(facts.scored), text
        assert bool(found[4]) == (not kinds and not _any_says_two(facts, told)), text
        kinds.append((list(told), found[2] or "", found[3]))
    elif found := re.fullmatch(r"(.+?) say (.+)", head):
        assert sorted(facts.who(found[1])) == sorted(facts.scored), text
        assert {tuple(said[:1]) for said in told.values()} == {(found[2],)}, text
    elif head:
        assert not shared_kinds(facts, list(told)), text
        assert len({tuple(said[:1]) for said in told.values()}) > 1, text
        known = {name: known_to(facts, name) for name in told}
        pairs = [two for two in itertools.combinations(told, 2) if told[two[0]] != told[two[1]]]
        rejected = {
            two
            for two in pairs
            for one, other in (two, two[::-1])
            if not known[one][0].isdisjoint(told[other])
        }
        expected = "their most probable classes differ"
        if rejected == set(pairs) and not _any_says_two(facts, told):
            expected = "they disagree"
        elif not rejected and all(
            known[name][1] for two in pairs for name, other in (two, two[::-1]) if told[other]
        ):
            expected = "they know different classes"
        assert head == expected, text
    for names, article, kind in kinds:
        assert len({tuple(told[name]) for name in names}) > 1, text
        assert kind in shared_kinds(facts, names), f"{names} do not see {kind}"
        assert not article or (article == "an ") == (kind[0] in "aeiou"), text


def _any_says_two(facts: PhotoFacts, told: dict[str, list[str]]) -> bool:
    """Whether a multi-label network gives at least 0.5 to a class that another network names."""
    return any(
        one.probability >= 0.5 and one.name in told[other]
        for name, said in told.items()
        for one in facts.e[name].top
        for other in told
        if facts.e[name].independent and told[other] != said
    )


def _says(facts: PhotoFacts, clause: str, told: dict[str, list[str]]) -> None:
    found = re.fullmatch(r"(.+?) (says?) (.+)", clause)
    assert found, clause
    names = facts.who(found[1])
    assert (found[2] == "says") == (len(names) == 1), clause
    if none := re.fullmatch(
        rf"none of (?:its (\d+)|their) classes \(at most ({PERCENTS})(?:, for (.+))?\)", found[3]
    ):
        assert none[1] == (str(facts.e[names[0]].classes) if len(names) == 1 else None), clause
        best = [facts.e[name].top[0] for name in names]
        facts.has_numbers(names, none[2], [one.probability for one in best])
        assert all(one.probability < 0.5 for one in best), clause
        assert {one.name for one in best} == {none[3]} or none[3] is None, clause
        assert all(facts.e[name].independent for name in names), clause
        told.update({name: [] for name in names})
        return
    said, more, _ = found[3].partition(" and perhaps more")
    items = list(re.finditer(rf"(.+?)(?: \(|, )({PERCENTS})\)(?:, | and |$)", said))
    assert "".join(item[0] for item in items) == said, clause
    assert said.endswith(")"), clause
    for place, item in enumerate(items):
        _have(facts, names, item[1] + ")" * item[1].count("("), item[2], told, place)
    for name in names:
        e = facts.e[name]
        count = sum(one.probability >= 0.5 for one in e.top) if e.independent else 1
        assert len(told[name]) == count, clause
        assert bool(more) == (e.independent and count == len(e.top) < e.classes), clause


def _bracketed(facts: PhotoFacts, text: str, told: dict[str, list[str]]) -> list[str]:
    """Checks names followed by predictions in brackets, "A and B (tabby, 45.0 %) and C (lynx,
    9.0 %)"; returns the names."""
    found = re.findall(rf"(.+?) \((.+?), ({PERCENTS})\)(?:, | and |$)", text)
    assert len(found) > 1, text
    parts = ["{} ({}, {})".format(*one) for one in found]
    assert " and ".join([", ".join(parts[:-1]), parts[-1]]) == text
    for names, label, numbers in found:
        _have(facts, facts.who(names), label, numbers, told)
    return [name for names, *_ in found for name in facts.who(names)]


def _have(
    facts: PhotoFacts,
    names: list[str],
    label: str,
    numbers: str,
    told: dict[str, list[str]],
    place: int = 0,
) -> None:
    """Fails unless this is the networks' class at this rank, with these probabilities."""
    facts.has_numbers(names, numbers, [facts.e[name].top[place].probability for name in names])
    for name in names:
        assert facts.e[name].top[place].name == label, (name, label)
        assert len(told.setdefault(name, [])) == place, name
        told[name].append(label)


def _check_nobody_says(facts: PhotoFacts, label: str) -> None:
    for one in (facts.e[name] for name in facts.scored):
        assert one.top[0].name != label or (one.independent and one.top[0].probability < 0.5), label
    assert not any(_is_said(facts.e[name]) for name in facts.scored), label
    assert {e.target.name for e in facts.e.values() if e.unit is None} == {label}


def _is_said(e: gc.Explanation) -> bool:
    """Whether a network names the explained class as it names its top class."""
    tied = percent(e.target.probability) == percent(e.top[0].probability)
    if e.independent:
        return e.target.probability >= 0.5
    return tied and e.target.probability >= 0.01


def check_says_too(facts: PhotoFacts, text: str) -> None:
    found = re.fullmatch(rf"({facts.whoever}) (says?) (.+), too \(({PERCENTS})\)", text)
    assert found, text
    names = facts.who(found[1])
    assert (found[2] == "says") == (len(names) == 1), text
    facts.has_numbers(names, found[4], [facts.e[name].target.probability for name in names])
    for name in facts.scored:
        e = facts.e[name]
        assert e.target.name == found[3] != e.top[0].name, text
        assert _is_said(e) == (name in names), text


def check_undecided(facts: PhotoFacts, text: str) -> None:
    found = re.fullmatch(
        rf"(.+) (is|are) undecided: (its most probable class has|their most probable classes have) "
        rf"({PERCENTS}), where 50 % separates yes from no",
        text,
    )
    assert found, text
    names = facts.who(found[1])
    assert (found[2] == "is") == found[3].startswith("its") == (len(names) == 1), text
    top = [facts.e[name].top[0].probability for name in names]
    facts.has_numbers(names, found[4], top)
    assert all(abs(best - 0.5) < 0.05 for best in top), text
    assert all(facts.e[name].independent for name in names), text


def check_improbable(facts: PhotoFacts, text: str) -> None:
    found = re.fullmatch(
        rf"for ({facts.whoever}), (.+) is improbable \(({PERCENTS})(?:, rank (\d+))?\): "
        r"(?:its map shows where it|their maps show where they) would look for it",
        text,
    )
    assert found, text
    names = facts.who(found[1])
    assert ("its map" in text) == (len(names) == 1), text
    facts.has_numbers(names, found[3], [facts.e[name].target.probability for name in names])
    for name in names:
        e = facts.e[name]
        assert name in facts.mapped, text
        assert e.target.name == found[2], text
        assert e.target.probability < 0.01, text
        assert e.rank > 1, text
        assert found[4] in (None, str(e.rank)), text


def check_guessing(facts: PhotoFacts, text: str) -> None:
    found = re.fullmatch(
        r"(.+) (is|are) (no|hardly) better than guessing (between|among) (its|their) (\d+) classes "
        rf"\(({PERCENTS})\)",
        text,
    )
    assert found, text
    names = facts.who(found[1])
    assert (found[2] == "is") == (found[5] == "its") == (len(names) == 1), text
    assert (found[4] == "between") == (found[6] == "2"), text
    facts.has_numbers(names, found[7], [facts.e[name].top[0].probability for name in names])
    for name in names:
        e = facts.e[name]
        assert not e.independent, text
        assert e.classes == int(found[6]), text
        times = e.top[0].probability * e.classes
        is_even = percent(e.top[0].probability) == percent(1 / e.classes)
        assert (times < 1.01 and is_even) == (found[3] == "no"), text
        assert times < 1.1, text


def check_unsure(facts: PhotoFacts, text: str) -> None:
    for number, clause in enumerate(text.split("; ")):
        found = re.fullmatch(r"(.+) (is|are) unsure(, too)?: (.+)", clause)
        assert found, text
        assert bool(found[3]) == (number > 0), text
        names, why = facts.who(found[1]), found[4]
        assert (found[2] == "is") == (len(names) == 1), text
        top = [[one.probability for one in facts.e[name].top] for name in names]
        if weak := re.fullmatch(
            rf"(its best guess has|their best guesses have) only ({PERCENTS})", why
        ):
            assert weak[1].startswith("its") == (len(names) == 1), text
            assert not any(facts.e[name].independent for name in names), text
            facts.has_numbers(names, weak[2], [best for best, *_ in top])
            assert all(best < 0.3 for best, *_ in top), text
            continue
        assert not any(facts.e[name].independent for name in names), text
        assert all(best - second < 0.1 for best, second, *_ in top), text
        if close := re.fullmatch(rf"its top two are close \(({PERCENTS})\)", why):
            assert len(names) == 1, text
            assert close[1] == " and ".join(map(percent, top[0][:2])), text
        else:
            assert why == "their top two are less than 10 points apart", text
            assert len(names) > 1, text


def check_values(facts: PhotoFacts, text: str) -> None:
    """Checks a sentence on a regression's values, and their form."""
    found = re.fullmatch(r"(.+?) says that (.+)", text)
    assert found, text
    e = facts.e[found[1]]
    assert e.unit is not None, text
    number = r"(\u2212?[\d.]+)( × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
    told = re.findall(rf"(\w+) is {number}( [a-z]+)?(?:, | and |$)", found[2])
    assert len(told) == len(e.top), text
    for one, (name, number, power, unit) in zip(e.top, told, strict=True):
        assert (name, unit.strip()) == (one.name, e.unit), text
        raised = power.removeprefix(" × 10").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        value = float(number.replace("\u2212", "-")) * 10 ** int(raised or 0)
        assert abs(value - one.probability) <= 5.01e-4 * abs(one.probability), text
