"""Convolutions with packed weights give what they give without, however they are used."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.utils import parametrizations, prune

import gradcam_core as gc
from gradcam_core.images.prepare import prepare
from gradcam_core.models.optimise.packed_conv import PackedConv2d, pack_convolutions
from gradcam_core.upstream import can_pack_weights
from tests.support.photos import EXAMPLES

pytestmark = pytest.mark.skipif(not can_pack_weights(), reason="PyTorch packs no weights here")

SHAPE = 1, 3, 12, 12


def packed_ones(module: nn.Module) -> int:
    parts = (part for part in module.modules() if isinstance(part, PackedConv2d))
    return sum(part.packed is not None for part in parts)


def test_a_loaded_network_packs_at_the_second_photo_and_explains_as_before():
    model = gc.load_model("efficientnet_lite0")
    packed = copy.deepcopy(model.module)
    assert packed_ones(packed) == 0
    plain = copy.deepcopy(packed)
    for part in plain.modules():
        if type(part) is PackedConv2d:
            part.__class__ = nn.Conv2d  # type: ignore[assignment]
    with Image.open(EXAMPLES / "1_cat.jpg") as photo:
        batch = prepare(photo, model.preprocessing).batch
    before = gc.forward(packed, batch)
    assert packed_ones(packed) == 0
    for _ in range(2):
        again, expected = gc.forward(packed, batch), gc.forward(plain, batch)
        assert packed_ones(packed) > 30
        for logits, heat in ((run.logits, run.cam(281)) for run in (before, again)):
            assert torch.allclose(logits, expected.logits, atol=1e-4)
            assert torch.allclose(heat, expected.cam(281), rtol=1e-4, atol=1e-6)


@torch.no_grad()
def packed_and_plain() -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 4, 1, bias=False),
    ).requires_grad_(False)
    packed = copy.deepcopy(plain)
    pack_convolutions(packed)
    for _ in range(2):
        packed(torch.ones(SHAPE))
    assert packed_ones(packed) == 3
    return packed, plain


def with_tangent(net: nn.Module, x: Tensor) -> Tensor | None:
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(net(forward_ad.make_dual(x, x))).tangent


def in_bfloat16(net: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return net(x)


def gradient(net: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x).sum(), x)[0]


def gradient_of_weights(net: nn.Module, x: Tensor) -> Tensor:
    net.requires_grad_(True)(x).sum().backward()
    (found,) = [one.grad for one in net.parameters() if one.shape == (8, 3, 3, 3)]
    assert found is not None
    return found


USES: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "as it is": lambda net, x: net(x),
    "in inference mode": lambda net, x: torch.inference_mode()(net)(x).clone(),
    "another memory format": lambda net, x: net(x.to(memory_format=torch.channels_last)),
    "strided": lambda net, x: net(x.repeat(1, 2, 2, 2)[:, ::2, ::2, ::2]),
    "two pictures": lambda net, x: net(x.repeat(2, 1, 1, 1)),
    "another size": lambda net, x: net(x.repeat(1, 1, 1, 2)),
    "no batch": lambda net, x: net(x[0]),
    "double precision": lambda net, x: net.double()(x.double()),
    "bfloat16": lambda net, x: net.bfloat16()(x.bfloat16()),
    "autocast": in_bfloat16,
    "on meta": lambda net, x: net.to("meta")(x.to("meta")).shape,
    "gradient": gradient,
    "gradient of the weights": gradient_of_weights,
    "forward-mode gradient": with_tangent,
    "jvp": lambda net, x: torch.func.jvp(net, (x,), (x,))[1],
    "vmap": lambda net, x: torch.func.vmap(net)(torch.stack([x, 2 * x])),
    "hessian": lambda net, x: torch.func.hessian(lambda y: net(y).pow(2).sum())(x),
    "a copy": lambda net, x: copy.deepcopy(net)(x),
    "a pickle": lambda net, x: pickle.loads(pickle.dumps(net))(x),
    "traced by fx": lambda net, x: torch.fx.symbolic_trace(net)(x),
    "traced": lambda net, x: torch.jit.trace(net, x)(x),
    "scripted": lambda net, x: torch.jit.script(net)(x),
    "exported": lambda net, x: torch.export.export(net, (x,)).module()(x),
    "compiled": lambda net, x: torch.compile(net, backend="eager")(x),
}


@pytest.mark.parametrize("use", USES)
def test_every_use_gives_what_plain_convolutions_give(use: str):
    packed, plain = packed_and_plain()
    x = torch.randn(SHAPE)
    with warnings.catch_warnings(action="error", category=UserWarning):
        got, expected = USES[use](packed, x), USES[use](plain, x)
    if isinstance(expected, Tensor):
        assert torch.allclose(got, expected, atol=1e-6)
    else:
        assert got == expected


@torch.no_grad()
def test_weights_that_change_are_packed_anew():
    packed, plain = packed_and_plain()
    x = torch.randn(SHAPE)
    (weight, *_), (expected, *_) = packed.parameters(), plain.parameters()
    at_first = copy.deepcopy(plain.state_dict())
    for change in (
        lambda: weight.mul_(2),
        lambda: setattr(weight, "data", weight.data * 3),
        lambda: packed.load_state_dict(at_first),
    ):
        change()
        expected.copy_(weight)
        for _ in range(3):
            assert torch.allclose(packed(x), plain(x), atol=1e-6)
        assert packed_ones(packed) == 3


@torch.no_grad()
def test_computed_weights_are_not_packed():
    module = nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
        prune.l1_unstructured(nn.Conv2d(4, 4, 3), "weight", 0.5),
        nn.Conv2d(4, 4, 3, padding_mode="reflect", padding=1),
        nn.Conv2d(4, 4, 3, padding="same"),
    )
    pack_convolutions(module)
    assert not [part for part in module if isinstance(part, PackedConv2d)]


def test_a_prepared_copy_is_packed_at_once():
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), *head)
    assert packed_ones(gc.prepare(module.eval(), torch.randn(2, 3, 12, 12))) == 2
