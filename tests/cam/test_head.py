"""The head alone gives the logits of the whole network, and is not used where it does not."""

from __future__ import annotations

import timm
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

import gradcam_core as gc
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.passes.head import Head


def head_of(module: nn.Module, batch: Tensor, layer: str) -> tuple[Head, Tensor]:
    run = gc.forward(module, batch, layer)
    return Head(module, layer, Inputs.of(batch), run.activation, run.logits), run.activation


def whole(module: nn.Module, batch: Tensor, layer: str, activation: Tensor) -> Tensor:
    hook = module.get_submodule(layer).register_forward_hook(lambda *_: activation.clone())
    try:
        with torch.no_grad():
            return module(batch.expand(len(activation), -1, -1, -1))
    finally:
        hook.remove()


def passes(part: nn.Module) -> tuple[list[int], RemovableHandle]:
    count: list[int] = []
    return count, part.register_forward_hook(lambda *_: count.append(1))


def test_everything_before_the_target_layer_is_skipped():
    module = timm.create_model("resnet18").eval()
    batch = torch.randn(1, 3, 96, 96)
    head, activation = head_of(module, batch, "layer4")
    count, hook = passes(module.layer1[0].conv1)
    changed = torch.rand(5, *activation.shape[1:])
    got = head(changed)
    hook.remove()
    assert head.is_enough
    assert not count
    torch.testing.assert_close(got, whole(module, batch, "layer4", changed))


def test_where_a_shortcut_leads_past_the_layer_the_whole_network_runs():
    module = timm.create_model("resnet18").eval()
    batch = torch.randn(1, 3, 96, 96)
    layer = "layer4.1.conv1"
    head, activation = head_of(module, batch, layer)
    changed = torch.rand(3, *activation.shape[1:])
    assert not head.is_enough
    torch.testing.assert_close(head(changed), whole(module, batch, layer, changed))


def test_a_module_that_runs_before_and_behind_the_layer_runs_behind_it():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
            self.relu, self.linear = nn.ReLU(), nn.Linear(4, 6)

        def forward(self, x: Tensor) -> Tensor:
            x = self.second(self.relu(self.first(x)))
            return self.linear(self.relu(x).mean((2, 3)))

    module = Shared().eval()
    batch = torch.randn(1, 3, 9, 9)
    head, activation = head_of(module, batch, "second")
    changed = torch.randn(4, *activation.shape[1:])
    assert head.is_enough
    torch.testing.assert_close(head(changed), whole(module, batch, "second", changed))
    assert "forward" not in vars(module.relu)


def test_placeholders_that_would_matter_are_found_out():
    class Bypass(nn.Module):
        """A quarter of the score comes from what the first layer gives."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            early = self.first(x)
            return self.second(early).mean((2, 3)) + early.amax((2, 3)) / 4

    module = Bypass().eval()
    batch = torch.randn(1, 3, 9, 9)
    head, activation = head_of(module, batch, "second")
    changed = torch.randn(4, *activation.shape[1:])
    assert not head.is_enough
    torch.testing.assert_close(head(changed), whole(module, batch, "second", changed))
