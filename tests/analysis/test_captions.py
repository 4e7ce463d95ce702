"""Sentences about results: the words for given numbers, and true ones for real pictures."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.analysis.agreement import agreement, heat_on, raster
from gradcam_core.analysis.captions import CLOSE, IMPROBABLE, SENTENCES, WEAK, summary
from gradcam_core.analysis.comparison import PARTLY, SAME, WIDER
from gradcam_core.analysis.location import APART, HOT, where
from gradcam_core.explanation import NOT_NUMBERS, NOTHING, SAME_EVERYWHERE
from tests.support.explanations import LITE, explained

EXAMPLES = sorted((Path(__file__).parents[2] / "assets" / "examples").glob("*.jpg"))

NAMES = ("Xception", "ResNet50", "VGG19", "Ada", "Ben", "Cyd")

TABBY, TIGER_CAT, EGYPTIAN, CRANE_BIRD, ESPRESSO = 281, 282, 285, 134, 967

PLACES = {
    (1, 1): "upper left",
    (4, 1): "top",
    (7, 1): "upper right",
    (1, 4): "left",
    (4, 4): "centre",
    (7, 4): "right",
    (1, 7): "lower left",
    (4, 7): "bottom",
    (7, 7): "lower right",
}
"""The names of the places, by the column and row of their middle on a grid of 9 x 9 cells."""


def spot(*places: str, side: int = 9, level: float = 1.0) -> np.ndarray:
    """A map of 9 x 9 cells with a spot of 3 x 3 at each of these places, cooler from one on to the
    next by `level`."""
    cells = np.zeros((side, side))
    for number, place in enumerate(places):
        ((x, y),) = (middle for middle, name in PLACES.items() if name == place)
        heat = np.minimum.outer(*(2 - abs(np.arange(side) - at) for at in (y, x))).clip(0) / 2
        cells = np.maximum(cells, heat * level**number)
    return cells


def of(cells: object, name: str = "Xception", **options) -> gc.Explanation:
    return explained(cells, title=name, **options)


def said(*explanations: gc.Explanation, about: str) -> list[str]:
    """The sentences that have these words."""
    return [sentence for sentence in summary(explanations) if about in sentence]


@pytest.mark.parametrize("place", PLACES.values())
def test_one_spot_has_the_name_of_its_ninth_of_the_photo(place: str):
    for size in ((400, 400), (900, 300), (300, 900), (60, 40)):
        assert where(of(spot(place), photo_size=size, view="whole")) == place


def test_the_place_is_one_of_the_photo_not_of_the_crop():
    # 1200 x 400: the crop is the middle third, all of it the photo's centre.
    size = (1200, 400)
    assert where(of(spot("left"), photo_size=size)) == "centre"
    assert where(of(spot("upper right"), photo_size=size)) == "top"
    assert where(of(spot("left"), photo_size=size, view="whole")) == "left"


def test_far_apart_spots_are_several_places_and_most_is_said_only_if_it_is_most():
    equal = spot("upper left", "lower right")
    assert where(of(equal)) == "in several places"
    larger = spot("upper left", "lower right", level=0.9)
    assert where(of(larger)) == "in several places, most of all upper left"
    cooler = spot("upper left", "lower right", level=0.45)
    assert where(of(cooler)) == "upper left"  # the other one is not hot
    three = spot("left", "right", "bottom", level=0.99)
    assert where(of(three)) == "in several places"


def test_near_spots_are_one_place():
    cells = np.zeros((15, 15))
    cells[2, 2] = cells[2, 4] = 1
    assert where(of(cells)) == "upper left"


def test_a_ring_is_not_at_its_centre_where_it_has_no_heat():
    down, across = np.mgrid[:15, :15]
    distance = np.maximum(abs(down - 7), abs(across - 7))
    assert where(of(distance == 6)) == "in several places"
    assert where(of(distance == 1)) == "centre"


def test_a_long_bar_is_one_place():
    cells = np.zeros((9, 9))
    cells[:, 1] = 1
    assert where(of(cells)) == "left"


def test_heat_over_a_third_of_the_photo_is_spread():
    cells = np.full((9, 9), 0.7)
    cells[:, 6:] = 0
    cells[4, 4] = 1
    assert where(of(cells)) == "spread over much of the picture"
    # A third of the view, but a ninth of the photo.
    assert where(of(cells[:, ::-1], photo_size=(1200, 400))) == "centre"
    warm = np.full((9, 9), 0.4)
    warm[1, 1] = 1
    assert where(of(warm)) == "upper left"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (np.zeros((7, 7)), NOTHING),
        (np.ones((7, 7)), SAME_EVERYWHERE),
        (np.full((7, 7), np.nan), NOT_NUMBERS),
    ],
)
def test_a_degenerate_map_is_nowhere_and_says_why(cells: np.ndarray, reason: str):
    words = where(of(cells))
    assert words.casefold() == reason.removesuffix(".").casefold()
    assert words[0].islower()


@pytest.mark.parametrize("view", ["crop", "whole"])
@pytest.mark.parametrize(
    "size", [(1, 1), (8, 600), (600, 8), (20_000, 7), (7, 20_000), (65_000, 1)]
)
def test_photos_of_any_shape_have_a_place(size: tuple[int, int], view):
    assert where(of(spot("centre") + 0.2, photo_size=size, view=view)) == "centre"


def test_what_is_smaller_than_a_place_of_the_raster_still_has_a_place():
    cells = np.zeros((7, 7))
    cells[0, 0] = 1
    e = of(cells, photo_size=(20_000, 7))
    assert not e.degenerate
    assert not heat_on(e, raster((20_000, 7), 2**14)).any()
    assert where(e) == "centre"


def test_nothing_is_said_of_nothing():
    assert summary([]) == ()


def test_one_network_is_described_alone():
    assert summary([of(spot("upper left"), top=[(TABBY, 0.83), (TIGER_CAT, 0.1)])]) == (
        "Xception says tabby (83 %).",
        "The heat of Xception lies at the upper left.",
    )
    several = of(spot("left", "right", level=0.9))
    assert summary([several])[1] == (
        "The heat of Xception lies in several places, most of all at the left."
    )
    spread = np.full((9, 9), 0.9)
    spread[4, 4] = 1
    assert summary([of(spread)])[1] == "The heat of Xception is spread over much of the picture."


@pytest.mark.parametrize(
    ("count", "words"),
    [(2, "Both"), (3, "All three"), (4, "All four"), (5, "All five"), (6, "All six")],
)
def test_networks_that_agree_are_counted_in_words(count: int, words: str):
    shown = [of(spot("upper left"), name) for name in NAMES[:count]]
    assert summary(shown) == (
        f"{words} say tabby (80 %).",
        "They look at the same spot, at the upper left.",
    )


def test_networks_that_disagree_are_grouped_by_what_they_say():
    tops = [(TIGER_CAT, 0.39), (TABBY, 0.45), (TABBY, 0.6)]
    shown = [
        of(spot("right"), name, top=[best, (EGYPTIAN, 0.1)])
        for name, best in zip(NAMES, tops, strict=False)
    ]
    assert summary(shown) == (
        "They disagree: Xception says tiger cat (39 %); "
        "ResNet50 and VGG19 say tabby (45 % and 60 %).",
        "Still, they look at the same spot, at the right.",
    )


def test_a_class_that_no_network_says_is_named():
    tops = [(TIGER_CAT, 0.39), (EGYPTIAN, 0.45), (EGYPTIAN, 0.6)]
    shown = [
        of(spot("top"), name, top=[best, (CRANE_BIRD, 0.1)], target=(TABBY, 0.05), rank=3)
        for name, best in zip(NAMES, tops, strict=False)
    ]
    assert summary(shown)[0].endswith("; none says tabby.")
    assert summary(shown[:2])[0].endswith("; neither says tabby.")
    assert summary(shown[1:])[0] == "Both say Egyptian cat (45 % and 60 %), not tabby."
    # All explain the same class, so it is no surprise that they look at the same spot.
    assert summary(shown)[1] == "They look at the same spot, at the top."


def test_a_name_that_ends_in_brackets_gets_no_second_ones():
    assert summary([of(spot("top"), top=[(CRANE_BIRD, 0.9), (TABBY, 0.01)])])[0] == (
        "Xception says crane (bird, 90 %)."
    )


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (1.0, "more than 99 %"),
        (0.996, "more than 99 %"),
        (0.994, "99 %"),
        (0.385, "38 %"),
        (0.3951, "40 %"),
        (0.0149, "1 %"),
        (0.0064, "0.64 %"),
        (0.0002, "0.02 %"),
        (0.00001, "less than 0.01 %"),
    ],
)
def test_percentages_are_rounded_to_something_true(probability: float, words: str):
    shown = of(spot("top"), top=[(TABBY, probability), (TIGER_CAT, 0)])
    assert summary([shown])[0] == f"Xception says tabby ({words})."


def test_networks_that_look_at_different_places_are_told_apart():
    left, right = of(spot("left")), of(spot("right"), "VGG19")
    assert summary([left, right])[1] == (
        "They look at different places: Xception looks at the left and VGG19 at the right."
    )
    bottom = of(spot("bottom"), "ResNet50")
    assert summary([left, right, bottom])[1] == (
        "They look at different places: "
        "Xception looks at the left, VGG19 at the right and ResNet50 at the bottom."
    )
    # Not where one has several places, two are called the same, or there are too many.
    both = of(spot("upper left", "lower right"), "ResNet50")
    assert said(left, both, about="places")[0].startswith("They look at different places;")
    four = [of(spot(place), name) for place, name in zip(PLACES.values(), NAMES[:4], strict=False)]
    assert summary(four)[1] == "They look at different places."


def test_one_that_looks_elsewhere_is_named_with_its_place():
    shown = [of(spot("upper left"), "Xception"), of(spot("upper left"), "ResNet50")]
    assert summary([*shown, of(spot("right"), "VGG19")])[1] == (
        "Xception and ResNet50 look at the same spot, at the upper left; "
        "VGG19 looks elsewhere, at the right."
    )
    two = [of(spot("right"), "Ada"), of(spot("right"), "Ben")]
    assert summary([*shown, *two])[1].endswith("; Ada and Ben look elsewhere, at the right.")
    two = [of(spot("right"), "Ada"), of(spot("bottom"), "Ben")]
    assert summary([*shown, *two])[1].endswith("; Ada and Ben look elsewhere.")


def test_one_that_looks_elsewhere_in_the_same_ninth_is_given_a_direction():
    # 1200 x 400: the crop is the photo's middle third.
    shown = [of(spot("left"), name, photo_size=(1200, 400)) for name in NAMES[:2]]
    other = of(spot("right"), "VGG19", photo_size=(1200, 400))
    assert where(shown[0]) == where(other) == "centre"
    assert summary([*shown, other])[1] == (
        "Xception and ResNet50 look at the same spot, at the centre; "
        "VGG19 looks elsewhere, further right."
    )
    cells = np.zeros((21, 21))
    cells[8, 10] = 1
    above = [of(cells, name) for name in NAMES[:2]]
    below = of(cells[::-1], "VGG19")
    assert where(below) == where(above[0]) == "centre"
    assert summary([*above, below])[1].endswith("VGG19 looks elsewhere, further down.")


def ramp(start: float) -> np.ndarray:
    """A map that is hot over a fifth of the photo's width, from this share of it on."""
    columns = np.arange(50) / 50
    return np.tile(
        ((columns >= start) & (columns < start + HOT * 0.4)) * (1 - 0.2 * columns), (50, 1)
    )


