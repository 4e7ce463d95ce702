"""A copy that is arranged to run fast gives what the network gives, and leaves it as it is."""

from __future__ import annotations

import gc as garbage
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

import gradcam_core as gc
from gradcam_core.models.optimise.arrange import DenseConv2d
from tests.support.narrow_vgg import NARROW_VGG
from tests.support.networks import quickly_made, scattered

SIDE_PX = 64

# Network: whether it has batch norms behind convolutions.
NETWORKS = {
    "timm resnet18": True,
    f"timm {NARROW_VGG}": True,
    "timm mobilenetv3_small_050": True,
    "timm densenet121": True,
    "timm test_vit": False,
    "torchvision shufflenet_v2_x0_5": True,
}

SMALLER: dict[str, dict[str, Any]] = {
    "densenet": {"block_config": (2, 2, 2, 2)},
    "test_vit": {"img_size": SIDE_PX},
    "resnet18": {"layers": (1, 1, 1, 2)},
}
"""How the large ones are built."""


def built(name: str) -> nn.Module:
    library, _, architecture = name.partition(" ")
    torch.manual_seed(0)
    if library == "torchvision":
        build = partial(torchvision.models.get_model, architecture, num_classes=10)
    else:
        of_kind = (given for kind, given in SMALLER.items() if architecture.startswith(kind))
        build = partial(timm.create_model, architecture, num_classes=10, **next(of_kind, {}))
    return scattered(quickly_made(build))


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def difference(module: nn.Module, copy: nn.Module, batch: Tensor) -> float:
    """Of the logits, as a share of the largest."""
    with torch.no_grad():
        expected, got = module(batch), copy(batch)
    return float((got - expected).abs().max() / expected.abs().max())


