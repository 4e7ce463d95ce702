"""A module that moves its pictures before it looks at them is refused: its heat would lie elsewhere
than it belongs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradcam_core as gc


class Moving(nn.Module):
    def __init__(self, moved: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.moved = moved
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.moved(x)).relu().mean((2, 3)))


def register(moved: Callable[[Tensor], Tensor], side: int = 64) -> gc.ModelInfo:
    return gc.register("Moving", module=Moving(moved).eval(), size=side, mean=0.5, std=0.5)


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "mirrored": (lambda x: x.flip(3), "as if they were mirrored"),
    "upside down": (lambda x: x.flip(2), "as if they were turned upside down"),
    "180 degrees": (lambda x: x.flip(2, 3), "as if they were rotated by 180 degrees"),
    "transposed": (lambda x: x.mT, "as if their height and width were swapped"),
    "90 degrees": (lambda x: x.rot90(1, (2, 3)), "as if they were rotated by 90 degrees"),
    "270 degrees": (lambda x: x.rot90(3, (2, 3)), "as if they were rotated by 270 degrees"),
    "the middle": (lambda x: x[:, :, 4:-4, 4:-4], "the upper edge .* as if it cut out"),
    "the right": (lambda x: x[..., 4:], "the left edge .* as if it cut out"),
    "the left": (lambda x: x[..., :-8], "the right edge .* as if it cut out"),
    "the upper left": (lambda x: x[..., :-4, :-4], "the lower edge .* as if it cut out"),
    "rolled": (lambda x: x.roll(16, 3), "moves, turns, enlarges or pads .* of their width lies at"),
    "rolled up": (
        lambda x: x.roll(-7, 2),
        "moves, turns, enlarges or pads .* of their height lies at",
    ),
    "with a border": (
        lambda x: functional.pad(x, (0, 12, 0, 12)),
        "moves, turns, enlarges or pads",
    ),
    "continued": (
        lambda x: functional.pad(x, (16, 16, 16, 16), mode="reflect"),
        "moves, turns, enlarges or pads",
    ),
    "small in the middle": (
        lambda x: functional.pad(functional.interpolate(x, (32, 32)), (16,) * 4),
        "moves, turns, enlarges or pads",
    ),
    "turned by 30 degrees": (
        lambda x: functional.grid_sample(
            x,
            functional.affine_grid(
                torch.tensor([[[0.87, 0.5, 0], [-0.5, 0.87, 0]]]).expand(len(x), -1, -1),
                [*x.shape],
                align_corners=False,
            ),
            align_corners=False,
        ),
        "the upper edge|moves, turns, enlarges or pads",
    ),
    "spectrum": (lambda x: torch.fft.fft2(x).abs().log1p(), "as behind a Fourier transform"),
    "waves": (lambda x: torch.fft.rfft2(x, norm="ortho").real, "as behind a Fourier transform"),
    "shuffled": (
        lambda x: x[..., torch.randperm(64, generator=torch.Generator().manual_seed(0))],
        "moves, turns, enlarges or pads",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_pictures_that_are_moved_inside_are_told(kind: str):
    moved, sentence = REFUSED[kind]
    with pytest.raises(gc.NetworkError, match=f"({sentence}).* would be in the wrong place"):
        register(moved)


@pytest.mark.parametrize("side", [64, 67, 33])
@pytest.mark.parametrize(
    "kept",
    [
        lambda x: x,
        lambda x: x.flip(1),
        lambda x: functional.interpolate(x, (48, 48), mode="bilinear"),
        lambda x: x * 2 - 1,
        lambda x: (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True),
        lambda x: functional.pad(x, (1, 1, 1, 1)),
        lambda x: x / x.amax((1, 2, 3), keepdim=True),
        lambda x: (
            x
            * (
                torch.linspace(-1, 1, x.shape[2]).square()[:, None]
                + torch.linspace(-1, 1, x.shape[3]).square()
                < 1.1
            )
        ),
    ],
    ids=[
        "as they are",
        "BGR",
        "resized",
        "other values",
        "normalised by itself",
        "a thin border",
        "by its maximum",
        "seen through a circle",
    ],
)
def test_what_leaves_places_where_they_are_is_taken(kept: Callable[[Tensor], Tensor], side: int):
    assert register(kept, side).layer == "body"


def test_a_sparse_map_that_an_edge_happens_not_to_change_is_no_crop():
    for seed in range(8):
        torch.manual_seed(seed)
        body = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU()]
        body.append(last := nn.Conv2d(16, 8, 3, 2, 1))
        last.load_state_dict({"weight": last.weight, "bias": last.state_dict()["bias"] - 0.2})
        head = [
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        ]  # most of the map is 0
        module = nn.Sequential(*body, *head).eval()
        assert gc.register("Sparse", module=module, size=32, mean=0.5, std=0.5).layer