def test_places_that_overlap_by_a_third_are_the_same_only_in_part():
    first, second = of(ramp(0.3)), of(ramp(0.4), "VGG19")
    found = agreement([first, second])
    assert found is not None
    assert PARTLY < found.pairs[0].overlap < SAME
    assert summary([first, second])[1] == (
        "The places where they look overlap only in part, at the centre."
    )
    third = of(ramp(0.3), "ResNet50")
    assert summary([first, third, second])[1] == (
        "Xception and ResNet50 look at the same spot, at the centre; "
        "VGG19 looks there only in part."
    )


def test_the_same_faint_surroundings_of_different_peaks_are_not_the_same_spot():
    faint = np.zeros((20, 20))
    faint[8:12, 4:16] = 0.3
    first, second = faint.copy(), faint.copy()
    first[9, 5] = second[9, 14] = 1
    shown = [of(first), of(second, "VGG19")]
    found = agreement(shown)
    assert found is not None
    assert found.pairs[0].overlap >= SAME
    assert "same" not in summary(shown)[1]


def test_hot_places_that_just_touch_are_different_places():
    first, second = np.zeros((100, 100)), np.zeros((100, 100))
    first[:, 20:40] = second[:, 37:57] = 1
    assert "different places" in summary([of(first), of(second, "VGG19")])[1]


