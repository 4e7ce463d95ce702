"""Every method equals its paper, and the libraries people know where those do the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchcam.methods
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.cam.methods.one_pass import competitive, eigencam, gradcam
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.cam.methods.several_passes import ablated_activations, ablationcam
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.passes.head import Head
from gradcam_core.cam.run import Run
from tests.support.narrow_vgg import NARROW_VGG
from tests.support.networks import quickly_made, scattered

# Architecture: side of the input, and of a smaller one for methods that run it again and again.
NETWORKS = {
    NARROW_VGG: (96, 32),
    "legacy_xception": (107, 64),
    "densenet121": (96, 64),
    "mobilenetv3_small_050": (96, 64),
    "test_resnet": (96, 64),
    "test_convnext": (96, 64),
    "efficientnet_lite0 (real)": (128, 64),
}
SMALLER: dict[str, dict[str, Any]] = {
    "densenet121": {"block_config": (2, 2, 2, 2)},
}
"""With one or two blocks in a stage."""


class Case:
    """A network with a batch of two at its usual size, and one of a size for slow methods."""

    def __init__(self, name: str, lite0: gc.Model) -> None:
        torch.manual_seed(0)
        self.name = name
        usual, small = NETWORKS[name]
        if name.endswith("(real)"):
            self.module = lite0.module
        else:
            build = partial(timm.create_model, name, **SMALLER.get(name, {}))
            self.module = scattered(quickly_made(build))
        self.module.requires_grad_(False)
        self.batch = torch.randn(2, 3, usual, usual)
        self.small = torch.randn(2, 3, small, small)
        self.layer = gc.last_feature_map(self.module, self.batch)
        run = gc.forward(self.module, self.batch, self.layer)
        # Classes with heat: of a network with random weights, a map may well be empty.
        self.targets = [
            next(c for c in range(start, 1000) if run.cam(c)[n].max() > 0)
            for n, start in enumerate((281, 7))
        ]


FEW = ("test_resnet", "test_convnext", "efficientnet_lite0 (real)")
"""Where what a method does with activation and gradient is tested: activations that are never
negative, that may be, and those of real weights. How both come from a network, all of them test."""


@pytest.fixture(scope="module", params=NETWORKS)
def any_case(request, lite0: gc.Model) -> Case:
    return Case(request.param, lite0)


@pytest.fixture(scope="module", params=FEW)
def case(request, lite0: gc.Model) -> Case:
    return Case(request.param, lite0)


def same(got: Tensor, expected: np.ndarray | Tensor, tolerance: float = 1e-4) -> None:
    """Each map to within a share of its own maximum; and not all of them are empty."""
    wanted = torch.as_tensor(expected).detach()
    assert got.shape == wanted.shape
    assert wanted.max() > 0
    for one, other in zip(got, wanted, strict=True):
        assert float((one - other).abs().max()) <= tolerance * float(other.max())


def pytorch_grad_cam_map(
    name: str,
    case: Case,
    batch: Tensor,
    classes: list[int] | None = None,
    scale: float = 1,
    channels: int | None = None,
) -> np.ndarray:
    """What pytorch-grad-cam computes before it stretches the map over the image.

    scale: of the activation down and of the gradient up, which the formula of Grad-CAM++ does not
    notice but the epsilon in its denominator does. channels: how many of the first ones count.
    """
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    targets = [ClassifierOutputTarget(target) for target in classes or case.targets]
    target_layer = case.module.get_submodule(case.layer)
    with getattr(pytorch_grad_cam, name)(case.module, [target_layer]) as peer:
        peer.batch_size = 64
        seen = peer.activations_and_grads
        outputs = seen(batch.clone().requires_grad_())
        gradient = None
        if peer.uses_gradients:
            sum(t(output) for t, output in zip(targets, outputs, strict=True)).backward()
            gradient = seen.gradients[0].numpy() * scale
        activation = seen.activations[0].detach().numpy()[:, :channels] / scale
        maps = peer.get_cam_image(batch, target_layer, targets, activation, gradient, False)
    return np.maximum(maps, 0)


def torchcam_map(make: Callable, case: Case, batch: Tensor, **options) -> Tensor:
    """What TorchCAM computes before it normalises the map."""
    with make(case.module, target_layer=case.layer) as peer:
        scores = case.module(batch.clone().requires_grad_())
        return peer(case.targets, scores, normalized=False, **options)[0].clamp(min=0)


def ours(method: str, case: Case, batch: Tensor, **options) -> Tensor:
    return gc.forward(case.module, batch, case.layer).cam(case.targets, method, **options)


def test_gradcam_equals_both_libraries_on_every_network(any_case: Case):
    got = ours("gradcam", any_case, any_case.batch)
    same(got, pytorch_grad_cam_map("GradCAM", any_case, any_case.batch), tolerance=1e-5)
    same(got, torchcam_map(torchcam.methods.GradCAM, any_case, any_case.batch), tolerance=1e-5)


@pytest.mark.parametrize(
    ("method", "peer"),
    [("hirescam", "HiResCAM"), ("xgradcam", "XGradCAM"), ("layercam", "LayerCAM")],
)
def test_gradient_methods_equal_pytorch_grad_cam(case: Case, method: str, peer: str):
    same(ours(method, case, case.batch), pytorch_grad_cam_map(peer, case, case.batch))


@pytest.mark.parametrize(
    ("method", "peer"),
    [("layercam", "LayerCAM"), ("finercam", "FinerCAM")],
)
def test_gradient_methods_equal_torchcam(case: Case, method: str, peer: str):
    expected = torchcam_map(getattr(torchcam.methods, peer), case, case.batch)
    same(ours(method, case, case.batch), expected)


def test_gradcam_plus_plus_equals_pytorch_grad_cam_without_its_epsilon(case: Case):
    expected = pytorch_grad_cam_map("GradCAMPlusPlus", case, case.batch, scale=1e4)
    same(ours("gradcam++", case, case.batch), expected)


def test_finercam_with_given_rivals_equals_torchcam(case: Case):
    others = [3, 500, 999, 42]
    expected = torchcam_map(torchcam.methods.FinerCAM, case, case.batch, comparison_idx=others)
    same(ours("finercam", case, case.batch, contrast=others), expected)


def test_eigencam_equals_the_paper(case: Case):
    run = gc.forward(case.module, case.batch, case.layer)
    for activation, got in zip(
        run.activation.numpy(), run.cam(case.targets, "eigencam"), strict=True
    ):
        matrix = activation.reshape(len(activation), -1).T.astype(np.float64)
        _, _, right = np.linalg.svd(matrix, full_matrices=False)
        projected = (matrix @ right[0]).reshape(activation.shape[1:])
        projected *= np.sign(projected.sum())
        same(got[None], np.maximum(projected, 0)[None])


def test_eigencam_equals_pytorch_grad_cam_where_the_channels_are_centred(case: Case):
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection

    expected = pytorch_grad_cam_map("EigenCAM", case, case.batch)
    activation = gc.forward(case.module, case.batch, case.layer).activation
    got = eigencam(activation - activation.mean(dim=(2, 3), keepdim=True))
    projected = get_2d_projection(activation.numpy())  # negative ones, too
    for one, other, whole in zip(got, expected, projected, strict=True):
        # Centred maps have the sum 0, so that their sign is a matter of rounding.
        turned = other if np.corrcoef(one.numpy().ravel(), other.ravel())[0, 1] > 0 else -whole
        same(one[None], np.maximum(turned, 0)[None])


def test_eigengradcam_equals_pytorch_grad_cam_but_for_the_sign(case: Case):
    """Where the peer's map falls with the evidence for the class, it is turned round."""
    from pytorch_grad_cam import EigenGradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    run = gc.forward(case.module, case.batch, case.layer)
    got = run.cam(case.targets, "eigengradcam")
    target_layer = case.module.get_submodule(case.layer)
    targets = [ClassifierOutputTarget(target) for target in case.targets]
    with EigenGradCAM(case.module, [target_layer]) as peer:
        seen = peer.activations_and_grads
        outputs = seen(case.batch.clone().requires_grad_())
        sum(t(output) for t, output in zip(targets, outputs, strict=True)).backward()
        activation, gradient = seen.activations[0].detach().numpy(), seen.gradients[0].numpy()
        projected = peer.get_cam_image(None, None, None, activation, gradient, False)
    evidence = (gradient * activation).sum(axis=1)
    for one, whole, towards in zip(got, projected, evidence, strict=True):
        sign = np.sign((whole.astype(np.float64) * towards).sum())
        same(one[None], np.maximum(sign * whole, 0)[None])


