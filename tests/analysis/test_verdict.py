"""The outcome of each check, the verdict and its words, from figures made by hand."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import gradcam_core
from gradcam_core.analysis.trust.deletion_insertion import Curve
from gradcam_core.analysis.trust.limits import DELETED_SHARES, INSERTED_SHARES
from gradcam_core.analysis.trust.result import Altered, Randomised, Trust
from gradcam_core.analysis.trust.road import Road
from gradcam_core.analysis.trust.verdict import HEADINGS
from tests.support.spots import of, spot
from tests.support.trust_checker import check_trust

PHOTO, BLUR = 0.954, 0.0004
"""The class's probabilities in the photo, and where nothing can be recognised."""


def curves(most: float, more: float, alone: float) -> tuple[Curve, Curve]:
    """Deletion and insertion, by the probabilities between their ends."""
    return (
        Curve((0.0, *DELETED_SHARES, 1.0), (PHOTO, most, more, BLUR)),
        Curve((0.0, *INSERTED_SHARES, 1.0), (BLUR, alone, PHOTO)),
    )


@pytest.fixture(scope="module")
def found() -> Trust:
    """A map that holds."""
    deletion, insertion = curves(0.1, 0.004, 0.93)
    picture = Image.new("RGB", (8, 8))
    elsewhere = tuple(curves(0.9 + n / 100, 0.5 + n / 20, 0.2 + n / 50) for n in range(5))
    return Trust(
        explanation=of(spot("centre")),
        deletion=deletion,
        insertion=insertion,
        elsewhere=elsewhere,
        without=Altered(DELETED_SHARES[0], picture, 0.1, ()),
        alone=Altered(INSERTED_SHARES[-1], picture, 0.93, ()),
        probability=PHOTO,
        shown_alone=0.9,
        sanity=(Randomised("head", 0.2),),
        random_weights=(0.2, 0.1, 0.15),
        shifts=(0.98, 0.97),
        noises=(0.99, 0.98),
        road=Road(0.1, 0.9),
        arcc=None,
    )


def test_a_map_that_passes_all_checks_holds(found: Trust):
    assert [reason.outcome for reason in found.reasons] == ["holds"] * 3
    assert found.verdict == "holds"


def test_the_verdict_is_the_worst_outcome_and_names_its_reasons(found: Trust):
    stable, shaky, unstable = (0.99,) * 2, (0.7, 0.99), (0.4, 0.5)
    for noises, outcome, beginning in (
        (stable, "holds", "This map holds: its hottest places"),
        (
            shaky,
            "unclear",
            "It is not clear whether this map holds: some small shifts and some noise",
        ),
        (unstable, "fails", "This map fails: small shifts and a little noise change it"),
    ):
        changed = replace(found, shifts=noises, noises=noises)
        assert changed.reasons[-1].outcome == changed.verdict == outcome
        assert changed.sentence.startswith(beginning)
    for shifts, noises, outcome, text in (
        (stable, shaky, "unclear", "a little noise changes it, small shifts hardly do"),
        (stable, (0.2, 0.3), "fails", "a little noise changes it, small shifts hardly do"),
        ((0.2, 0.9), shaky, "fails", "small shifts and a little noise change it on average"),
        (shaky, stable, "unclear", "small shifts change it, a little noise hardly does"),
    ):
        reason = replace(found, shifts=shifts, noises=noises).reasons[-1]
        assert reason.outcome == outcome
        assert reason.text.startswith(text)
    # The mean of a check that fails and two that hold is no way out.
    much_the_same = replace(found, random_weights=(0.9, 0.9), shifts=stable, noises=stable)
    assert much_the_same.verdict == "fails"
    similar = replace(found, random_weights=(0.6, 0.6), shifts=unstable, noises=unstable)
    assert [reason.outcome for reason in similar.reasons] == ["holds", "unclear", "fails"]
    assert similar.verdict == "fails"


def test_a_lead_that_the_pictures_speak_against_is_not_clear(found: Trust):
    no_less = replace(found.without, probability=found.probability)
    for changed, words in (
        (replace(found, without=no_less), "but the class is no less probable without them"),
        (
            replace(found, elsewhere=(curves(0.1, 0.0039, 0.01),) * 5),
            "but taking them out lowers the probability no more than elsewhere",
        ),
        (
            replace(found, elsewhere=(curves(0.9, 0.6, 0.94),) * 5),
            "but shown alone they raise the probability no more than elsewhere",
        ),
    ):
        assert changed.lead is not None
        reason = changed.reasons[0]
        assert reason.outcome == changed.verdict == "unclear"
        assert reason.text.endswith(words)


