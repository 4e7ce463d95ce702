"""The methods that run the network several times equal TorchCAM, or their formula written out where
it departs from it."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchcam.methods
import torchvision
from torch import Tensor, nn
from torch.nn.functional import interpolate

import gradcam_core as gc
from gradcam_core.cam.methods.registry import METHODS, Method
from gradcam_core.cam.methods.several_passes import (
    IS_SAMPLES,
    SMOOTH_NOISE,
    SMOOTH_SAMPLES,
    SS_NOISE,
    SS_SAMPLES,
    noise,
    refinecam,
    smoothgradcam_plus_plus,
)
from gradcam_core.cam.run import Run
from gradcam_core.errors import CamError
from tests.support.networks import scattered

CLASSES = [281, 7]


@pytest.fixture(scope="module", params=["test_resnet", "test_convnext"])
def module(request) -> nn.Module:
    """Activations that are never negative, and some that are."""
    torch.manual_seed(0)
    return scattered(timm.create_model(request.param).eval()).requires_grad_(False)


@pytest.fixture(scope="module")
def batch() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def same(got: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """Each map to within a share of its own maximum; and not all of them are empty."""
    assert got.shape == expected.shape
    assert expected.max() > 0
    for one, other in zip(got, expected, strict=True):
        assert float((one - other).abs().max()) <= tolerance * float(other.max())


def gradients_of(module: nn.Module, run: Run, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Activation and gradient by another way: a hook that keeps the layer's output."""
    kept: list[Tensor] = []

    def keep(_part: object, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[0].clone()

    hook = module.get_submodule(run.layer).register_forward_hook(keep)
    logits = module(pictures)
    hook.remove()
    total = sum(logits[n, target] for n, target in enumerate(CLASSES))
    return kept[0].detach(), torch.autograd.grad(total, kept[0])[0]


@pytest.fixture
def noisy(module: nn.Module, batch: Tensor) -> tuple[Run, list[tuple[Tensor, Tensor]]]:
    """A run, and activation and gradient for each noisy version of its batch."""
    run = gc.forward(module, batch)
    pictures = [batch + SMOOTH_NOISE * noise(batch, s) for s in range(SMOOTH_SAMPLES)]
    return run, [gradients_of(module, run, one) for one in pictures]


def written_out(activation: Tensor, gradients: list[Tensor], first: Tensor, map_of: Tensor):
    """Smooth Grad-CAM++ in double precision: alpha of the mean powers of the gradients."""
    all_of_them = torch.stack(gradients).double()
    second, third = all_of_them.pow(2).mean(0), all_of_them.pow(3).mean(0)
    below = 2 * second + activation.double().sum((2, 3), keepdim=True) * third
    alpha = (second / below).nan_to_num(0, 0, 0)
    weight = (first.double().relu() * alpha).sum((2, 3), keepdim=True)
    return (weight * map_of).sum(1).relu().float()


def test_smooth_gradcam_plus_plus_equals_its_formula(module, batch, noisy):
    run, found = noisy
    gradients = [gradient for _, gradient in found]
    expected = written_out(
        run.activation, gradients, torch.stack(gradients).mean(0), run.activation
    )
    same(run.cam(CLASSES, "smoothgradcam++"), expected)


def test_torchcam_takes_gradient_and_activation_of_the_last_noisy_picture(
    module, batch, noisy, our_noise
):
    run, found = noisy
    gradients = [gradient for _, gradient in found]
    last_activation, last_gradient = found[-1]

    with torchcam.methods.SmoothGradCAMpp(module, run.layer, SMOOTH_SAMPLES, SMOOTH_NOISE) as peer:
        module(batch)
        got = peer(CLASSES, normalized=False, eps=0.0)[0].nan_to_num(0)
    expected = written_out(run.activation, gradients, last_gradient, last_activation)
    same(got.clamp(min=0), expected, tolerance=1e-3)


def test_one_picture_without_noise_is_gradcam_plus_plus(module, batch):
    run = gc.forward(module, batch)
    activation, gradient = gradients_of(module, run, batch)
    got = smoothgradcam_plus_plus(activation, gradient[None])
    same(got, run.cam(CLASSES, "gradcam++"))
    # Powers that float32 does not hold: a map is proportional to its gradients.
    small = smoothgradcam_plus_plus(activation * 1e15, gradient[None] * 1e-15)
    same(small, got)


class Noise:
    """A normal distribution that gives our noise: the same for all channels and images."""

    def __init__(self, batch: Tensor, strength: float) -> None:
        self.batch, self.strength, self.number = batch, strength, -1

    def sample(self, shape: torch.Size) -> Tensor:
        self.number += 1
        own = noise(self.batch, self.number)
        own = own if shape[1] == own.shape[1] else own[:, :1]
        return self.strength * own.expand(shape)


@pytest.fixture
def our_noise(batch, monkeypatch):
    """TorchCAM with our noise in place of its own."""
    monkeypatch.setattr(torch.distributions.normal, "Normal", lambda _, std: Noise(batch, std))


def scaled_last(peer: type, batch: Tensor) -> type:
    """A method of TorchCAM that scales its masks to [0, 1] after it has enlarged them."""

    class ScaledLast(peer):
        def _upsample(self, activation: Tensor) -> Tensor:
            large = interpolate(activation, batch.shape[2:], mode="bilinear")
            low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
            return ((large - low) / (high - low)).nan_to_num(0)

    return ScaledLast


def of_peer(peer: type, module: nn.Module, batch: Tensor, layer: str, **options: Any) -> Tensor:
    with scaled_last(peer, batch)(module, layer, **options) as made:
        module(batch)
        return made(CLASSES, normalized=False)[0].clamp(min=0)


def test_scorecam_equals_torchcam_where_masks_are_scaled_last(module, batch):
    run = gc.forward(module, batch)
    same(run.cam(CLASSES, "scorecam"), of_peer(torchcam.methods.ScoreCAM, module, batch, run.layer))


@pytest.mark.parametrize(
    ("method", "peer", "options"),
    [
        ("sscam", torchcam.methods.SSCAM, {"num_samples": SS_SAMPLES, "std": SS_NOISE}),
        ("iscam", torchcam.methods.ISCAM, {"num_samples": IS_SAMPLES}),
    ],
)
def test_methods_of_many_masks_equal_torchcam_where_masks_are_scaled_last(
    batch, our_noise, method, peer, options
):
    torch.manual_seed(0)
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 300)
    module = nn.Sequential(nn.Conv2d(3, 6, 5, 4), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), *head)
    run = gc.forward(module.eval().requires_grad_(False), batch)
    assert run.activation.min() < 0
    same(run.cam(CLASSES, method), of_peer(peer, module, batch, run.layer, **options))


