"""Networks of which a part is TorchScript, which takes no hooks."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

import gradcam_core as gc
from tests.support.networks import scattered


def network() -> nn.Module:
    torch.manual_seed(0)
    return scattered(timm.create_model("test_resnet", num_classes=5)).eval()


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def with_part(name: str, how: str) -> nn.Module:
    module = network()
    part = module.get_submodule(name)
    given: list[Tensor] = []
    hook = part.register_forward_hook(lambda _, inputs, __: given.append(inputs[0].detach()))
    module(images())
    hook.remove()
    made = torch.jit.script(part) if how == "scripted" else torch.jit.trace(part, given[0])
    setattr(module, name, made)
    return module


WAYS = pytest.mark.parametrize("how", ["scripted", "traced"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@WAYS
@pytest.mark.parametrize("part", ["layer3", "layer4"])
def test_one_that_may_give_maps_is_named(part: str, how: str):
    module = with_part(part, how)
    for layer in (None, part, f"{part}.0"):
        with pytest.raises(gc.CamError, match=f"part {part!r} of the network is TorchScript"):
            gc.forward(module, images(), layer)
    with pytest.raises(gc.CamError, match="give the module that it was made from"):
        gc.layers(module, images())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("part", "layer", "how"),
    [("layer2", "layer4", "scripted"), ("layer4", "layer3", "traced"), ("fc", None, "scripted")],
)
def test_one_elsewhere_leaves_the_map_as_it_is(part: str, layer: str | None, how: str):
    run = gc.forward(with_part(part, how), images(), layer)
    expected = gc.forward(network(), images(), layer)
    assert run.layer == expected.layer
    for method in ("gradcam", "ablationcam"):
        torch.testing.assert_close(
            run.cam(2, method), expected.cam(2, method), rtol=1e-3, atol=1e-6
        )
