"""What covering a place changes, and which places are the hottest and as large a cold one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageDraw

import gradcam_core as gc
from gradcam_core.analysis.agreement import agreement
from gradcam_core.images.apply_covers import covered_share
from gradcam_core.images.cover import covers_of
from tests.support.photos import EXAMPLES
from tests.support.spots import PLACES, of, spot

COFFEE = EXAMPLES / "2_coffee.jpg"
LITE0 = "efficientnet_lite0"
CUP = (0.35, 0.2, 0.65, 0.6)


@pytest.fixture(scope="module")
def without() -> gc.Explanation:
    """Of the coffee, without the middle of its cup."""
    return gc.explain(COFFEE, LITE0, cover={"box": CUP, "fill": "grey"})


def test_the_network_sees_the_photo_with_the_place_painted_over(without: gc.Explanation):
    photo = gc.read_image(COFFEE).copy()
    left, top, right, bottom = (
        round(share * side) for share, side in zip(CUP, photo.size * 2, strict=True)
    )
    grey = (128, 128, 128)
    ImageDraw.Draw(photo).rectangle((left, top, right - 1, bottom - 1), fill=grey)
    assert without.photo is not None
    assert without.photo.tobytes() == photo.tobytes()
    before = gc.explain(COFFEE, LITE0)
    painted = gc.explain(photo, LITE0, before.target.index)
    assert without.target == painted.target
    assert (without.feature_map == painted.feature_map).all()
    assert without.uncovered is not None
    assert without.uncovered.target == before.target
    assert without.target.probability < before.target.probability


def test_the_effect_is_the_same_class_before_and_after_and_how_far_the_map_moved(
    without: gc.Explanation,
):
    effect, before = gc.cover_effect(without), gc.explain(COFFEE, LITE0)
    compared = agreement([before, without])
    assert effect is not None
    assert compared is not None
    assert without.target.name == "espresso"
    assert (effect.before, effect.after) == (before.target.probability, without.target.probability)
    assert (effect.rank_before, effect.rank_after) == (1, without.rank)
    assert (effect.overlap, effect.words) == (compared.overlap, compared.words)
    assert gc.cover_effect(before) is None


def test_a_covered_photo_is_never_shown_as_if_it_were_not(without: gc.Explanation):
    assert without.photo_notices == ("A place of the photo is covered, 12 % of it: grey.",)
    assert "12 % of it covered (grey)" in without.caption()
    assert f"and {without.score(gc.explain(COFFEE, LITE0).target)} in the photo as it is" in (
        without.caption()
    )
    assert "12 % covered" in without.unusual  # which the figure and the presentation show
    assert without.metadata()["Covered"] == "0.35,0.2,0.65,0.6:grey"
    overlay = without.overlay(COFFEE, opacity=0)  # of the photo as it is in its file
    assert overlay.getpixel((300, 150)) == (128, 128, 128)


@pytest.mark.parametrize("place", list(PLACES.values()))
@pytest.mark.parametrize("photo_size", [(400, 400), (800, 400)])
def test_the_hottest_place_is_a_fifth_of_what_was_seen_and_has_the_heat(
    place: str, photo_size: tuple[int, int]
):
    e = of(spot(place), photo_size=photo_size)
    cover = gc.hottest_place(e)
    left, top, right, bottom = e.box
    seen = (right - left) * (bottom - top) / (photo_size[0] * photo_size[1])
    assert covered_share([cover], photo_size) == pytest.approx(0.2 * seen, rel=0.05)
    y, x = np.unravel_index(e.heatmap.argmax(), e.heatmap.shape)
    assert cover.box is not None
    assert cover.box[0] <= x / photo_size[0] <= cover.box[2]
    assert cover.box[1] <= y / photo_size[1] <= cover.box[3]


def inside(cover: gc.Cover, heat: np.ndarray) -> np.ndarray:
    left, top, right, bottom = cover.bounds((heat.shape[1], heat.shape[0]))
    return heat[top:bottom, left:right]


def test_of_several_maps_it_is_the_hottest_of_all_together():
    left, right = of(spot("left")), of(spot("right"))
    both = gc.hottest_place([left, right, right])
    assert inside(both, right.heatmap).sum() > inside(both, left.heatmap).sum()
    with pytest.raises(gc.CamError, match="heat"):
        gc.hottest_place(of(np.zeros((7, 7))))


@pytest.mark.parametrize(
    "text",
    [
        "0.35,0.35,0.65,0.65",  # its shape fits beside it
        "0.3,0.3,0.75,0.75:grey",  # it does not
        "0.1,0.1,0.9,0.3:mean",
        "0.4,0.5,0.6,0.5~0.08",
        "0.5,0.5~0.22",
        "0,0,0.2,0.2",
    ],
)
def test_a_cold_place_is_as_large_and_colder_and_no_part_of_the_cover(text: str):
    heat = spot("centre") + spot("lower left", level=1) / 2 + 0.05
    e = of(heat)
    (cover,) = covers_of(text)
    (cold,) = gc.cold_places(e, [cover])
    assert cold.fill == cover.fill
    assert covered_share([cold], (400, 400)) == pytest.approx(
        covered_share([cover], (400, 400)), rel=0.08
    )
    together = covered_share([cover, cold], (400, 400))
    apart = covered_share([cover], (400, 400)) + covered_share([cold], (400, 400))
    assert together == pytest.approx(apart, rel=0.03)
    assert inside(cold, e.heatmap).mean() < 0.2


def test_several_cold_places_lie_apart_from_each_other_and_where_none_is_left_it_is_said():
    e = of(spot("centre"))
    covers = covers_of(["0.3,0.3,0.5,0.5", "0.5,0.5,0.7,0.7"])
    cold = gc.cold_places(e, covers)
    assert covered_share([*covers, *cold], (400, 400)) == pytest.approx(0.16, rel=0.05)
    with pytest.raises(gc.CamError, match="cover less"):
        gc.cold_places(e, "0,0,1,0.7")
    assert gc.cold_places(e, [one.text for one in covers]) == cold
    with pytest.raises(gc.ChoiceError, match="A cover is a box"):
        gc.cold_places(e, "the cup")


def test_the_first_sentence_says_what_became_of_the_class(without: gc.Explanation):
    from gradcam_core.analysis.sentences.summary import summary

    before, after = (without.score(e.target) for e in (without.uncovered, without) if e)
    assert summary([without])[0] == (
        f"Without the covered place, espresso goes from {before} to {after} for EfficientNet-Lite0."
    )
    named = [replace(without, model=title, title=title) for title in ("Ada", "Ben", "Cyd")]
    assert without.uncovered is not None
    named[1] = replace(named[1], target=without.uncovered.target)  # as probable as before
    assert summary(named)[0] == (
        f"Without the covered place, espresso goes from {before} to {after} for Ada and Cyd and "
        f"stays at {before} for Ben."
    )
    tiny = replace(without.target, probability=1e-5)
    named = [
        replace(e, target=tiny, uncovered=replace(without.uncovered, target=tiny)) for e in named
    ]
    assert summary(named[:2])[0] == (  # it may have changed
        "Without the covered place, espresso stays below 0.1 % for Ada and Ben."
    )


def test_a_place_that_the_network_did_not_see_is_told_as_that():
    from gradcam_core.analysis.sentences.summary import summary

    for cover, seen in (("0,0,0.05,0.05", ", of which nothing was seen"), ("0.3,0.8,0.4,1", "")):
        e = gc.explain(COFFEE, LITE0, cover=cover)
        assert summary([e])[0].startswith(f"Without the covered place{seen}, espresso "), cover


def test_two_networks_of_different_photos_have_no_hottest_place_in_common():
    with pytest.raises(ValueError, match="different photos"):
        gc.hottest_place([of(spot("left")), of(spot("left"), photo_size=(300, 400))])


def test_a_photo_that_is_given_covered_stays_so():
    from gradcam_core.images.apply_covers import covered

    photo = covered(gc.read_picture(COFFEE), covers_of(CUP))
    assert gc.explain(photo, LITE0).covers == covers_of(CUP)
