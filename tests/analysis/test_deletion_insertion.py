"""Deletion, insertion and the picture seen through its heat, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.cam_mult_image import CamMultImageConfidenceChange
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.analysis.deletion_insertion import STEPS, Curve, curves, shown_alone
from gradcam_core.images.prepare import prepare

SIDE, PATCH = 32, 8


class Patch(nn.Module):
    """A linear classifier of one patch: its brightness is the probability of class 0."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x[:, :, :PATCH, :PATCH].mean(dim=(1, 2, 3))
        return torch.stack([bright, 1 - bright], dim=1).log()


def predict(images: Tensor) -> Tensor:
    return Patch()(images).softmax(dim=1)[:, 0]


@pytest.fixture
def image() -> Tensor:
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[:, :, :PATCH, :PATCH] = 1
    return image


@pytest.fixture
def on_patch(image: Tensor) -> np.ndarray:
    return image[0, 0].numpy()


def test_a_curve_has_its_area():
    assert Curve((1.0, 0.0)).area == 0.5
    assert Curve((1.0, 1.0, 0.0, 0.0)).area == pytest.approx(0.5)
    assert Curve((0.25,) * 9).area == pytest.approx(0.25)


def test_a_linear_classifier_loses_just_what_is_taken_from_its_patch(
    image: Tensor, on_patch: np.ndarray
):
    steps = 64  # each of 16 pixels; the patch has 64
    ((deletion, insertion),) = curves(predict, image, [on_patch], steps)
    expected = np.clip(1 - np.arange(steps + 1) / 4, 0, 1)
    np.testing.assert_allclose(deletion.probabilities, expected, atol=1e-6)
    # Put in, the blurred patch becomes the sharp one, and then all is there.
    assert insertion.probabilities[4:] == pytest.approx([1.0] * (steps - 3))
    assert insertion.probabilities[0] < 1
    assert list(insertion.probabilities) == sorted(insertion.probabilities)


def test_a_map_of_everything_else_keeps_the_probability_to_the_last(
    image: Tensor, on_patch: np.ndarray
):
    (right, wrong) = curves(predict, image, [on_patch, 1 - on_patch])
    assert wrong[0].probabilities == pytest.approx([1.0] * STEPS + [0.0])
    assert right[0].area < 0.1 < 0.9 < wrong[0].area
    assert right[1].area > wrong[1].area


def test_a_uniform_map_takes_pixels_row_by_row(image: Tensor, on_patch: np.ndarray):
    ((deletion, _),) = curves(predict, image, [np.ones_like(on_patch)], 8)
    # 4 of the 32 rows at a step, and the patch has the first 8.
    assert deletion.probabilities == pytest.approx([1, 0.5] + [0] * 7)


def test_the_picture_seen_through_its_heat(image: Tensor, on_patch: np.ndarray):
    assert shown_alone(predict, image, on_patch) == pytest.approx(1)
    assert shown_alone(predict, image, 1 - on_patch) == pytest.approx(0)
    assert shown_alone(predict, image, 0.25 * np.ones_like(on_patch)) == pytest.approx(0.25)


@pytest.mark.parametrize("target", [281, 285, 504])
def test_what_it_says_alone_is_what_pytorch_grad_cam_says(cat, lite0: gc.Model, target: int):
    image = prepare(cat, lite0.preprocessing).batch
    heat = np.random.default_rng(target).random(tuple(image.shape[2:]), dtype=np.float32)

    def probability(images: Tensor) -> Tensor:
        with torch.no_grad():
            return lite0.module(images).softmax(dim=1)[:, target]

    ours = shown_alone(probability, image, heat) - float(probability(image)[0])
    targets = [ClassifierOutputSoftmaxTarget(target)]
    theirs = CamMultImageConfidenceChange()(image, heat[None], targets, lite0.module)
    assert ours == pytest.approx(float(theirs[0]), abs=1e-3)