def test_refinecam_equals_torchcam_for_the_same_maps(module, batch):
    run = gc.forward(module, batch)
    layers = [stage.layer for stage in gc.layers(module, batch)][-3:]
    maps = [gc.forward(module, batch, layer).cam(CLASSES, "gradcam++") for layer in layers]
    got = run.cam(CLASSES, "refinecam")
    same(got, refinecam(maps))
    same(got, torchcam.methods.RefineCAM.fuse_cams(maps, normalized=False))


def test_refinecam_equals_torchcam_by_layercam(module, batch):
    layers = [stage.layer for stage in gc.layers(module, batch)][-3:]
    with torchcam.methods.RefineCAM(module, layers, base_method=torchcam.methods.LayerCAM) as peer:
        scores = module(batch.clone().requires_grad_())
        expected = peer(CLASSES, scores, normalized=False)[0]
    maps = [gc.forward(module, batch, layer).cam(CLASSES, "layercam") for layer in layers]
    same(refinecam(maps), expected.detach())


def test_refinecam_says_where_there_is_no_larger_map(module, batch):
    first = gc.layers(module, batch)[0].layer
    with pytest.raises(CamError, match="no feature map of the network is larger than that of"):
        gc.forward(module, batch, first).cam(CLASSES, "refinecam")


def vit() -> Any:
    torch.manual_seed(0)
    made = torchvision.models.VisionTransformer(
        image_size=64,
        patch_size=16,
        num_layers=3,
        num_heads=2,
        hidden_dim=32,
        mlp_dim=64,
    )
    return trained_a_little(made).eval().requires_grad_(False)


