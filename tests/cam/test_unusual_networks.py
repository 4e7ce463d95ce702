"""Networks that do what few do: the map is that of plain autograd, or there is a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, relu
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import gradcam_core as gc


@pytest.fixture(autouse=True)
def _the_same_weights_each_time():
    torch.manual_seed(0)


class Net(nn.Module):
    """A network of these parts, which does what the function says."""

    def __init__(self, run: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.run = run

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.run(self, *inputs, **named)


def conv(before: int = 8, after: int = 8) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)


def net(run: Callable[..., Any], **parts: nn.Module) -> Net:
    return Net(run, first=conv(3), head=nn.Linear(8, 5), **parts).eval()


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def same(got: Tensor, expected: Tensor) -> None:
    assert expected.max() > 0
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.max()))


def pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def literal(module: nn.Module, layer: str, target: int = 1, is_last: bool = False) -> Tensor:
    """Grad-CAM by autograd through the whole network, of one image after the other."""
    maps = []
    for image in images().split(1):
        kept: list[Any] = []
        part: Any = module.get_submodule(layer)
        hook = part.register_forward_hook(lambda *call, kept=kept: kept.append(call[-1]))
        logits = module(image.requires_grad_())
        hook.remove()
        (gradient,) = torch.autograd.grad(logits[0, target], kept[0])
        found, gradient = (
            one.movedim(-1, 1) if is_last else one for one in (kept[0].detach(), gradient)
        )
        maps.append((gradient.mean((2, 3), keepdim=True) * found).sum(1).relu())
    return torch.cat(maps)


def in_place_alone(self: Any, x: Tensor) -> Tensor:
    y = self.first(x)
    self.act(y)
    return self.head(pooled(y).tanh())


def in_place_beside(self: Any, x: Tensor) -> Tensor:
    y = self.first(x)
    return self.head(pooled((self.second(self.act(y)) + y).tanh()))


def with_a_shortcut(self: Any, x: Tensor) -> Tensor:
    y = self.first(x).relu()
    return self.head(pooled((self.second(y) + self.act(y)).tanh()))


def partly_before(self: Any, x: Tensor) -> Tensor:
    y = self.second(self.first(x).relu())
    row = y[:, :, 0]
    return self.head((pooled(self.act(y)) + row.mean(-1)).tanh())


def kept_by_a_hook() -> Net:
    kept: list[Tensor] = []

    def run(self: Any, x: Tensor) -> Tensor:
        kept.clear()
        y = self.second(self.first(x))
        return self.head((pooled(y) + pooled(kept[0])).tanh())

    module: Any = net(run, second=conv())
    module.first.register_forward_hook(lambda _, __, output: kept.append(output))
    return module


def channels_last(self: Any, x: Tensor) -> Tensor:
    y = self.part(self.first(x).movedim(1, -1)).movedim(-1, 1)
    return self.head(pooled(self.second(y).tanh()))


def dense_channels_last(self: Any, x: Tensor) -> Tensor:
    return self.part(self.second(self.first(x).relu()).movedim(1, -1)).tanh().mean((1, 2))


class WithParts(nn.Conv2d):
    """As detectron2's convolutions, which have their norm within."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, padding=1)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x)).relu()


def in_a_row(self: Any, x: Tensor) -> Tensor:
    return self.head(pooled(self.second(self.first(x).relu()).tanh()))


def weight_normed() -> Net:
    module: Any = net(in_a_row, second=parametrizations.weight_norm(conv()))
    parametrizations.spectral_norm(module.first)
    return module.eval()


def with_its_own_gradients(self: Any, x: Tensor) -> Tensor:
    with torch.enable_grad():
        given = x if x.requires_grad else x.detach().requires_grad_()
        total = self.first(given).relu().sum()
        (gradient,) = torch.autograd.grad(total, given, create_graph=True)
    return in_a_row(self, x + gradient)


def of_two_names() -> Net:
    module: Any = net(lambda self, x: self.norm(in_a_row(self, x)), second=conv())
    module.norm, module.also = nn.LayerNorm(5).eval(), module.second
    return module


