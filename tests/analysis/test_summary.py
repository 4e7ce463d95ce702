"""Sentences about results: which there are, and how they are written."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.analysis.findings import in_common
from gradcam_core.analysis.sentences.summary import SENTENCES, summary
from tests.support.spots import (
    CRANE_BIRD,
    EGYPTIAN,
    ESPRESSO,
    NAMES,
    PLACES,
    TABBY,
    TIGER_CAT,
    of,
    spot,
)


def test_a_signed_map_that_is_all_against_the_class_is_not_said_to_be_none():
    signed = -np.eye(7, dtype=np.float32)
    shown = [replace(of(np.zeros((7, 7)), name), signed_map=signed) for name in NAMES[:2]]
    reason = "heat for tabby: nothing here is evidence for this class."
    assert f"Xception has no {reason}" in summary(shown[:1])
    assert f"Neither Xception nor ResNet50 has any {reason}" in summary(shown)


def said(*explanations: gc.Explanation, about: str) -> list[str]:
    """The sentences that have these words."""
    return [sentence for sentence in summary(explanations) if about in sentence]


def test_one_network_is_described_alone():
    assert summary([of(spot("upper left"), top=[(TABBY, 0.83), (TIGER_CAT, 0.1)])]) == (
        "Xception says tabby (83.0 %).",
        "The heat of Xception lies at the upper left.",
    )
    assert summary([of(spot("left"), "iNet")])[0].startswith("iNet says ")
    spread = np.full((9, 9), 0.9)
    spread[4, 4] = 1
    assert summary([of(spread)])[1] == "The heat of Xception is spread over much of the picture."


def test_nothing_is_said_of_nothing():
    assert summary([]) == ()


def test_an_improbable_class_is_said_to_be_only_looked_for():
    sure = of(spot("top"))
    doubting = of(
        spot("top"), "ResNet50", top=[(EGYPTIAN, 0.9), (1, 0.01)], target=(TABBY, 0.0002), rank=312
    )
    assert summary([sure, doubting])[-1] == (
        "For ResNet50, tabby is improbable (< 0.1 %, rank 312): "
        "its map shows where it would look for it."
    )
    other = of(
        spot("top"), "VGG19", top=[(EGYPTIAN, 0.9), (1, 0.01)], target=(TABBY, 0.003), rank=9
    )
    assert summary([doubting, other])[-1] == (
        "For both, tabby is improbable (< 0.1 % and 0.3 %): "
        "their maps show where they would look for it."
    )


def test_a_class_that_is_looked_for_in_vain_or_comes_first_is_not_called_improbable():
    options: dict[str, Any] = {"top": [(TABBY, 0.008), (TIGER_CAT, 0.005)]}
    assert not said(of(spot("top"), **options), about="improbable")
    options |= {"target": (EGYPTIAN, 0.001), "rank": 50}
    assert said(of(spot("top"), **options), about="improbable")
    assert not said(of(np.zeros((7, 7)), **options), about="improbable")


def test_a_method_that_knows_no_class_does_not_look_for_one():
    options: dict[str, Any] = {
        "top": [(EGYPTIAN, 0.9), (1, 0.01)],
        "target": (TABBY, 0.0002),
        "rank": 312,
    }
    assert said(of(spot("top"), **options), about="improbable")
    assert not said(of(spot("top"), method="eigencam", **options), about="improbable")
    cold = of(np.zeros((7, 7)), method="eigencam")
    assert said(cold, about="Xception has no map: nothing here is hot.")


def test_networks_without_a_map_are_named_and_not_compared():
    nothing = [of(np.zeros((7, 7)), name) for name in NAMES[1:4]]
    seen = of(spot("left"))
    assert summary([seen, nothing[0]])[1:] == (
        "ResNet50 has no map of tabby: nothing here is evidence for this class.",
        "The heat of Xception lies at the left.",
    )
    assert summary([seen, *nothing[:2]])[1] == (
        "Neither ResNet50 nor VGG19 has a map of tabby: nothing here is evidence for this class."
    )
    assert summary(nothing) == (
        "All three say tabby (80.0 %).",
        "None of ResNet50, VGG19 and Ada has a map of tabby: nothing here is evidence for this "
        "class.",
    )
    assert summary([nothing[0], seen, of(spot("left"), "Ben")])[2] == (
        "Xception and Ben look at the same places (overlap 100 %), at the left."
    )


def test_heat_at_the_edge_of_a_crop_may_go_on_outside():
    hot_left = np.tile(np.linspace(1, 0, 9), (9, 1))
    hot_top = np.zeros((9, 9))
    hot_top[0, 4] = 1
    words = "reaches the edge of what it saw: there may be more outside."
    assert said(of(hot_left, photo_size=(600, 400)), about=f"The heat of Xception {words}")
    for sees_all in (
        of(hot_left, photo_size=(600, 400), view="whole"),
        of(hot_left),
        of(hot_top, photo_size=(600, 400)),
        of(spot("centre"), photo_size=(600, 400)),
    ):
        assert not said(sees_all, about="outside")


def test_networks_of_the_same_title_are_called_by_their_headings():
    shown = [of(spot("top"), "Lite", stands_in_for="VGG19"), of(spot("right"), "Lite")]
    assert (
        summary(shown)[2]
        == "The heat of Lite for VGG19 lies at the top; that of Lite at the right."
    )
    assert summary(shown[:1])[0] == "Lite says tabby (80.0 %)."


def test_the_same_network_may_be_there_twice():
    shown = [of(spot("top")), of(spot("top")), of(spot("right"))]
    assert len(summary(shown)) == 3


def test_one_network_that_is_shown_as_two_does_not_agree_with_itself():
    own = of(spot("centre"), "Lite0")
    instead = replace(own, stands_in_for="ResNet50")
    other = of(spot("left"), "Lite1")
    one, *others = summary([instead, own])
    assert one == "Lite0 stands in for ResNet50, so one network is shown twice."
    assert others == list(summary([own]))
    assert "Lite0 – Lite0" not in str(in_common([("a", instead), ("b", own)]))
    pairs = in_common([("a", instead), ("b", own), ("c", other)])["agreement"]["pairs"]
    assert [pair["names"] for pair in pairs] == [["a", "c"], ["b", "c"]]


def test_photos_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="different photos"):
        summary([of(spot("top")), of(spot("top"), "VGG19", photo_size=(400, 300))])


def test_sentences_are_well_formed_in_any_combination():
    chance = random.Random(11)
    maps = [spot(place) for place in PLACES.values()]
    maps += [spot("left", "right"), spot("top", "bottom", level=0.9), np.zeros((9, 9))]
    maps += [np.ones((9, 9)), np.full((9, 9), np.nan), np.arange(81).reshape(9, 9)]
    tops = [
        [(TABBY, 0.2), (TIGER_CAT, 0.19)],
        [(TABBY, 0.9), (TIGER_CAT, 0.05)],
        [(CRANE_BIRD, 0.999), (TABBY, 0.0)],
        [(EGYPTIAN, 0.45), (TIGER_CAT, 0.449)],
        [(0, 0.0), (1, 0.0)],
    ]
    seen = set()
    for _ in range(120):
        target = chance.choice([None, (TABBY, 0.00003), (ESPRESSO, 0.008), (TABBY, 0.2)])
        few = chance.choices(maps, k=3)
        sentences = summary(
            [
                of(
                    chance.choice(few),
                    name,
                    photo_size=(600, 400),
                    top=chance.choice(tops),
                    target=target,
                    rank=2 if target else 1,
                    view=chance.choice(["crop", "whole"]),
                )
                for name in NAMES[: chance.randint(1, 6)]
            ]
        )
        assert 1 <= len(sentences) <= SENTENCES
        for sentence in sentences:
            seen.add(re.sub("|".join(NAMES), "N", sentence))
            assert re.fullmatch(r"[A-Z][^.]*(\d\.\d[^.]*)*\.", sentence), sentence
            assert not re.search(r"  | ,| ;| \.|,,|;;|, and |\b(\w+) \1\b|\(\)", sentence), sentence
            one_says_the_plural = r"(?<!and )(?<!, )\b(?:" + "|".join(NAMES) + r") (say|look|are)\b"
            if match := re.search(one_says_the_plural, sentence):
                raise AssertionError(f"{match[0]!r} in {sentence!r}")
            several_say_the_singular = r"(?:Both|All \w+|They|they|\w+ and \w+) (says|looks|is)\b"
            # "The heat of … and … is": the heat is one.
            is_of_heat = sentence.startswith("The heat")
            assert is_of_heat or not re.search(several_say_the_singular, sentence), sentence
    assert len(seen) > 120
