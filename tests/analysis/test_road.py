"""ROAD and ARCC equal pytorch-grad-cam's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradcam_core.analysis.trust.road import (
    NOISE,
    PERCENTILES,
    Arcc,
    coherency,
    filled_in,
    road_of,
    taken_out,
)

SIDE = 48


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.randn(1, 3, SIDE, SIDE + 16, generator=torch.Generator().manual_seed(0))


KINDS = ("a hill", "ragged", "much without heat")
ALL_KINDS = pytest.mark.parametrize("heat", KINDS, indirect=True)
WITHOUT_TIES = pytest.mark.parametrize("heat", KINDS[:2], indirect=True)


@pytest.fixture
def heat(request) -> np.ndarray:
    y, x = np.mgrid[:SIDE, : SIDE + 16] / SIDE
    hill = np.exp(-((y - 0.4) ** 2 + (x - 0.7) ** 2) / 0.05)
    if request.param == "much without heat":
        hill = np.maximum(hill - 0.5, 0)
    if request.param == "ragged":
        hill = hill * np.random.default_rng(0).random(hill.shape)
    return (hill / hill.max()).astype(np.float32)


class Bright(nn.Module):
    """The logit of class 1 is how bright the middle is, that of class 0 is 0."""

    def forward(self, x: Tensor) -> Tensor:
        middle = x[:, :, 10:30, 20:45].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(middle), 20 * middle], dim=1)


@ALL_KINDS
def test_places_are_filled_in_as_by_pytorch_grad_cam(image: Tensor, heat: np.ndarray):
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    for missing in taken_out(heat):
        assert 0 < missing.sum() < missing.size
        expected = NoisyLinearImputer(noise=0)(image[0], torch.from_numpy(np.float32(~missing)))
        got = filled_in(image, missing, noise=0)
        torch.testing.assert_close(got[0], expected, rtol=0, atol=1e-4)
        kept = torch.from_numpy(~missing)
        assert torch.equal(got[0][:, kept], image[0][:, kept])
        noise = filled_in(image, missing) - got
        assert float(noise[0][:, ~kept].std()) == pytest.approx(NOISE, rel=0.1)
        assert torch.equal(filled_in(image, missing), filled_in(image, missing))


def test_a_place_between_two_others_lies_between_them():
    ramp = torch.linspace(0, 1, 9).expand(1, 1, 9, 9).contiguous()
    missing = np.zeros((9, 9), bool)
    missing[2:7, 2:7] = True
    torch.testing.assert_close(filled_in(ramp, missing, noise=0), ramp)


@ALL_KINDS
def test_the_places_are_pytorch_grad_cams_unless_those_are_all(heat: np.ndarray):
    own = iter(taken_out(heat))
    for percentile in PERCENTILES:
        for order in (heat, 1 - heat):
            kept = order < np.percentile(order, percentile)
            missing = next(own)
            assert missing.any()
            if kept.any():
                assert (missing == ~kept).all()
            else:
                assert (missing == (heat > 0)).all()
    assert not any(missing.any() for missing in taken_out(np.ones((4, 4), np.float32)))


@pytest.fixture
def without_noise(monkeypatch):
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer

    monkeypatch.setattr(NoisyLinearImputer.__init__, "__defaults__", (0, None))


def of_class_1(logits: Tensor) -> Tensor:
    return logits.softmax(dim=-1)[..., 1]


@WITHOUT_TIES
def test_road_equals_pytorch_grad_cams(image: Tensor, heat: np.ndarray, without_noise):
    from pytorch_grad_cam.metrics.road import ROADCombined

    network = Bright()
    versions = [filled_in(image, missing, noise=0) for missing in taken_out(heat)]
    probabilities = of_class_1(network(torch.cat(versions))).tolist()
    got = road_of(probabilities)
    expected = ROADCombined(percentiles=list(PERCENTILES))(image, heat[None], [of_class_1], network)
    assert got.value == pytest.approx(float(expected[0]), abs=1e-4)
    assert -0.5 <= got.value <= 0.5
    assert got.value != 0


@WITHOUT_TIES
def test_arcc_equals_pytorch_grad_cams(image: Tensor, heat: np.ndarray, without_noise):
    from pytorch_grad_cam.metrics.arcc import ARCC, batch_pearson_coherency

    other = np.roll(heat, 5, axis=1)
    seen: list[Tensor] = []

    def method(input_tensor: Tensor, targets: object) -> np.ndarray:
        seen.append(input_tensor)
        return other[None]

    # A picture whose middle is brightest where the heat is, so that ROAD is above 0.
    lit = image + 3 * torch.from_numpy(heat)
    network = Bright()
    peer = ARCC(method, road_percentiles=list(PERCENTILES))
    expected = peer(lit, heat[None], [of_class_1], network)
    versions = [filled_in(lit, missing, noise=0) for missing in taken_out(heat)]
    road = road_of(of_class_1(network(torch.cat(versions))).tolist())
    alike = coherency(heat, other)
    assert alike == pytest.approx(
        float(batch_pearson_coherency(heat[None], other[None])[0] + 1) / 2, abs=1e-5
    )
    got = Arcc(road.value, float(heat.mean()), alike)
    assert got.value == pytest.approx(float(expected[0]), abs=1e-4)
    assert 0 < got.value < 1
    torch.testing.assert_close(seen[0], lit * torch.from_numpy(heat))


def test_a_map_that_is_worse_than_none_has_an_arcc_of_0():
    assert Arcc(-0.2, 0.3, 0.9).value == pytest.approx(0, abs=1e-6)
    assert Arcc(0.5, 0.0, 1.0).value == pytest.approx(1, abs=1e-6)
    assert coherency(np.ones((3, 3)), np.eye(3)) == 0.5
