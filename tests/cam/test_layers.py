"""Feature maps are found in any network by running it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

import gradcam_core as gc
from gradcam_core.models.optimise.meta_device import without_values
from tests.support.networks import quickly_made

SIDE_PX = 96

# Network: its last feature map and the sides of all its stages.
TIMM = {
    "resnet50": ("layer4", [48, 24, 12, 6, 3]),
    "densenet121": ("features", [48, 24, 12, 6, 3]),
    "mobilenetv3_large_100": ("blocks", [48, 24, 12, 6, 3]),
    "inception_v3": ("Mixed_7c", [63, 61, 30, 28, 13, 6, 2]),
    "dpn68": ("features", [48, 24, 12, 6, 3]),
    "hrnet_w18_small": ("final_layer", [48, 24, 12, 6, 3]),
}
SMALLER: dict[str, dict[str, Any]] = {
    "resnet50": {"layers": (1, 1, 1, 1)},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "dpn68": {"k_sec": (1, 1, 2, 1)},
}
"""What has nothing to do with their stages."""
TORCHVISION = {
    "shufflenet_v2_x1_0": ("conv5", [48, 24, 12, 6, 3]),
    "squeezenet1_1": ("classifier.2", [47, 23, 11, 5]),
}


def check(build: Callable[[], nn.Module], last: str, sides: list[int]) -> None:
    torch.manual_seed(1)
    module = quickly_made(build)
    side = 128 if len(sides) > 6 else SIDE_PX  # of what shrinks maps so often, a cell would be left
    batch = torch.randn(1, 3, side, side)
    stages = gc.layers(module, batch)
    assert [stage.shape[1] for stage in stages] == sides
    assert stages[-1].layer == last
    assert gc.forward(module, batch).layer == last
    for stage in (stages[0], stages[-1]):
        run = gc.forward(module, batch, stage.layer)
        assert run.activation.shape[1:] == stage.shape
        assert run.cam().shape[1:] == stage.shape[1:]


@pytest.mark.parametrize("name", TIMM)
def test_the_stages_of_timm_networks(name: str):
    check(partial(timm.create_model, name, **SMALLER.get(name, {})), *TIMM[name])


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_stages_of_torchvision_networks(name: str):
    check(partial(torchvision.models.get_model, name), *TORCHVISION[name])


def test_the_layer_of_the_registry_is_the_last_feature_map():
    for info in gc.list_models():
        module = without_values(partial(timm.create_model, info.architecture))
        assert gc.last_feature_map(module) == info.layer, info.name


def test_any_module_with_a_feature_map_will_do(lite0: gc.Model):
    batch = torch.randn(1, 3, 96, 96)
    for layer in ("blocks.3.1.conv_dw", "blocks.5.2", "conv_stem"):
        run = gc.forward(lite0.module, batch, layer)
        assert run.layer == layer
        assert run.cam(5).shape[1:] == run.activation.shape[2:]


@pytest.mark.parametrize("wrong", ["", "classifier", "blocks.9"])
def test_a_wrong_layer_gets_an_error_that_lists_the_right_ones(lite0: gc.Model, wrong: str):
    right = ", ".join(stage.layer for stage in gc.layers(lite0.module))
    with pytest.raises(gc.CamError) as error:
        gc.forward(lite0.module, torch.randn(1, 3, 96, 96), wrong)
    assert right in str(error.value)
    assert repr(wrong) in str(error.value)


def test_a_layer_that_is_not_run_is_an_error():
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x).mean((2, 3))

    with pytest.raises(gc.CamError, match="'idle' is not used"):
        gc.forward(Idle().eval(), torch.randn(1, 3, 8, 8), "idle")


class Segmentation(nn.Module):
    """Gives a map of each class, enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, 2, 1)
        self.classes = nn.Sequential(nn.Conv2d(12, 4, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self.classes(self.second(self.first(x).relu()).relu())
        return {"out": interpolate(found, x.shape[2:], mode="bilinear")}


def test_the_map_that_a_segmentation_gives_is_not_the_feature_map_behind_it():
    torch.manual_seed(0)
    module, batch = Segmentation().eval(), torch.randn(2, 3, 32, 48)
    run = gc.forward(module, batch)
    assert run.layer == "second"
    found = run.cam(lambda given: given["out"][:, 1, 4:10, 5:20].mean((1, 2)))
    activation = module.second(module.first(batch).relu()).detach().requires_grad_()
    out = interpolate(module.classes(activation.relu()), batch.shape[2:], mode="bilinear")
    score = out[:, 1, 4:10, 5:20].mean((1, 2)).sum()
    (gradient,) = torch.autograd.grad(score, activation)
    expected = (gradient.mean((2, 3), keepdim=True) * activation).sum(1).relu().detach()
    assert expected.max() > 0
    torch.testing.assert_close(found, expected)
    assert gc.forward(nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), batch).layer == "0"
    of_one = gc.forward(module, batch, output=lambda given: given["out"][:, 1])  # such as a depth
    assert of_one.layer == "second"


TASKS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda x, head: (x.mean((2, 3)) @ head).view(-1, 8, 8),
    lambda x, head: torch.stack([(x.mean((2, 3)) @ one).tanh() for one in head.split(8, 1)], 1),
    lambda x, head: conv2d(x, head.T[:, :, None, None]).mean((2, 3)).view(-1, 1, 8, 8),
]


@pytest.mark.parametrize("tasks", TASKS)
def test_as_many_classes_as_tasks_are_no_map(tasks: Callable[[Tensor, Tensor], Tensor]):
    class Tasks(Segmentation):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            found = self.second(self.first(x).relu()).relu()
            return tasks(found, torch.randn(12, 64, generator=torch.Generator().manual_seed(0)))

    assert gc.forward(Tasks().eval(), torch.randn(2, 3, 32, 32)).layer == "second"


class SummedScores(nn.Module):
    """Adds the scores of two resolutions, as LR-ASPP and FCN-8s do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 12, 3, 2, 1)
        self.low, self.high = nn.Conv2d(8, 4, 1), nn.Conv2d(12, 4, 1)
        self.enlarge = nn.ConvTranspose2d(4, 4, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x).relu()
        second = self.second(self.middle(first).relu()).relu()
        high = interpolate(self.high(second), first.shape[2:])
        return self.enlarge(self.low(first) + high)


def test_where_scores_are_added_the_output_is_not_taken_for_their_feature_map():
    module, batch = SummedScores().eval(), torch.randn(1, 3, 32, 48)
    with pytest.raises(gc.CamError, match=r"parallel feature maps \(high, low\)"):
        gc.forward(module, batch)
    assert gc.forward(module, batch, "second").cam(lambda given: given[:, 1].mean((1, 2))).any()