RIGHT: dict[str, tuple[Callable[[], Net], str | None, bool]] = {
    "in place, without its result": (lambda: net(in_place_alone, act=nn.ReLU(True)), None, False),
    "in place, its input read": (
        lambda: net(in_place_beside, act=nn.ReLU(True), second=conv()),
        None,
        False,
    ),
    "no change, its input read": (
        lambda: net(in_place_beside, act=nn.Dropout(), second=conv()),
        "act",
        False,
    ),
    "a shortcut that runs last": (
        lambda: net(with_a_shortcut, act=nn.Sequential(), second=conv()),
        None,
        False,
    ),
    "a part taken before it is passed on": (
        lambda: net(partly_before, act=nn.Dropout(), second=conv()),
        None,
        False,
    ),
    "a part taken before a layer that is named": (
        lambda: net(partly_before, act=nn.Dropout(), second=conv()),
        "act",
        False,
    ),
    "a part taken before it is changed in place": (
        lambda: net(partly_before, act=nn.ReLU(True), second=conv()),
        None,
        False,
    ),
    "kept by a hook": (kept_by_a_hook, "first", False),
    "norm with channels last": (
        lambda: net(channels_last, part=nn.LayerNorm(8), second=conv()),
        "part",
        True,
    ),
    "activation with channels last": (
        lambda: net(channels_last, part=nn.GELU(), second=conv()),
        "part",
        True,
    ),
    "dense with channels last": (
        lambda: net(dense_channels_last, part=nn.Linear(8, 5), second=conv()),
        "part",
        True,
    ),
    "computed weights": (weight_normed, None, False),
    "its own gradients": (lambda: net(with_its_own_gradients, second=conv()), None, False),
    "a layer of two names": (of_two_names, "also", False),
    "convolutions with parts": (lambda: net(in_a_row, second=WithParts(8, 8)), None, False),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_the_map_is_the_formulas(kind: str):
    make, layer, is_last = RIGHT[kind]
    module = make()
    run = gc.forward(module, images(), layer)
    same(run.cam(1), literal(module, run.layer, is_last=is_last))


def test_as_many_channels_as_places_are_not_taken_for_places():
    def run(self: Any, x: Tensor) -> Tensor:
        y = self.norm(self.pool(self.first(x)).movedim(1, -1)).movedim(-1, 1)
        return self.head(pooled(y.tanh()))

    module = net(run, pool=nn.AvgPool2d(4), norm=nn.LayerNorm(8))
    same(gc.forward(module, images(), "norm").cam(1), literal(module, "norm", is_last=True))


def routed(self: Any, x: Tensor) -> Tensor:
    y = self.first(x)
    bright = x.mean((1, 2, 3)) > 0
    found = torch.zeros_like(y)
    for rows, expert in ((bright, self.one), (~bright, self.other)):
        if rows.any():
            found[rows] = expert(y[rows])
    return self.head(pooled(found.tanh()))


@pytest.mark.parametrize("layer", [None, "one"])
def test_an_expert_that_sees_some_of_the_images_is_refused(layer: str | None):
    module = net(routed, one=conv(), other=conv())
    batch = images(4) + torch.tensor([1.0, -1, 1, -1]).view(-1, 1, 1, 1)
    with pytest.raises(gc.CamError, match=r"gives \[2, 8, 32, 32\] for 4 images"):
        gc.forward(module, batch, layer)
    assert gc.forward(module, batch[:1], layer).cam(1).shape == (1, 32, 32)


def test_images_that_mix_are_refused():
    norm = nn.BatchNorm2d(8, track_running_stats=False)
    module = net(in_a_row, second=nn.Sequential(norm, conv()))
    with pytest.raises(gc.CamError, match=r"'second.0' .* which mixes images"):
        gc.forward(module, images())
    run = gc.forward(module, images(1), "first")
    same(run.cam(1), literal(module, "first")[:1])
    with pytest.raises(gc.CamError, match="which mixes images"):
        run.cam(1, "ablationcam")


MIXING: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "batch statistics": lambda self, y: self.head(
        pooled(batch_norm(y, None, None, training=True).relu())
    ),
    "attention": lambda self, y: self.head((pooled(y) @ pooled(y).T).softmax(1) @ pooled(y)),
    "the first image": lambda self, y: self.head(pooled(y) * pooled(y[:1])),
    "the largest": lambda self, y: self.head(pooled(y) / y.amax()),
}


