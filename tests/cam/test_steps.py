"""The steps of a map: every number is the engine's, and they add up to the map."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.cam.steps import Steps
from tests.support.photos import EXAMPLES

WITH_STEPS = [name for name, method in METHODS.items() if method.weights is not None]


@pytest.fixture(scope="module")
def held(lite0: gc.Model, cat: Image.Image) -> gc.Examination:
    return gc.examine(cat, lite0)


def end_of(steps: Steps) -> np.ndarray:
    """What the last sum becomes."""
    total = np.maximum(steps.running[-1], 0)
    return total if steps.others is None else np.maximum(total - steps.others, 0)


@pytest.mark.parametrize("method", WITH_STEPS)
def test_the_sum_of_all_channels_is_the_map(held: gc.Examination, method: str):
    e = held.explain(method=method, steps=True)
    steps = e.steps
    assert steps is not None
    assert steps.counted[-1] == steps.channels == held.run.activation.shape[1]
    np.testing.assert_allclose(end_of(steps), e.feature_map, atol=2e-6 * e.feature_map.max())
    assert sorted(steps.order) == list(range(steps.channels))


def test_weights_shares_and_sums_are_those_of_the_papers_formula(held: gc.Examination):
    import torch

    run = held.run
    target = run.top[0]
    steps = run.steps(target)[0]
    logits = run.logits[0]
    assert steps.score == pytest.approx(float(logits[target]))
    with torch.inference_mode(False), torch.enable_grad():
        gradient = torch.autograd.grad(
            run.open_pass.logits[0, target], run.open_pass.leaf, retain_graph=True
        )[0][0]
    weights = gradient.mean(dim=(1, 2)).numpy()
    activation = run.activation[0].numpy()
    sums = weights * activation.sum(axis=(1, 2))
    for_it, against_it = sums[sums > 0].sum(), -sums[sums < 0].sum()
    assert [one.index for one in steps.speaking_for] == list(np.argsort(-sums)[:6])
    assert [one.index for one in steps.speaking_against] == list(np.argsort(sums)[:2])
    assert steps.counts == ((sums > 0).sum(), (sums < 0).sum())
    for one in (*steps.speaking_for, *steps.speaking_against):
        k = one.index
        assert one.weight == pytest.approx(weights[k], rel=1e-5)
        assert one.share == pytest.approx(
            sums[k] / (for_it if sums[k] > 0 else against_it), rel=1e-4
        )
        np.testing.assert_array_equal(one.activation, activation[k])
        np.testing.assert_allclose(one.part, weights[k] * activation[k], rtol=1e-4, atol=1e-9)
    first = weights[steps.order[0]] * activation[steps.order[0]]
    np.testing.assert_allclose(steps.running[0], first, rtol=1e-4, atol=1e-9)
    assert abs(sums[steps.order]).tolist() == sorted(abs(sums), reverse=True)


@pytest.mark.parametrize("method", ["eigencam", "scorecam", "eigengradcam"])
def test_a_method_that_is_no_weighted_sum_says_so(held: gc.Examination, method: str):
    with pytest.raises(
        gc.ChoiceError if hasattr(gc, "ChoiceError") else ValueError, match="no such"
    ):
        held.run.steps(method=method)


def test_what_speaks_against_a_class_is_blue_and_what_speaks_for_it_orange(
    lite0: gc.Model,
):
    photo = gc.read_image(EXAMPLES / "3_cat_and_coffee.jpg")
    e = gc.explain(photo, lite0, "tabby", contrast="espresso", signed=True, view="whole")
    signed = e.signed_heatmap
    assert signed.shape == (photo.height, photo.width)
    assert np.abs(signed).max() == pytest.approx(1)
    assert e.signed_map is not None  # Grad-CAM's is the sum without its last ReLU
    np.testing.assert_array_equal(np.maximum(e.signed_map, 0), e.feature_map)
    bare, drawn = np.asarray(photo, int), np.asarray(e.overlay(photo), int)
    redder = (drawn - bare)[..., 0] - (drawn - bare)[..., 2]
    hottest = np.unravel_index(signed.argmax(), signed.shape)
    coldest = np.unravel_index(signed.argmin(), signed.shape)
    assert (
        hottest[1] < photo.width // 2 < coldest[1]
    )  # the cat is at the left, the cup at the right
    assert signed[coldest] < -0.2
    assert redder[hottest] > 20
    assert redder[coldest] < -20
    assert "blue for “espresso”" in e.caption()
    assert "blue" in e.metadata()["Scale"]


def test_steps_of_a_class_that_nothing_changes_are_told():
    import torch
    from torch import nn

    head = nn.Linear(4, 3)
    nn.init.zeros_(head.weight)
    pool = nn.AdaptiveAvgPool2d(1)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), pool, nn.Flatten(), head).eval()
    run = gc.forward(module, torch.rand(1, 3, 8, 8))
    with pytest.raises(gc.CamError, match=r"changes the score: its gradient is 0 .* head whose"):
        run.steps(1)
    assert run.steps(1, allow_nan=True)[0].counts == (0, 0)
