"""Weights made random step by step: in a copy, from the head downwards, all of them at the end."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import timm
import torch
from torch import nn

import gradcam_core as gc
from gradcam_core.analysis.trust.randomisation import AGAIN, HEAD, cascade
from tests.support.narrow_vgg import NARROW_VGG
from tests.support.networks import scattered

BATCH = torch.zeros(1, 3, 96, 96)

NARROWER: dict[str, dict[str, Any]] = {
    "densenet121": {"growth_rate": 8, "block_config": (2, 2, 2, 2)},
    "resnet18": {"channels": (16, 32, 64, 128), "layers": (1, 1, 1, 1)},
}
"""With fewer layers and channels: weights are copied again and again."""


def network(name: str) -> nn.Module:
    return timm.create_model(name, **NARROWER.get(name, {}))


def tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("name", ["resnet18", NARROW_VGG])
def test_from_the_head_downwards_until_all_weights_are_random(name: str):
    torch.manual_seed(0)
    module = scattered(network(name)).eval()
    before = tensors(module)
    stages = [stage.layer for stage in gc.layers(module, BATCH)]
    parts: list[str] = []
    changed: set[str] = set()
    for part, copy in cascade(module, BATCH, gc.layers(module, BATCH)):
        parts.append(part)
        assert copy is not module
        assert not copy.training
        now = {
            name
            for name, parameter in copy.named_parameters()
            if not torch.equal(parameter, before[name])
        }
        assert changed < now  # what was random stays so, and more is
        changed = now
    assert parts == [HEAD, *reversed(stages)]
    # A single number has no deviation to be drawn with.
    several = {name for name, one in module.named_parameters() if one.numel() > 1}
    assert changed == several


class Shared(nn.Module):
    """With a parameter of its own, and a convolution that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Conv2d(8, 8, 3, stride=2)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.stem(x)) * self.scale
        x = self.relu(self.twice(self.relu(self.twice(x))))
        return self.fc(self.relu(self.last(x)).mean((2, 3)))


@pytest.mark.parametrize("name", ["densenet121", "shared"])
def test_what_is_not_random_yet_gives_what_it_gave_and_the_rest_is_computed(name: str):
    torch.manual_seed(0)
    module = scattered(Shared() if name == "shared" else network(name)).eval()
    batch = torch.rand(1, 3, 96, 96)
    stages = gc.layers(module, batch)
    for part, changed in cascade(module, batch, stages, again=1):
        literal = deepcopy(module)
        literal.load_state_dict(changed.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(changed(batch), literal(batch), msg=part)


def test_the_head_is_all_behind_the_last_feature_map():
    module = network("resnet18").eval()
    before = tensors(module)
    _, copy = next(cascade(module, BATCH, gc.layers(module, BATCH)))
    changed = {name for name, one in copy.named_parameters() if not torch.equal(one, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_the_network_itself_is_never_touched_and_its_weights_are_not_copied_before_their_turn():
    module = scattered(network("resnet18")).eval()
    before = tensors(module)
    first = True
    for _, copy in cascade(module, BATCH, gc.layers(module, BATCH)):
        if first:
            weight = "conv1.weight"
            assert copy.get_parameter(weight) is module.get_parameter(weight)
        first = False
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_random_weights_have_the_scale_of_the_real_ones():
    module = scattered(network("resnet18")).eval()
    *_, (_, copy) = cascade(module, BATCH, gc.layers(module, BATCH))
    for ours, theirs in zip(copy.parameters(), module.parameters(), strict=True):
        if ours.numel() > 10_000:
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


def test_the_same_seed_gives_the_same_weights():
    module = network("resnet18").eval()
    stages = gc.layers(module, BATCH)
    first, again, other = (
        tensors(list(cascade(module, BATCH, stages, seed))[-1][1]) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_all_but_the_head_may_be_made_random_again():
    module = scattered(network("resnet18")).eval()
    stages = gc.layers(module, BATCH)
    steps = [(part, tensors(copy)) for part, copy in cascade(module, BATCH, stages, again=2)]
    *_, (_, whole), (first, once), (second, twice) = steps
    assert (first, second) == (AGAIN, AGAIN)
    assert len(steps) == len(stages) + 3
    for before, after in ((whole, once), (once, twice)):
        assert not torch.equal(before["conv1.weight"], after["conv1.weight"])
        assert torch.equal(before["fc.weight"], after["fc.weight"])


def test_a_random_network_depends_on_an_earlier_layer_that_is_explained():
    """What lies behind it must not give what it gave before: no gradient would lead through."""
    module = scattered(network("resnet18")).eval()
    names = ["layer2", "layer3"]
    plain = gc.forward(module, BATCH, names)
    for part, copy in cascade(module, BATCH, gc.layers(module, BATCH), explained=names):
        run = gc.forward(copy, BATCH, names)
        is_before = part in (HEAD, "layer4", "layer3")
        assert run.runs[0].activation.equal(plain.runs[0].activation) == is_before, part
        assert not run.runs[0].cam(0).equal(plain.runs[0].cam(0)), part


def test_a_random_network_runs_other_batches_where_these_are_wanted():
    module, other = scattered(network("resnet18")).eval(), torch.ones_like(BATCH)
    stages = gc.layers(module, BATCH)
    for is_wanted in (True, False):
        _, copy = next(cascade(module, BATCH, stages, other_batches=is_wanted))
        assert copy(other).equal(copy(BATCH)) != is_wanted


def test_maps_of_a_random_network_lie_as_those_of_the_real_one():
    """Of as many channels as places, which a network that gives what it gave cannot tell apart."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 12, 3, 4, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, 2, 1), nn.ReLU()
    )
    module = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3)).eval()
    assert gc.forward(module, BATCH).activation.shape == (1, 12, 12, 12)
    for _, copy in cascade(module, BATCH, gc.layers(module, BATCH)):
        assert gc.forward(copy, BATCH, "0").activation.shape == (1, 12, 12, 12)
