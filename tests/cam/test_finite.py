"""What is not a number gets a sentence that says where it began, and no map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import gradcam_core as gc
from tests.support.networks import scattered


def convolutions() -> Any:
    torch.manual_seed(0)
    return scattered(timm.create_model("test_resnet", num_classes=10)).eval()


def tokens() -> Any:
    torch.manual_seed(0)
    sizes = {"img_size": 64, "embed_dim": 48, "num_heads": 3, "depth": 3}
    return scattered(timm.create_model("vit_tiny_patch16_224", num_classes=10, **sizes)).eval()


def images(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("make", "wrong", "value"), [(convolutions, 1, torch.nan), (tokens, 0, torch.inf)]
)
def test_one_image_that_is_not_finite_is_named_and_the_others_have_their_maps(
    make: Callable[[], Any], wrong: int, value: float
):
    module, batch = make(), images()
    expected = gc.forward(module, batch).cam(1)
    batch[wrong, 0, 3, 5] = value
    run = gc.forward(make(), batch)
    words = rf"The batch of the image {wrong} \(counted from 0\) has values that are not finite"
    for method in ("gradcam", "layercam", "ablationcam"):
        with pytest.raises(gc.CamError, match=words):
            run.cam(1, method)
    maps = run.cam(1, allow_nan=True)
    others = [n for n in range(3) if n != wrong]
    torch.testing.assert_close(maps[others], expected[others])
    single = run.split()
    torch.testing.assert_close(single[2].cam(1), expected[2:])
    with pytest.raises(gc.CamError, match=r"^The batch has values .* Check the values"):
        single[wrong].cam(1)


def test_where_the_logit_is_no_number_the_map_is_none_though_its_gradient_is():
    module = convolutions()
    module.fc.bias.data[3] = torch.nan
    run = gc.forward(module, images(1))
    with pytest.raises(gc.CamError, match="The score has values that are not finite"):
        run.cam(3)
    assert run.cam(4).max() > 0
    assert run.cam().max() > 0  # the most probable of those that have a number


def test_classes_that_are_masked_with_minus_infinity_hinder_no_other():
    class Masked(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x).index_fill(1, torch.tensor([0, 7]), -torch.inf)

    for module in (convolutions(), tokens()):
        run = gc.forward(Masked(module).eval(), images(1))
        torch.testing.assert_close(run.cam(4), gc.forward(module, images(1)).cam(4))
        with pytest.raises(gc.CamError, match="The score has values that are not finite"):
            run.cam(7)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_what_overflows_in_float16_says_so(kind: torch.dtype):
    module = convolutions()
    module.layer4[0].bn2.weight.data *= 1e6
    batch = images(1)
    with torch.no_grad():
        assert module(batch).isfinite().all()
    run = gc.forward(module.to(kind), batch.to(kind))
    if kind is torch.bfloat16:
        assert run.cam(1).isfinite().all()
    else:
        with pytest.raises(gc.CamError, match=r"The activation has .* In float16 .* bfloat16"):
            run.cam(1)


def test_several_layers_smoothing_and_functions_too():
    module, batch = convolutions(), images(2)
    batch[1] = torch.nan
    words = "not finite"
    with pytest.raises(gc.CamError, match=words):
        gc.forward(module, batch, ["layer3", "layer4"]).cam(1)
    run = gc.forward(module, batch)
    for options in ({"smooth": "flips"}, {"signed": True}, {"contrast": 2}):
        with pytest.raises(gc.CamError, match=words):
            run.cam(1, **options)
    with pytest.raises(gc.CamError, match=words):
        run.cam(lambda logits: logits.exp().sum(1))
    with pytest.raises(gc.CamError, match=words):
        gc.guided_gradcam(module, batch, 1)


def test_a_network_of_tokens_with_weights_that_are_no_numbers():
    module = tokens()
    module.blocks[0].mlp.fc1.weight.data[0] = torch.nan
    with pytest.raises(gc.CamError, match="The network's output has values that are not finite"):
        gc.forward(module, images(1))