def state(module: nn.Module) -> list[object]:
    """All that a copy must leave as it is."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return [
        [(name, one.clone(), one.stride(), one.data_ptr()) for name, one in tensors.items()],
        [(name, one.requires_grad, one.grad) for name, one in module.named_parameters()],
        [(name, id(part), part.training) for name, part in module.named_modules()],
        [(sorted(vars(part)), len(part._forward_hooks)) for part in module.modules()],
    ]


def assert_same_state(now: object, before: object) -> None:
    if isinstance(before, Tensor):
        assert isinstance(now, Tensor)
        assert torch.equal(now, before)
    elif isinstance(before, (list, tuple)):
        assert isinstance(now, (list, tuple))
        for one, other in zip(now, before, strict=True):
            assert_same_state(one, other)
    else:
        assert now == before


@pytest.mark.parametrize("name", NETWORKS)
def test_the_copy_equals_the_network_and_the_network_stays_as_it_is(name: str):
    module = built(name)
    batch = torch.randn(2, 3, SIDE_PX, SIDE_PX)
    before = state(module)
    copy = gc.prepare(module, batch)
    assert_same_state(state(module), before)
    assert difference(module, copy, batch) <= 1e-5
    assert (norms(copy) < norms(module)) is NETWORKS[name]
    assert not copy.training
    assert not any(parameter.requires_grad for parameter in copy.parameters())
    weight = next(one for one in copy.parameters() if one.ndim == 4 and one.shape[1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    names = [name for name, _ in module.named_modules()]
    assert [name for name, _ in copy.named_modules()] == names
    assert gc.layers(copy, batch) == gc.layers(module, batch)
    larger = torch.randn(1, 3, SIDE_PX + (0 if "vit" in name else 31), SIDE_PX)
    got, expected = gc.forward(copy, larger), gc.forward(module, larger)
    assert got.layer == expected.layer
    maps = expected.cam(3)
    assert float((got.cam(3) - maps).abs().max()) <= 1e-3 * float(maps.max())


def test_with_real_weights():
    loaded = gc.load_model("efficientnet_lite0")
    path = loaded.weights.path
    assert path is not None
    module = timm.create_model(loaded.info.architecture).eval()
    values = torch.load(path, weights_only=True).values()  # in timm's order, not with its names
    module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)))
    copy = gc.prepare(module)
    assert norms(copy) == 0
    batch = torch.randn(1, *module.pretrained_cfg["input_size"])
    assert difference(module, copy, batch) <= 1e-5
    assert difference(loaded.module, copy, batch) <= 1e-5


def test_vgg_has_dense_convolutions_as_products():
    copy = gc.prepare(quickly_made(partial(timm.create_model, NARROW_VGG)))
    dense = [name for name, part in copy.named_modules() if isinstance(part, DenseConv2d)]
    assert dense == ["pre_logits.fc1", "pre_logits.fc2"]


def test_a_layer_means_the_same_in_the_copy():
    module = built("timm resnet18")
    module.get_parameter("layer4.1.bn2.weight").data[:7] = 0  # as zero_init_last begins
    batch = torch.randn(2, 3, SIDE_PX, SIDE_PX)
    copy = gc.prepare(module, batch)
    for layer in ("layer4.1.conv2", "layer4.1.bn2", "conv1", "act1"):
        got, expected = gc.forward(copy, batch, layer), gc.forward(module, batch, layer)
        off = 7 if layer == "layer4.1.conv2" else 0  # channels that cannot be told, nor matter
        scale = float(expected.activation.abs().max())
        torch.testing.assert_close(
            got.activation[:, off:], expected.activation[:, off:], atol=1e-4 * scale, rtol=1e-3
        )
        assert not got.activation[:, :off].any()
        for method in ("gradcam", "layercam"):
            maps = expected.cam(3, method)
            torch.testing.assert_close(
                got.cam(3, method), maps, atol=1e-3 * float(maps.max()), rtol=1e-3
            )


def pair(**options: Any) -> list[nn.Module]:
    """A convolution and the batch norm behind it."""
    parts = [nn.Conv2d(8, 8, 3, **options), nn.BatchNorm2d(8)]
    scattered(nn.Sequential(*parts))
    return parts


def network(*parts: nn.Module) -> nn.Sequential:
    """With these parts, which take and give 8 channels, between a stem and a head."""
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    return nn.Sequential(nn.Conv2d(3, 8, 3), *parts, *head).eval()


BATCH = torch.randn(2, 3, 20, 20)


def prepared(module: nn.Module, batch: Tensor = BATCH, most: float = 1e-5) -> nn.Module:
    """The copy, which was compared with the network."""
    copy = gc.prepare(module, batch)
    assert difference(module, copy, batch) <= most
    return copy


def test_a_norm_that_ends_the_last_stage_stays_the_last_feature_map():
    module = network(*pair())
    copy = prepared(module)
    assert norms(copy) == 0
    assert gc.forward(copy, BATCH).layer == gc.forward(module, BATCH).layer == "2"


class Alone(nn.Module):
    """Parts that `run` puts together."""

    def __init__(self, run: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.run = run
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, *self.parts)


class Listed(nn.Sequential):
    """Whose parts cannot be exchanged."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__(*parts)
        self.order = [*parts]

    def forward(self, x: Tensor) -> Tensor:
        for part in self.order:
            x = part(x)
        return x


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


class Doubled(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x).relu()


class Plain(nn.Conv2d):
    """Another class that computes what its own does."""


def hooked(part: nn.Module) -> nn.Module:
    part.register_forward_hook(lambda _part, _inputs, output: output * 2)
    return part


def norm_twice() -> nn.Module:
    conv, norm = pair()
    return Alone(lambda x, one, two, _: two(one(x)), conv, norm, norm)


NOT_FOLDED: dict[str, Callable[[], nn.Module]] = {
    "its input is read elsewhere, too": lambda: Alone(
        lambda x, conv, norm: norm(y := conv(x)) + y, *pair()
    ),
    "its input is changed in place before": lambda: Alone(
        lambda x, conv, norm: norm(conv(x).relu_()), *pair()
    ),
    "the convolution runs twice": lambda: Alone(
        lambda x, conv, norm: norm(conv(x)) + conv(-x), *pair()
    ),
    "the norm runs twice": lambda: Alone(
        lambda x, conv, norm: norm(conv(x)) + norm(x[..., 2:, 2:]), *pair()
    ),
    "the norm has two names": norm_twice,
    "no statistics": lambda: nn.Sequential(pair()[0], nn.BatchNorm2d(8, track_running_stats=False)),
    "a hook on the convolution": lambda: nn.Sequential(hooked(pair()[0]), pair()[1]),
    "a hook on the norm": lambda: nn.Sequential(pair()[0], hooked(pair()[1])),
    "weight_norm": lambda: nn.Sequential(parametrizations.weight_norm(pair()[0]), pair()[1]),
    "spectral_norm": lambda: nn.Sequential(parametrizations.spectral_norm(pair()[0]), pair()[1]),
    "weight_norm of old": lambda: nn.Sequential(weight_norm(pair()[0]), pair()[1]),
    "spectral_norm of old": lambda: nn.Sequential(spectral_norm(pair()[0]), pair()[1]),
    "pruned": lambda: nn.Sequential(
        prune.l1_unstructured(pair()[0], "weight", amount=0.5), pair()[1]
    ),
    "a convolution that computes its weights": lambda: nn.Sequential(
        Standardised(8, 8, 3), pair()[1]
    ),
    "a norm that does more": lambda: nn.Sequential(pair()[0], Doubled(8)),
    "what runs is held in a list": lambda: Listed(*pair()),
}


