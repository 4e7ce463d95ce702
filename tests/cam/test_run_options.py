"""Signed maps, several layers, smoothing and Guided Grad-CAM, beside the formulas and peers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchcam.methods import LayerCAM

import gradcam_core as gc
from gradcam_core.cam.methods.registry import METHODS
from tests.support.networks import scattered

FOR_CLASS = 3
GRADIENT_METHODS = [name for name, method in METHODS.items() if method.can_be_signed]


class Flat(nn.Module):
    """Its feature maps have the size of the picture, so that no library has to enlarge them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.second(self.first(x)).mean((2, 3)))


def flat() -> nn.Module:
    torch.manual_seed(0)
    return scattered(Flat()).eval()


def resnet() -> nn.Module:
    torch.manual_seed(0)
    return scattered(
        timm.create_model("resnet10t", num_classes=5, channels=(16, 24, 32, 48))
    ).eval()


def images(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def channel_terms(run: gc.Run, target: int) -> tuple[Tensor, Tensor]:
    """A and G of the held layer, by autograd from the open pass's own logits."""
    (gradient,) = torch.autograd.grad(
        run.open_pass.logits[:, target].sum(), run.open_pass.leaf, retain_graph=True
    )
    return run.activation, gradient


def test_a_signed_map_is_the_sum_without_its_last_relu():
    run = gc.forward(resnet(), images())
    activation, gradient = channel_terms(run, FOR_CLASS)
    weighted = gradient.mean((2, 3), keepdim=True) * activation
    got = run.cam(FOR_CLASS, signed=True)
    torch.testing.assert_close(got, weighted.sum(1), atol=1e-6, rtol=1e-4)
    assert got.min() < 0
    got = run.cam(FOR_CLASS, "hirescam", signed=True)
    torch.testing.assert_close(got, (gradient * activation).sum(1), atol=1e-6, rtol=1e-4)
    # LayerCAM has a ReLU at each cell, whose opposite is what the counterfactual map is made of.
    got = run.cam(FOR_CLASS, "layercam", signed=True)
    against = (-gradient).relu() * activation
    expected = (gradient.relu() * activation - against).sum(1)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_what_speaks_against_a_class_is_what_speaks_for_its_opposite(method: str):
    module = resnet()
    run = gc.forward(module, images())
    if METHODS[method].contrast is None:

        def opposite(logits: Tensor) -> Tensor:
            return -logits[:, FOR_CLASS]

        expected = -run.cam(opposite, method, signed=True)
        got = run.cam(FOR_CLASS, method, signed=True)
        torch.testing.assert_close(got, expected, atol=1e-7, rtol=1e-4)
    else:
        got, plain = run.cam(FOR_CLASS, method, signed=True), run.cam(FOR_CLASS, method)
        torch.testing.assert_close(got.relu(), plain)


@pytest.mark.parametrize("method", ["eigencam", "scorecam"])
def test_a_method_without_gradients_has_no_signed_map(method: str):
    with pytest.raises(gc.CamError, match="has no signed map"):
        gc.forward(resnet(), images()).cam(FOR_CLASS, method, signed=True)


LAYERS = ["layer2", "layer3", "layer4"]


def test_several_layers_are_joined_as_torchcam_joins_them():
    module = resnet()
    run = gc.forward(module, images(), LAYERS)
    got = run.cam(FOR_CLASS)
    with LayerCAM(module, LAYERS) as cam:
        output = module(images().requires_grad_())
        peers = cam([FOR_CLASS] * 2, output, normalized=False)
    # Its own normalisation subtracts the minimum, too, and so hides heat that is everywhere.
    shares = [one / one.amax((1, 2), keepdim=True) for one in peers]
    torch.testing.assert_close(got, LayerCAM.fuse_cams(shares), atol=1e-4, rtol=0)
    assert got.shape == (2, 8, 8)
    assert run.layer == tuple(LAYERS)


def vit() -> Any:
    return timm.create_model("vit_tiny_patch16_224", img_size=64, depth=5, embed_dim=96)


@pytest.mark.parametrize("make", [resnet, vit])
def test_each_of_several_layers_has_the_map_that_it_has_alone(make: Any):
    torch.manual_seed(0)
    module = scattered(make()).eval()
    is_vit = hasattr(module, "blocks")
    names = ["blocks.2", "blocks.0", "blocks.3"] if is_vit else LAYERS
    given = images()[:1]
    run = gc.forward(module, given, names)
    for name, own in zip(names, run.runs, strict=True):
        alone = gc.forward(module, given, name)
        torch.testing.assert_close(own.logits, alone.logits, atol=1e-5, rtol=1e-4)
        scale = float(alone.cam().max())
        assert scale > 0
        torch.testing.assert_close(own.cam(), alone.cam(), atol=1e-4 * scale, rtol=0)
    assert run.cam(smooth="flips").shape == run.runs[0].cam().shape
    with pytest.raises(gc.CamError, match="cannot be signed"):
        run.cam(signed=True)
    with pytest.raises(gc.CamError, match="no layer 'layer9'"):
        gc.forward(module, given, [names[0], "layer9"])
    with pytest.raises(gc.CamError, match="names no layers"):
        gc.forward(module, given, [])


def test_flips_are_pytorch_grad_cams_aug_smooth():
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    module: Any = flat()
    with GradCAM(module, [module.second]) as cam:
        targets = [ClassifierOutputTarget(FOR_CLASS)] * 2
        expected = torch.from_numpy(cam(images(), targets, aug_smooth=True))
    run = gc.forward(module, images(), "second")
    assert (run.cam(FOR_CLASS).amin(dim=(1, 2)) == 0).all()  # of which it subtracts the minimum
    torch.testing.assert_close(run.cam(FOR_CLASS, smooth="flips"), expected, atol=1e-4, rtol=0)


def test_flips_are_refused_where_something_else_has_places():
    masked: Any = flat()
    plain = masked.forward
    masked.forward = lambda x, mask: plain(x * mask)
    run = gc.forward(masked, (images(), torch.rand(2, 1, 64, 64)), "second")
    with pytest.raises(gc.CamError, match="the network gets several, which would no longer fit"):
        run.cam(FOR_CLASS, smooth="flips")
    run.cam(FOR_CLASS, smooth="noise")
    segmenting = nn.Sequential(masked.first, nn.Conv2d(8, 5, 1)).eval()
    run = gc.forward(segmenting, images())
    with pytest.raises(gc.CamError, match="the target reads places of the output"):
        run.cam(lambda maps: maps[:, FOR_CLASS, :9].mean((1, 2)), smooth="flips")


def test_noise_gives_the_mean_map_of_noisy_copies_the_same_each_time():
    module, given = resnet(), images()
    run = gc.forward(module, given)
    got = run.cam(FOR_CLASS, smooth="noise")
    assert torch.equal(got, run.cam(FOR_CLASS, smooth="noise"))
    spread = 0.15 * (given.amax((1, 2, 3), keepdim=True) - given.amin((1, 2, 3), keepdim=True))
    generator = torch.Generator().manual_seed(0)
    copies = [given + spread * torch.randn(given.shape, generator=generator) for _ in range(8)]
    maps = torch.stack([gc.forward(module, one).cam(FOR_CLASS) for one in copies])
    torch.testing.assert_close(got, maps.mean(0), atol=1e-6, rtol=1e-4)


def test_smoothing_explains_the_class_of_the_picture_itself():
    module, run = resnet(), gc.forward(resnet(), images())
    assert torch.equal(run.cam(smooth="noise"), run.cam(run.top, smooth="noise"))
    shares: list[float] = []
    maps = run.cam(FOR_CLASS, "competitive", True, shares.append, smooth="noise", signed=True)
    assert maps.min() < 0
    assert shares == sorted(shares)
    assert len(shares) == 8
    function = run.cam(lambda logits: logits[:, FOR_CLASS], smooth="flips")
    torch.testing.assert_close(function, run.cam(FOR_CLASS, smooth="flips"))
    one = gc.forward(module, images()).split()[1]
    torch.testing.assert_close(one.cam(FOR_CLASS, smooth="flips")[0], function[1])
    with pytest.raises(gc.ChoiceError, match=r"no smooth='blur'\. Choose 'noise' or"):
        run.cam(FOR_CLASS, smooth="blur")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["resnet10t", "squeezenet"])
