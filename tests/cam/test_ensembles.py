"""Several networks in one: explained where all that the logits are made from goes through one map,
and else refused with a sentence that names the maps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import gradcam_core as gc
from tests.support.networks import scattered


def trained(module: nn.Module) -> Any:
    """As after training: no weight is all 0, as heads are before."""
    for parameter in scattered(module).parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return module.eval()


def vit(depth: int = 3) -> Any:
    sizes = {"img_size": 64, "embed_dim": 48, "num_heads": 3, "depth": depth}
    return trained(timm.create_model("vit_tiny_patch16_224", num_classes=10, **sizes))


def swin() -> Any:
    sizes = {"img_size": 64, "window_size": 4, "depths": (1, 1), "embed_dim": 24}
    return trained(timm.create_model("swin_tiny_patch4_window7_224", num_classes=10, **sizes))


def convolutions() -> Any:
    return trained(timm.create_model("test_resnet", num_classes=10))


class Together(nn.Module):
    """Networks, with what the function makes of them and of further parts."""

    def __init__(self, run: Callable[..., Any], *nets: nn.Module, **parts: nn.Module) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        for name, part in parts.items():
            self.add_module(name, part)
        self.run = run

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)


def each(fold: Callable[[list[Tensor]], Any]) -> Callable[..., Any]:
    return lambda self, x: fold([net(x) for net in self.nets])


def largest(logits: list[Tensor]) -> Tensor:
    return torch.stack(logits).amax(0)


def of_features(self: Any, x: Tensor) -> Tensor:
    return self.fc(torch.cat([net.forward_features(x).mean(1) for net in self.nets], dim=1))


def gated_by_the_picture(self: Any, x: Tensor) -> Tensor:
    return self.nets[0](x) * self.gate(x.mean((2, 3))).sigmoid()


def with_its_flip(self: Any, x: Tensor) -> Tensor:
    return self.nets[0](x) + self.nets[0](x.flip(-1))


def in_the_head(self: Any, x: Tensor) -> Tensor:
    first, second = self.nets
    tokens = first.forward_features(x) * self.fc(second(x))[:, None]
    return first.forward_head(tokens)


def behind_one_stem(self: Any, x: Tensor) -> Tensor:
    y = self.stem(x)
    return self.nets[0](y) + self.nets[1](y)


def two_tails(self: Any, x: Tensor) -> Tensor:
    y = self.nets[0].forward_features(x)
    return self.fc(self.one(y).mean(1)) + self.fc(self.other(y).mean(1))


def two_last_stages(self: Any, x: Tensor) -> Tensor:
    first, second = self.nets
    y = first.layers[0](first.patch_embed(x))
    return sum(net.head(net.norm(net.layers[1](y))) for net in (first, second))


def one_after_the_other(self: Any, x: Tensor) -> Tensor:
    first, second = self.nets
    picture = self.up(first.forward_features(x)[:, 1:].mT.unflatten(2, (4, 4)))
    return second(picture)


def two_class_tokens(self: Any, x: Tensor) -> Tensor:
    net = self.nets[0]
    found = net.get_intermediate_layers(x, 2, return_prefix_tokens=True)
    return self.fc(torch.cat([prefix[:, 0] for _, prefix in found], dim=1))


def blocks() -> nn.Sequential:
    return nn.Sequential(*(timm.models.vision_transformer.Block(48, 3) for _ in range(2)))


BESIDE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "sum": (lambda: Together(each(sum), vit(), vit()), "nets.0.blocks.2.norm1, nets.1."),
    "maximum": (lambda: Together(each(largest), vit(), vit()), "nets.0.blocks.2.norm1, nets.1."),
    "three": (
        lambda: Together(each(sum), vit(), swin(), convolutions()),
        "nets.0.blocks.2.norm1, nets.1.norm, nets.2.layer4",
    ),
    "features": (
        lambda: Together(of_features, vit(), vit(), fc=nn.Linear(96, 5)),
        "nets.0.norm, nets.1.norm",
    ),
    "gate by the picture": (
        lambda: Together(gated_by_the_picture, vit(), gate=nn.Linear(3, 1)),
        "'nets.0.blocks.2.norm1' and on a path that bypasses it",
    ),
    "its flip": (lambda: Together(with_its_flip, vit()), "nets.0.blocks.2.norm1#1, nets.0"),
    "in the head": (
        lambda: Together(in_the_head, vit(), convolutions(), fc=nn.Linear(10, 48)),
        "nets.0.blocks.2.norm1, nets.1.layer4",
    ),
    "one stem": (
        lambda: Together(behind_one_stem, vit(), vit(), stem=nn.Conv2d(3, 3, 3, padding=1)),
        "nets.0.blocks.2.norm1, nets.1.blocks.2.norm1",
    ),
    "two tails": (
        lambda: Together(two_tails, vit(), one=blocks(), other=blocks(), fc=nn.Linear(48, 5)),
        "one, other",
    ),
    "two last stages": (lambda: Together(two_last_stages, swin(), swin()), "nets.0.norm, nets.1"),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_networks_side_by_side_are_refused(kind: str):
    torch.manual_seed(0)
    make, names = BESIDE[kind]
    module, batch = make().eval(), torch.randn(1, 3, 64, 64)
    with pytest.raises(gc.CamError, match="note that its map covers only a part") as error:
        gc.forward(module, batch)
    assert names in str(error.value)


THROUGH: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "one after the other": (
        lambda: Together(
            one_after_the_other, vit(), convolutions(), up=nn.ConvTranspose2d(48, 3, 16, 16)
        ),
        "nets.1.layer4",
    ),
    "teacher beside": (
        lambda: Together(
            each(lambda found: {"logits": found[0], "teacher": found[1]}), vit(), vit()
        ),
        "nets.0.blocks.1",
    ),
    "class tokens of two blocks": (
        lambda: Together(two_class_tokens, vit(), fc=nn.Linear(96, 5)),
        "nets.0.blocks.1",
    ),
}


@pytest.mark.parametrize("kind", THROUGH)
def test_what_all_goes_through_is_explained(kind: str):
    torch.manual_seed(0)
    make, layer = THROUGH[kind]
    module, batch = make().eval(), torch.randn(1, 3, 64, 64)
    assert gc.forward(module, batch).layer == layer


@pytest.mark.parametrize(
    ("name", "settings", "layer"),
    [
        ("crossvit_9_240", {"depth": ((1, 1, 0), (1, 1, 0))}, "blocks.1.fusion.1.norm1"),
    ],
)
def test_branches_that_exchange_what_they_find_stay_one_network(
    name: str, settings: dict[str, Any], layer: str
):
    torch.manual_seed(0)
    module = trained(timm.create_model(name, **settings))
    side = settings.get("img_size", module.pretrained_cfg["input_size"][1])
    assert gc.last_feature_map(module, torch.randn(1, 3, side, side)) == layer


class Pyramid(nn.Module):
    """A feature pyramid whose maps are pooled and joined: all of them are made from the stem."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 4, 6, 8)
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sizes))
        self.laterals = nn.ModuleList(nn.Conv2d(size, 5, 1) for size in sizes[1:])
        self.head = nn.Linear(15, 3)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for stage in self.stages:
            x = stage(x).relu()
            maps.append(x)
        levels: list[Tensor] = []
        for lateral, found in zip(reversed(self.laterals), reversed(maps), strict=True):
            level = lateral(found)
            if levels:
                level = level + nn.functional.interpolate(levels[-1], level.shape[2:])
            levels.append(level)
        return self.head(torch.cat([level.mean((2, 3)) for level in levels], dim=1))


class Concatenated(nn.Module):
    """Layers that see all maps before them, and a head that sees all of them, too."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(2 + 2 * n, 2, 3, padding=1) for n in range(count))
        self.head = nn.Linear(2 + 2 * count, 3)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, dim=1)))
        return self.head(torch.cat(maps, dim=1).mean((2, 3)))


@pytest.mark.parametrize("module", [Pyramid(), Concatenated(7)], ids=["pyramid", "dense"])
def test_a_stem_is_not_explained_where_many_maps_behind_it_lead_to_the_logits(module: nn.Module):
    image = torch.randn(1, 3, 32, 32)
    with pytest.raises(gc.CamError, match="Name the layer= to explain, and note that"):
        gc.forward(module.eval(), image)


def test_the_maps_of_a_pyramid_are_those_that_are_named():
    with pytest.raises(gc.CamError, match=r"feature maps \(laterals.2, laterals.1, laterals.0\)"):
        gc.last_feature_map(Pyramid().eval(), torch.randn(1, 3, 32, 32))
