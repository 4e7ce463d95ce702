"""Deletion, insertion, the map laid elsewhere, and the picture seen through its heat, where the
answer is known."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

import gradcam_core as gc
from gradcam_core.analysis.trust.deletion_insertion import (
    Backgrounds,
    Curve,
    Lead,
    blurred,
    curves,
    placements,
    replaced,
    shown_alone,
)
from gradcam_core.analysis.trust.limits import DELETED_SHARES, INSERTED_SHARES, PLACEMENTS
from gradcam_core.images.apply_covers import BLUR_SHARE
from gradcam_core.images.prepare import prepare

SIDE, PATCH = 32, 8


class Patch(nn.Module):
    """A linear classifier of one patch: its brightness is the probability of class 0."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x[:, :, :PATCH, :PATCH].mean(dim=(1, 2, 3))
        return torch.stack([bright, 1 - bright], dim=1).log()


def predict(image: Tensor) -> float:
    return float(Patch()(image).softmax(dim=1)[0, 0])


@pytest.fixture
def image() -> Tensor:
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[:, :, :PATCH, :PATCH] = 1
    return image


@pytest.fixture
def on_patch(image: Tensor) -> np.ndarray:
    return image[0, 0].numpy()


def test_a_curve_has_its_area_and_its_level():
    assert Curve((0.0, 1.0), (1.0, 0.0)).area == 0.5
    assert Curve((0.0, 0.2, 1.0), (1.0, 0.0, 0.0)).area == pytest.approx(0.1)
    # Where all or nothing is changed, every map is the same.
    level = Curve((0.0, 0.2, 0.5, 1.0), (1.0, 0.1, 0.4, 0.0)).level
    assert level == pytest.approx((math.log(0.1) + math.log(0.4)) / 2)
    assert Curve((0.0, 0.5, 1.0), (1.0, 0.0, 1.0)).level > -math.inf


def test_a_linear_classifier_loses_just_what_is_taken_from_its_patch(
    image: Tensor, on_patch: np.ndarray
):
    shares = np.arange(65) / 64  # each of 16 pixels; the patch has 64
    nothing = torch.zeros_like(image)
    found = [predict(replaced(image, nothing, on_patch, share)) for share in shares]
    np.testing.assert_allclose(found, np.clip(1 - np.arange(65) / 4, 0, 1), atol=1e-6)
    found = [predict(replaced(image, nothing, 1 - on_patch, share)) for share in shares]
    assert found[:61] == pytest.approx([1.0] * 61)


def test_a_picture_is_blurred_as_torchvision_blurs_it():
    image = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    sigma = BLUR_SHARE * 48
    expected = gaussian_blur(image, [2 * int(2.5 * sigma) + 1] * 2, [sigma] * 2)
    torch.testing.assert_close(blurred(image), expected, rtol=0, atol=1e-5)


def test_a_uniform_map_takes_pixels_row_by_row(image: Tensor, on_patch: np.ndarray):
    version = replaced(image, image + 5, np.ones_like(on_patch), 4 / SIDE)
    assert (version[:, :, :4] - image[:, :, :4] == 5).all()
    assert torch.equal(version[:, :, 4:], image[:, :, 4:])


def test_what_is_deleted_is_blurred_away_and_what_is_inserted_stands_on_the_blurred_picture():
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    heat = np.random.default_rng(0).random((SIDE, SIDE))
    grounds = Backgrounds.of(image)
    assert grounds.blur.mean().item() == pytest.approx(image.mean().item(), abs=0.03)
    assert grounds.blur.std() < image.std() / 4
    versions = grounds.versions(heat)
    deleted, alone = versions[: len(DELETED_SHARES)], versions[len(DELETED_SHARES) :]
    hottest_first = np.argsort(-heat, axis=None)

    def is_hot(share: float) -> np.ndarray:
        found = np.zeros(SIDE**2, dtype=bool)
        found[hottest_first[: int(SIDE**2 * share)]] = True
        return found.reshape(SIDE, SIDE)

    cases = [*zip(deleted, DELETED_SHARES, strict=True), *zip(alone, INSERTED_SHARES, strict=True)]
    for number, (version, share) in enumerate(cases):
        is_kept = is_hot(share) if number >= len(deleted) else ~is_hot(share)
        assert torch.equal(version[0][:, is_kept], image[0][:, is_kept])
        assert torch.equal(version[0][:, ~is_kept], grounds.blur[0][:, ~is_kept])


def test_curves_end_where_all_is_changed():
    deletion, insertion = curves((0.9, 0.1), (0.5, 0.3, 0.4))
    assert deletion.shares == (0, *DELETED_SHARES, 1)
    assert deletion.probabilities == (0.9, 0.5, 0.3, 0.1)
    assert insertion.shares == (0, *INSERTED_SHARES, 1)
    assert insertion.probabilities == (0.1, 0.4, 0.9)


