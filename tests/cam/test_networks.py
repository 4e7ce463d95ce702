"""What a network may do, be and be given: the map is the formula's, or there is a sentence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import gradcam_core as gc
from tests.support.networks import scattered


def network() -> Any:
    torch.manual_seed(0)
    return scattered(timm.create_model("test_resnet", num_classes=10)).eval()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def literal(module: nn.Module, given: Tensor, target: int) -> Tensor:
    """Grad-CAM by autograd through the whole network, of its last stage."""
    kept: list[Tensor] = []
    part = module.get_submodule("layer4")
    hook = part.register_forward_hook(lambda _, __, output: kept.append(output))
    logits = module(given.clone().requires_grad_())
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, target].sum(), kept[0])
    return (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).relu().detach()


def same(got: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    assert expected.max() > 0
    torch.testing.assert_close(got, expected, rtol=0, atol=tolerance * float(expected.max()))


class Within(nn.Module):
    """Runs a network in a context."""

    def __init__(self, context: Callable[[], AbstractContextManager]) -> None:
        super().__init__()
        self.net = network()
        self.context = context

    def forward(self, x: Tensor) -> Tensor:
        with self.context():
            return self.net(x)


class WritesIntoItsInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.sub_(0.5).mul_(2))


class Checkpointed(nn.Module):
    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.net = network()
        self.use_reentrant = use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        features = checkpoint(self.net.forward_features, x, use_reentrant=self.use_reentrant)
        return self.net.forward_head(features)


class LinearProbe(nn.Module):
    """A backbone that computes without gradients, as people train only a head."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.net.forward_features(x)
        return self.net.forward_head(features)


def made_in_inference_mode() -> nn.Module:
    with torch.inference_mode():
        module = network()
        module.load_state_dict(network().state_dict())
    return module


def compiled_in_place() -> nn.Module:
    module = network()
    module.compile(backend="eager")
    return module


def with_a_compiled_part() -> nn.Module:
    module = network()
    module.layer3 = torch.compile(module.layer3, backend="eager")
    return module


RIGHT: dict[str, tuple[Callable[[], Any], str | None]] = {
    "enable_grad": (lambda: Within(torch.enable_grad), None),
    "no_grad around a named layer": (lambda: Within(torch.no_grad), "net.layer4"),
    "set_grad_enabled": (lambda: Within(lambda: torch.set_grad_enabled(False)), "net.layer4"),
    "no_grad in a backbone": (LinearProbe, "net.layer4"),
    "frozen": (lambda: network().requires_grad_(False), None),
    "checkpointing": (lambda: Checkpointed(False), None),
    "reentrant checkpointing": (lambda: Checkpointed(True), None),
    "compiled": (lambda: torch.compile(network()), None),
    "compiled, by its own name": (
        lambda: torch.compile(network(), backend="eager"),
        "_orig_mod.layer4",
    ),
    "compiled in place": (compiled_in_place, None),
    "a compiled part": (with_a_compiled_part, None),
    "torch.fx": (lambda: torch.fx.symbolic_trace(network()), None),
    "DataParallel": (lambda: nn.DataParallel(network()), None),
    "logits of one cell": (lambda: nn.Sequential(network(), nn.Unflatten(1, (10, 1, 1))), None),
    "made in inference mode": (made_in_inference_mode, None),
}


SLOW = ("ablationcam", "scorecam")


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    """Of class 3 by method: the formula of Grad-CAM, and the slow methods of the bare network."""
    run = gc.forward(network(), images(1))
    slow = {method: run.cam(3, method) for method in SLOW}
    return {"gradcam": literal(network(), images(), 3), **slow}


@pytest.mark.parametrize("kind", RIGHT)
def test_the_map_is_the_formulas(kind: str, expected: dict[str, Tensor]):
    make, layer = RIGHT[kind]
    module = make().eval()
    run = gc.forward(module, images(), layer)
    same(run.cam(3), expected["gradcam"])
    first = run.split()[0]
    for method in SLOW:
        same(first.cam(3, method), expected[method], 1e-3)


def test_a_network_that_writes_into_its_input_leaves_the_batch_as_it_is():
    given = images()
    run = gc.forward(WritesIntoItsInput().eval(), given)
    assert torch.equal(given, images())
    expected = gc.forward(network(), (images() - 0.5) * 2)
    same(run.cam(3), expected.cam(3))
    same(run.cam(3, "ablationcam"), expected.cam(3, "ablationcam"), 1e-3)


