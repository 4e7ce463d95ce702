"""Where networks agree: on maps whose answer is obvious, and on real ones against SciPy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
import gradcam_core.analysis.agreement as module
from gradcam_core.analysis.agreement import (
    FAINTEST,
    HOTTEST,
    RASTER_PLACES,
    Agreement,
    agreement,
    heat_on,
    looked_at,
    raster,
)
from gradcam_core.images.geometry import ViewName
from tests.support.explanations import LITE, explained

ACROSS = np.tile(np.arange(10.0), (10, 1))  # hotter from left to right


def random_map(seed: int, side: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side))


def of(*explanations: gc.Explanation) -> Agreement:
    found = agreement(explanations)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cats(cat: Image.Image) -> list[gc.Explanation]:
    return [gc.explain(cat, name, "tabby") for name in LITE]


@pytest.fixture(scope="module")
def cups(coffee: Image.Image) -> list[gc.Explanation]:
    return [gc.explain(coffee, name, "espresso") for name in LITE]


@pytest.mark.parametrize("side", [1, 2, 7, 14])
def test_a_map_agrees_wholly_with_itself(side: int):
    cells = random_map(1, side)
    cells[0, 0] = 0
    if side == 1:  # one cell is the same everywhere, so it points at no place
        cells = np.array([[0.2, 0.7]])
    e = explained(cells)
    found = of(e, e)
    (pair,) = found.pairs
    assert (pair.first, pair.second) == (0, 1)
    assert pair.overlap == 1
    assert pair.correlation == pytest.approx(1)
    assert found.shares[1] == 0
    assert found.shares[2] >= HOTTEST


@pytest.mark.parametrize("scale", [1e-6, 3.0, 1e5])
def test_the_scale_of_a_map_does_not_matter(scale: float):
    cells = random_map(2)
    (pair,) = of(explained(cells), explained(scale * cells)).pairs
    assert pair.overlap == pytest.approx(1, abs=1e-3)
    assert pair.correlation == pytest.approx(1)


def test_a_map_and_its_inverse_have_opposite_ranks_and_nothing_in_common():
    cells = random_map(3)
    (pair,) = of(explained(cells), explained(cells.max() - cells)).pairs
    assert pair.correlation == pytest.approx(-1, abs=1e-4)
    assert pair.overlap == 0


def test_the_order_of_the_networks_does_not_matter():
    explanations = [explained(random_map(seed)) for seed in range(3)]
    forth, back = of(*explanations), of(*explanations[::-1])
    assert back.shares == forth.shares
    assert back.thresholds == forth.thresholds[::-1]
    turned = {(2 - pair.second, 2 - pair.first): pair for pair in back.pairs}
    for pair in forth.pairs:
        other = turned[pair.first, pair.second]
        assert other.overlap == pair.overlap
        assert other.correlation == pytest.approx(pair.correlation)


def test_strips_that_cross_have_the_overlap_of_chance():
    found = of(explained(ACROSS), explained(ACROSS.T))
    (pair,) = found.pairs
    fifth = HOTTEST
    assert pair.overlap == pytest.approx(fifth**2 / (2 * fifth - fifth**2), abs=0.005)
    assert pair.correlation == pytest.approx(0, abs=1e-6)
    expected = (1 - fifth) ** 2, 2 * fifth * (1 - fifth), fifth**2
    assert found.shares == pytest.approx(expected, abs=0.005)


def test_spots_in_opposite_corners_do_not_overlap():
    cells = np.zeros((7, 7))
    cells[1, 1] = 1
    (pair,) = of(explained(cells), explained(cells[::-1, ::-1])).pairs
    assert pair.overlap == 0
    assert pair.correlation is not None
    assert pair.correlation < 0


def test_the_threshold_of_a_rising_map_cuts_off_its_hottest_fifth():
    found = of(explained(ACROSS), explained(ACROSS))
    # Rises by a ninth of the maximum from cell to cell; two cells of ten are a fifth.
    assert found.thresholds[0] == pytest.approx(7.5 / 9, abs=0.005)
    seen = looked_at([explained(ACROSS)] * 2, found, (100, 100))
    assert (seen[:, 81:] == 2).all()
    assert (seen[:, :79] == 0).all()


def test_a_fifth_of_five_places_is_one(monkeypatch):
    monkeypatch.setattr(module, "raster", lambda photo: (5, 1))
    e = explained([[1, 2, 3, 4, 5]])
    assert of(e, e).shares == pytest.approx((0.8, 0, 0.2))


def test_places_without_heat_are_never_looked_at():
    # Warm up to the middle of the second of twenty columns: 7.5 % of the picture.
    e = explained([[1] + [0] * 19])
    found = of(e, e)
    assert found.thresholds == (FAINTEST, FAINTEST)
    assert found.shares[2] == pytest.approx(0.075, abs=0.005)


def test_all_places_of_a_plateau_belong_to_the_hottest_fifth():
    # Level up to the middle of the second of four columns: 37.5 % of the picture.
    e = explained([[1, 1, 0.2, 0]])
    other = explained([[0.7, 0.7, 0.2, 0]])
    found = of(e, other)
    assert found.shares == pytest.approx((0.625, 0, 0.375), abs=0.005)
    for size in ((50, 50), (333, 333), (1000, 1000)):
        seen = looked_at([e, other], found, size)
        assert (seen[:, : int(0.37 * size[0])] == 2).all()


def test_a_plateau_is_found_however_its_heat_is_rounded():
    for level in np.random.default_rng(5).uniform(0.1, 0.9, 20):
        cells = np.full((9, 9), level)
        cells[0, 0] = 1
        cells[:, 7:] = 0
        found = of(explained(cells), explained(cells))
        seen = looked_at([explained(cells)] * 2, found, (450, 450))
        assert (seen[:, :320] == 2).all()


@pytest.mark.parametrize("cells", [np.zeros((7, 7)), np.ones((7, 7)), np.full((7, 7), np.nan)])
def test_a_degenerate_map_looked_at_nothing_and_has_no_ranks(cells: np.ndarray):
    explanations = [explained(cells), explained(random_map(4)), explained(random_map(5))]
    assert explanations[0].degenerate
    found = of(*explanations)
    assert math.isinf(found.thresholds[0])
    assert found.thresholds[1] < 1
    pair = found.pairs[0]
    assert (pair.overlap, pair.chance, pair.words, pair.correlation) == (None,) * 4
    assert found.pairs[2].overlap == found.overlap
    assert found.shares[0] < 0.8
    assert found.shares[3] == 0
    assert looked_at(explanations, found, (40, 40)).max() <= 2


def test_less_than_two_maps_are_not_compared():
    nothing = explained(np.zeros((7, 7)))
    assert agreement([nothing, nothing]) is None
    assert agreement([nothing, explained(random_map(4)), nothing]) is None


def test_chance_is_that_of_two_areas_of_this_size_laid_down_blindly():
    (pair,) = of(explained(random_map(1)), explained(random_map(2))).pairs
    assert pair.chance == pytest.approx(1 / 9, abs=0.002)
    # 7.5 % of the picture each.
    few = [explained(np.array([[1] + [0] * 19])), explained(np.array([[1] + [0] * 19]).T)]
    (pair,) = of(*few).pairs
    assert pair.chance == pytest.approx(0.075**2 / (2 * 0.075 - 0.075**2), abs=0.003)


def test_the_mean_overlap_and_its_words_are_those_of_all_pairs():
    found = of(*(explained(random_map(seed)) for seed in range(3)))
    assert found.overlap == pytest.approx(np.mean([pair.overlap for pair in found.pairs]))
    assert found.words in ("few of the same places", "some of the same places")


def test_a_map_that_is_constant_where_all_saw_has_no_ranks():
    # 600 x 200: the crop is the middle third; the whole view is hot only left of it.
    size = (600, 200)
    crop = explained(random_map(5), size)
    whole = explained([[1, 0.5] + [0.5] * 7], size, view="whole")
    assert whole.box == (0, 0, *size)
    found = of(crop, whole)
    assert found.region == (200, 0, 400, 200)
    assert found.pairs[0].correlation is None


def test_the_region_is_what_all_of_them_saw():
    size = (640, 400)
    narrow, wide = explained(random_map(6), size, crop_share=0.8), explained(random_map(7), size)
    whole = explained(random_map(8), size, view="whole")
    found = of(narrow, wide, whole)
    assert found.region == narrow.box
    left, top, right, bottom = found.region
    seen = looked_at([narrow, wide, whole], found, size)
    outside = seen.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()
    # Within it, each map has its own hottest fifth, also where its own peak is elsewhere.
    for e, threshold in zip((narrow, wide, whole), found.thresholds, strict=True):
        inside = heat_on(e, size)[top:bottom, left:right]
        assert (inside >= threshold).mean() == pytest.approx(HOTTEST, abs=0.01)


def test_the_same_places_in_different_crops_overlap_wholly():
    # A ramp over the photo, as networks with different crops see it in their own cells.
    size = (500, 500)
    maps = []
    for share in (0.8, 0.9, 1.0):
        blank = explained(np.zeros((50, 50)), size, crop_share=share)
        left, _, right, _ = blank.geometry.region
        centres = left + (np.arange(50) + 0.5) * (right - left) / 50
        maps.append(explained(np.tile(centres, (50, 1)), size, crop_share=share))
    for pair in of(*maps).pairs:
        assert pair.overlap is not None
        assert pair.overlap > 0.97
        assert pair.correlation == pytest.approx(1, abs=0.001)


def test_fewer_than_two_have_nothing_to_compare():
    assert agreement([]) is None
    assert agreement([explained(ACROSS)]) is None


def test_explanations_of_different_photos_are_refused():
    with pytest.raises(ValueError, match="different photos"):
        agreement([explained(ACROSS, (400, 400)), explained(ACROSS, (400, 300))])


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_shares_sum_to_one_and_add_up_to_what_each_looked_at(count: int):
    explanations = [explained(random_map(seed)) for seed in range(count)]
    found = of(*explanations)
    assert len(found.shares) == count + 1
    assert len(found.pairs) == count * (count - 1) // 2
    assert sum(found.shares) == pytest.approx(1)
    total = sum(k * share for k, share in enumerate(found.shares))
    assert total == pytest.approx(count * HOTTEST, abs=0.002 * count)


@pytest.mark.parametrize("side", [7, 14, 42])
@pytest.mark.parametrize("size", [(451, 300), (1200, 400), (3000, 4000)])
def test_the_raster_does_not_matter(side: int, size: tuple[int, int], monkeypatch):
    explanations = [explained(random_map(seed, side), size, crop_share=0.9) for seed in (1, 2)]
    found = of(*explanations)
    for places in (RASTER_PLACES // 4, RASTER_PLACES * 4):
        monkeypatch.setattr(module, "raster", lambda photo, n=places: raster(photo, n))
        other = of(*explanations)
        assert other.pairs[0].overlap == pytest.approx(found.pairs[0].overlap, abs=0.02)
        assert other.pairs[0].correlation == pytest.approx(found.pairs[0].correlation, abs=0.01)
        assert other.thresholds == pytest.approx(found.thresholds, abs=0.02)


@pytest.mark.parametrize("longest", [150, 640])
def test_the_thresholds_hold_on_another_raster(cats, cups, longest: int):
    for explanations in (cats, cups):
        found = of(*explanations)
        width, height = explanations[0].geometry.photo_size
        size = longest, round(longest * height / width)
        seen = looked_at(explanations, found, size)
        left, top, right, bottom = (round(edge * longest / width) for edge in found.region)
        inside = seen[top:bottom, left:right]
        for count, share in enumerate(found.shares):
            assert (inside == count).mean() == pytest.approx(share, abs=0.02)
        for pair in found.pairs:
            first, second = (
                explanations[i].heatmap_at(size)[top:bottom, left:right] >= found.thresholds[i]
                for i in (pair.first, pair.second)
            )
            overlap = (first & second).sum() / (first | second).sum()
            assert overlap == pytest.approx(pair.overlap, abs=0.03)


def test_the_correlation_is_scipys(cats, cups):
    from scipy.stats import spearmanr  # takes a second

    zeros = [explained(np.maximum(random_map(seed) - 0.6, 0)) for seed in (8, 9)]
    for explanations in (cats, cups, zeros):
        found = of(*explanations)
        left, top, right, bottom = found.region
        for pair in found.pairs:
            first, second = (
                explanations[i].heatmap[top:bottom, left:right].ravel()
                for i in (pair.first, pair.second)
            )
            expected = spearmanr(first, second).statistic
            assert pair.correlation == pytest.approx(expected, abs=0.01)


def test_networks_that_see_a_cup_look_at_the_same_place(cups):
    found = of(*cups)
    for pair in found.pairs:
        assert pair.overlap is not None
        assert pair.overlap > 0.6
        assert pair.correlation is not None
        assert pair.correlation > 0.8
    seen = looked_at(cups, found, cups[0].geometry.photo_size)
    assert (seen == 3).any()
    inside_the_rim = seen[20:215, 172:412] == 3
    assert inside_the_rim.sum() > 0.8 * (seen == 3).sum()


def test_networks_asked_for_two_objects_look_at_different_places():
    picture = Path(__file__).parents[2] / "assets" / "examples" / "3_cat_and_coffee.jpg"
    held = [gc.examine(picture, name) for name in LITE[:2]]
    (pair,) = of(held[0].explain("Egyptian cat"), held[1].explain("espresso")).pairs
    assert pair.overlap is not None
    assert pair.overlap < 0.02
    assert pair.correlation is not None
    assert pair.correlation < 0
    (pair,) = of(*(one.explain("espresso") for one in held)).pairs
    assert pair.overlap is not None
    assert pair.overlap > 0.3


@pytest.mark.parametrize("view", ["crop", "whole"])
@pytest.mark.parametrize("size", [(2, 3), (8, 600), (600, 8), (20_000, 7), (6000, 8000)])
def test_photos_of_any_shape_are_compared(size: tuple[int, int], view: ViewName):
    explanations = [explained(random_map(seed), size, view=view) for seed in (1, 2)]
    found = of(*explanations)
    assert found.region == explanations[0].box
    assert sum(found.shares) == pytest.approx(1)
    width, height = raster(size)
    assert width * height < 1.5 * RASTER_PLACES
    for raster_size in ((1, 1), (5, 3), (width, height)):
        seen = looked_at(explanations, found, raster_size)
        assert seen.shape == raster_size[::-1]
        assert seen.dtype == np.uint8


def test_heat_is_that_of_the_heatmap_on_a_fine_raster(cats):
    for e in cats:
        size = e.geometry.photo_size
        np.testing.assert_allclose(heat_on(e, size), e.heatmap, atol=0.01)
        # And the same places have the same heat on a raster that misses the peak.
        coarse = heat_on(e, (size[0] // 11, size[1] // 12))
        np.testing.assert_allclose(
            coarse, heat_on(e, (size[0] // 11 * 3, size[1] // 12 * 3))[1::3, 1::3], atol=1e-5
        )


def test_heat_in_the_padding_is_not_the_maximum():
    # 600 x 100 fills the middle half of the input's height; the cells above are padding.
    cells = np.full((8, 12), 0.5)
    cells[0, 6], cells[4, 3] = 9, 1
    e = explained(cells, (600, 100), view="whole")
    assert e.geometry.region[1] < 0
    assert heat_on(e, (600, 100)).max() == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(heat_on(e, (600, 100)), e.heatmap, atol=0.02)


def test_the_record_is_json_and_names_the_networks():
    explanations = [explained(np.zeros((7, 7))), *(explained(random_map(n)) for n in (1, 2))]
    found = of(*explanations)
    record = json.loads(json.dumps(found.record(["a", "b", "c"]), allow_nan=False))
    assert record["region"] == [0, 0, 400, 400]
    assert record["hottest"] == HOTTEST
    assert record["looked_at"][0] == {"name": "a", "from_heat": None}
    assert record["looked_at"][2] == {"name": "c", "from_heat": found.thresholds[2]}
    assert [pair["names"] for pair in record["pairs"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert record["pairs"][0]["rank_correlation"] is None
    assert record["pairs"][0]["overlap"] is None
    pair = found.pairs[2]
    told = record["pairs"][2]
    assert (told["overlap"], told["chance"]) == (pair.overlap, pair.chance)
    assert (told["words"], record["words"]) == (pair.words, found.words)
    assert record["overlap"] == found.overlap
    assert record["shares"] == list(found.shares)
    with pytest.raises(ValueError, match="argument"):
        found.record(["a", "b"])
