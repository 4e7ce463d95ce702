"""What users of pytorch-grad-cam and TorchCAM rely on, as those libraries' own tests have it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import (
    AnchorGenerator,
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.models.resnet import BasicBlock

import gradcam_core as gc
from gradcam_core.cam.methods.registry import METHODS

ANY_NETWORK = [  # those that need neither attention nor larger maps before
    name for name, method in METHODS.items() if method.needs not in ("attention", "earlier maps")
]
FAST = [name for name, method in METHODS.items() if not method.is_slow]


@pytest.fixture(scope="module")
def resnet() -> Any:
    torch.manual_seed(0)
    return torchvision.models.ResNet(BasicBlock, [1, 1, 1, 2], num_classes=20).eval()


@pytest.fixture(scope="module")
def vgg() -> Any:
    torch.manual_seed(0)
    features = torchvision.models.vgg.make_layers([16, "M", 32, "M", 64, 64, "M", 64, "M", 64, "M"])
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 20))
    return nn.Sequential(OrderedDict(features=features, head=pooled)).eval()


@pytest.mark.parametrize("method", FAST)
def test_every_method_gives_a_map_an_image_at_any_size(resnet: Any, vgg: Any, method: str):
    count = 2
    batch = torch.randn(count, 3, 32, 40)
    layers = [(resnet, resnet.layer4[-2]), (vgg, vgg.features[-1])]
    for module, layer in layers:
        run = gc.forward(module, batch, layer)
        for target in (None, 10):
            maps = run.cam(target, method)
            assert maps.shape == (count, *run.activation.shape[2:])
            assert maps.isfinite().all()
            assert (maps >= 0).all()


class Video(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, 6, 3, padding=1),
            nn.ReLU(inplace=True),
        )  # fmt: skip
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3, 4)))


@pytest.mark.parametrize("method", ANY_NETWORK)
def test_videos_have_maps_of_their_own_by_every_method(method: str):
    torch.manual_seed(0)
    module = Video().eval().requires_grad_(False)
    batch = torch.rand(1, 3, 4, 8, 8, requires_grad=True)
    for layer in ("features.2", "features.3", None):  # the first is read by a ReLU in place
        maps = gc.forward(module, batch, layer).cam(1, method)
        assert maps.shape == (1, 4, 8, 8)
        assert maps.isfinite().all()
    assert batch.grad is None


def test_one_channel_and_many_images(resnet: Any):
    module: Any = torchvision.models.ResNet(BasicBlock, [1, 1, 1, 1], num_classes=20)
    module.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    maps = gc.forward(module.eval(), torch.rand(16, 1, 64, 64)).cam()
    assert maps.shape == (16, 2, 2)


class Structured(nn.Module):
    """Gives a dictionary for each image, as detectors do."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 2, 1)

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        scores = self.features(x).flatten(2).mean(-1)
        return [{"primary": row[0], "secondary": row[1]} for row in scores]


def primary(given: list[dict[str, Tensor]]) -> Tensor:
    return torch.stack([row["primary"] for row in given])


def test_a_target_may_read_what_was_given_for_each_image():
    module, batch = Structured().eval(), torch.rand(2, 1, 4, 4)
    run = gc.forward(module, batch, "features", output=primary)

    def of_each(given: list[dict[str, Tensor]]) -> Tensor:
        return torch.stack([given[0]["primary"], given[1]["secondary"]])

    maps = run.cam(of_each)
    activation = module.features(batch).detach()
    assert torch.allclose(maps[0], activation[0, 0].relu() / 16)
    assert torch.allclose(maps[1], activation[1, 1].relu() / 16)
    assert all(parameter.grad is None for parameter in module.parameters())
    refused: list[tuple[Any, str]] = [
        (lambda given: primary(given).detach(), "does not depend on the network's output"),
        (torch.no_grad()(lambda given: primary(given)[:]), "does not depend on the network's"),
        (lambda given: primary(given) > 0, "gave numbers of bool and must give floats"),
        (lambda given: torch.ones(2, 3), "one number per image"),
        (lambda given: 1.0, "gave float"),
        (lambda given: primary(given)[:1], "gave 1 numbers for 2 images"),
        (lambda given: given["primary"], "failed with .* of float32.*TypeError"),
        ([lambda given: primary(given)] * 2, "A function among several targets is not a class"),
    ]
    for target, sentence in refused:
        with pytest.raises(gc.CamError, match=sentence):
            run.cam(target)
    with pytest.raises(gc.CamError, match="Pass output="):
        gc.forward(module, batch, "features")