def test_a_batch_that_was_changed_meanwhile_is_not_masked():
    given = images()
    run = gc.forward(network(), given)
    before = run.cam(3)
    given.zero_()
    assert torch.equal(run.cam(3), before)  # which needs only what is held
    for again in (lambda: run.cam(3, "scorecam"), lambda: run.cam(3, smooth="noise")):
        with pytest.raises(gc.CamError, match="has changed since the forward pass"):
            again()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_give_the_same_map_to_their_own(dtype: torch.dtype):
    run = gc.forward(network().to(dtype), images().to(dtype))
    same(run.cam(3).float(), literal(network(), images(), 3), 0.05 if dtype.itemsize < 4 else 1e-5)
    assert run.cam(3).dtype == torch.promote_types(dtype, torch.float32)


def test_compiled_networks_of_other_threads_stay_right_and_compiled():
    module: Any = torch.compile(network(), backend="eager")
    expected = network()(images())
    wrong: list[int] = []

    def predict() -> None:
        for n in range(4):
            if not torch.allclose(module(images()), expected, atol=1e-4):
                wrong.append(n)

    module(images())  # from now on it is compiled
    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    maps = [gc.forward(module, images()).cam(3) for _ in range(2)]
    for thread in threads:
        thread.join()
    assert not wrong
    same(torch.stack(maps), literal(network(), images(), 3).expand(2, -1, -1, -1))
    calls: list[object] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        calls.append(graph)
        return graph.forward

    torch.compile(nn.Linear(2, 2), backend=backend)(torch.ones(1, 2))
    assert calls  # the compiler is on again


def scripted() -> nn.Module:
    return torch.jit.script(torchvision.models.squeezenet1_1(num_classes=10).eval())


def quantised() -> nn.Module:
    module = torchvision.models.resnet18(num_classes=10).eval()
    return torch.ao.quantization.quantize_dynamic(module, {nn.Linear})


class GivingClasses(LinearProbe):
    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).argmax(1)


class Detaching(LinearProbe):
    def forward(self, x: Tensor) -> Tensor:
        return self.net.forward_head(self.net.forward_features(x).detach())


REFUSED: dict[str, tuple[Callable[[], Any], str | None, str]] = {
    "no_grad": (lambda: Within(torch.no_grad), None, "computes without gradients"),
    "inference_mode": (lambda: Within(torch.inference_mode), None, "without gradients"),
    "detach": (Detaching, None, "computes without gradients"),
    "detach behind a layer": (Detaching, "net.layer4", "depend on the layer .* without gradients"),
    "scripted": (scripted, None, "TorchScript .* the module that it was made from"),
    "traced": (lambda: torch.jit.trace(network(), images()), None, "TorchScript"),
    "quantised": (quantised, None, "quantised"),
    "on meta": (lambda: network().to("meta"), None, "its weights are float32 on meta"),
    "in bfloat16": (lambda: network().bfloat16(), None, r"\[2, 3, 64, 64\] float32 .* bfloat16"),
    "giving classes": (GivingClasses, None, "int64, but logits are floats.* output="),
    "a function": (lambda: lambda x: x, None, "of the type function: a torch.nn.Module"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", REFUSED)
def test_else_a_sentence_says_what_came(kind: str):
    make, layer, sentence = REFUSED[kind]
    module = make()
    module = module.eval() if isinstance(module, nn.Module) else module
    with pytest.raises(gc.CamError, match=sentence):
        gc.forward(module, images(), layer)


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        (images()[0], r"\[3, 64, 64\] float32 .* give it as picture\[None\]"),
        (images()[:, :1], r"\[2, 1, 64, 64\] float32 on cpu"),
        (images()[:0], "has no images"),
        (images().byte(), "uint8"),
        (images().numpy(), "of the type ndarray: a tensor"),
        (list(images()), "of the type list: a tensor"),
        ("photo.jpg", "of the type str"),
        (images()[0, 0], r"\[64, 64\]: pictures are \[N, C, H, W\]"),
        (images().to("meta"), "on meta; its weights are float32 on cpu"),
        ({"labels": torch.zeros(2)}, "None of the inputs"),
        (torch.nested.nested_tensor([images()[0], images()[1, :, 1:]]), "A nested tensor"),
        ((images(), torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])), "A nested tensor"),
        (([images()],), r"inputs \{0: 'list'\} is .* give each tensor as an input of its own"),
    ],
)
def test_a_batch_that_is_none_is_told_as_what_came(batch: Any, sentence: str):
    for layer in (None, "layer4"):
        with pytest.raises(gc.CamError, match=sentence):
            gc.forward(network(), batch, layer)


