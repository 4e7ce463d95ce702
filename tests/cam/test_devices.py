"""A network whose parts are on several devices: nothing is computed from tensors of two. There is
no second device here, so PyTorch's fake ones stand for them, which know their places and no
values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import gradcam_core as gc


class Spread(nn.Module):
    """Its first part is on the CPU, its second on one device, its last on another."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 8, 3, stride=2, padding=1, device="cuda:0")
        self.act = nn.ReLU()
        self.fc = nn.Linear(8, 5, device="cuda:1")

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.one(x)).to("cuda:0")
        return self.fc(self.two(y).mean((2, 3)).to("cuda:1"))


@pytest.fixture
def _no_values(monkeypatch: pytest.MonkeyPatch):
    """Fake tensors have no backward pass without a device: it gives what has the shape and place of
    the tensor that it is taken by."""

    def gradients(_of: object, inputs: Tensor | Sequence[Tensor], **_: Any) -> list[Tensor]:
        return [
            torch.empty_like(one) for one in ([inputs] if isinstance(inputs, Tensor) else inputs)
        ]

    monkeypatch.setattr(torch.autograd, "grad", gradients)
    with FakeTensorMode():
        yield


METHODS = ("gradcam", "layercam", "xgradcam", "finercam", "competitive", "smoothgradcam++")


@pytest.mark.usefixtures("_no_values")
@pytest.mark.parametrize("method", METHODS)
def test_a_map_is_on_the_device_of_its_layer(method: str):
    module = Spread().eval()
    for layer, device in (("one", "cpu"), ("two", "cuda:0")):
        run = gc.forward(module, torch.empty(2, 3, 16, 16), layer)
        assert str(run.logits.device) == "cuda:1"
        assert str(run.cam([1, 2], method, allow_nan=True).device) == device


@pytest.mark.usefixtures("_no_values")
def test_what_joins_several_places_brings_them_together():
    module, batch = Spread().eval(), torch.empty(2, 3, 16, 16)
    for names in (["one", "two"], ["two", "one"]):
        assert gc.forward(module, batch, names).cam([1, 2], allow_nan=True).shape == (2, 16, 16)

    def elsewhere(logits: Tensor) -> Tensor:
        return logits[:, 1].to("cuda:0")

    assert gc.forward(module, batch, "one").cam(elsewhere, allow_nan=True).shape == (2, 16, 16)


def test_a_default_device_does_not_move_what_is_computed():
    """As after torch.set_default_device("cuda") with a network on the CPU."""
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    module = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), *head).eval()
    batch = torch.rand(2, 3, 16, 16)
    options: list[dict[str, Any]] = [
        *({"method": name} for name in ("scorecam", "ablationcam", "smoothgradcam++", "sscam")),
        *({"smooth": name} for name in ("noise", "flips")),
    ]
    expected = [gc.forward(module, batch).cam(1, **one) for one in options]
    with torch.device("meta"):
        found = [gc.forward(module, batch).cam(1, **one) for one in options]
        fast = gc.prepare(module, batch)
    torch.testing.assert_close(fast(batch), module(batch))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


class Shuffled(nn.MaxPool2d):
    """As in ShuffleNet: of 24 channels and 24 x 24 places, either may come last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unflatten(1, (2, 12)).transpose(1, 2).flatten(1, 2))


def test_layers_that_only_values_show_are_told_on_the_meta_device():
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5))
    module = nn.Sequential(nn.Conv2d(3, 24, 3, 4, 1), Shuffled(1), *head).to("meta").eval()
    with pytest.raises(gc.CamError, match="must be run to find its feature"):
        gc.layers(module, torch.empty(1, 3, 96, 96, device="meta"))
