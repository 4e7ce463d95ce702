"""The heat in colour over the photo."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.overlay import DIMMING, colormap_table, comparison, overlay

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


def test_the_figure_names_networks_classes_and_probabilities(cat: Image.Image):
    explanations = [gc.explain(cat, f"efficientnet_lite{n}", "tabby") for n in (0, 1)]
    figure = comparison(cat, explanations)
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    texts = [axis.get_title(loc="left") for axis in figure.axes]
    texts += [axis.get_xlabel() for axis in figure.axes]
    for e in explanations:
        assert e.title in texts
        assert any(f"{e.target.probability:.1%}" in text and "tabby" in text for text in texts)
    assert file.getvalue().count(b"<image") >= 3


@pytest.mark.parametrize("size", [(1, 1), (8, 600), (600, 8), (1200, 400)])
def test_the_figure_of_an_unusual_photo_stays_of_ordinary_size(size: tuple[int, int]):
    photo = Image.new("RGB", size, "white")
    names = ("efficientnet_lite0", "efficientnet_lite1")
    figure = comparison(photo, [gc.explain(photo, name) for name in names])
    file = io.BytesIO()
    figure.savefig(file)
    with Image.open(file) as picture:
        assert max(picture.size) < 3000
        assert min(picture.size) > 200
