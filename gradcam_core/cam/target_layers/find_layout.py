"""How the outputs of a pass hold a map: seen from what changes with which part of the picture."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from statistics import median

from torch import Tensor
from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.calls import Call, locality
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
"""By how much more a place must change with its own part of the picture than with others."""


_TELLS_NOTHING = 0.95
"""Above this, and below the least, attention has mixed all places evenly."""


class Layouts:
    """Of the calls of a pass over a picture with these sides."""

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
        """How a call's output holds a map, with the images first; None if it holds none that is
        known."""
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
            # A convolution's map of this very shape lies as it does.
            if score > _TELLS_NOTHING and tuple(call.shape) in self._of_convolutions:
                return ChannelsFirst()
        return layout if score >= _LEAST_LOCALITY else None

    @cached_property
    def _of_convolutions(self) -> set[tuple[int, ...]]:
        """The shapes of what convolutions gave, but for those that might be channels last."""
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
        """Whether a part, in a network of other parts, too, is one of convolutions alone."""

        def has(names: Sequence[str]) -> bool:
            return any(f"{name}.".startswith(f"{call.name}.") for name in names)

        return has(self._convolutions) and not has(self._others)

    def _with_places(self, call: Call) -> tuple[Layout | None, float]:
        if len(call.shape) != len(self._sides) + 2:
            return None, 0.0
        best: tuple[Layout | None, float] = None, 0.0
        for axis, changed in call.changed.items():
            score = locality(changed)
            # Of a video, time may have a stride of its own.
            grid, sides = changed.shape[1:][-2:], self._sides[-2:]
            if has_one_stride(grid, sides) and score > best[1]:
                best = ChannelsFirst() if axis == 1 else ChannelsLast(), score
        return best

    def _tokens(self, call: Call) -> tuple[Layout | None, float]:
        """Laid out on the one grid that leaves out the fewest of them."""
        changed = call.changed.get(2)
        if changed is None:
            return None, 0.0
        for others, grid in self._grids(call):
            before = self._before(others)
            if before is None:
                return None, 0.0
            score = _token_locality(changed, grid, before)
            if grid not in self._known_grids | self._seen_grids:
                return None, 0.0
            if grid not in self._known_grids and call.node in self._selected:
                return None, 0.0  # some of many, which are no grid of their own
            # Where attention alone has mixed all places evenly, which tells nothing, they are
            # taken to lie as in the calls before.
            return Tokens(grid, before), _LEAST_LOCALITY if score > _TELLS_NOTHING else score
        return None, 0.0

    def _grids(self, call: Call) -> Iterator[tuple[int, tuple[int, ...]]]:
        """How many tokens stand for the whole picture, with the grid of the rest: first those of
        grids that are known from convolutions, because 33 tokens of an oblong picture may be
        4 x 8 and one, or 4 x 7 and five; then the fewest."""
        found = [
            (others, grid)
            for others in range(_TOKENS_FOR_ALL + 1)
            for grid in grids(call.shape[1] - others, self._sides)
        ]
        yield from sorted(found, key=lambda one: one[1] not in self._known_grids)

    @cached_property
    def _known_grids(self) -> set[tuple[int, ...]]:
        """Of the maps of convolutions, or else of the tokens that were there first."""
        of_convolutions = {shape[2:] for shape in self._of_convolutions}
        first = next((call for call in self._calls if len(call.shape) == 3), None)
        if of_convolutions or first is None:
            return of_convolutions
        return set(grids(first.shape[1], self._sides))

    @cached_property
    def _seen_grids(self) -> set[tuple[int, ...]]:
        """Those that the calls with as many tokens do not speak against: the queries of a decoder,
        which have no places, seem to lie on a grid by chance, but in few calls, and are the same
        for every picture at first."""
        scores: dict[tuple[int, ...], list[float]] = defaultdict(list)
        constant: set[tuple[int, ...]] = set()
        for call in self._calls:
            changed = call.changed.get(2)
            if len(call.shape) != 3 or changed is None:
                continue
            others, grid = next(self._grids(call), (0, ()))
            before = self._before(others) if grid else None
            if before is not None and others in self._likely_others:
                # Later calls may be the same for all, too, as a branch that begins as zero.
                if grid not in scores and not changed.any():
                    constant.add(grid)
                scores[grid].append(_token_locality(changed, grid, before))
        likely = {grid for grid, found in scores.items() if median(found) > _TELLS_NOTHING}
        return likely - constant

    @cached_property
    def _likely_others(self) -> set[int]:
        """How many tokens may stand for the whole picture beside a grid that is seen first among
        them: none, one, or as many as beside the grids before, or else among the first tokens."""
        found = [next(self._grids(call), (0, ())) for call in self._calls if len(call.shape) == 3]
        known = [others for others, grid in found if grid in self._known_grids]
        first = [] if self._known_grids else [others for others, _ in found[:1]]
        return {0, 1, *known, *first}

    @cached_property
    def _selected(self) -> set[Node]:
        return nodes_behind_selections(self._logits.grad_fn)

    def _before(self, others: int) -> int | None:
        """How many of so many tokens for the whole picture come first, by all calls with so many;
        None if none of them tells."""
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
    places = changed[:, before : before + math.prod(grid)]
    return locality(places.unflatten(1, grid))
