"""Where a feature map lies in what a module gives: channels first, channels last, or as tokens.

A layout turns the output of a module into a map [N, C, *places] and puts a changed map back, so
that all methods see one form, whatever the network computes with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor, nn

from gradcam_core.errors import CamError

Reshape = Callable[[Tensor], Tensor]
"""Maps a module's output to [N, C, h, w] with the same values, of which some may be left out."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_SWITCHED_OFF = 1e-5
"""Below this share of a batch norm's largest factor, rounding errors exceed a channel's values."""


class Layout(Protocol):
    """How a module's output holds a feature map."""

    def to_map(self, output: Tensor) -> Tensor:
        """The output of a module -> [N, C, *places]."""

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        """The output with another map in it. changed: this map [M, C, *places]; output: of M images
        or one, with the images first."""


@dataclass(frozen=True)
class ChannelsFirst:
    """[N, C, *places], as convolutions give it."""

    def to_map(self, output: Tensor) -> Tensor:
        return output

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        return changed


@dataclass(frozen=True)
class ChannelsLast:
    """[N, *places, C]."""

    def to_map(self, output: Tensor) -> Tensor:
        return output.movedim(-1, 1)

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        return changed.movedim(1, -1)


@dataclass(frozen=True)
class Tokens:
    """[N, before + places + after, C]: the places row by row, between tokens for the whole picture
    (class, distillation, registers), which are no part of the map."""

    grid: tuple[int, ...]
    before: int = 0

    def _places(self) -> slice:
        return slice(self.before, self.before + math.prod(self.grid))

    def to_map(self, output: Tensor) -> Tensor:
        return output[:, self._places()].unflatten(1, self.grid).movedim(-1, 1)

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        others = output.expand(len(changed), -1, -1)
        places = self._places()
        tokens = changed.flatten(2).mT
        return torch.cat([others[:, : places.start], tokens, others[:, places.stop :]], dim=1)


@dataclass(frozen=True)
class SequenceFirst:
    """Tokens [L, N, C] with the images second, as `nn.MultiheadAttention` has them by default.
    within: the layout of [N, L, C]."""

    within: Layout

    def to_map(self, output: Tensor) -> Tensor:
        return self.within.to_map(output.transpose(0, 1))

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        return self.within.put_back(changed, output).transpose(0, 1)


def images_first(layout: Layout, output: Tensor) -> Tensor:
    """A module's output with the images first."""
    return output.transpose(0, 1) if isinstance(layout, SequenceFirst) else output


@dataclass(frozen=True)
class Folded:
    """[N, C, h, w] of a convolution into which a batch norm was folded: the map is what the
    convolution alone would give. scale, shift: [C, 1, 1] of the norm. A channel that the norm has
    all but switched off cannot be recovered, and nothing depends on it: it is 0."""

    scale: Tensor
    shift: Tensor

    def to_map(self, output: Tensor) -> Tensor:
        size = self.scale.abs()
        is_on = size > _SWITCHED_OFF * size.amax()
        return torch.where(is_on, (output - self.shift) / self.scale, 0)

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        return changed * self.scale + self.shift


class Rearranged:
    """The layout of a person's function. Raises CamError if it does not rearrange an output."""

    def __init__(self, reshape: Reshape) -> None:
        self._reshape = reshape

    def of(self, output: Tensor, images: int) -> Layout:
        """The layout for an output of that many images, which may be its second dimension."""
        if len(output) == images or output.ndim < 2 or output.shape[1] != images:
            return self
        return SequenceFirst(Rearranged(lambda given: self._reshape(given.transpose(0, 1))))

    def to_map(self, output: Tensor) -> Tensor:
        found = self._reshape(output)
        if not isinstance(found, Tensor) or found.ndim < 3 or len(found) != len(output):
            came = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise CamError(
                f"reshape= made {came} of the layer's output {list(output.shape)}: it must give "
                f"a map [N, C, h, w] with N = {len(output)}."
            )
        return found

    def put_back(self, changed: Tensor, output: Tensor) -> Tensor:
        # The function's result for the indices of the values shows which of them it takes, and
        # that for other values, whether it returns them unchanged.
        numbers = torch.arange(output[0].numel(), dtype=torch.float64, device=output.device)
        taken = self.to_map(numbers.view(1, *output.shape[1:])).flatten()
        index = taken.round().long()
        is_own = bool((taken == index).all() and index.min() >= 0 and index.max() < len(numbers))
        if is_own:
            others = numbers.sin()
            is_own = bool(
                (self.to_map(others.view(1, *output.shape[1:])).flatten() == others[index]).all()
            )
        if not is_own or len(index.unique()) < len(index):
            raise CamError(
                "reshape= may only select and rearrange values of the layer's output, as "
                "slicing, reshape and permute do; it must not compute new ones."
            )
        flat = output.expand(len(changed), *output.shape[1:]).flatten(1)
        return flat.index_copy(1, index, changed.flatten(1)).unflatten(1, output.shape[1:])


@lru_cache(4096)
def grids(count: int, sides: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The grids of `count` places into which one stride may have divided an input with these sides,
    all rounded up or all down.

    Cached, because it is computed many times for each layer of tokens.
    """
    return tuple(_grids(count, sides))


def _grids(count: int, sides: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if count < 1:
        return
    _, *others = sides
    for cells in range(1, count + 1):
        rest, remainder = divmod(count, cells)
        if remainder:
            continue
        if not others:
            candidates: list[tuple[int, ...]] = [(count,)] if cells == count else []
        else:
            candidates = [(cells, *more) for more in grids(rest, tuple(others))]
        yield from (grid for grid in candidates if has_one_stride(grid, sides))


def has_one_stride(grid: Sequence[int], sides: Sequence[int]) -> bool:
    """Whether one stride divides the sides into this grid, all rounded up or all down."""
    down = [(side / (cells + 1), side / cells) for cells, side in zip(grid, sides, strict=True)]
    up = [
        (side / cells, side / (cells - 1) if cells > 1 else math.inf)
        for cells, side in zip(grid, sides, strict=True)
    ]
    return any(
        max(low for low, _ in bounds) < min(high for _, high in bounds) for bounds in (down, up)
    )


def may_lie_otherwise(part: nn.Module, shape: Sequence[int], sides: Sequence[int]) -> bool:
    """Whether channels may come last in the output of a part of a convolutional network. shape: of
    the output [N, ...]; sides: of the picture."""
    if len(shape) != len(sides) + 2 or is_convolution(part) or "BatchNorm" in type(part).__name__:
        return False
    return has_one_stride(shape[1:-1], sides) or not has_one_stride(shape[2:], sides)


def is_convolution(part: nn.Module) -> bool:
    """Whether a module is a convolution: one of PyTorch, or a class with "Conv" in its name."""
    return isinstance(part, _CONVOLUTIONS) or "Conv" in type(part).__name__