@pytest.mark.parametrize("kind", MIXING)
def test_images_that_mix_behind_the_layer_are_refused_together(kind: str):
    module = net(
        lambda self, x: MIXING[kind](self, self.second(self.first(x).relu())), second=conv()
    )
    run = gc.forward(module, images())
    for targets in (1, lambda given: given[:, 1]):
        with pytest.raises(gc.CamError, match=r"images of a batch mix: .* 'second' of another"):
            run.cam(targets)
    alone = images()[:1]
    same(gc.forward(module, alone).cam(1), literal(module, "second")[:1])


def test_a_target_that_mixes_the_images_is_refused():
    run = gc.forward(net(in_a_row, second=conv()), images())
    with pytest.raises(gc.CamError, match="images of a batch mix"):
        run.cam(lambda given: given[:, 1] - given[:, 1].mean())
    assert run.cam(lambda given: given[:, 1]).shape == (2, 32, 32)


def test_a_network_without_classes_is_told():
    module = net(
        lambda self, x: self.head(pooled(self.second(self.first(x))))[:, :0], second=conv()
    )
    with pytest.raises(gc.CamError, match=r"gives \[2, 0\]: no classes"):
        gc.forward(module, images(), "second").cam()


def test_weights_that_were_changed_meanwhile_are_told():
    module: Any = net(in_a_row, second=conv())
    run = gc.forward(module, images(), "first")
    with torch.no_grad():
        module.head.weight.add_(1)
    for method in ("gradcam", "ablationcam"):
        with pytest.raises(gc.CamError, match="weights have changed since the forward pass"):
            run.cam(1, method)


@pytest.mark.parametrize(
    "elsewhere",
    [
        lambda y: torch.fft.rfft2(y).abs(),
        lambda y: torch.einsum("ncp,ncq->npq", *[nn.functional.avg_pool2d(y, 4).flatten(2)] * 2),
    ],
)
def test_frequencies_and_pairs_of_places_are_no_places(elsewhere: Callable[[Tensor], Tensor]):
    def run(self: Any, x: Tensor) -> Tensor:
        y = elsewhere(self.first(x))
        return self.head(pooled(self.second(y if y.ndim == 4 else y[:, None]).tanh()))

    channels = 8 if elsewhere(torch.rand(1, 8, 4, 4)).ndim == 4 else 1
    module = net(run, second=conv(channels))
    found = gc.forward(module, images())
    assert found.layer == "first"
    same(found.cam(1), literal(module, "first"))


def test_what_a_fourier_transform_leads_back_from_has_places():
    def run(self: Any, x: Tensor) -> Tensor:
        y = torch.fft.irfft2(torch.fft.rfft2(self.first(x)) * self.filter.weight[0, 0])
        return self.head(pooled(self.second(y).tanh()))

    module = net(run, second=conv(), filter=nn.Conv2d(1, 1, (32, 17)))
    assert gc.forward(module, images()).layer == "second"
    with pytest.raises(gc.CamError, match="as behind a Fourier transform"):
        gc.forward(
            net(lambda self, x: in_a_row(self, torch.fft.fft2(x).abs()), second=conv()), images()
        )


def test_a_call_that_the_logits_do_not_use_is_told():
    def run(self: Any, x: Tensor) -> Any:
        return {"logits": self.head(pooled(self.first(x).tanh())), "aux": self.first(x.flip(3))}

    module = net(run, norm=nn.LayerNorm(8))
    assert gc.forward(module, images()).layer == "first"
    with pytest.raises(gc.CamError, match=r"32\], but no feature map that the logits depend on"):
        gc.forward(module, images(), "first#2")


