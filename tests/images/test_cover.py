"""Which pixels a cover covers, and with what."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.images.apply_covers import covered, covered_share
from gradcam_core.images.cover import FILLS, covers_of
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"


def pixels(image: Image.Image, *covers: Any) -> np.ndarray:
    return np.asarray(covered(gc.Decoded(image), covers_of(covers)).image).astype(int)


@pytest.fixture(scope="module")
def stripes() -> Image.Image:
    """300 x 200, with stripes that are three pixels wide, brighter from left to right."""
    columns = np.where(np.arange(300) // 3 % 2, 60, 0) + np.arange(300) // 2
    return Image.fromarray(np.broadcast_to(columns, (200, 300)).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("fill", FILLS)
def test_a_box_changes_its_own_pixels_and_no_others(stripes: Image.Image, fill: str):
    inside = np.zeros((200, 300), dtype=bool)
    inside[40:120, 30:150] = True
    found, before = pixels(stripes, f"0.1,0.2,0.5,0.6:{fill}"), np.asarray(stripes)
    assert (found[~inside] == before[~inside]).all()
    steps = np.abs(np.diff(found[40:120, 30:150], axis=1))
    assert steps.max() <= 3  # the stripes are gone; what is left of the photo is that it brightens
    if fill == "grey":
        assert (found[inside] == 128).all()
    if fill == "mean":
        np.testing.assert_allclose(found[inside], before.mean(), atol=1.5)
    if fill == "blur":
        assert 20 < found[80, 149, 0] - found[80, 30, 0] < 80


def test_a_stroke_covers_what_lies_within_its_radius(stripes: Image.Image):
    found = pixels(stripes, {"points": [(0.2, 0.5), (0.8, 0.5)], "radius": 0.1, "fill": "grey"})
    y, x = np.mgrid[:200, :300] + 0.5
    away = np.hypot(x - np.clip(x, 60, 240), y - 100)  # from the line
    is_grey = (found == 128).all(axis=2)
    assert is_grey[away < 18.5].all()
    assert (found == np.asarray(stripes))[away > 21.5].all()


def test_the_order_does_not_matter_and_a_cover_is_no_part_of_another(stripes: Image.Image):
    covers = ["0,0,0.4,0.9", "0.3,0.2,0.7,0.6:mean", "0.9,0.1,1,1"]
    apart = [covers[0], covers[2]]
    alone = pixels(stripes, covers[2])
    for order in permutations(apart):
        assert (pixels(stripes, *order)[:, 270:] == alone[:, 270:]).all()
    both = covered(covered(gc.Decoded(stripes), covers_of(apart[0])), covers_of(apart[1]))
    assert both.covers == covers_of(apart)
    assert both.notices == ("2 places of the photo are covered, 45 % of it: blurred.",)


def test_places_are_shares_so_they_are_the_same_for_every_size():
    cover = covers_of("0.25,0.5,0.75,0.8:grey")
    for size in ((40, 30), (1200, 900), (7, 5), (1, 1)):
        found = covered(gc.Decoded(Image.new("RGB", size, "red")), cover).image
        grey = (np.asarray(found) == 128).all(axis=2)
        rows, columns = (np.flatnonzero(grey.any(axis=axis)) for axis in (1, 0))
        assert grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert abs(rows[0] - 0.5 * size[1]) <= 1
        assert abs(columns[-1] + 1 - 0.75 * size[0]) <= 1
        assert covered_share(cover, size) == pytest.approx(0.15)


def test_nothing_is_covered_without_covers():
    photo = gc.read_picture(CAT)
    assert covered(photo, covers_of(None)) is photo
    assert covers_of([]) == ()


@pytest.mark.parametrize(
    "given",
    [
        "0.1,0.2,0.5,0.6",
        " 0.1,0.2,0.5,0.6:blur ",
        (0.1, 0.2, 0.5, 0.6),
        np.array([0.1, 0.2, 0.5, 0.6]),
        [(0.1, 0.2, 0.5, 0.6), "0.1,0.2,0.5,0.6"],
        {"box": [0.1, 0.2, 0.5, 0.60001], "points": None, "radius": None, "fill": "blur"},
    ],
)
def test_a_box_is_given_in_any_of_its_forms(given: Any):
    (cover,) = covers_of(given)
    assert cover == gc.Cover("blur", box=(0.1, 0.2, 0.5, 0.6))
    assert covers_of(cover.text) == covers_of(cover.record()) == (cover,)


def test_a_stroke_is_its_text_and_its_record():
    (cover,) = covers_of("0.1,0.2,0.3,0.4,1,0~0.05:mean")
    assert cover.points == ((0.1, 0.2), (0.3, 0.4), (1, 0))
    assert covers_of(cover.text) == covers_of(cover.record()) == (cover,)


@pytest.mark.parametrize(
    "given",
    [
        *("", "cat", "0.1,0.2,0.5", "0.1,0.2,0.5,0.6,0.7", "0.5,0.2,0.1,0.6", "0.1,0.2,0.5,0.2"),
        *("0.1,0.2,0.5,1.6", "-0.1,0.2,0.5,0.6", "nan,0.2,0.5,0.6", "0.1,0.2,inf,0.6"),
        *("0.1,0.2,0.5,0.6:red", "0.1,0.2,0.3~0.1", "0.1,0.2~0", "0.1,0.2~0.6", "~0.1", "1,1~"),
        *(7, True, b"x", ["x"], [[]], {}, {"box": [0, 0, 1, 1], "colour": "red"}, [None]),
        {"box": [0, 0, 1, 1], "points": [[0, 0]], "radius": 0.1},
        [f"0,0,1,0.{n}" for n in range(10, 50)],
        {"points": [(n / 1000, 0.5) for n in range(500)], "radius": 0.1},
        [0, 0, True, "1"],
    ],
)
def test_what_is_no_cover_is_refused_in_a_sentence(given: Any):
    with pytest.raises(gc.ChoiceError) as refused:
        covers_of(given)
    assert 10 < len(str(refused.value)) < 250