CHANNELS = 12  # of up to 2048; the slow methods treat each like any other
OTHER_CHANNELS = {"efficientnet_lite0 (real)": 32}  # of 12, the map is empty


@pytest.fixture
def half_pixel_centres(monkeypatch):
    """pytorch-grad-cam's Score-CAM with the enlargement of the paper's code."""
    half_pixel = partial(nn.Upsample, mode="bilinear", align_corners=False)
    monkeypatch.setattr(torch.nn, "UpsamplingBilinear2d", half_pixel)


def test_scorecam_equals_pytorch_grad_cam(case: Case, half_pixel_centres):
    run = gc.forward(case.module, case.small, case.layer)
    first = Run(replace(run.open_pass, leaf=run.activation[:, :CHANNELS]), slice(0, len(run)))
    expected = pytorch_grad_cam_map("ScoreCAM", case, case.small, channels=CHANNELS)
    same(first.cam(case.targets, "scorecam"), expected)


def test_ablationcam_equals_the_paper_and_pytorch_grad_cam(any_case: Case):
    """Equations 3 and 4 transcribed: the whole network again for each channel."""
    channels = OTHER_CHANNELS.get(any_case.name, CHANNELS)
    run = gc.forward(any_case.module, any_case.small, any_case.layer)
    activation, logits = run.activation, run.logits
    classes = logits.argmax(dim=1).tolist()  # their logits are positive
    target_layer = any_case.module.get_submodule(any_case.layer)
    paper, scores = [], []
    for n, c in enumerate(classes):
        image, own = any_case.small[n : n + 1], activation[n : n + 1]
        ablated = own.repeat(channels, 1, 1, 1)
        for k in range(channels):
            ablated[k, k] = 0
        hook = target_layer.register_forward_hook(lambda *_, a=ablated: a.clone())
        with torch.no_grad():
            y = any_case.module(image.expand(channels, -1, -1, -1))[:, c]
        hook.remove()
        weight = (logits[n, c] - y) / logits[n, c]
        paper.append((weight[:, None, None] * own[0, :channels]).sum(dim=0).clamp(min=0))

        head = Head(any_case.module, any_case.layer, Inputs.of(image), own, logits[n : n + 1])
        assert head.is_enough
        inputs = ablated_activations(own, image, torch.arange(channels))
        scores.append(head(inputs)[:, c])
    whole = logits.gather(1, torch.tensor(classes)[:, None])[:, 0]
    got = ablationcam(activation[:, :channels], torch.stack(scores), whole)
    # The drops are small differences of logits, of which float32 leaves four digits.
    same(got, torch.stack(paper), tolerance=1e-4)
    if activation.amin() >= 0:
        peer = pytorch_grad_cam_map(
            "AblationCAM", any_case, any_case.small, classes, channels=channels
        )
        same(got, peer, tolerance=1e-4)