def test_a_peak_in_the_hot_place_of_another_is_not_elsewhere():
    first, second = np.zeros((100, 100)), np.zeros((100, 100))
    first[:, 10:30] = 1
    second[45:55, 15:25] = 1
    second[:, 60:80] = 0.3
    shown = [of(first), of(second, "VGG19")]
    found = agreement(shown)
    assert found is not None
    assert found.pairs[0].overlap < PARTLY
    assert summary(shown)[1].startswith(
        "The places where they look overlap only in part, at the left"
    )


def test_the_same_spot_is_one_that_all_of_them_have():
    first, second = np.zeros((10, 10)), np.zeros((10, 10))
    first[:, :2] = second[:, :2] = 1
    second[3:8, 7:9] = 0.98
    assert where(of(second)).startswith("in several places")
    assert summary([of(first), of(second, "VGG19")])[1] == (
        "They look at the same spot, at the left."
    )


def test_a_network_that_spreads_over_more_is_named():
    tight, wide = spot("centre"), np.zeros((9, 9))
    wide[2:7, 3:7] = 1
    shown = [of(tight), of(tight, "ResNet50"), of(wide, "VGG19")]
    (sentence,) = said(*shown, about="spreads")
    times = re.search(r"VGG19 spreads over at least (\d+) times the area of any other\.$", sentence)
    assert times
    hot = [(e.heatmap > HOT - 0.001).sum() for e in shown]
    assert 4.7 < hot[2] / hot[0] < 4.9
    assert int(times[1]) == int(hot[2] / hot[0])
    assert not said(of(tight), of(tight, "VGG19"), about="spreads")