@pytest.mark.parametrize("case", NOT_FOLDED)
def test_what_must_not_be_folded_is_not(case: str):
    module = network(NOT_FOLDED[case]())
    copy = prepared(module)
    assert norms(copy) == norms(module)


FOLDED: dict[str, Callable[[], nn.Module]] = {
    "a class that computes the same": lambda: nn.Sequential(Plain(8, 8, 3), pair()[1]),
    "no affine values": lambda: nn.Sequential(pair()[0], nn.BatchNorm2d(8, affine=False)),
    "no bias, groups, strides": lambda: nn.Sequential(*pair(bias=False, groups=4, stride=2)),
    "padding by reflection": lambda: nn.Sequential(*pair(padding=1, padding_mode="reflect")),
    "padding by name": lambda: nn.Sequential(*pair(padding="same", dilation=2)),
    "inputs by name": lambda: Alone(lambda x, conv, norm: norm(input=conv(input=x)), *pair()),
    "data decide what runs": lambda: Alone(
        lambda x, conv, norm: norm(conv(x)) if float(x.mean()) < 9 else x, *pair()
    ),
}


@pytest.mark.parametrize("case", FOLDED)
def test_what_can_be_folded_is(case: str):
    assert norms(prepared(network(FOLDED[case]()))) == 0


def test_a_convolution_that_is_returned_as_it_is_is_not_folded():
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = pair()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = self.conv(x.repeat(1, 3, 1, 1)[:, :8])
            return {"logits": self.norm(y).mean((2, 3)), "features": y}

    assert norms(gc.prepare(Both().eval(), BATCH)) == 1


def test_one_convolution_under_two_norms_and_shared_dense_ones():
    conv, one, two = *pair(), pair()[1]
    dense = nn.Conv2d(8, 8, 1)
    module = network(
        Alone(lambda x, conv, one, two: one(conv(x)) + two(conv(x)), conv, one, two),
        nn.AdaptiveAvgPool2d(1),
        dense,
        dense,
    )
    assert norms(prepared(module)) == 2


@pytest.mark.parametrize(
    ("dtype", "left"), [(torch.float64, 0), (torch.bfloat16, 1), (torch.float16, 1)]
)
def test_only_single_and_double_precision_is_folded(dtype: torch.dtype, left: int):
    module = network(*pair()).to(dtype)
    copy = gc.prepare(module, BATCH.to(dtype))
    assert norms(copy) == left
    assert difference(module, copy, BATCH.to(dtype)) <= (1e-5 if not left else 0.01)


def test_signals_and_volumes():
    for conv, norm, pool, sides in (
        (nn.Conv1d, nn.BatchNorm1d, nn.AdaptiveAvgPool1d, 1),
        (nn.Conv3d, nn.BatchNorm3d, nn.AdaptiveAvgPool3d, 3),
    ):
        module = nn.Sequential(conv(2, 4, 3), norm(4), nn.ReLU(), pool(1), nn.Flatten()).eval()
        batch = torch.randn(1, 2, *[12] * sides)
        assert difference(module, gc.prepare(module, batch), batch) <= 1e-5
        with pytest.raises(gc.CamError, match="Give batch="):
            gc.prepare(module)


def test_of_a_compiled_network_the_network_is_copied():
    copy = gc.prepare(torch.compile(network(*pair())), BATCH)  # type: ignore[arg-type]
    assert type(copy) is nn.Sequential
    assert norms(copy) == 0