def test_slow_methods_of_a_run_take_every_channel(lite0: gc.Model, half_pixel_centres):
    case = Case("test_resnet", lite0)
    run = gc.forward(case.module, case.small, case.layer)
    classes = run.logits.argmax(dim=1).tolist()
    for method, peer in (("scorecam", "ScoreCAM"), ("ablationcam", "AblationCAM")):
        expected = pytorch_grad_cam_map(peer, case, case.small, classes)
        same(run.cam(classes, method), expected)


def test_competitive_is_zero_wherever_a_rival_has_more_evidence(case: Case):
    run = gc.forward(case.module, case.batch, case.layer)
    others = [11, 400]
    got = run.cam(case.targets, "competitive", others)
    own = run.cam(case.targets)
    strongest = torch.stack([run.cam(other) for other in others]).amax(dim=0)
    assert (got[own <= strongest] == 0).all()
    torch.testing.assert_close(got, (own - strongest).clamp(min=0))


def test_a_contrast_explains_the_difference_of_logits(case: Case):
    run = gc.forward(case.module, case.batch, case.layer)
    leaf = run.activation.requires_grad_()
    target_layer = case.module.get_submodule(case.layer)
    hook = target_layer.register_forward_hook(lambda *_: leaf.clone())
    y = case.module(case.batch)
    hook.remove()
    difference = sum(y[n, t] - (y[n, 3] + y[n, 4]) / 2 for n, t in enumerate(case.targets))
    (gradient,) = torch.autograd.grad(difference, leaf)
    same(
        run.cam(case.targets, "layercam", [3, 4]),
        METHODS["layercam"].compute(leaf.detach(), gradient),
    )


