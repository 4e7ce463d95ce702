"""What is said of maps together: the words for given ones."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gradcam_core.analysis.agreement import agreement
from gradcam_core.analysis.location import HOT
from gradcam_core.analysis.sentences.summary import summary
from tests.support.spots import EGYPTIAN, NAMES, PLACES, TABBY, TIGER_CAT, of, spot


def bar(start: float, wide: float = 0.2) -> np.ndarray:
    """A map that is hot over a fifth of the photo's width, from this share of it on."""
    columns = (np.arange(100) + 0.5) / 100
    heat = ((columns >= start) & (columns < start + wide)) * (1 - 0.2 * (columns - start))
    return np.tile(heat, (100, 1))


def overlaps(*shown) -> list[int]:
    found = agreement(shown)
    assert found
    return [round(100 * (pair.overlap or 0)) for pair in found.pairs]


def test_the_words_the_number_and_the_place_are_those_of_the_maps():
    shown = [of(spot("upper left"), name) for name in NAMES[:3]]
    assert summary(shown)[1] == ("They look at the same places (overlap 100 %), at the upper left.")
    tops = [(TIGER_CAT, 0.39), (TABBY, 0.45), (TABBY, 0.6)]
    differing = [
        of(spot("right"), name, top=[best, (EGYPTIAN, 0.1)])
        for name, best in zip(NAMES, tops, strict=False)
    ]
    assert summary(differing)[1] == (
        "Still, they look at the same places (overlap 100 %), at the right."
    )
    # A value is no other class.
    age = of(spot("right"), "Age", top=[(0, 41.3)], names=["age"], classes=1, unit="years")
    assert summary([age, differing[0]])[2] == (
        "They look at the same places (overlap 100 %), at the right."
    )


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (0.01, "almost the same places"),
        (0.04, "mostly the same places"),
        (0.065, "about half the same places"),
        (0.12, "some of the same places"),
        (0.17, "few of the same places"),
        (0.25, "different places"),
    ],
)
def test_overlap_is_told_in_grades_with_its_number(moved: float, words: str):
    shown = [of(bar(0.2)), of(bar(0.2 + moved), "VGG19")]
    (overlap,) = overlaps(*shown)
    chance = r", by chance 1[0-2] %" if overlap < 20 else ""
    assert re.match(rf"They look at {words} \(overlap {overlap} %{chance}\)", summary(shown)[1])


def test_the_best_pair_comes_first_and_the_third_is_told_beside_it():
    shown = [of(bar(at), name) for name, at in zip(NAMES, (0.2, 0.27, 0.3), strict=False)]
    first, _, best = overlaps(*shown)
    assert best > first
    sentence = summary(shown)[1]
    assert sentence.startswith(
        f"ResNet50 and VGG19 look at mostly the same places (overlap {best} %); the overlap of "
        f"Xception is {first} % with ResNet50 and "
    )


def test_a_third_that_looks_elsewhere_is_told_by_how_far_and_where():
    shown = [of(spot("upper left")), of(spot("upper left"), "ResNet50"), of(spot("right"), "VGG19")]
    told = summary(shown)
    assert re.fullmatch(
        r"Xception and ResNet50 look at the same places \(overlap 100 %\); VGG19 looks at "
        r"different places \(0 % with Xception and 0 % with ResNet50, by chance \d+ %\)\.",
        told[1],
    )
    assert told[2] == (
        "The heat of Xception and ResNet50 lies at the upper left; that of VGG19 at the right."
    )


def test_of_more_than_three_the_most_and_the_least_alike_are_named():
    maps = [bar(at) for at in (0.1, 0.12, 0.3, 0.7)]
    told = summary([of(cells, name) for cells, name in zip(maps, NAMES, strict=False)])
    assert told[1].startswith(
        "Most alike are Xception and ResNet50, which look at almost the same places (overlap "
    )
    assert "; among the least alike are " in told[1]  # others have 0 %, too