def test_a_network_and_a_batch_without_values_are_told():
    module, batch = network().to("meta"), images().to("meta")
    assert gc.layers(module, batch)[-1].layer == "layer4"
    for layer in (None, "layer4"):
        with pytest.raises(gc.CamError, match='on the device "meta", where it has no values'):
            gc.forward(module, batch, layer)
    with pytest.raises(gc.CamError, match='batch is on the device "meta"'):
        gc.prepare(network(), batch)


class TwoPictures(nn.Module):
    """One encoder for two pictures, and a number beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = network()
        self.fc = nn.Linear(20, 4)

    def forward(self, left: Tensor, right: Tensor, age: Tensor | None = None) -> Tensor:
        both = torch.cat([self.encoder(left), self.encoder(right)], dim=1)
        return self.fc(both) * (1 if age is None else age)


class PictureAndAge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, age: Tensor, *, picture: Tensor) -> Tensor:
        return self.net(picture) * (1 + age)


def test_a_batch_may_be_all_that_a_network_is_given():
    torch.manual_seed(3)
    module, left, right = TwoPictures().eval(), images(), images().flip(0)
    age = torch.tensor([[0.5], [2.0]])
    run = gc.forward(module, (left, right, age))
    assert run.layer == "encoder.layer4#1"  # of the first picture
    other = gc.forward(module, {"left": left, "right": right, "age": age}, "encoder.layer4#2")
    for got, number in ((run, 0), (other, 1)):
        kept: list[Tensor] = []
        part = module.encoder.layer4
        hook = part.register_forward_hook(lambda _, __, output, kept=kept: kept.append(output))
        logits = module(left.clone().requires_grad_(), right, age)
        hook.remove()
        (gradient,) = torch.autograd.grad(logits[:, 2].sum(), kept[number])
        expected = (gradient.mean((2, 3), keepdim=True) * kept[number]).sum(1).relu().detach()
        torch.testing.assert_close(got.cam(2), expected, atol=1e-6, rtol=1e-4)
        assert got.cam(2, "ablationcam").shape == expected.shape
    with pytest.raises(gc.CamError, match="gets several"):
        run.cam(2, "scorecam")
    assert [stage.layer for stage in gc.layers(module, (left, right))][-1] == "encoder.layer4#1"


def test_each_image_keeps_its_other_inputs():
    age = torch.tensor([[1.0], [-3.0]])
    module: Any = PictureAndAge().eval()

    class ByName(nn.Module):
        def forward(self, **given: Tensor) -> Tensor:
            return module(given["age"], picture=given["picture"])

        def __init__(self) -> None:
            super().__init__()
            self.inner = module

    named = ByName().eval()
    whole = gc.forward(named, {"age": age, "picture": images()})
    for method in ("gradcam", "scorecam", "ablationcam"):
        maps = whole.cam([3, 3], method)
        for n in range(2):
            own = {"age": age[n : n + 1], "picture": images()[n : n + 1]}
            torch.testing.assert_close(
                gc.forward(named, own).cam(3, method)[0], maps[n], rtol=1e-3, atol=1e-5
            )


def test_maps_are_found_again_for_another_output():
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.side = nn.Linear(192, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            net = self.net
            stem = net.maxpool(net.act1(net.bn1(net.conv1(x))))
            middle = net.layer3(net.layer2(net.layer1(stem)))
            deep = net.forward_head(net.layer4(middle))
            return {"side": self.side(middle.mean((2, 3))), "deep": deep}

    module = TwoHeads().eval()
    with pytest.raises(gc.CamError, match="it is unclear which part holds the logits"):
        gc.layers(module, images())
    deep = gc.forward(module, images(), output=lambda given: given["deep"])
    side = gc.forward(module, images(), output=lambda given: given["side"])
    assert (deep.layer, side.layer) == ("net.layer4", "net.layer3")
    found = gc.layers(module, images(), output=lambda given: given["side"])
    assert found[-1].layer == "net.layer3"


def test_nothing_of_a_copy_is_left_in_a_network_made_in_inference_mode():
    module = made_in_inference_mode()
    before = {name: id(value) for name, value in module.named_parameters()}
    gc.forward(module, images()).cam(3)
    assert {name: id(value) for name, value in module.named_parameters()} == before
    assert all(value.is_inference() for value in module.parameters())
