"""Prepared pictures run through a network together, each held open as if it had been alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
from PIL import Image
from safetensors.torch import save_file

import gradcam_core as gc
from gradcam_core.explanation.examination import answer_together, run_passes
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.export.figure import figure
from gradcam_core.images.prepare import PreparedInput, prepare, prepare_pixels
from gradcam_core.models.registry import remove_model

LITE0 = "efficientnet_lite0"


@pytest.fixture
def inputs(cat: Image.Image, coffee: Image.Image, lite0: gc.Model) -> list[PreparedInput]:
    return [prepare(photo, lite0.preprocessing) for photo in (cat, coffee)]


def test_photos_that_run_together_are_examined_as_if_alone(inputs, cat, coffee, lite0: gc.Model):
    together = run_passes(lite0, inputs)
    for held, photo in zip(together, (cat, coffee), strict=True):
        alone = gc.examine(photo, lite0)
        assert held.geometry == alone.geometry
        np.testing.assert_allclose(held.probabilities, alone.probabilities, atol=1e-4)
        assert [p.index for p in held.top] == [p.index for p in alone.top]
        for target in (None, "tabby", "espresso"):
            e, expected = held.explain(target), alone.explain(target)
            assert (e.target.index, e.rank) == (expected.target.index, expected.rank)
            np.testing.assert_allclose(e.heatmap, expected.heatmap, atol=5e-3)


def test_answers_together_are_those_of_each(inputs, lite0: gc.Model):
    together = run_passes(lite0, inputs)
    for request in (
        ExplanationRequest(LITE0),
        ExplanationRequest(LITE0, target=281, contrast=True, method="layercam"),
        ExplanationRequest(LITE0, contrast=(282,)),  # the cat's own top prediction
    ):
        for e, held in zip(answer_together(together, request), together, strict=True):
            expected = held.answer(request)
            assert e.record() == expected.record()
            np.testing.assert_allclose(e.feature_map, expected.feature_map, rtol=1e-4, atol=1e-6)


def test_a_target_is_never_what_it_is_explained_rather_than(cat: Image.Image, lite0: gc.Model):
    held = gc.examine(cat, lite0)
    first, second = held.top[:2]
    assert held.answer(ExplanationRequest(LITE0)).target == first
    e = held.answer(ExplanationRequest(LITE0, contrast=(first.index,)))
    assert (e.target, e.contrast, e.rank) == (second, (first,), 2)


@pytest.mark.parametrize("detail", [1, 2])
def test_pixels_stand_for_the_photo(cat: Image.Image, lite0: gc.Model, detail: int):
    expected = prepare(cat, lite0.preprocessing, "whole", detail)
    geometry = expected.geometry
    pixels = np.asarray(geometry.picture(cat, lite0.preprocessing))
    got = prepare_pixels(pixels, geometry, "whole", detail, lite0.preprocessing)
    assert (got.geometry, got.view, got.detail) == (geometry, "whole", detail)
    assert got.batch.equal(expected.batch)


def test_another_detail_keeps_the_probabilities_of_the_published_size(inputs, cat, lite0):
    published = run_passes(lite0, inputs[:1])[0]
    finer = prepare(cat, lite0.preprocessing, "crop", 2)
    held = run_passes(lite0, [finer], None, [published.probabilities])[0]
    assert held.top == published.top
    assert held.detail == 2
    assert held.run.activation.shape[2:] == (14, 14)


def test_an_explanation_outlives_its_network_in_the_registry(cat: Image.Image, tmp_path: Path):
    def register(architecture: str) -> None:
        weights = tmp_path / f"{architecture}.safetensors"
        save_file(timm.create_model(architecture, num_classes=2).state_dict(), weights)
        gc.register("Short-lived", architecture, weights=weights, labels=["yes", "no"])

    register("test_convnext")
    last = gc.explain(cat, "short_lived")
    first = gc.explain(cat, "short_lived", layer=gc.load_model("short_lived").stages[0].layer)
    remove_model("short_lived")
    figure(cat, [last, first])
    register("test_resnet")
    figure(cat, [last, first])
    remove_model("short_lived")
    assert (last.is_of_last_layer, first.is_of_last_layer) == (True, False)
