"""Grad-CAM equals the paper, and leaves the network as it was. That it equals the libraries people
know, too, is in `test_methods.py`."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import timm
import torch
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.models.registry import list_models
from tests.support.networks import quickly_made

NETWORKS: dict[str, tuple[int, dict]] = {
    "resnet50": (96, {"layers": (1, 1, 1, 1)}),
    "efficientnet_lite0 (real)": (128, {}),
}
"""The side of the input, and what is other than published."""


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, lite0: gc.Model) -> tuple[nn.Module, str, Tensor]:
    """A network, its target layer, and a batch of two."""
    torch.manual_seed(0)
    size, options = NETWORKS[request.param]
    batch = torch.randn(2, 3, size, size)
    if request.param.endswith("(real)"):
        return lite0.module, lite0.info.layer, batch
    info = next(i for i in list_models() if i.architecture.startswith(request.param + "."))
    module = quickly_made(partial(timm.create_model, request.param, **options))
    return module, info.layer, batch


def paper(module: nn.Module, layer: str, batch: Tensor, targets: list[int]) -> Tensor:
    """Equations 1 and 2 of Selvaraju et al. (2017), transcribed: full graph, .backward()."""
    parts = dict(module.named_modules())
    kept: dict[str, Tensor] = {}
    original = parts[layer].forward

    def keep(*args, **kwargs):
        kept["A"] = original(*args, **kwargs).clone()
        kept["A"].retain_grad()
        # A copy goes on: what follows may write over it.
        return kept["A"].clone()

    parts[layer].forward = keep
    try:
        y = module(batch.clone().requires_grad_())
        score = sum(y[n, c] for n, c in enumerate(targets))
        score.backward()
    finally:
        del parts[layer].forward
    activation, gradient = kept["A"], kept["A"].grad
    assert gradient is not None
    images, channels, height, width = activation.shape
    maps = torch.zeros(images, height, width)
    for n in range(images):
        for k in range(channels):
            alpha = gradient[n, k].sum() / (height * width)  # eq. 1, Z = h * w
            maps[n] += (alpha * activation[n, k]).detach()
    return maps.clamp(min=0)  # eq. 2


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def test_it_equals_the_paper(network):
    module, layer, batch = network
    targets = [281, 7]
    got = gc.forward(module, batch, layer).cam(targets)
    expected = paper(module, layer, batch, targets)
    assert expected.max() > 0
    assert relative_error(got, expected) < 1e-5


def test_logits_are_those_of_the_bare_network(network):
    module, layer, batch = network
    with torch.no_grad():
        expected = module(batch)
    torch.testing.assert_close(gc.forward(module, batch, layer).logits, expected)


def test_other_classes_need_no_second_forward_pass(lite0: gc.Model):
    passes = []
    hook = lite0.module.register_forward_hook(lambda *_: passes.append(1))
    try:
        run = gc.forward(lite0.module, torch.randn(1, 3, 128, 128), "bn2")
        first = run.cam(281)
        others = [run.cam(c) for c in (1, 500, 999)]
        again = run.cam(281)
    finally:
        hook.remove()
    assert len(passes) == 1
    assert torch.equal(first, again)
    assert not any(torch.equal(first, other) for other in others)


def test_each_image_of_a_batch_has_the_map_it_has_alone(lite0: gc.Model):
    batch = torch.randn(3, 3, 128, 128)
    together = gc.forward(lite0.module, batch, "bn2").cam([1, 2, 3])
    for n in range(3):
        alone = gc.forward(lite0.module, batch[n : n + 1], "bn2").cam(n + 1)
        torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-4, atol=1e-6)


METHODS_OF_ALL_KINDS = ("gradcam", "layercam", "competitive", "eigencam", "ablationcam")


def test_the_runs_of_single_images_are_as_if_each_had_had_its_own_pass(trained: nn.Module):
    batch = torch.randn(3, 3, 64, 64)
    whole = gc.forward(trained, batch)
    for n, (run, target) in enumerate(zip(whole.split(), (281, 504, 7), strict=True)):
        alone = gc.forward(trained, batch[n : n + 1])
        torch.testing.assert_close(run.logits, alone.logits, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(run.activation, alone.activation, rtol=1e-3, atol=1e-3)
        assert run.contrast(target, "competitive") == alone.contrast(target, "competitive")
        for method in METHODS_OF_ALL_KINDS:
            its_map, expected = run.cam(target, method), alone.cam(target, method)
            assert its_map.shape == (1, 2, 2)
            torch.testing.assert_close(its_map, expected, rtol=0, atol=2e-3 * float(expected.max()))


def test_joined_runs_are_explained_by_one_backward_pass(lite0: gc.Model):
    first, *others = gc.forward(lite0.module, torch.randn(3, 3, 128, 128), "bn2").split()
    backward_passes: list[int] = []
    hook = first.open_pass.leaf.register_hook(lambda _: backward_passes.append(1))
    together = first.join(others).cam([281, 504, 7])
    assert len(backward_passes) == 1
    hook.remove()
    one_by_one = [run.cam(c) for run, c in zip((first, *others), (281, 504, 7), strict=True)]
    torch.testing.assert_close(together, torch.cat(one_by_one))
    assert others[0].join(others[1:]).cam([504, 7]).equal(together[1:])


def test_runs_that_do_not_follow_each_other_in_one_pass_are_not_joined(lite0: gc.Model):
    one, two, three = gc.forward(lite0.module, torch.randn(3, 3, 128, 128), "bn2").split()
    other = gc.forward(lite0.module, torch.randn(3, 3, 128, 128), "bn2").split()[1]
    for runs in ((two, one), (one, three), (one, other)):
        with pytest.raises(ValueError, match="consecutive"):
            runs[0].join(runs[1:])


def test_runs_of_one_pass_weigh_together_what_the_pass_weighs(lite0: gc.Model):
    batch = torch.randn(3, 3, 128, 128)
    whole = gc.forward(lite0.module, batch, "bn2")
    own = whole.activation.nbytes + whole.logits.nbytes + batch.nbytes
    assert own <= whole.nbytes < 3 * own
    runs = whole.split()
    assert sum(run.nbytes for run in runs) == pytest.approx(whole.nbytes, abs=3)
    before = runs[0].nbytes
    runs[0].cam(281, "ablationcam")  # whose logits of every channel are kept
    assert runs[0].nbytes - before == 4 * 1280 * 1000


def state_of(module: nn.Module):
    hooks = sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
        for part in module.modules()
    )
    return (
        hooks,
        [(id(p), p.requires_grad, p.grad) for p in module.parameters()],
        [(id(part), part.training, sorted(vars(part))) for part in module.modules()],
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
    )


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("in the middle")


@pytest.mark.parametrize("layer", ["0", None, "no such layer", "1"])
def test_the_network_is_left_as_it_was_also_after_a_failure(layer: str | None):
    broken = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), Failing()).eval()
    before = state_of(broken)
    with pytest.raises((RuntimeError, gc.CamError)):
        gc.forward(broken, torch.zeros(1, 3, 8, 8), layer)
    assert state_of(broken) == before


def test_the_network_is_left_as_it_was_after_success(network):
    module, layer, batch = network
    before = state_of(module)
    gc.forward(module, batch[:1], layer).cam(3)
    after = state_of(module)
    assert after == before


@pytest.fixture
def trained() -> nn.Module:
    """A network in the state of one that is being trained: some parameters have gradients. Its
    slow methods take several passes."""
    torch.manual_seed(0)
    module = timm.create_model("test_resnet").eval()
    module(torch.randn(1, 3, 64, 64)).sum().backward()
    module.conv1[0].requires_grad_(False)
    return module


# All but those for transformers.
# SS-CAM and IS-CAM mask pictures as Score-CAM does, several times.
METHODS_HERE = [name for name, method in METHODS.items() if method.needs != "attention"]
METHODS_HERE = [name for name in METHODS_HERE if METHODS[name].samples == 1]
SLOW = [name for name in METHODS_HERE if METHODS[name].is_slow]


@pytest.mark.parametrize("method", METHODS_HERE)
def test_every_method_leaves_the_network_as_it_was(trained: nn.Module, method: str):
    before = state_of(trained)
    gc.forward(trained, torch.randn(2, 3, 64, 64)).cam([1, 2], method)
    assert state_of(trained) == before


class CancelledError(Exception):
    pass


@pytest.mark.parametrize("method", SLOW)
def test_a_cancelled_run_leaves_the_network_as_it_was(trained: nn.Module, method: str):
    before = state_of(trained)
    run = gc.forward(trained, torch.randn(1, 3, 64, 64))

    def cancel(share: float) -> None:
        if share > 0.3:
            raise CancelledError

    with pytest.raises(CancelledError):
        run.cam(1, method, on_progress=cancel)
    assert state_of(trained) == before
    whole = gc.forward(trained, run.open_pass.batch).cam(1, method)
    torch.testing.assert_close(run.cam(1, method), whole)  # and nothing half done was kept


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_a_failure_in_a_pass_of_a_slow_method_leaves_the_network_as_it_was(
    trained: nn.Module, method: str
):
    run = gc.forward(trained, torch.randn(1, 3, 96, 96))
    passes = []

    def fail(*_: object) -> None:
        passes.append(1)
        if len(passes) > 2:
            raise RuntimeError("in the middle")

    hook = trained.get_submodule("fc").register_forward_hook(fail)
    before = state_of(trained)
    with pytest.raises(RuntimeError, match="in the middle"):
        run.cam(1, method)
    assert state_of(trained) == before
    hook.remove()


def test_threads_with_all_methods_at_once_leave_the_network_as_it_was(trained: nn.Module):
    before = state_of(trained)
    batch = torch.randn(1, 3, 64, 64)
    expected = {name: gc.forward(trained, batch).cam(5, name) for name in METHODS_HERE}
    wrong: list[str] = []

    def work(name: str) -> None:
        run = gc.forward(trained, batch)
        if not torch.allclose(run.cam(5, name), expected[name], rtol=1e-3, atol=1e-5):
            wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in METHODS_HERE]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert state_of(trained) == before


def test_a_class_after_a_slow_method_costs_no_further_pass(trained: nn.Module):
    batch = torch.randn(1, 3, 64, 64)
    run = gc.forward(trained, batch)
    run.cam(1, "scorecam")
    passes: list[int] = []
    hook = trained.register_forward_hook(lambda *_: passes.append(1))
    other = run.cam(2, "scorecam")
    hook.remove()
    assert not passes
    afresh = gc.forward(trained, batch).cam(2, "scorecam")
    torch.testing.assert_close(other, afresh, rtol=1e-3, atol=1e-5)


def test_it_works_inside_inference_mode(trained: nn.Module):
    batch = torch.randn(1, 3, 64, 64)
    expected = gc.forward(trained, batch).cam(5)
    with torch.inference_mode():
        got = gc.forward(trained, batch.clone()).cam(5)
    torch.testing.assert_close(got, expected)


def test_threads_that_share_a_network_get_their_own_maps(lite0: gc.Model):
    batches = [
        torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(n)) for n in range(4)
    ]
    expected = [gc.forward(lite0.module, batch, "bn2").cam(281) for batch in batches]
    got: dict[int, Tensor] = {}

    def work(n: int) -> None:
        for _ in range(3):
            got[n] = gc.forward(lite0.module, batches[n], "bn2").cam(281)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(4):
        torch.testing.assert_close(got[n], expected[n], rtol=1e-4, atol=1e-6)


def test_a_network_that_is_partly_in_training_mode_is_refused_and_not_changed():
    norm = nn.BatchNorm2d(4)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), norm).eval()
    norm.train()
    before = state_of(module), norm.state_dict()["running_mean"].clone()
    batch = torch.randn(2, 3, 8, 8)
    for refused in (lambda: gc.forward(module, batch), lambda: gc.layers(module, batch)):
        with pytest.raises(gc.CamError, match="training mode"):
            refused()
    assert state_of(module) == before[0]
    assert torch.equal(norm.state_dict()["running_mean"], before[1])


def test_what_cannot_be_explained_gets_an_error_that_says_why(lite0: gc.Model):
    batch = torch.zeros(2, 3, 128, 128)
    training = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(gc.CamError, match="training mode"):
        gc.forward(training, batch)
    with pytest.raises(gc.CamError, match=r"no layer 'act4'.*blocks.0, .*bn2"):
        gc.forward(lite0.module, batch, "act4")
    with pytest.raises(gc.CamError, match="no feature map"):
        gc.forward(lite0.module, batch, "classifier")
    with pytest.raises(gc.CamError, match="no convolution"):
        gc.forward(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval(), torch.zeros(1, 3, 2, 2))
    run = gc.forward(lite0.module, batch, "bn2")
    with pytest.raises(gc.CamError, match="1000 classes"):
        run.cam(1000)
    with pytest.raises(gc.CamError, match="3 target classes"):
        run.cam([1, 2, 3])
    with pytest.raises(ValueError, match="no method 'gradcam99'"):
        run.cam(1, method="gradcam99")
