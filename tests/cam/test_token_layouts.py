"""Tokens that lie otherwise than [N, L, C] on a square: behind each other before the images, on an
oblong grid beside registers, in windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.models.nest import Nest
from torch import Tensor, nn

import gradcam_core as gc
from tests.support.networks import scattered

ToMap = Callable[[Tensor], Tensor]


def images(height: int, width: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def literal(module: nn.Module, batch: Tensor, layer: str, to_map: ToMap) -> Tensor:
    """Grad-CAM by autograd through the whole network, with the map laid out by hand."""
    kept: list[Tensor] = []
    part = module.get_submodule(layer)
    hook = part.register_forward_hook(lambda _, __, output: kept.append(output))
    logits = module(batch)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), kept[0])
    weights = to_map(gradient).mean((2, 3), keepdim=True)
    return (weights * to_map(kept[0])).sum(1).relu().detach()


def same(got: Tensor, expected: Tensor) -> None:
    assert expected.max() > 0
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * float(expected.max()))


class Block(nn.Module):
    """As OpenAI's CLIP: `nn.MultiheadAttention` with the tokens first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dense = nn.Sequential(nn.Linear(width, 48), nn.GELU(), nn.Linear(48, width))

    def forward(self, x: Tensor) -> Tensor:
        given = self.norm_1(x)
        x = x + self.attention(given, given, given, need_weights=False)[0]
        return x + self.dense(self.norm_2(x))


class SequenceFirst(nn.Module):
    def __init__(self, *, by_class_token: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, 24, 8, 8), nn.Linear(24, 5)
        self.start = nn.Parameter(torch.randn(1, 1, 24))
        self.position = nn.Parameter(torch.randn(1, 17, 24))
        self.blocks = nn.Sequential(*(Block(24) for _ in range(6)))
        self.by_class_token = by_class_token

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).mT
        tokens = torch.cat([self.start.expand(len(x), -1, -1), tokens], 1) + self.position
        tokens = self.blocks(tokens.transpose(0, 1)).transpose(0, 1)
        return self.head(tokens[:, 0] if self.by_class_token else tokens.mean(1))


def on_four_by_four(output: Tensor) -> Tensor:
    return output[1:].permute(1, 2, 0).unflatten(2, (4, 4))


@pytest.mark.parametrize("by_class_token", [True, False])
def test_tokens_before_the_images_lie_on_their_grid(by_class_token: bool):
    torch.manual_seed(0)
    module = scattered(SequenceFirst(by_class_token=by_class_token)).eval()
    batch = images(32, 32)
    run = gc.forward(module, batch)
    assert run.layer == ("blocks.4" if by_class_token else "blocks")
    assert run.is_of_tokens
    expected = literal(module, batch, run.layer, on_four_by_four)
    same(run.cam(1), expected)
    for layer, reshape in ((run.layer, None), (run.layer, on_four_by_four)):
        same(gc.forward(module, batch, layer, reshape=reshape).cam(1), expected)
    alone = gc.forward(module, batch[1:])
    for method in ("gradcam", "ablationcam", "scorecam"):
        same(alone.cam(1, method), run.cam(1, method)[1:])
    with pytest.raises(gc.CamError, match=r"LeGrad .* \[N, L, C\]"):
        run.cam(1, "legrad")


