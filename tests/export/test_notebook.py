"""What a notebook shows: the overlay of an explanation, the labelled figure of several."""

from __future__ import annotations

import gc as garbage
import importlib
import io
import pickle
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.explanation.examination import run_passes
from gradcam_core.explanation.result import NOTEBOOK_MAX_SIDE_PX
from gradcam_core.export.figure import figure, png
from gradcam_core.images.prepare import prepare
from gradcam_core.images.rendering.render import overlay

LITE = ("efficientnet_lite0", "efficientnet_lite1")


def shown(value: object) -> Image.Image | None:
    """What Jupyter shows of a value: IPython's own way where it is installed, else the protocol."""
    try:
        formatters = importlib.import_module("IPython.core.formatters")
    except ImportError:
        data = value._repr_png_()  # type: ignore[attr-defined]
    else:
        bundle, _ = formatters.DisplayFormatter().format(value)
        data = bundle.get("image/png")
    if data is None:
        return None
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB")


def test_an_explanation_shows_its_overlay(cat: Image.Image, lite0: gc.Model):
    e = gc.explain(cat, lite0, "tabby")
    expected = overlay(cat, e.heatmap, e.box)
    got = shown(e)
    assert got is not None
    np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


def test_a_large_photo_is_shown_small(cat: Image.Image, lite0: gc.Model):
    held = gc.examine(cat.resize((1804, 1200)), lite0)
    got = shown(held.explain("tabby"))
    assert got is not None
    assert got.size == (NOTEBOOK_MAX_SIDE_PX, round(NOTEBOOK_MAX_SIDE_PX * 1200 / 1804))
    assert held.photo is not None
    assert held.photo.size == (1804, 1200)
    assert held.at(held.photo, 2).photo is held.photo


def test_several_show_the_labelled_figure(tmp_path: Path):
    path = tmp_path / "plain.png"  # which takes a third of the time to be written
    Image.new("RGB", (300, 200), (150, 120, 90)).save(path)
    found = gc.compare(path, LITE, "tabby")
    assert [e.model for e in found] == list(LITE)
    for e, name in zip(found, LITE, strict=True):
        alone = gc.explain(path, name, "tabby")
        np.testing.assert_array_equal(e.feature_map, alone.feature_map)
    got = shown(found)
    assert got is not None
    drawn = png(figure(gc.read_image(path), found))
    with Image.open(io.BytesIO(drawn)) as expected:
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
    shell = Shell()
    gc.load_ipython_extension(shell)
    show = shell.formatters["image/png"][list]
    assert show(list(found)) == drawn
    for other in ([], [1, 2], [found[0], None]):
        assert show(other) is None
    assert isinstance(found[:1], gc.Explanations)
    assert found[:1].figure("dark").get_facecolor() != found[:1].figure().get_facecolor()


def test_networks_that_have_not_the_class_are_an_error_before_any_work(cat: Image.Image):
    with pytest.raises(gc.LabelError, match="no class 'table cloth of mine'"):
        gc.compare(cat, LITE, "table cloth of mine")
    with pytest.raises(gc.ChoiceError, match="no model 'resnet5'"):
        gc.compare(cat, ["resnet5"])


def test_explanations_of_different_photos_make_no_figure(cat, coffee, lite0: gc.Model):
    mixed = gc.Explanations([gc.explain(cat, lite0), gc.explain(coffee, lite0)])
    with pytest.raises(gc.ChoiceError, match="of one photo"):
        mixed.figure()
    assert mixed._repr_png_() is None
    assert gc.Explanations()._repr_png_() is None


class Formatter(dict):
    """As IPython's, as far as an extension needs it."""

    def for_type(self, kind: type, function) -> None:
        self[kind] = function


class Shell:
    def __init__(self) -> None:
        self.display_formatter = self
        self.formatters = {"image/png": Formatter()}


def test_only_a_person_s_own_call_keeps_the_photo(cat: Image.Image, lite0: gc.Model):
    """What the page and the batch hold and send on has no photo in it."""
    photo = cat.copy()
    gone = weakref.ref(photo)
    (held,) = run_passes(lite0, [prepare(photo, lite0.preprocessing)])
    e = held.explain("tabby")
    assert (held.photo, e.photo) == (None, None)
    assert e._repr_png_() is None
    garbage.freeze()  # what there is already, a million things, is not looked through
    del photo
    garbage.collect()
    assert gone() is None


def test_a_photo_is_not_pickled_or_recorded(cat: Image.Image, lite0: gc.Model):
    e = gc.explain(cat, lite0, "tabby")
    assert e.photo is not None
    sent = pickle.dumps(e)
    assert len(sent) < 10_000
    back = pickle.loads(sent)
    assert back.photo is None
    assert back.record() == e.record()
    assert "photo" not in e.record()
    assert "Image" not in repr(e)