def test_a_correlation_that_nobody_could_measure_is_no_number(found: Trust):
    for weights, outcome, text in (
        ((None, None, 0.14), "holds", "differs (rank correlation 0.14, no map in 2 of 3)"),
        ((None, None, 0.9), "fails", "much the same (rank correlation 0.90, no map in 2 of 3)"),
        ((None, 0.1, 0.3), "holds", "differs (rank correlation 0.10 to 0.30, no map in 1 of 3)"),
        ((None, None, None), "holds", "nothing is left of it"),
    ):
        reason = replace(found, random_weights=weights).reasons[1]
        assert reason.outcome == outcome
        assert text in reason.text
    vanished = replace(found, shifts=(None, 0.99))
    assert "no map in 1 of 4" in vanished.reasons[2].text
    assert vanished.reasons[2].outcome == "fails"


def test_a_number_beside_a_limit_is_on_its_side_of_it(found: Trust):
    shaky = replace(found, shifts=(0.7969, 0.99), noises=(0.99, 0.99))
    assert "(rank correlation 0.797 to 0.99)" in shaky.reasons[2].text
    just = replace(found, shifts=(0.8, 0.99), noises=(0.99, 0.99))
    assert "(rank correlation 0.80 to 0.99)" in just.reasons[2].text
    rare = replace(found, elsewhere=(), probability=0.00956)
    assert "has 0.96 % here, too little" in rare.reasons[0].text


def varied(found: Trust, chance: random.Random) -> Trust:
    """The same map with other figures."""

    def correlations(count: int) -> tuple[float | None, ...]:
        centre, spread = (
            chance.choice((0.1, 0.5, 0.6, 0.75, 0.8, 0.95)),
            chance.choice((0, 0.05, 0.3)),
        )
        drawn = [min(1.0, chance.gauss(centre, spread)) for _ in range(count)]
        return tuple(None if chance.random() < 0.1 else one for one in drawn)

    def curve(like: Curve, factor: float) -> Curve:
        inner = (min(1.0, one * factor) for one in like.probabilities[1:-1])
        return replace(like, probabilities=(like.probabilities[0], *inner, like.probabilities[-1]))

    lower, spread = chance.choice((0.3, 0.97, 1, 1.03, 2)), chance.choice((0.001, 0.02, 0.3))
    elsewhere = tuple(
        (curve(found.deletion, lower * (1 + chance.gauss(0, spread))),
         curve(found.insertion, (1 + chance.gauss(0, spread)) / chance.choice((lower, 1))))
        for _ in range(chance.choice((5, 7)))
    )  # fmt: skip
    is_rare = chance.random() < 0.15
    without = chance.choice((found.without.probability, found.probability + 0.01))
    return replace(
        found,
        elsewhere=() if is_rare else elsewhere,
        probability=chance.choice((0.00956, 0.00001, 0.004)) if is_rare else found.probability,
        without=replace(found.without, probability=without),
        random_weights=correlations(3),
        shifts=correlations(2),
        noises=correlations(2),
    )


def test_what_is_said_of_the_checks_is_so_in_any_combination(found: Trust):
    chance = random.Random(4)
    name = found.explanation.target.name
    texts = set()
    for one in (found, *(varied(found, chance) for _ in range(300))):
        record = json.loads(json.dumps(one.record()))
        check_trust(record, name)
        texts |= {re.sub(r"[\u2212\d.]+", "N", reason["text"]) for reason in record["reasons"]}
    assert len(texts) > 20


LIES = {
    "more": ("matter less", "matter more"),
    "much": ("matter more", "matter about as much"),
    "little": ("neither clearly more nor clearly less", "about as much"),
    "lead": (r"lead (\u2212?)(\d)", r"lead \g<1>1\2"),
    "differs": ("it stays much the same", "the map differs"),
    "each": (r" on average", ""),
    "measured": (r", no map in \d of \d", ""),
    "hardly": ("small shifts change it", "small shifts hardly change it"),
    "steady": ("some noise change it, others do not", "some noise hardly change it"),
    "verdict": ("This map fails", "This map holds"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_the_checks_is_found(found: Trust, lie: str):
    chance, name, planted = random.Random(4), found.explanation.target.name, 0
    pattern, instead = LIES[lie]
    for _ in range(300):
        if planted == 10:
            break
        record = json.loads(json.dumps(varied(found, chance).record()))
        true = json.dumps(record)
        record["sentence"] = re.sub(pattern, instead, record["sentence"])
        for reason in record["reasons"]:
            reason["text"] = re.sub(pattern, instead, reason["text"])
        if json.dumps(record) == true:
            continue
        planted += 1
        with pytest.raises((AssertionError, KeyError)):
            check_trust(record, name)
    assert planted


def test_page_and_report_have_the_words_of_the_verdict():
    script = (Path(gradcam_core.__file__).parent / "web" / "verdicts.js").read_text()
    written = re.search(r"VERDICTS = \{(.+?)\}", script)
    assert written
    assert dict(re.findall(r'(\w+): "([^"]+)"', written[1])) == HEADINGS
