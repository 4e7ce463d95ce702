"""Where heat lies, in words, on maps whose answer is obvious."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from gradcam_core.analysis.agreement import agreement, heat_on, raster
from gradcam_core.analysis.location import location_of, where
from gradcam_core.explanation.text import NOT_NUMBERS, NOTHING, ONE_CELL, ONE_PIXEL, SAME_EVERYWHERE
from tests.support.spots import PLACES, of, spot


@pytest.mark.parametrize("place", PLACES.values())
def test_one_spot_has_the_name_of_its_ninth_of_the_photo(place: str):
    for size in ((400, 400), (900, 300), (300, 900), (60, 40)):
        assert where(of(spot(place), photo_size=size, view="whole")) == place


def test_far_apart_spots_are_several_places_and_most_is_said_only_if_it_is_most():
    equal = spot("upper left", "lower right")
    assert where(of(equal)) == "in several places"
    larger = spot("upper left", "lower right", level=0.95)
    assert where(of(larger)) == "in several places, most of all at the upper left"
    cooler = spot("upper left", "lower right", level=0.45)
    assert where(of(cooler)) == "upper left"  # the other one is not hot
    three = spot("left", "right", "bottom", level=0.99)
    assert where(of(three)) == "in several places"


def test_near_spots_are_one_place():
    cells = np.zeros((15, 15))
    cells[2, 2] = cells[2, 4] = 1
    assert where(of(cells)) == "upper left"


def test_of_two_spots_as_hot_the_place_is_between_them_and_not_at_the_one_a_little_hotter():
    for hotter in (-1, 1):
        cells = np.zeros((20, 20))
        cells[3:6, 7:9], cells[3:6, 11:13] = 1 - 0.01 * hotter, 1 + 0.01 * hotter
        assert where(of(cells)) == "top"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (np.zeros((7, 7)), NOTHING),
        (np.ones((7, 7)), SAME_EVERYWHERE),
        (np.ones((1, 1)), ONE_CELL),
        (np.full((7, 7), np.nan), NOT_NUMBERS),
    ],
)
def test_a_degenerate_map_is_nowhere_and_says_why(cells: np.ndarray, reason: str):
    words = where(of(cells))
    assert words.casefold() == reason.removesuffix(".").casefold()
    assert words[0].islower()


@pytest.mark.parametrize("view", ["crop", "whole"])
@pytest.mark.parametrize(
    "size", [(3, 3), (8, 600), (600, 8), (20_000, 7), (7, 20_000), (65_000, 1)]
)
def test_photos_of_any_shape_have_a_place(size: tuple[int, int], view):
    # Of a photo that is a line, all of the short side may be hot.
    middle = {"centre", "across the middle", "down the middle", "spread around the centre"}
    assert where(of(spot("centre") + 0.2, photo_size=size, view=view)) in middle


def test_one_pixel_has_no_places():
    for size, view in (((1, 1), "crop"), ((1, 1), "whole"), ((1, 5), "crop")):
        e = of(spot("upper left"), photo_size=size, view=view)
        assert e.degenerate == ONE_PIXEL
        assert not e.heatmap.any()
        assert agreement([e, of(spot("right"), photo_size=size, view=view)]) is None


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (2, 2), (1, 5), (3, 3), (4, 2)])
def test_places_of_a_few_pixels_are_those_of_the_heatmap(size: tuple[int, int]):
    """No place is said that lies within a pixel: words and overlap follow from `heatmap` alone."""
    for seed in range(20):
        maps = [np.random.default_rng([seed, n]).random((7, 7)) ** 4 for n in (0, 1)]
        one, other = (of(cells, photo_size=size, view="whole") for cells in maps)
        hot = one.heatmap >= 0.5
        assert (where(one) == "spread over much of the picture") == (hot.mean() >= 1 / 3)
        if size[0] == 1:
            assert "left" not in where(one)
            assert "right" not in where(one)
        compared = agreement([one, other])
        assert compared is not None
        first, second = (e.heatmap >= np.quantile(e.heatmap, 0.8, method="higher") - 1e-4
                         for e in (one, other))  # fmt: skip
        expected = (first & second).sum() / (first | second).sum()
        assert compared.overlap == pytest.approx(expected)


def test_what_is_smaller_than_a_place_of_the_raster_still_has_a_place():
    cells = np.zeros((7, 7))
    cells[0, 0] = 1
    e = of(cells, photo_size=(20_000, 7))
    assert not e.degenerate
    assert not heat_on(e, raster((20_000, 7), 2**14)).any()
    assert where(e) == "centre"


def round_spot(x: float, y: float, wide: float = 0.1, high: float = 0.1) -> np.ndarray:
    down, across = (np.mgrid[:60, :60] + 0.5) / 60
    return np.exp(-(((across - x) / wide) ** 2) - ((down - y) / high) ** 2)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (0.5, 0.5, "centre"),
        (0.56, 0.45, "centre"),
        (0.62, 0.5, "right of the centre"),
        (0.38, 0.55, "left of the centre"),
        (0.5, 0.39, "above the centre"),
        (0.6, 0.62, "below and right of the centre"),
        (0.72, 0.5, "right"),
        (0.72, 0.61, "right, below the middle"),
        (0.4, 0.2, "top, left of the middle"),
        (0.72, 0.75, "lower right"),
    ],
)
def test_what_is_off_the_centre_is_said_so(x: float, y: float, words: str):
    assert where(of(round_spot(x, y))) == words


def test_places_next_to_each_other_differ_by_one_grade():
    words = [where(of(round_spot(x, 0.5))) for x in np.linspace(0.1, 0.9, 161)]
    told = list(dict.fromkeys(words))
    assert told == ["left", "left of the centre", "centre", "right of the centre", "right"]


def test_the_place_is_one_of_the_photo_not_of_the_crop():
    # 1200 x 400: the crop is the middle third.
    size = (1200, 400)
    assert where(of(spot("left"), photo_size=size)) == "left of the centre"
    assert where(of(spot("upper right"), photo_size=size)) == "top, right of the middle"
    assert where(of(spot("left"), photo_size=size, view="whole")) == "left"


def test_a_ring_is_around_its_centre():
    down, across = np.mgrid[:15, :15]
    distance = np.maximum(abs(down - 7), abs(across - 7))
    assert where(of(distance == 6)) == "spread around the centre"
    assert where(of(distance == 1)) == "centre"


def test_heat_around_a_place_at_the_edge_names_the_side():
    down, across = np.mgrid[:100, :100]
    assert where(of((across < 45) & (abs(down - 50) < 28))) == "spread around the left side"
    assert where(of((down < 45) & (abs(across - 50) < 28))) == "spread around the top"


@pytest.mark.parametrize(
    ("at", "across", "down"),
    [
        (0.15, "across the top", "down the left side"),
        (0.38, "across the picture, above the middle", "down the picture, left of the middle"),
        (0.5, "across the middle", "down the middle"),
        (0.62, "across the picture, below the middle", "down the picture, right of the middle"),
        (0.85, "across the bottom", "down the right side"),
    ],
)
def test_a_long_spot_is_a_band(at: float, across: str, down: str):
    band = round_spot(0.5, at, wide=3, high=0.08)
    assert where(of(band)) == across
    assert where(of(band.T)) == down


@pytest.mark.parametrize("size", [(400, 4), (800, 40), (1200, 160)])
def test_a_spot_that_fills_the_short_side_of_a_strip_is_no_band(size: tuple[int, int]):
    width, height = size
    wide = 0.9 * height / width  # not as high as it is wide
    for at, across, down in ((0.15, "left", "top"), (0.5, "centre", "centre")):
        spot = round_spot(at, 0.5, wide + 0.02, 3)
        assert where(of(spot, photo_size=size, view="whole")) == across
        assert where(of(spot.T, photo_size=size[::-1], view="whole")) == down
    # A band is longer than it is wide, in any photo.
    thin = round_spot(0.5, 0.5, 0.02, 3)
    assert where(of(thin, photo_size=(900, 600), view="whole")) == "down the middle"


def test_the_wider_the_heat_the_wider_the_words():
    words = [where(of(round_spot(0.5, 0.5, wide, wide))) for wide in np.linspace(0.1, 0.6, 60)]
    told = list(dict.fromkeys(words))
    assert told == ["centre", "spread around the centre", "spread over much of the picture"]


def test_heat_over_a_third_of_the_photo_is_spread():
    cells = np.full((9, 9), 0.7)
    cells[:, 6:] = 0
    cells[4, 4] = 1
    assert where(of(cells)) == "spread over much of the picture"
    warm = np.full((9, 9), 0.4)
    warm[1, 1] = 1
    assert where(of(warm)) == "upper left"


def test_one_whole_side_of_the_crop_is_no_spread_over_the_photo():
    cells = np.tile([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], (9, 1))
    assert where(of(cells, photo_size=(1200, 400))) == "down the picture, left of the middle"


def test_hot_is_from_half_of_the_maximum_of_the_heatmap_not_of_a_raster():
    """A maximum between the places of a raster is missed by it: two spots would become one."""
    for seed in range(25):
        cells = np.random.default_rng(seed).random((7, 7)) ** 4
        e = of(cells, photo_size=(900, 300))
        hot = e.heatmap >= 0.5
        spots, count = ndimage.label(hot)
        sums = ndimage.sum(e.heatmap, spots, range(1, count + 1))
        y, x = ndimage.center_of_mass(np.where(spots == np.argmax(sums) + 1, e.heatmap, 0))
        location = location_of(e)
        *others, largest = np.sort(sums)
        if location.kind in ("one", "around") and largest < 0.7 * np.sum(sums):
            rows, columns = np.indices(e.heatmap.shape)
            near = (np.abs(rows - y) <= 75) & (np.abs(columns - x) <= 225)  # a quarter
            _, x = ndimage.center_of_mass(np.where(hot & near, e.heatmap, 0))
        if location.centre is not None and largest > 1.2 * max(others, default=0):
            assert location.centre[0] == pytest.approx((x + 0.5) / 900, abs=0.02), seed