@pytest.mark.parametrize("size", [(56, 98), (98, 56)])
def test_registers_beside_an_oblong_grid_are_no_places(size: tuple[int, int]):
    # Of 33 tokens 4 x 8 and one are more than 4 x 7 and five.
    torch.manual_seed(0)
    name = "vit_small_patch14_reg4_dinov2"
    made = timm.create_model(name, img_size=size, depth=3, embed_dim=48, num_classes=5)
    module = scattered(made).eval()
    grid = (size[0] // 14, size[1] // 14)
    run = gc.forward(module, images(*size))
    assert run.activation.shape[2:] == grid

    def to_map(output: Tensor) -> Tensor:
        return output[:, 5:].mT.unflatten(2, grid)

    same(run.cam(1), literal(module, images(*size), run.layer, to_map))


def test_where_windows_cannot_be_laid_out_the_whole_map_behind_them_is():
    torch.manual_seed(1)
    sizes: Any = {"embed_dims": (24, 48, 96), "num_heads": (1, 2, 4), "depths": (1, 1, 2)}
    module = scattered(Nest(img_size=112, num_levels=3, num_classes=5, **sizes)).eval()
    run = gc.forward(module, images(112, 112))
    assert run.layer == "norm"
    same(run.cam(1), literal(module, images(112, 112), "norm", lambda o: o.movedim(-1, 1)))


def test_windows_among_the_images_do_not_pass_for_nothing():
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 16, 3, 2, 1), nn.Linear(16, 5)
            blocks = (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(3))
            self.blocks = nn.Sequential(*blocks)

        def forward(self, x: Tensor) -> Tensor:
            windows = self.stem(x).unflatten(2, (-1, 4)).unflatten(4, (-1, 4))
            tokens = self.blocks(windows.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2))
            return self.head(tokens.unflatten(0, (len(x), -1)).mean((1, 2)))

    with pytest.raises(gc.CamError, match=r"'stem', but 6 layers follow .* \[24, 16, 16\]"):
        gc.forward(Windows().eval(), images(32, 48))


class Pruning(nn.Module):
    """As EViT: only some tokens go on."""

    def __init__(self, *, is_late: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, 24, 8, 8), nn.Linear(24, 5)
        blocks = (nn.TransformerEncoderLayer(24, 2, 48, batch_first=True) for _ in range(3))
        self.blocks, self.position = nn.ModuleList(blocks), nn.Parameter(torch.randn(1, 36, 24))
        self.is_late = is_late

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).mT + self.position
        for n, block in enumerate(self.blocks):
            tokens = block(tokens)
            if n == 2 * self.is_late:
                kept = tokens.norm(dim=2).topk(16, dim=1).indices.sort(dim=1).values
                tokens = tokens.gather(1, kept[:, :, None].expand(-1, -1, 24))
        return self.head(tokens.mean(1))


def test_tokens_that_were_picked_are_no_grid_of_their_own():
    torch.manual_seed(0)
    module = Pruning(is_late=False).eval()
    for layer in (None, "blocks.2"):
        with pytest.raises(gc.CamError, match=r"'blocks\.0', but 4 layers follow .* \[1, 16, 24\]"):
            gc.forward(module, images(48, 48), layer)
    run = gc.forward(Pruning(is_late=True).eval(), images(48, 48))
    assert (run.layer, run.activation.shape[2:]) == ("blocks.2", (6, 6))


class Merging(nn.Module):
    """As Swin, on tokens alone, without convolutions: from stage to stage, four become one. grid:
    of the first tokens."""

    def __init__(self, channels: list[int], grid: tuple[int, int], stages: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(64 * len(channels), 24), nn.Linear(24, 5)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(24, 2, 48, batch_first=True) for _ in range(stages)
        )
        self.merges = nn.ModuleList(nn.Linear(96, 24) for _ in range(stages - 1))
        self.position = nn.Parameter(torch.randn(1, grid[0] * grid[1], 24))
        self.channels, self.grid = channels, grid

    def forward(self, x: Tensor) -> Tensor:
        patches = nn.functional.unfold(x[:, self.channels], 8, stride=8).mT
        tokens = self.blocks[0](self.embed(patches) + self.position)
        height, width = self.grid
        for block, merge in zip(self.blocks[1:], self.merges, strict=True):
            height, width = height // 2, width // 2
            pairs = tokens.unflatten(1, (height, 2, width, 2)).transpose(2, 3)
            tokens = block(merge(pairs.flatten(3).flatten(1, 2)))
        return self.head(tokens.mean(1))


@pytest.mark.parametrize("channels", [[2, 1, 0], [0, 1]])
def test_tokens_of_channels_that_were_picked_have_places(channels: list[int]):
    torch.manual_seed(0)
    run = gc.forward(Merging(channels, (8, 8), 2).eval(), images(64, 64))
    assert (run.layer, run.activation.shape[2:]) == ("blocks.1", (4, 4))