def test_several_inputs():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = pair()

        def forward(self, x: Tensor, factor: Tensor) -> Tensor:
            return self.norm(self.conv(x.repeat(1, 3, 1, 1)[:, :8])).mean((2, 3)) * factor

    assert norms(gc.prepare(Two().eval(), (BATCH, torch.rand(2, 1)))) == 0


def test_a_network_of_chance_is_copied_as_it_is():
    module = network(Alone(lambda x: x + torch.rand_like(x)), *pair())
    assert norms(gc.prepare(module, BATCH)) == 1


def test_a_network_that_gives_nothing_but_zeros_is_copied_as_it_is():
    module = network(*pair())
    nn.init.zeros_(module.get_parameter("5.weight"))
    nn.init.zeros_(module.get_parameter("5.bias"))
    assert norms(gc.prepare(module, BATCH)) == 1


def test_gradients_and_computed_values_are_left():
    module = network(*pair())
    module(BATCH).sum().backward()
    vars(module)["kept"] = (
        module.get_parameter("0.weight") * 2
    )  # a value of a graph, which refuses to be copied
    before = state(module)
    copy = prepared(module)
    assert_same_state(state(module), before)
    assert not any(parameter.grad is not None for parameter in copy.parameters())


def test_prepared_in_inference_mode_it_still_has_gradients():
    with torch.inference_mode():
        copy = gc.prepare(network(*pair()), BATCH)
    assert gc.forward(copy, BATCH, "0").cam(1).shape == (2, 18, 18)


def with_lock() -> nn.Module:
    module = network(*pair())
    vars(module)["lock"] = threading.Lock()
    return module


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "training": (lambda: network(*pair()).train(), "in training mode"),
    "a norm in training": (lambda: network(pair()[0], pair()[1].train()), "in training mode"),
    "scripted": (lambda: torch.jit.script(network(*pair())), "TorchScript"),
    "a compiled part": (lambda: network(torch.compile(pair()[0])), "torch.compile"),  # type: ignore[arg-type]
    "quantised": (
        lambda: torch.ao.quantization.quantize_dynamic(network(*pair()), {nn.Linear}),
        "quantised",
    ),
    "without values": (lambda: network(*pair()).to("meta"), "no values"),
    "lazy": (lambda: network(nn.LazyConv2d(8, 3)), "lazy"),
    "a lock": (with_lock, "cannot be copied"),
    "a function": (lambda: len, "torch.nn.Module"),
    "other channels": (lambda: network(*pair())[1:].eval(), "does not accept this batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_prepared_gets_a_sentence(case: str):
    make, sentence = REFUSED[case]
    module = make()
    if case == "a norm in training":
        module[2].train()  # type: ignore[index]
    with pytest.raises(gc.CamError, match=sentence) as caught:
        gc.prepare(module, BATCH)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def tensors() -> int:
    garbage.collect()
    return sum(isinstance(one, Tensor) for one in garbage.get_objects())


def test_nothing_keeps_a_network_that_nobody_has_any_more():
    module = network(*pair())
    copy = gc.prepare(module, BATCH)
    runs = [gc.forward(one, BATCH, layer) for one in (module, copy) for layer in (None, "1")]
    runs[0].cam(1)
    runs[1].cam(1, "ablationcam")
    with pytest.raises(gc.CamError):
        gc.forward(module, BATCH, "nonsense")
    without = nn.Sequential(nn.Flatten(), nn.Linear(1200, 3)).eval()
    with pytest.raises(gc.CamError):
        gc.layers(without, BATCH)
    known = [
        weakref.ref(one)
        for one in (module, copy, without, runs[0], *module.modules(), *copy.modules())
    ]
    del module, copy, without, runs
    garbage.collect()
    assert [one() for one in known] == [None] * len(known)


def test_passes_leave_nothing_behind():
    module = gc.prepare(network(*pair()), BATCH)
    without = nn.Sequential(nn.Flatten(), nn.Linear(1200, 3)).eval()

    def use(times: int) -> None:
        for _ in range(times):
            gc.forward(module, BATCH).cam(1)
            gc.forward(module, BATCH, "1").cam(1)
            with pytest.raises(gc.CamError):
                gc.layers(without, BATCH)

    use(2)
    before = tensors()
    use(20)
    assert tensors() == before
