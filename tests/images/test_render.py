"""The heat in colour over the photo."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gradcam_core.images.rendering.render import (
    DIMMING,
    FOR_AND_AGAINST,
    colormap_table,
    overlay,
)

GREY = Image.new("RGB", (40, 30), (100, 100, 100))
BOX = (5, 0, 35, 30)


def test_without_heat_the_photo_shows_through_and_is_dimmed_outside_the_box():
    picture = np.asarray(overlay(GREY, np.zeros((30, 40)), BOX))
    assert (picture[:, 5:35] == 100).all()
    dimmed = round(100 * (1 - DIMMING))
    assert (picture[:, :5] == dimmed).all()
    assert (picture[:, 35:] == dimmed).all()


@pytest.mark.parametrize("colormap", ["inferno", "viridis", "jet"])
def test_the_hottest_place_has_the_last_colour_of_the_map(colormap: str):
    heat = np.zeros((30, 40))
    heat[10, 20] = 1
    picture = overlay(GREY, heat, BOX, opacity=1, colormap=colormap)
    assert picture.getpixel((20, 10)) == tuple(colormap_table(colormap)[255, :3])
    assert overlay(GREY, heat, BOX, opacity=0).getpixel((20, 10)) == (100, 100, 100)


def test_both_sides_of_a_signed_map_get_clearly_brighter_and_a_fifth_is_to_be_seen():
    table = colormap_table(FOR_AND_AGAINST).astype(float)
    brightness = table[:, :3] @ (0.2126, 0.7152, 0.0722)
    for side in (brightness[128:], brightness[127::-1]):
        assert (np.diff(side) > 0).all()
        assert side[-1] > 3 * side[0]
    for level in (round(127.5 * (1 - 0.2)), round(127.5 * (1 + 0.2))):
        assert table[level, 3] > 0.75 * 255


def test_hotter_is_more_opaque():
    alpha = colormap_table()[:, 3].astype(int)
    assert alpha[0] == 0
    assert alpha[255] == 255
    assert (np.diff(alpha) >= 0).all()