def test_rivals_are_chosen_by_the_logits(lite0: gc.Model):
    run = gc.forward(lite0.module, torch.randn(2, 3, 224, 224), lite0.info.layer)
    ranking = run.logits.argsort(dim=1, descending=True).tolist()
    target = ranking[0][4]
    chosen = run.contrast([target, ranking[1][0]], "gradcam", True)
    assert chosen[0] == [c for c in ranking[0][:11] if c != target]
    assert chosen[1] == ranking[1][1:11]
    near = run.contrast([target, ranking[1][0]], "finercam")
    distance = (run.logits[0] - run.logits[0, target]).abs().argsort().tolist()
    assert near[0] == distance[1:4]
    assert near[1] == ranking[1][1:4]
    assert run.contrast(target) == [[], []]


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "hirescam", "xgradcam", "layercam"])
def test_a_sum_that_is_only_rounding_gives_no_heat(method: str):
    activation = torch.rand(1, 64, 7, 7) + 1
    gradient = torch.zeros(1, 64, 7, 7)
    assert METHODS[method].compute(activation, gradient).eq(0).all()
    # Channels that cancel each other but for the last bits.
    activation[:, 1::2] = activation[:, ::2]
    gradient[:, ::2], gradient[:, 1::2] = 1 / 3, -(1 / 3) * (1 - 1e-7)
    if method in ("gradcam", "hirescam"):
        assert METHODS[method].compute(activation, gradient).eq(0).all()


def test_a_channel_without_activation_or_spread_makes_no_nan():
    activation = torch.zeros(2, 3, 4, 4)
    activation[:, 0] = torch.rand(2, 4, 4)
    activation[:, 1] = 5
    gradient = torch.rand(2, 3, 4, 4)
    for method in METHODS.values():
        if method.needs == "gradient":
            assert method.compute(activation, gradient).isfinite().all(), method.name
    assert eigencam(activation).isfinite().all()
    assert eigencam(torch.zeros(1, 3, 4, 4)).eq(0).all()
    assert competitive(activation, gradient, gradient[None]).eq(0).all()
    assert gradcam(activation, gradient).max() > 0


SLOW = [name for name, m in METHODS.items() if m.is_slow and m.needs != "attention"]


def test_progress_reaches_the_end_and_what_it_raises_cancels(lite0: gc.Model):
    run = gc.forward(lite0.module, torch.randn(2, 3, 64, 64), lite0.info.layer)
    shares: list[float] = []
    run.cam([281, 7], "ablationcam", on_progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 10
    assert shares[-1] == 1

    class CancelledError(Exception):
        pass

    def cancel(share: float) -> None:
        if share > 0:
            raise CancelledError

    run = gc.forward(lite0.module, torch.randn(2, 3, 64, 64), lite0.info.layer)
    for method in SLOW:
        with pytest.raises(CancelledError):
            run.cam([281, 7], method, on_progress=cancel)


def test_each_method_says_its_formula_and_paper():
    for method in METHODS.values():
        text = method.compute.__doc__ or ""
        assert method.title.split()[-1].split("-")[0] in text
        assert "20" in text, f"{method.name} names no year"
        assert "-> map [" in text
