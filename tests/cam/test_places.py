"""Networks that move their pictures or maps: the heat would lie elsewhere, so they are refused
unless a person says where it belongs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

import gradcam_core as gc

Moved = Callable[[Tensor], Tensor]


class Moving(nn.Module):
    """place: "first", "between" or "last", where the pictures, or the maps, are moved."""

    def __init__(self, moved: Moved, place: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.third, self.head = nn.Conv2d(8, 8, 3, 1, 1), nn.Linear(8, 5)
        self.moved, self.place = moved, place

    def forward(self, x: Tensor) -> Tensor:
        x = self.moved(x) if self.place == "first" else x
        y = self.first(x).relu()
        y = self.moved(y) if self.place == "between" else y
        y = self.third(self.second(y).relu()).relu()
        return self.head((self.moved(y) if self.place == "last" else y).mean((2, 3)))


def images(count: int = 1) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def in_any_order(y: Tensor) -> Tensor:
    side = y.shape[3]
    return y[..., torch.randperm(side, generator=torch.Generator().manual_seed(0))]


def warped(y: Tensor) -> Tensor:
    to_the_side = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]).expand(len(y), -1, -1)
    grid = functional.affine_grid(to_the_side, [*y.shape], align_corners=False)
    return functional.grid_sample(y, grid, align_corners=False)


def warped_by_itself(y: Tensor) -> Tensor:
    """As in a spatial transformer, which turns some pictures only."""
    as_it_is = torch.eye(2, 3) + 0.001 * y.mean((1, 2, 3))[:, None, None]
    grid = functional.affine_grid(as_it_is, [*y.shape], align_corners=False)
    return functional.grid_sample(y, grid, align_corners=False)


def zoomed_by_itself(y: Tensor) -> Tensor:
    """As in a network that looks at a part of its maps more closely."""
    part = torch.tensor([[0.5, 0, 0.5], [0, 0.5, 0.5]]) + 0.001 * y.mean((2, 3))[:, :1, None]
    sides = [2 * side for side in y.shape[2:]]
    grid = functional.affine_grid(part, [*y.shape[:2], *sides], align_corners=False)
    return functional.grid_sample(y, grid, align_corners=False)


def boxed(y: Tensor) -> Tensor:
    box = torch.tensor([0.25, 0.25, 0.75, 0.75]) * y.shape[3]
    return torchvision.ops.roi_align(y, [box[None]] * len(y), y.shape[2:])


def enlarged_by_itself(y: Tensor) -> Tensor:
    """As DySample, by offsets below a quarter of a cell."""
    as_it_is = torch.eye(2, 3).expand(len(y), -1, -1)
    sides = [2 * side for side in y.shape[2:]]
    grid = functional.affine_grid(as_it_is, [*y.shape[:2], *sides], align_corners=False)
    offsets = functional.interpolate(y[:, :2].tanh(), scale_factor=2) / (4 * y.shape[3])
    return functional.grid_sample(y, grid + offsets.movedim(1, 3), align_corners=False)


MOVED: dict[str, Moved] = {
    "mirrored": lambda y: y.flip(3),
    "rotated": lambda y: y.rot90(1, (2, 3)),
    "transposed": lambda y: y.mT,
    "rolled": lambda y: y.roll(y.shape[3] // 4, 3),
    "halves swapped": lambda y: torch.cat(y.chunk(2, 3)[::-1], 3),
    "in any order": in_any_order,
    "one by one": lambda y: torch.stack(y.unbind(3)[::-1], 3),
    "with its mirror image": lambda y: y + y.flip(3),
    "warped": warped,
    "warped by itself": warped_by_itself,
    "zoomed by itself": zoomed_by_itself,
    "cut out by a box": boxed,
}


@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("place", ["first", "between", "last"])
def test_what_is_moved_before_the_layer_is_told(kind: str, place: str):
    module = Moving(MOVED[kind], place).eval()
    if place == "last":
        assert gc.forward(module, images()).layer == "third"
        return
    with pytest.raises(gc.CamError, match=r"so the heat would be in the wrong place\. .* reshape="):
        gc.forward(module, images())


def test_parts_that_are_cut_out_are_told():
    for cut in (lambda x: x[..., 32:], lambda x: x[..., 16:-16, 16:-16], lambda x: x[..., 6:, :]):
        with pytest.raises(gc.CamError, match="as if it cut out a part"):
            gc.forward(Moving(cut, "first").eval(), images())
    for cut in (lambda y: y[..., 16:], lambda y: y[:, :, 8:-8, 8:-8]):
        with pytest.raises(gc.CamError, match="cuts out a part of its maps before 'third'"):
            gc.forward(Moving(cut, "between").eval(), images())


@pytest.mark.parametrize(
    "kept",
    [
        lambda y: y[:, torch.arange(y.shape[1]).flip(0)],
        lambda y: y.roll(3, 3).roll(-3, 3),
        lambda y: y.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
        lambda y: functional.pixel_shuffle(functional.pixel_unshuffle(y, 2), 2),
        lambda y: y[..., ::2, ::2],
        lambda y: functional.pad(y, (0, 8, 0, 8))[..., :-8, :-8],
        lambda y: y + functional.pad(y[..., 8:], (8, 0)),
        lambda y: y.unflatten(1, (1, -1)).transpose(1, 2).flatten(1, 2),
        enlarged_by_itself,
    ],
    ids=[
        "channels",
        "rolled back",
        "channels last",
        "shuffled back",
        "every second",
        "cut back",
        "cut beside",
        "groups",
        "enlarged",
    ],
)
def test_what_keeps_its_places_is_taken(kept: Moved):
    for place in ("first", "between"):
        assert gc.forward(Moving(kept, place).eval(), images()).layer == "third"


class InRange(nn.Module):
    """Refuses values beyond those of pictures."""

    def __init__(self, moved: Moved, place: str) -> None:
        super().__init__()
        self.inner = Moving(moved, place)

    def forward(self, x: Tensor) -> Tensor:
        if x.min() < 0 or x.max() > 1:
            raise ValueError("pictures have values from 0 to 1")
        return self.inner(x)


class Chain(nn.Module):
    """Convolutions, each followed by the same step."""

    def __init__(self, made: Sequence[nn.Module], step: Moved) -> None:
        super().__init__()
        self.made, self.step, self.head = nn.ModuleList(made), step, nn.LazyLinear(5)

    def forward(self, x: Tensor) -> Tensor:
        for one in self.made:
            x = self.step(one(x)).relu()
        return self.head(x.mean((2, 3)))


def even() -> nn.Module:
    return Chain([nn.Conv2d(n, 8, 4, 2, 2) for n in (3, 8, 8, 8)], lambda y: y[:, :, :-1, :-1])


def causal() -> nn.Module:
    made = [nn.Conv2d(n, 8, 3, padding=(1, 2)) for n in (3, 8, 8, 8)]
    return Chain(made, lambda y: y[..., :-2])


def enlarging() -> nn.Module:
    down = [nn.Sequential(nn.Conv2d(n, 16, 3, 2, 1), nn.BatchNorm2d(16)) for n in (3, 16, 16)]
    up = nn.ConvTranspose2d(16, 8, 3, 2)
    return Chain(
        [*down, up, nn.Conv2d(8, 16, 3, 1, 1)],
        lambda y: y[:, :, :-1, :-1] if y.shape[1] == 8 else y,
    )


def test_what_looks_moved_by_its_borders_or_cannot_be_told_is_taken():
    every_second: Moved = lambda y: y[..., ::2, ::2]  # noqa: E731
    for make, sides in (
        (lambda: InRange(every_second, "first"), (64,)),
        (lambda: InRange(lambda y: y.roll(3, 3).roll(-3, 3), "between"), (64,)),
        (even, (32, 40)),
        (causal, (32, 64)),
        (enlarging, (32, 40)),
    ):
        for seed, side in itertools.product(range(3), sides):
            torch.manual_seed(seed)
            module, pictures = make().eval(), torch.rand(1, 3, side, side)
            module(pictures)
            assert gc.forward(module, pictures).layer, (make, side)


def test_pictures_with_channels_last_are_taken():
    module = Moving(lambda x: x.permute(0, 3, 1, 2), "first").eval()
    batch = images()
    expected = gc.forward(Moving(lambda x: x, "first").eval(), batch).cam(1)
    for given in (batch.permute(0, 2, 3, 1), batch.permute(0, 2, 3, 1).contiguous()):
        torch.testing.assert_close(gc.forward(module, given).cam(1), expected)


def test_who_says_where_a_map_belongs_gets_it_there():
    mirrored = Moving(lambda y: y.flip(3), "between").eval()
    run = gc.forward(mirrored, images(), "third", reshape=lambda y: y.flip(3))
    other = gc.forward(mirrored, images(), "third")
    torch.testing.assert_close(run.cam(1), other.cam(1).flip(2))
