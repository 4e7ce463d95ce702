"""Convolutions with packed weights give what they give without, however they are used."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from functools import partial
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


def test_a_prepared_copy_has_the_same_maps_with_packed_weights():
    model = gc.load_model("efficientnet_lite0")
    with Image.open(EXAMPLES / "1_cat.jpg") as photo:
        batch = prepare(photo, model.preprocessing).batch
    fast = gc.prepare(model.module, batch.repeat(2, 1, 1, 1))
    assert packed_ones(fast) > 30
    assert packed_ones(model.module) == 0
    got, expected = gc.forward(fast, batch), gc.forward(model.module, batch)
    assert torch.allclose(got.logits, expected.logits, atol=1e-4)
    assert torch.allclose(got.cam(281), expected.cam(281), rtol=1e-4, atol=1e-6)


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
    pack_convolutions(packed, lambda: packed(torch.ones(SHAPE)))
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


def gradient_of_biases(net: nn.Module, x: Tensor) -> Tensor:
    biases = [one.requires_grad_() for name, one in net.named_parameters() if "bias" in name]
    return torch.cat(torch.autograd.grad(net(x).sum(), biases))


def tangent_of_weights(net: nn.Module, x: Tensor) -> Tensor:
    weights = dict(net.named_parameters())
    run = partial(torch.func.functional_call, net, args=(x,))
    return torch.func.jvp(run, (weights,), (weights,))[1]


def packed_again(net: nn.Module, x: Tensor) -> Tensor:
    pack_convolutions(net, lambda: net(x))
    return net(x)


def several_weights(net: nn.Module, x: Tensor) -> Tensor:
    stacked = {name: torch.stack([one, 2 * one]) for name, one in net.named_parameters()}
    return torch.vmap(lambda weights: torch.func.functional_call(net, weights, (x,)))(stacked)


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
    "gradient of the biases": gradient_of_biases,
    "forward-mode gradient": with_tangent,
    "tangent of the weights": tangent_of_weights,
    "several weights": several_weights,
    "packed again": packed_again,
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
def test_weights_that_change_are_not_those_that_were_packed():
    changes: list[Callable[[nn.Module, Tensor], object]] = [
        lambda net, weight: weight.mul_(2),
        lambda net, weight: setattr(weight, "data", weight.data * 3),
        lambda net, weight: weight.data.mul_(-1),
        lambda net, weight: net.load_state_dict({k: v + 1 for k, v in net.state_dict().items()}),
    ]
    for change in changes:
        packed, plain = packed_and_plain()
        change(packed, next(packed.parameters()))
        plain.load_state_dict(packed.state_dict())
        x = torch.randn(SHAPE)
        assert torch.allclose(packed(x), plain(x), atol=1e-5)


@torch.no_grad()
def test_computed_weights_are_not_packed():
    module = nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(3, 4, 3)),
        prune.l1_unstructured(nn.Conv2d(4, 4, 3), "weight", 0.5),
        nn.Conv2d(4, 4, 3, padding_mode="reflect", padding=1),
        nn.Conv2d(4, 4, 3, padding="same"),
    )
    pack_convolutions(module, lambda: module(torch.ones(SHAPE)))
    assert not [part for part in module if isinstance(part, PackedConv2d)]
