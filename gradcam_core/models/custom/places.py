"""Whether the feature map of a person's module lies over the picture as it is given: a crop or a
flip within the module moves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gradcam_core.errors import NetworkError

if TYPE_CHECKING:
    from torch import Tensor

_PATCHES = ((0.2, 0.3), (0.35, 0.8), (0.8, 0.55))
"""Middles of what is changed, as shares of height and width; no symmetry maps them onto others."""

_PATCH = 0.25  # of the sides
_STRIP = 0.03  # of the sides

_MOVED: dict[str, Callable[[Tensor], Tensor]] = {
    "mirrored": lambda at: _mirrored(at, 1),
    "turned upside down": lambda at: _mirrored(at, 0),
    "rotated by 180 degrees": lambda at: 1 - at,
    "with height and width swapped": lambda at: at.flip(1),
    "rotated by 90 degrees": lambda at: _mirrored(at.flip(1), 0),
    "rotated by 270 degrees": lambda at: _mirrored(at.flip(1), 1),
}
"""Where places (rows, columns) [N, 2] come to lie, by what is done to the picture."""

_FAR = 0.15  # of the sides: mean distance of places that do not lie where they should
_CLEARLY = 0.5  # share of that distance, below which another place is the right one

_DRAWS = 8  # pictures of noise with which an edge is looked at again
_STRONGLY = 20.0  # deviations of the noise by which it is changed then
_INSIDE = (0.35, 0.5, 0.65)  # of a side: by how much its strip is moved inside for comparison

_ELSEWHERE = "so the heat would be in the wrong place"


def check_places(picture: Tensor, maps_of: Callable[[Tensor], Tensor]) -> None:
    """picture: [1, C, H, W] of noise. maps_of: the feature maps [N, C, h, w] of pictures. Raises
    NetworkError where what is changed in the picture changes the map at other places, or nowhere.
    """
    import torch

    cells = maps_of(picture).shape[2:]
    if len(cells) != 2 or min(cells) < 2 or cells.numel() <= 4:
        return
    inside = torch.cat([_patches(picture), _edges(picture, cells)]).to(picture.device)
    other = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1)).to(picture)
    changed = torch.where(inside[:, None], picture + 2 * other, picture)
    maps = maps_of(torch.cat([picture, changed])).float()
    differences = (maps[1:] - maps[:1]).square().sum(dim=1).cpu()
    of_patches, of_edges = differences[: len(_PATCHES)], differences[len(_PATCHES) :]
    if not of_patches.flatten(1).any(dim=1).all():
        return  # it looks at hardly anything, or at nothing
    for n, edge in enumerate(("upper", "left", "lower", "right")):
        if not of_edges[n].any() and _is_unseen(inside[len(_PATCHES) + n], picture, maps_of):
            raise NetworkError(
                f"the module does not look at the {edge} edge of its pictures, as if it cut out a "
                f"part, {_ELSEWHERE}: take the crop out of the module, and give its size= and crop="
            )
    expected = torch.tensor(_PATCHES)
    found = torch.stack([_middle(one) for one in of_patches])

    def distance(places: Tensor) -> float:
        return float((found - places).abs().mean())

    how = min(_MOVED, key=lambda one: distance(_MOVED[one](expected)))
    own, moved = distance(expected), distance(_MOVED[how](expected))
    if own > _FAR and moved < _CLEARLY * own:
        raise NetworkError(
            f"the module processes its pictures as if they were {how}, {_ELSEWHERE}: remove this "
            "step, so that it takes pictures as they are"
        )


def _is_unseen(strip: Tensor, picture: Tensor, maps_of: Callable[[Tensor], Tensor]) -> bool:
    """Whether a strip changes the map of none of several pictures, and the same strips farther
    inside do: a ReLU may have hidden what one of them changes.

    strip: the pixels [H, W] at an edge.
    """
    import torch

    axis = 1 if strip.all(dim=0).any() else 0
    side = strip.shape[axis]
    moves = [0, *(round(share * side) for share in _INSIDE)]
    strips = torch.stack([strip.roll(move, dims=axis) for move in moves]).to(picture.device)
    seen = torch.zeros(len(moves))
    for seed in range(_DRAWS):
        generator = torch.Generator().manual_seed(2 + seed)
        first, other = (torch.randn(picture.shape, generator=generator) for _ in range(2))
        first, other = first.to(picture), other.to(picture)
        changed = torch.where(strips[:, None], first + _STRONGLY * other, first)
        maps = maps_of(torch.cat([first, changed])).float()
        seen += (maps[1:] != maps[:1]).flatten(1).any(dim=1).cpu()
    return not seen[0] and bool((seen[1:] >= _DRAWS / 2).all())


def _mirrored(places: Tensor, axis: int) -> Tensor:
    import torch

    moved = 1 - places
    return torch.stack([(moved if n == axis else places)[:, n] for n in range(2)], dim=1)


def _patches(picture: Tensor) -> Tensor:
    """Which pixels each patch covers: [patches, H, W]."""
    import torch

    sides = picture.shape[2:]
    inside = torch.zeros(len(_PATCHES), *sides, dtype=torch.bool)
    for one, middle in zip(inside, _PATCHES, strict=True):
        rows, columns = (
            slice(round((share - _PATCH / 2) * side), round((share + _PATCH / 2) * side))
            for share, side in zip(middle, sides, strict=True)
        )
        one[rows, columns] = True
    return inside


def _edges(picture: Tensor, cells: Sequence[int]) -> Tensor:
    """Which pixels a strip at each edge covers: [4, H, W]. At the lower and right ones less than a
    cell may be left over."""
    import torch

    height, width = picture.shape[2:]
    inside = torch.zeros(4, height, width, dtype=torch.bool)
    inside[0, : max(1, round(_STRIP * height))] = True
    inside[1, :, : max(1, round(_STRIP * width))] = True
    inside[2, -(height // cells[0] + 1) :] = True
    inside[3, :, -(width // cells[1] + 1) :] = True
    return inside


def _middle(difference: Tensor) -> Tensor:
    """The middle of what changed, as shares of height and width: [h, w] -> [2]."""
    import torch

    weights = difference.square()  # so that what changes a little everywhere counts little
    total = weights.sum().clamp(min=1e-30)
    sides = [(torch.arange(side) + 0.5) / side for side in difference.shape]
    return torch.stack(
        [(weights.sum(dim=1 - axis) * sides[axis]).sum() / total for axis in range(2)]
    )