def test_a_place_is_joint_only_if_it_is_the_place_of_each():
    shown = [of(bar(0.3), "Ada"), of(bar(0.4), "Ben")]
    assert summary(shown)[2] == (
        "The heat of Ada runs down the picture, left of the middle; that of Ben down the middle."
    )
    left = np.zeros((100, 100))
    left[10:30, 10:30] = left[70:90, 10:30] = 1
    other = np.zeros((100, 100))
    other[40:60, 10:30] = 1
    assert summary([of(left, "Ada"), of(other, "Ben")])[2] == (
        "The heat of Ada lies in several places; that of Ben at the left; "
        "the heat of Ada covers at least 1.5 times as much as that of Ben."
    )


def test_different_spots_at_the_same_place_are_no_contradiction():
    first, second = np.zeros((100, 100)), np.zeros((100, 100))
    first[10:17, 5:25] = second[19:27, 5:25] = 1
    assert re.fullmatch(
        r"They look at different places \(overlap [0-4] %, by chance \d+ %\), "
        r"though the heat of each lies at the upper left\.",
        summary([of(first), of(second, "VGG19")])[1],
    )


def test_chance_is_not_told_where_a_network_has_no_heat_in_what_all_saw():
    beside = np.zeros((20, 20))
    beside[:, 0] = 1
    wide = [
        of(beside, "Ada", view="whole", photo_size=(400, 100)),
        of(spot("centre"), "Ben", photo_size=(400, 100)),
    ]
    assert summary(wide)[1] == "They look at different places (overlap 0 %)."


def test_each_of_up_to_four_places_is_named():
    shown = [of(spot(place), name) for place, name in zip(PLACES.values(), NAMES, strict=False)]
    assert (
        summary(shown[:2])[2]
        == "The heat of Xception lies at the upper left; that of ResNet50 at the top."
    )
    assert "The heat of" in " ".join(summary(shown[:4]))
    assert "The heat of" not in " ".join(summary(shown[:5]))


def test_overlap_is_only_of_networks_with_a_map_and_what_the_table_has():
    nothing = np.zeros((7, 7))
    shown = [of(spot("left")), of(nothing, "ResNet50"), of(spot("left"), "VGG19")]
    assert summary(shown)[2] == (
        "Xception and VGG19 look at the same places (overlap 100 %), at the left."
    )
    assert "overlap" not in " ".join(summary([of(spot("left")), of(nothing, "VGG19")]))
    # Within what the one without a map saw, too, as in the table.
    size = (600, 300)
    wide = [
        of(bar(at), name, photo_size=size, view="whole") for at, name in ((0.1, "A"), (0.14, "B"))
    ]
    both = [*wide, of(nothing, "C", photo_size=size)]
    found = agreement(both)
    assert found
    assert f"overlap {100 * (found.pairs[0].overlap or 0):.0f} %" in " ".join(summary(both))


def test_a_network_whose_heat_covers_more_is_named():
    tight, wide = np.zeros((50, 50)), np.zeros((50, 50))
    tight[20:30, 20:30] = wide[15:37, 15:35] = 1
    shown = [of(tight), of(tight, "ResNet50"), of(wide, "VGG19")]
    sentence = next(one for one in summary(shown) if "covers" in one)
    times = re.search(
        r"VGG19 covers at least (\d+) times as much as that of any other\.$", sentence
    )
    assert times
    hot = [(e.heatmap > HOT - 0.001).sum() for e in shown]
    assert int(times[1]) == int(hot[2] / hot[0])
    assert "covers" not in " ".join(summary([of(tight), of(tight, "VGG19")]))


@pytest.mark.parametrize(
    ("share", "words"), [(0.13, ""), (0.17, "1.5 times"), (0.23, "twice"), (0.325, "3 times")]
)
def test_times_the_area_are_rounded_down(share: float, words: str):
    def strip(share: float) -> np.ndarray:
        return np.tile(np.arange(200) < 200 * share, (200, 1)) * 1.0

    told = " ".join(summary([of(strip(0.1)), of(strip(share), "VGG19")]))
    assert ("covers" in told) == bool(words)
    if words:
        assert f"VGG19 covers at least {words} as much as that of Xception" in told