def test_a_target_that_writes_into_the_output_changes_no_other(resnet: Any):
    run = gc.forward(resnet, torch.rand(2, 3, 64, 64))
    before = run.cam(2)
    twice = run.cam(lambda given: given.mul_(2)[:, 2])
    torch.testing.assert_close(twice, 2 * before)
    assert torch.equal(run.cam(2), before)


@pytest.mark.parametrize("targets", [{0, 1}, {0: 1, 1: 0}])
def test_what_has_no_order_is_no_class_for_each_image(resnet: Any, targets: Any):
    run = gc.forward(resnet, torch.rand(2, 3, 64, 64))
    with pytest.raises(gc.CamError, match="does not say which class belongs to which image"):
        run.cam(targets)


def test_a_sparse_output_is_told(resnet: Any):
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = resnet

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).to_sparse()

    for layer in (None, "net.layer4"):
        with pytest.raises(gc.CamError, match="gives a sparse tensor"):
            gc.forward(Sparse().eval(), torch.rand(2, 3, 64, 64), layer)


def test_the_score_of_a_detectors_box_is_explained():
    torch.manual_seed(0)
    body: Any = nn.Sequential(nn.Conv2d(3, 16, 8, 8), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
    body.out_channels = 16
    module: Any = torchvision.models.detection.FasterRCNN(
        body,
        rpn_anchor_generator=AnchorGenerator(((32,),)),
        box_head=TwoMLPHead(16 * 49, 32),
        box_predictor=FastRCNNPredictor(32, 4),
        box_score_thresh=0.0,
        min_size=96,
        max_size=96,
    ).eval()
    batch = torch.rand(2, 3, 96, 96)

    def best(given: list[dict[str, Tensor]]) -> Tensor:
        return torch.stack([row["scores"][0] for row in given])

    run = gc.forward(module, batch, body[2], output=best)
    kept: list[Tensor] = []
    hook = body[2].register_forward_hook(lambda _, __, out: kept.append(out))
    scores = best(module(batch.clone().requires_grad_()))
    hook.remove()
    (gradient,) = torch.autograd.grad(scores.sum(), kept[0])
    expected = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).relu().detach()
    assert expected.max() > 0
    torch.testing.assert_close(run.cam(target=best) / expected.max(), expected / expected.max())
    with pytest.raises(gc.CamError, match="give only one of them"):
        run.cam(best, target=best)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_in_contrast_are_those_there_are(classes: int):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, classes),
    ).eval()  # fmt: skip
    run = gc.forward(module, torch.rand(2, 3, 8, 8))
    for method in ("finercam", "competitive"):
        assert [sorted(others) for others in run.contrast(0, method)] == [[*range(1, classes)]] * 2
        assert run.cam(0, method).shape == (2, 8, 8)


def test_what_is_no_layer_is_told(resnet: Any):
    batch = torch.rand(1, 3, 32, 32)
    for layer, sentence in [
        ("layer9", "no layer 'layer9'"),
        (3, "of the type int: its dotted name, or the module itself"),
        ([3], "of the type int"),
        (nn.ReLU(), "a ReLU, is not part of the network"),
        (resnet, "is not part of the network"),
        ("", "no layer ''"),
    ]:
        with pytest.raises(gc.CamError, match=sentence):
            gc.forward(resnet, batch, layer)
    with pytest.raises(gc.CamError, match="There is no class -1"):
        gc.forward(resnet, batch).cam(-1)


def test_the_svd_leaves_the_activation_as_it_is(resnet: Any):
    run = gc.forward(resnet, torch.rand(1, 3, 64, 64))
    before = run.activation.clone()
    for method in METHODS:
        if METHODS[method].needs in ("nothing", "gradient"):
            run.cam(3, method)
    assert torch.equal(run.activation, before)


def test_one_class_in_contrast_needs_no_list(resnet: Any):
    run = gc.forward(resnet, torch.rand(1, 3, 64, 64))
    assert torch.equal(run.cam(3, contrast=5), run.cam(3, contrast=[5]))
    assert torch.equal(run.cam(3, contrast=None), run.cam(3))  # type: ignore[arg-type]
    assert run.contrast(3, contrast=5) == [[5]]
    with pytest.raises(gc.CamError, match="'cat' is a str, not a class"):
        run.cam(3, contrast="cat")  # type: ignore[arg-type]