def test_the_guided_gradient_is_pytorch_grad_cams(name: str):
    import torchvision
    from pytorch_grad_cam import GuidedBackpropReLUModel

    torch.manual_seed(0)
    module = {
        "resnet10t": resnet,
        "squeezenet": lambda: torchvision.models.squeezenet1_1(num_classes=5).eval(),
    }[name]()
    given = images()
    with torch.no_grad():
        target = int(module(given).mean(0).argmax())
    got = gc.guided_gradcam(module, given, target)
    peer = GuidedBackpropReLUModel(copy.deepcopy(module), torch.device("cpu"))
    heat = gc.forward(module, given).cam(target)
    heat = nn.functional.interpolate(heat[:, None], (64, 64), mode="bilinear")
    for n in range(2):
        gradient = torch.from_numpy(peer(given[n : n + 1].clone(), target)).permute(2, 0, 1)
        expected = gradient * heat[n]
        scale = float(expected.abs().max())
        assert scale > 0
        torch.testing.assert_close(got[n], expected, atol=1e-4 * scale, rtol=0)


def test_relu6_is_guided_too_and_other_activations_are_refused():
    class Bounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)
            self.act = nn.ReLU6(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.conv(x)).sum((2, 3))

    module = Bounded().eval()
    with torch.no_grad():
        module.conv.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        nn.init.zeros_(module.conv.bias)  # type: ignore[arg-type]
    given = torch.tensor([[[[-2.0, 3.0, 9.0]]]])
    # At each pixel the map is the activation; the gradient passes where 0 < x < 6 only.
    assert gc.guided_gradcam(module, given, 0, "act").tolist() == [[[[0.0, 3.0, 0.0]]]]
    with pytest.raises(gc.CamError, match="this network has none"):
        gc.guided_gradcam(timm.create_model("test_vit").eval(), images(160), 0)
