"""The heat in colour over the photo."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gradcam_core.images.rendering.render import DIMMING, colormap_table, overlay

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


def test_hotter_is_more_opaque():
    alpha = colormap_table()[:, 3].astype(int)
    assert alpha[0] == 0
    assert alpha[255] == 255
    assert (np.diff(alpha) >= 0).all()