@pytest.mark.parametrize(
    ("share", "words"), [(0.26, ""), (0.32, "1.5 times"), (0.45, "twice"), (0.7, "3 times")]
)
def test_times_the_area_are_rounded_down(share: float, words: str):
    def strip(share: float) -> np.ndarray:
        return np.tile(np.arange(100) < 100 * share, (100, 1)) * 1.0

    found = said(of(strip(0.2)), of(strip(share), "VGG19"), about="spreads")
    if words:
        assert found[0].endswith(f"VGG19 spreads over at least {words} the area of the other.")
    else:
        assert not found


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (0.5, 0.46, "its top two are 4 points apart"),
        (0.5, 0.486, "its top two are 1 point apart"),
        (0.5, 0.496, "its top two are less than 1 point apart"),
        (0.5, 0.499999, "its top two are less than 1 point apart"),
        (0.22, 0.02, "its best guess has only 22 %"),
        (0.22, 0.21, "its best guess has only 22 %"),
    ],
)
def test_an_unsure_network_says_by_how_much(first: float, second: float, words: str):
    sure = of(spot("top"))
    unsure = of(spot("top"), "ResNet50", top=[(TABBY, first), (TIGER_CAT, second)])
    assert summary([sure, unsure])[-1] == f"ResNet50 is unsure: {words}."


def test_a_sure_network_is_not_called_unsure():
    for top in ([(TABBY, 0.31), (TIGER_CAT, 0.2)], [(TABBY, 0.9), (TIGER_CAT, 0.1)]):
        assert not said(of(spot("top"), top=top), about="unsure")