def test_the_map_laid_elsewhere_is_the_same_map_moved_and_mirrored():
    heat = np.random.default_rng(0).random((6, 9))
    found = list(islice(placements(heat, seed=0), 12))
    moved = {
        np.roll(one, (down, right), axis=(0, 1)).tobytes()
        for one in (heat, heat[::-1], heat[:, ::-1], heat[::-1, ::-1])
        for down in range(6)
        for right in range(9)
    }
    assert {one.tobytes() for one in found} <= moved


def test_the_map_is_laid_where_it_overlaps_itself_less_than_by_chance():
    spot = np.zeros((96, 96), dtype=np.float32)
    spot[20:60, 30:70] = 1
    by_chance = spot.mean() ** 2

    def overlaps(seed: int) -> list[float]:
        return [
            float((spot * one).mean()) for one in islice(placements(spot, seed), max(PLACEMENTS))
        ]

    for seed in range(5):
        assert max(overlaps(seed)) < by_chance
    everywhere = np.ones((8, 8))
    assert next(placements(everywhere, seed=0)).tolist() == everywhere.tolist()


def test_places_differ_and_a_seed_moves_them_a_little():
    dot = np.zeros((100, 100))
    dot[0, 0] = 1

    def places(seed: int) -> list[tuple[int, int]]:
        made = islice(placements(dot, seed), max(PLACEMENTS))
        return [divmod(int(one.argmax()), 100) for one in made]

    assert len(set(places(0))) == max(PLACEMENTS)
    assert places(1) == places(1) != places(0)


def pair(deleted: float, inserted: float) -> tuple[Curve, Curve]:
    return curves((0.9, 0.01), (deleted, deleted, inserted))


ELSEWHERE = [pair(0.5 + 0.04 * n, 0.5 - 0.04 * n) for n in (-2, 1, 0, 2, -1, 1, -2, 2)]


def test_a_map_that_beats_all_other_places_leads_and_its_opposite_trails():
    ahead = Lead.of(pair(0.05, 0.85), ELSEWHERE)
    behind = Lead.of(pair(0.85, 0.05), ELSEWHERE)
    assert ahead.value > 0 > behind.value
    assert ahead.is_settled
    assert behind.is_settled
    assert ahead.count == len(ELSEWHERE)


def test_a_map_like_those_at_other_places_neither_leads_nor_trails():
    assert not Lead.of(pair(0.5, 0.5), ELSEWHERE).is_settled


def test_a_map_needs_more_to_fail_than_to_hold_and_less_the_more_places_were_tried():
    assert Lead(1.2, 0.3, 0.3, 0.3, 7).is_settled
    assert not Lead(-1.2, -0.3, -0.3, -0.3, 7).is_settled
    assert Lead(-1.6, -0.4, -0.4, -0.4, 7).is_settled
    assert not Lead(1.2, 0.3, 0.3, 0.3, 5).is_settled
    assert not Lead(
        1.2, -0.3, -0.3, -0.3, 7
    ).is_settled  # in most places ahead, by more behind in few


def test_a_tiny_difference_does_not_count_however_much_alike_the_other_places_are():
    lead = Lead.of(pair(0.499, 0.501), [pair(0.5, 0.5)] * max(PLACEMENTS))
    assert lead.difference == pytest.approx(math.log(0.501 / 0.499) * 0.5, rel=0.1)
    assert not lead.is_large
    assert not lead.is_settled


def test_the_picture_seen_through_its_heat(image: Tensor, on_patch: np.ndarray):
    assert predict(shown_alone(image, on_patch)) == pytest.approx(1)
    assert predict(shown_alone(image, 1 - on_patch)) == pytest.approx(0)
    assert predict(shown_alone(image, 0.25 * np.ones_like(on_patch))) == pytest.approx(0.25)


@pytest.mark.parametrize("target", [281, 285, 504])
def test_what_it_says_alone_is_what_pytorch_grad_cam_says(cat, lite0: gc.Model, target: int):
    from pytorch_grad_cam.metrics.cam_mult_image import CamMultImageConfidenceChange
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    image = prepare(cat, lite0.preprocessing).batch
    heat = np.random.default_rng(target).random(tuple(image.shape[2:]), dtype=np.float32)

    def probability(images: Tensor) -> float:
        with torch.no_grad():
            return float(lite0.module(images).softmax(dim=1)[0, target])

    ours = probability(shown_alone(image, heat)) - probability(image)
    targets = [ClassifierOutputSoftmaxTarget(target)]
    theirs = CamMultImageConfidenceChange()(image, heat[None], targets, lite0.module)
    assert ours == pytest.approx(float(theirs[0]), abs=1e-3)


def test_the_error_of_a_lead_is_how_far_it_varies_between_seeds():
    chance = np.random.default_rng(0)
    places, effect = 7, 3.0
    own = pair(0.5 * np.exp(-effect), 0.5)
    leads = [
        Lead.of(own, [pair(0.5 * np.exp(one), 0.5) for one in chance.normal(0, 1, places)])
        for _ in range(2000)
    ]
    spread = float(np.std([lead.value for lead in leads]))
    assert np.median([lead.error for lead in leads]) == pytest.approx(spread, rel=0.5)