@pytest.mark.parametrize(("grid", "stages"), [((16, 4), 1), ((16, 4), 2), ((2, 2), 1)])
def test_a_grid_that_no_convolution_makes_is_not_taken_for_rows(grid: tuple[int, int], stages: int):
    torch.manual_seed(0)
    module = Merging([0, 1, 2], grid, stages).eval()
    run = gc.forward(module, images(8 * grid[0], 8 * grid[1], 1))
    assert run.layer == f"blocks.{stages - 1}"
    assert run.activation.shape[2:] == tuple(side // 2 ** (stages - 1) for side in grid)


class Plain(nn.Module):
    """picked: of its tokens, which go on. It takes one image only, since its class token is not
    repeated."""

    def __init__(self, picked: ToMap, by_class_token: bool = False) -> None:
        super().__init__()
        self.embed, self.head = nn.Conv2d(3, 24, 4, 4), nn.Linear(24, 5)
        blocks = (nn.TransformerEncoderLayer(24, 2, 48, batch_first=True) for _ in range(3))
        self.blocks, self.position = nn.Sequential(*blocks), nn.Parameter(torch.randn(1, 64, 24))
        self.start = nn.Parameter(torch.randn(1, 1, 24))
        self.picked, self.by_class_token = picked, by_class_token

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.picked(self.embed(x).flatten(2).mT + self.position)
        if self.by_class_token:
            tokens = torch.cat([self.start, tokens], 1)
        return self.head(self.blocks(tokens).mean(1))


@pytest.mark.parametrize(
    "picked",
    [
        lambda tokens: tokens[:, ::2],
        lambda tokens: tokens.unflatten(1, (8, 8))[:, ::2].flatten(1, 2),
        lambda tokens: torch.stack(tokens.unbind(1)[::2], 1),
    ],
)
def test_every_second_token_is_no_smaller_square_and_some_others(picked: ToMap):
    torch.manual_seed(0)
    with pytest.raises(gc.CamError, match=r"'embed', but .* \[1, 32, 24\]"):
        gc.forward(Plain(picked).eval(), images(32, 32))


class OfRows(nn.Module):
    """Answers for each row of the picture, or of its map, and takes the largest answers."""

    def __init__(self, width: int, before: nn.Module) -> None:
        super().__init__()
        self.before, self.embed = before, nn.Linear(width, 24)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(24, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(self.before(x).transpose(1, 2).flatten(2))).amax(1)


def test_rows_are_no_grid_that_has_as_many_places():
    torch.manual_seed(0)
    rows = OfRows(192, nn.Identity()).eval()
    with pytest.raises(gc.CamError, match=r"gives a feature map: .* \[1, 64, 5\]"):
        gc.forward(rows, images(64, 64))
    steps = OfRows(8, nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.AdaptiveAvgPool2d((None, 1)))).eval()
    assert gc.forward(steps, images(64, 96)).layer == "before.0"


def test_a_network_that_takes_one_image_only_is_explained():
    torch.manual_seed(0)
    module, batch = Plain(lambda tokens: tokens, by_class_token=True).eval(), images(32, 32, 1)
    run = gc.forward(module, batch)
    expected = literal(module, batch, run.layer, lambda y: y[:, 1:].mT.unflatten(2, (8, 8)))
    same(run.cam(1), expected)
    expanded = gc.forward(repeating(module), batch)
    for method in ("ablationcam", "scorecam", "legrad"):
        same(run.cam(1, method), expanded.cam(1, method))


def repeating(module: Plain) -> nn.Module:
    """The same network, which takes several images."""
    other = Plain(lambda tokens: tokens, by_class_token=True).eval()
    other.load_state_dict(module.state_dict())

    def start(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        other.start.data = module.start.expand(len(given[0]), -1, -1)

    other.register_forward_pre_hook(start)
    return other


def test_registers_are_left_out_where_no_convolution_tells_the_grid():
    torch.manual_seed(0)
    made = timm.create_model(
        "naflexvit_base_patch16_gap", num_classes=5, depth=2, embed_dim=48, num_heads=2
    )
    module = scattered(made).eval()
    run = gc.forward(module, images(64, 64))

    def to_map(output: Tensor) -> Tensor:
        return output[:, 4:].mT.unflatten(2, (4, 4))

    same(run.cam(1), literal(module, images(64, 64), run.layer, to_map))