def test_several_unsure_networks_share_a_sentence():
    weak = [(TABBY, 0.2), (TIGER_CAT, 0.1)]
    close = [(TABBY, 0.5), (TIGER_CAT, 0.45)]
    sure = [(TABBY, 0.9), (TIGER_CAT, 0.1)]

    def last(*tops: list) -> str:
        return summary([of(spot("top"), n, top=t) for n, t in zip(NAMES, tops, strict=False)])[-1]

    assert last(weak, weak) == "Both are unsure: their best guesses have less than 30 %."
    assert last(close, sure, close) == (
        "Xception and VGG19 are unsure: their top two are less than 10 points apart."
    )
    assert last(close, weak, sure) == (
        "ResNet50 is unsure: its best guess has only 20 %; "
        "Xception is unsure, too: its top two are 5 points apart."
    )
    assert last(close, weak, close) == (
        "ResNet50 is unsure: its best guess has only 20 %; "
        "Xception and VGG19 are unsure, too: their top two are less than 10 points apart."
    )


def test_an_improbable_class_is_said_to_be_only_looked_for():
    sure = of(spot("top"))
    doubting = of(
        spot("top"), "ResNet50", top=[(EGYPTIAN, 0.9), (1, 0.01)], target=(TABBY, 0.0002), rank=312
    )
    assert summary([sure, doubting])[-1] == (
        "For ResNet50, tabby is improbable (0.02 %, rank 312): "
        "its map shows where it would look for it."
    )
    other = of(
        spot("top"), "VGG19", top=[(EGYPTIAN, 0.9), (1, 0.01)], target=(TABBY, 0.003), rank=9
    )
    assert summary([doubting, other])[-1] == (
        "For both, tabby is improbable (0.02 % and 0.3 %): "
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


def test_networks_without_a_map_are_named_and_not_compared():
    nothing = [of(np.zeros((7, 7)), name) for name in NAMES[1:4]]
    seen = of(spot("left"))
    assert summary([seen, nothing[0]])[1:] == (
        "ResNet50 has no map of tabby: nothing here speaks for this class.",
        "The heat of Xception lies at the left.",
    )
    assert summary([seen, *nothing[:2]])[1] == (
        "Neither ResNet50 nor VGG19 has a map of tabby: nothing here speaks for this class."
    )
    assert summary(nothing) == (
        "All three say tabby (80 %).",
        "None of ResNet50, VGG19 and Ada has a map of tabby: nothing here speaks for this class.",
    )
    assert summary([nothing[0], seen, of(spot("left"), "Ben")])[2] == (
        "Xception and Ben look at the same spot, at the left."
    )


def test_a_network_whose_scores_are_not_numbers_predicts_nothing():
    broken = of(np.full((7, 7), np.nan), "VGG19", top=[(0, 0.0), (1, 0.0)], target=(TABBY, 0.0))
    shown = [of(spot("left")), of(spot("left"), "ResNet50"), broken]
    assert summary(shown) == (
        "Xception and ResNet50 say tabby (80 %).",
        "VGG19 has no map of tabby: the network's scores for this picture are not numbers.",
        "Xception and ResNet50 look at the same spot, at the left.",
    )
    assert summary([broken])[0].startswith("VGG19 has no map of tabby")


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
    assert summary(shown)[1] == (
        "They look at different places: Lite for VGG19 looks at the top and Lite at the right."
    )
    assert summary(shown[:1])[0] == "Lite says tabby (80 %)."


def test_the_same_network_may_be_there_twice():
    shown = [of(spot("top")), of(spot("top")), of(spot("right"))]
    assert len(summary(shown)) == 2


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
    for _ in range(400):
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
            assert not re.search(several_say_the_singular, sentence), sentence
    assert len(seen) > 200


@pytest.mark.parametrize("target", [None, "tabby", "espresso"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_what_is_said_of_a_real_picture_is_true(path: Path, target: str | None):
    shown = [gc.explain(path, name, target) for name in LITE]
    sentences = summary(shown)
    assert 2 <= len(sentences) <= SENTENCES
    check_predictions(sentences[0], shown)
    found = agreement(shown)
    assert found is not None
    overlaps = [pair.overlap for pair in found.pairs]
    best = [e.top[0].probability for e in shown]
    for sentence in sentences[1:]:
        named = [e for e in shown if e.title in sentence] or shown
        if "hey look at the same" in sentence:
            assert min(overlaps) >= SAME
        elif "look at the same" in sentence:
            together = sentence.split(" look at the same")[0]
            indices = [i for i, e in enumerate(shown) if e.title in together]
            (pair,) = (p for p in found.pairs if [p.first, p.second] == indices)
            assert pair.overlap >= SAME
        elif "different places" in sentence:
            assert max(overlaps) < PARTLY
        elif "overlap only in part" in sentence:
            assert max(overlaps) < SAME
        if "spreads over" in sentence:
            (widest,) = (e for e in shown if f"{e.title} spreads" in sentence)
            areas = [(e.heatmap >= HOT).sum() for e in shown if e is not widest]
            assert (widest.heatmap >= HOT).sum() >= WIDER * max(areas)
        if "improbable" in sentence:
            assert all(e.target.probability < IMPROBABLE and e.rank > 1 for e in named)
            assert shown[0].target.name in sentence
        if "unsure" in sentence:
            gaps = [e.top[0].probability - e.top[1].probability for e in named]
            assert all(
                e.top[0].probability < WEAK or gap < CLOSE
                for e, gap in zip(named, gaps, strict=True)
            )
        if "edge of what" in sentence:
            for e in named:
                left, top, right, bottom = e.box
                inside = e.heatmap[top:bottom, left:right]
                edges = [inside[:, 0], inside[:, -1], inside[0], inside[-1]]
                assert max(edge.max() for edge in edges) > HOT - 0.02
                assert e.box != (0, 0, *e.geometry.photo_size)
    if any(share < WEAK for share in best) and len(sentences) < SENTENCES:
        assert "unsure" in " ".join(sentences)


def check_predictions(sentence: str, shown: Sequence[gc.Explanation]) -> None:
    """Every network is said to predict its top class, with its rounded probability."""
    tops = {e.top[0].name for e in shown}
    assert sentence.startswith("They disagree: ") == (len(tops) > 1)
    clauses = sentence.removeprefix("They disagree: ").removesuffix(".").split("; ")
    for e in shown:
        name, share = e.top[0].name, e.top[0].probability
        (clause,) = (one for one in clauses if re.search(rf"\bsays? {re.escape(name)} ", one))
        assert e.title in clause or clause.startswith("All three say")
        shares = [float(text) for text in re.findall(r"([\d.]+) %", clause)]
        assert min(abs(100 * share - one) for one in shares) <= 0.5
    target = shown[0].target.name
    if len({e.target.index for e in shown}) == 1 and target not in tops:
        assert re.search(rf"(, not|none says) {re.escape(target)}\.$", sentence)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_place_of_a_real_map_is_where_its_heat_is(path: Path):
    for name in LITE:
        e = gc.explain(path, name)
        words = where(e)
        hot = np.where(e.heatmap >= HOT, e.heatmap, 0)
        rows, columns = ((np.arange(side) + 0.5) / side for side in hot.shape)
        y, x = np.average(rows, weights=hot.sum(1)), np.average(columns, weights=hot.sum(0))
        far = np.maximum(abs(rows - y)[:, None], abs(columns - x)) >= APART
        if words in PLACES.values():
            # The whole of it: the centre of mass may be moved by a smaller spot, not far.
            assert hot[far].sum() < 0.3 * hot.sum()
            ((cx, cy),) = (middle for middle, name in PLACES.items() if name == words)
            assert abs(x - (cx + 0.5) / 9) < 1 / 6 + 0.1
            assert abs(y - (cy + 0.5) / 9) < 1 / 6 + 0.1
        elif words == "spread over much of the picture":
            assert (hot > 0).mean() > 0.32
        else:
            assert words.startswith("in several places")
            assert np.ptp(np.flatnonzero(hot.any(0))) / hot.shape[1] > APART or (
                np.ptp(np.flatnonzero(hot.any(1))) / hot.shape[0] > APART
            )


def test_a_cat_beside_a_cup_shows_who_looks_where():
    picture = next(path for path in EXAMPLES if "cat_and_coffee" in path.name)
    held = [gc.examine(picture, name) for name in LITE]
    own = summary([one.explain() for one in held])
    assert own[0].startswith("They disagree: EfficientNet-Lite0 says Egyptian cat")
    assert "EfficientNet-Lite0 looks elsewhere, further left" in own[1]
    same = summary([one.explain("espresso") for one in held])
    assert "elsewhere" not in same[1]