def trained_a_little(module: nn.Module) -> nn.Module:
    """torchvision's head begins with zeros, which explain nothing."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module


def test_legrad_equals_torchcam():
    module, pictures = vit(), torch.randn(2, 3, 64, 64)
    blocks = list(module.encoder.layers)
    with torchcam.methods.LeGrad(module, blocks) as peer:
        module(pictures)
        expected = peer(CLASSES, normalized=False)[0]
    run = gc.forward(module, pictures)
    same(run.cam(CLASSES, "legrad"), expected)
    same(run.split()[1].cam(CLASSES[1], "legrad"), expected[1:])


@pytest.mark.parametrize(("fused", "pool"), [(True, "token"), (False, "avg")])
def test_legrad_equals_its_formula_in_timms_transformers(fused: bool, pool: str):
    torch.manual_seed(0)
    module: Any = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=3, global_pool=pool, num_classes=10
    )
    module = trained_a_little(module).eval().requires_grad_(False)
    for block in module.blocks:
        block.attn.fused_attn = False
    pictures = torch.randn(2, 3, 64, 64)
    attention: list[Tensor] = []
    outputs: list[Tensor] = []

    def see(_part: object, _inputs: object, output: Tensor) -> Tensor:
        attention.append(output.detach().requires_grad_())
        return attention[-1]

    hooks = []
    for block in module.blocks:
        hooks.append(block.attn.attn_drop.register_forward_hook(see))
        hooks.append(block.register_forward_hook(lambda _part, _inputs, out: outputs.append(out)))
    module(pictures)
    for hook in hooks:
        hook.remove()
    relevance = []
    for its, tokens in zip(attention[:3], outputs[:3], strict=True):
        mean = tokens.mean(dim=1)
        logits = module.head(module.fc_norm(module.norm(mean)))
        total = logits[0, 3] - logits[0, 5] + logits[1, 4] - logits[1, 5]
        (gradient,) = torch.autograd.grad(total, its, retain_graph=True)
        relevance.append(gradient.relu().mean(dim=(1, 2))[:, 1:])
    expected = torch.stack(relevance).mean(0).unflatten(1, (4, 4))
    for block in module.blocks:
        block.attn.fused_attn = fused
    same(gc.forward(module, pictures).cam([3, 4], "legrad", [5]), expected)


def test_legrad_says_that_it_explains_transformers():
    module = timm.create_model("test_resnet").eval()
    with pytest.raises(CamError, match="LeGrad explains transformers"):
        gc.forward(module, torch.randn(1, 3, 96, 96)).cam(1, "legrad")


class Small(nn.Module):
    """A signal, a picture or a volume through two convolutions."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        make = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
        self.first = nn.Sequential(make(3, 6, 3, stride=2, padding=1), nn.ReLU())
        self.second = nn.Sequential(make(6, 8, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).flatten(2).mean(2))


def network_for(method: Method) -> nn.Module:
    if method.needs == "attention":
        return vit()
    torch.manual_seed(0)
    return Small(2).eval().requires_grad_(False)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.is_common])
def test_each_image_has_the_map_it_has_alone_and_has_it_again(name: str):
    module, pictures = network_for(METHODS[name]), torch.randn(2, 3, 64, 64) + 0.5
    run = gc.forward(module, pictures)
    together = run.cam([3, 4], name)
    shares: list[float] = []
    again = gc.forward(module, pictures).cam([3, 4], name, on_progress=shares.append)
    assert torch.equal(together, again)
    assert together.min() >= 0
    assert together.isfinite().all()
    if METHODS[name].is_slow:
        assert shares == sorted(shares)
        assert shares[0] < 0.5
        assert shares[-1] == 1
    for n, one in enumerate(run.split()):
        same(one.cam(3 + n, name), together[n : n + 1], tolerance=1e-3)
        alone = gc.forward(module, pictures[n : n + 1]).cam(3 + n, name)
        same(alone, together[n : n + 1], tolerance=1e-3)
    double = gc.forward(module.double(), pictures.double()).cam([3, 4], name)
    assert double.dtype == torch.float64
    same(double.float(), together, tolerance=1e-2)


@pytest.mark.parametrize("dimensions", [1, 3])
@pytest.mark.parametrize(
    "name", [n for n, m in METHODS.items() if not m.is_common and m.needs != "attention"]
)
def test_signals_and_volumes_work_like_images(dimensions: int, name: str):
    torch.manual_seed(0)
    module = Small(dimensions).eval()
    run = gc.forward(module, torch.randn(2, 3, *[16] * dimensions) + 0.5)
    found = run.cam([1, 2], name)
    assert found.shape[1:] == (8 if name == "refinecam" else 4,) * dimensions
    assert found.isfinite().all()
    assert found.max() > 0