def test_a_backward_pass_that_the_network_itself_prevents_is_told():
    def run(self: Any, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.head(pooled(self.act(y).add_(y)))

    run_of = gc.forward(net(run, act=nn.Sigmoid()), images(), "first")
    with pytest.raises(gc.CamError, match=r"gradients cannot be computed \(.*modified by an inpla"):
        run_of.cam(1)


def test_complex_maps_and_lazy_parts_are_told():
    def run(self: Any, x: Tensor) -> Tensor:
        return self.head(pooled(self.waves(x.to(torch.cfloat)).abs()))

    module = net(run, waves=nn.Conv2d(3, 8, 3, dtype=torch.cfloat))
    with pytest.raises(gc.CamError, match="'waves' gives complex numbers"):
        gc.forward(module, images())
    with pytest.raises(gc.CamError, match="lazy modules without values"):
        gc.forward(nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU()).eval(), images())


def test_whatever_a_network_raises_is_told():
    with pytest.raises(gc.CamError, match=r"does not accept this batch.*no attribute 'pixels'"):
        gc.forward(net(lambda self, x: self.first(x.pixels)), images())


def test_a_network_for_so_many_images_is_told_so():
    def run(self: Any, x: Tensor) -> Tensor:
        return self.head(pooled(self.second(self.first(x)).relu()).view(2, 8))

    module = net(run, second=conv())
    with pytest.raises(
        gc.CamError, match=r"accepts these 2 images but not a single.* Name a layer="
    ):
        gc.forward(module, images())
    with pytest.raises(gc.CamError, match=r"does not accept this batch, \[3, 3, 32, 32\]"):
        gc.forward(module, images(3))
    assert gc.forward(module, images(), "second").cam(1).shape == (2, 32, 32)


def test_a_word_or_number_among_the_inputs_may_choose_the_way():
    def run(self: Any, x: Tensor, deep: bool) -> Tensor:
        y = self.first(x)
        return self.head(pooled((self.second(y) if deep else y).tanh()))

    module = net(run, second=conv())
    found = [gc.forward(module, {"x": images(), "deep": deep}).layer for deep in (False, True)]
    assert found == ["first", "second"]


NOISY: list[dict[str, Any]] = [
    {"smooth": "noise"},
    {"method": "smoothgradcam++"},
    {"method": "sscam"},
]


def test_bytes_get_noise_as_floats_do():
    def run(self: Any, x: Tensor) -> Tensor:
        return self.head(pooled(self.first(x.float() / 255).tanh()))

    module = net(run)
    given = (torch.rand(2, 3, 32, 32) * 255).byte()
    runs = [gc.forward(module, one, "first") for one in (given, given.float())]
    for options in NOISY:
        got, expected = (one.cam(1, **options) for one in runs)
        same(got, expected)
    with pytest.raises(gc.CamError, match="only floats have gradients"):
        gc.guided_gradcam(module, given, 1, "first")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_function_within_a_network_runs_as_it_was_written():
    module = net(in_a_row, second=conv())
    expected = gc.forward(module, images(), "first").cam(1)
    module.run = torch.compile(in_a_row, backend="aot_eager")
    run = gc.forward(module, images(), "first")
    same(run.cam(1), expected)
    same(run.cam(1), expected)  # such code frees what a second backward pass needs


def test_guided_gradcam_says_what_it_does_not_take():
    def run(self: Any, x: Tensor) -> Tensor:
        def part(y: Tensor) -> Tensor:
            return relu(self.second(relu(self.first(y))))

        return self.head(pooled(checkpoint(part, x, use_reentrant=False)))

    def frozen(self: Any, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.first(x)
        return self.head(pooled(self.second(y).relu()))

    with pytest.raises(gc.CamError, match="gradients cannot be computed"):
        gc.guided_gradcam(net(frozen, second=conv()), images(), 1, "second")
    module = net(run, second=conv())
    with pytest.raises(gc.CamError, match="switch checkpointing off"):
        gc.guided_gradcam(module, images(), 1)
    with pytest.raises(gc.CamError, match="explains one layer"):
        gc.guided_gradcam(module, images(), 1, ["first", "second"])  # type: ignore[arg-type]


def test_an_array_of_one_number_is_a_class_and_a_call_0_is_none():
    import numpy as np

    module = net(in_a_row, second=conv())
    run = gc.forward(module, images())
    classes: Any = np.array(3), np.array(2)
    same(run.cam(classes[0], contrast=classes[1]), run.cam(3, contrast=2))
    for name in ("second#0", "second#"):
        with pytest.raises(gc.CamError, match="names no call"):
            gc.forward(module, images(), name)
