"""Finds how outputs of a pass hold a map, from what changes with which part of the picture."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from statistics import median

from torch import Tensor
from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.calls import Call, agreement, locality
from gradcam_core.cam.target_layers.elsewhere import nodes_behind_selections
from gradcam_core.cam.target_layers.layout import (
    ChannelsFirst,
    ChannelsLast,
    Layout,
    Tokens,
    grids,
    has_one_stride,
    is_convolution,
    may_lie_otherwise,
)

_TOKENS_FOR_ALL = 8
"""Most tokens that stand for the whole picture: class, distillation, registers."""

_LEAST_LOCALITY = 1.05
"""The least `locality` of a map: its places change more with their own part of the picture."""


_TELLS_NOTHING = 0.95
"""Between this `locality` and the least one, attention has mixed all places evenly."""

_CLEAR = 0.9
"""The least `agreement` of rows, which have 0.97. Where attention mixes places, it is chance."""


class Layouts:
    """The layouts of the calls of a pass over a picture with these sides. logits: its output."""

    def __init__(
        self,
        calls: Sequence[Call],
        sides: tuple[int, ...],
        is_convolutional: bool,
        logits: Tensor,
    ) -> None:
        self._calls, self._sides, self._is_convolutional = calls, sides, is_convolutional
        self._logits = logits
        self._befores: dict[int, int | None] = {}
        makers = [call for call in calls if call.makes_map]
        self._convolutions = [call.name for call in makers if is_convolution(call.part)]
        self._others = [call.name for call in makers if not is_convolution(call.part)]

    def of(self, call: Call) -> Layout | None:
        """How a call's output, with the images first, holds a map; None if it holds none."""
        if not call.is_of_images:
            return None
        dimensions = len(self._sides) + 2
        if self._is_convolutional or self._is_of_convolutions(call):
            if len(call.shape) != dimensions:
                return None
            if not may_lie_otherwise(call.part, call.shape, self._sides):
                return ChannelsFirst()
            layout, score = self._with_places(call)
            return layout if score >= _LEAST_LOCALITY else ChannelsFirst()
        if len(call.shape) == 3:
            layout, score = self._tokens(call)
        else:
            layout, score = self._with_places(call)
            # A map of the same shape as a convolution's lies in the same way.
            if score > _TELLS_NOTHING and tuple(call.shape) in self._of_convolutions:
                return ChannelsFirst()
        return layout if score >= _LEAST_LOCALITY else None

    @cached_property
    def _of_convolutions(self) -> set[tuple[int, ...]]:
        """The shapes of convolutions' outputs, except those that might be channels last."""
        sides = len(self._sides) + 2
        return {
            tuple(call.shape)
            for call in self._calls
            if call.makes_map
            and is_convolution(call.part)
            and len(call.shape) == sides
            and has_one_stride(call.shape[2:][-2:], self._sides[-2:])
            and not has_one_stride(call.shape[1:-1][-2:], self._sides[-2:])
        }

    def _is_of_convolutions(self, call: Call) -> bool:
        """Whether the module of a call has convolutions alone, unlike the whole network."""

        def has(names: Sequence[str]) -> bool:
            return any(f"{name}.".startswith(f"{call.name}.") for name in names)

        return has(self._convolutions) and not has(self._others)

    def _with_places(self, call: Call) -> tuple[Layout | None, float]:
        if len(call.shape) != len(self._sides) + 2:
            return None, 0.0
        best: tuple[Layout | None, float] = None, 0.0
        for axis, changed in call.changed.items():
            score = locality(changed)
            # In a video, time may have a stride of its own.
            grid, sides = changed.shape[1:][-2:], self._sides[-2:]
            if has_one_stride(grid, sides) and score > best[1]:
                best = ChannelsFirst() if axis == 1 else ChannelsLast(), score
        return best

    def _tokens(self, call: Call) -> tuple[Layout | None, float]:
        """The layout on the grid that leaves out the fewest tokens, and its locality."""
        changed = call.changed.get(2)
        if changed is None:
            return None, 0.0
        for others, grid in self._grids(call):
            before = self._before(others)
            if before is None:
                return None, 0.0
            score = _token_locality(changed, grid, before)
            if grid not in self._known_grids | self._seen_grids or grid in self._rows:
                return None, 0.0
            if grid not in self._known_grids and call.node in self._selected:
                return None, 0.0  # selected tokens, which form no grid
            # If attention has mixed all places evenly, the changes tell nothing, and tokens are
            # taken to lie as in earlier calls.
            return Tokens(grid, before), _LEAST_LOCALITY if score > _TELLS_NOTHING else score
        return None, 0.0

    def _grids(self, call: Call) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yields how many tokens may stand for the whole picture, each with a grid of the rest.
        Known grids come first, because 33 tokens of an oblong picture may be 4 x 8 and one, or
        4 x 7 and five; then the fewest such tokens."""
        found = [
            (others, grid)
            for others in range(_TOKENS_FOR_ALL + 1)
            for grid in grids(call.shape[1] - others, self._sides)
        ]
        yield from sorted(found, key=lambda one: one[1] not in self._known_grids)

    @cached_property
    def _known_grids(self) -> set[tuple[int, ...]]:
        """The grids of convolutions' maps, or without these, those that fit the first tokens."""
        of_convolutions = {shape[2:] for shape in self._of_convolutions}
        first = next((call for call in self._calls if len(call.shape) == 3), None)
        if of_convolutions or first is None:
            return of_convolutions
        return set(grids(first.shape[1], self._sides))

    @cached_property
    def _seen_grids(self) -> set[tuple[int, ...]]:
        """The grids that most calls with that many tokens fit. The queries of a decoder, which have
        no places, fit a grid by chance, but in few calls; and in the first call they are the same
        for every picture."""
        scores: dict[tuple[int, ...], list[float]] = defaultdict(list)
        constant: set[tuple[int, ...]] = set()
        for others, grid, before, changed in self._on_grids():
            if others in self._likely_others:
                # Later calls may be constant, too, such as a branch that begins as zero.
                if grid not in scores and not changed.any():
                    constant.add(grid)
                scores[grid].append(_token_locality(changed, grid, before))
        likely = {grid for grid, found in scores.items() if median(found) > _TELLS_NOTHING}
        return likely - constant

    @cached_property
    def _rows(self) -> set[tuple[int, ...]]:
        """The grids that rows, columns or the steps of a sound fit by chance: the places of these
        tokens lie along one side of the picture."""
        best: dict[tuple[int, ...], float] = defaultdict(float)
        along: dict[tuple[int, ...], float] = defaultdict(float)
        for _, grid, before, changed in self._on_grids():
            best[grid] = max(best[grid], agreement(_on_grid(changed, grid, before)))
            count = changed.shape[1]
            ways = [agreement(changed.unflatten(1, line)) for line in ((count, 1), (1, count))]
            along[grid] = max(along[grid], *ways)
        of_convolutions = {shape[2:] for shape in self._of_convolutions}
        rows = {grid for grid in best if along[grid] > max(_CLEAR, best[grid])}
        return rows - of_convolutions

    def _on_grids(self) -> Iterator[tuple[int, tuple[int, ...], int, Tensor]]:
        """Yields each call's tokens as they may lie: how many stand for the whole picture, the grid
        of the rest, how many come before it, and how much they changed."""
        for call in self._calls:
            changed = call.changed.get(2)
            if len(call.shape) != 3 or changed is None:
                continue
            others, grid = next(self._grids(call), (0, ()))
            before = self._before(others) if grid else None
            if before is not None:
                yield others, grid, before, changed

    @cached_property
    def _likely_others(self) -> set[int]:
        """How many tokens may stand for the whole picture beside a grid that is not known: none,
        one, as many as beside known grids, or without these, as many as in the first call."""
        found = [next(self._grids(call), (0, ())) for call in self._calls if len(call.shape) == 3]
        known = [others for others, grid in found if grid in self._known_grids]
        first = [] if self._known_grids else [others for others, _ in found[:1]]
        return {0, 1, *known, *first}

    @cached_property
    def _selected(self) -> set[Node]:
        return nodes_behind_selections(self._logits.grad_fn)

    def _before(self, others: int) -> int | None:
        """How many of the tokens for the whole picture, `others`, come before the grid, by all
        calls with that many; None if no call tells."""
        if others not in self._befores:
            scores = dict.fromkeys(range(others + 1), 0.0)
            for call in self._calls:
                changed = call.changed.get(2)
                if len(call.shape) != 3 or changed is None:
                    continue
                fewest = next(self._grids(call), None)
                if fewest is None or fewest[0] != others:
                    continue
                found = {one: _token_locality(changed, fewest[1], one) for one in scores}
                if max(found.values()) >= _LEAST_LOCALITY:
                    for one, score in found.items():
                        scores[one] += math.log(max(score, 0.1))
            best = max(scores, key=lambda one: scores[one])
            self._befores[others] = best if scores[best] > 0 else None
        return self._befores[others]


def _token_locality(changed: Tensor, grid: tuple[int, ...], before: int) -> float:
    """`locality` of tokens: changed is [patches, L]."""
    return locality(_on_grid(changed, grid, before))


def _on_grid(changed: Tensor, grid: tuple[int, ...], before: int) -> Tensor:
    return changed[:, before : before + math.prod(grid)].unflatten(1, grid)
