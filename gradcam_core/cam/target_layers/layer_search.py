"""Finds the feature maps among the calls of a pass: which calls hold a map, how it lies in their
output, and which is the last of its resolution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam_core.cam.network.explainable import scripted_part
from gradcam_core.cam.target_layers.calls import Call
from gradcam_core.cam.target_layers.elsewhere import is_of_a_vector, nodes_without_places
from gradcam_core.cam.target_layers.feature_maps import FeatureMap, FeatureMaps, Stage
from gradcam_core.cam.target_layers.find_layout import Layouts
from gradcam_core.cam.target_layers.graph import (
    bypass_of,
    calls_on_every_path,
    first_uses,
    graph_signature,
    last_calls,
    layers_before,
    nodes_behind_which_others_are,
    unseen_layers_behind,
)
from gradcam_core.cam.target_layers.layout import (
    ChannelsFirst,
    ChannelsLast,
    Layout,
    SequenceFirst,
    Tokens,
    has_one_stride,
    is_convolution,
)
from gradcam_core.cam.target_layers.refusals import (
    nothing_found,
    side_by_side,
    without_layout,
    without_modules,
)
from gradcam_core.errors import CamError

_MOST_BEHIND = 4
"""How many layers that still give places may follow the last map. More would be most of a network:
in 193 networks, two at most followed a sensible map, and five or more a stem."""

_FEW_BEHIND = 2
"""This many may follow it even if it has fewer layers before it."""

_LEAST_SHARED = 0.5
"""Paths that bypass a map come from its own trunk if at least this share of their layers is before
the map, too."""


class _Candidate:
    """A call that gives a feature map. size: the map's sides; shape: (channels, *sides); entered:
    the sides of its input maps."""

    def __init__(self, call: Call, layout: Layout) -> None:
        self.call, self.layout = call, layout
        found = layout.to_map(torch.empty(call.shape, device="meta"))
        self.size = found.shape[2:]
        self.shape = tuple(found.shape[1:])
        is_last = isinstance(layout, ChannelsLast)
        self.entered = {
            shape[:-1] if is_last else shape[1:]
            for shape in call.input_shapes
            if len(shape) == len(self.shape)
        }


class LayerSearch:
    """Finds the stages among the calls of a pass. sides: of the picture. logits: the output of the
    pass. folded: calls that make maps, but without one entry per image. unseen: the name of a part
    whose calls cannot be seen, or None."""

    def __init__(
        self,
        calls: Sequence[Call],
        sides: tuple[int, ...],
        logits: Tensor,
        folded: Sequence[Call] = (),
        unseen: str | None = None,
    ) -> None:
        self._folded = folded
        self._unseen = unseen
        self._logits = logits
        self._through = calls_on_every_path(calls, logits)
        self.is_convolutional = is_convolutional(calls)
        self._calls = calls
        self._knows_places_used = any(
            bool(one.any()) for call in calls for one in call.places_used.values()
        )
        self._called_often = {call.name for call in calls if call.number > 1}
        layout_of = Layouts(calls, sides, self.is_convolutional, logits).of
        self._elsewhere = nodes_without_places(logits)
        self._layouts = {
            call.key: layout
            for call in calls
            if call.node not in self._elsewhere and (layout := layout_of(call))
        }
        self._maps = [
            _Candidate(call, layout)
            for call in calls
            if (layout := self._layouts.get(call.key)) and self._counts(call, layout)
        ]
        has_sides = logits.ndim == len(sides) + 2 or (
            2 < logits.ndim == len(sides) + 1 and has_one_stride(logits.shape[1:], sides)
        )
        self._gives_a_map = has_sides and not is_of_a_vector(logits.grad_fn)

    def maps(self) -> FeatureMaps:
        unused = self._layouts.keys() - {one.call.key for one in self._maps}
        layouts = {
            call.key: _as_given(call, self._layouts[call.key])
            for call in self._calls
            if call.key in self._layouts
        }
        is_lasting = self._knows_places_used or self.is_convolutional
        try:
            stages: list[FeatureMap] | CamError = self._stages_before_the_output()
        except CamError as error:
            # Kept without its traceback, whose frames would keep the network in memory.
            stages = CamError(str(error))
            return FeatureMaps(stages, layouts, unused, set(), is_lasting)
        assert isinstance(stages, list)
        key = stages[-1].name, stages[-1].number
        (node,) = (one.node for one in self._calls if one.key == key)
        signatures = {graph_signature(node, self._logits)} if node is not None else set()
        return FeatureMaps(stages, layouts, unused, signatures, is_lasting)

    def _stages_before_the_output(self) -> list[FeatureMap]:
        if self._unseen is not None:
            raise CamError(scripted_part(self._unseen))
        if self._gives_a_map:
            # The output of a segmentation is the last map, but no feature map.
            more = nodes_behind_which_others_are(self._calls)
            before = [one for one in self._maps if one.call.node in more]
            if any(one.call.makes_map for one in before):
                return self._stages(before)
        return self._stages(self._maps)

    def _stages(self, maps: Sequence[_Candidate]) -> list[FeatureMap]:
        sizes = [one.size for one in maps if one.call.makes_map]
        several = [size for size in sizes if size.numel() > 1] or sizes
        # By the last map of each, because a branch may leave a resolution and return to it.
        ordered = list(dict.fromkeys(reversed(several)))[::-1]
        found = [self._last_of(maps, size, size == ordered[-1]) for size in ordered]
        stages = [one for one in found if one is not None]
        if not stages:
            raise CamError(nothing_found(self._calls, self._folded, self._elsewhere))
        try:
            self._check_last(stages[-1], maps)
        except CamError:
            later = self._laid_out_again()
            if later is None:
                raise
            self._check_last(later, maps)
            stages.append(later)
        return stages

    def _laid_out_again(self) -> FeatureMap | None:
        """The last map that every path goes through, if the layers that make it cannot be laid out,
        as in a transformer that works in windows; None if there is no such map."""
        if self.is_convolutional:
            return None
        whole = [
            one
            for one in self._maps
            if one.call.key in self._through and one.size.numel() > 1 and self._belongs(one)
        ]
        return self._feature_map(whole[-1]) if whole else None

    def _last_of(
        self, maps: Sequence[_Candidate], size: torch.Size, is_last: bool
    ) -> FeatureMap | None:
        of_size = [one for one in maps if one.size == size and self._belongs(one)]
        # One channel is a mask if other maps have more.
        chosen = [one for one in of_size if one.shape[0] > 1] or of_size
        all_of_it = [one for one in chosen if one.call.key in self._through]
        if all_of_it or not (is_last or self.is_convolutional):
            chosen = all_of_it
        elif is_last and of_size:
            # If two paths bypass each other, take a norm rather than a matrix of attention.
            norms = [one for one in chosen if "Norm" in type(one.call.part).__name__]
            if self.is_convolutional or not norms or not self._is_of_one_trunk(norms[-1].call):
                raise CamError(side_by_side(self._last_among(maps)))
            chosen = norms
        if not chosen:
            return None
        return self._feature_map(chosen[-1])

    def _feature_map(self, one: _Candidate) -> FeatureMap:
        call, stage = one.call, Stage(self._name(one.call), one.shape)
        return FeatureMap(stage, call.name, call.number, _as_given(call, one.layout))

    def _name(self, call: Call) -> str:
        return f"{call.name}#{call.number}" if call.name in self._called_often else call.name

    def _belongs(self, one: _Candidate) -> bool:
        """Whether a map belongs to its resolution: it was not passed on from another call, nor
        enlarged, and is not inside a block that leads to another resolution."""
        if one.call.key in self._passed_on or one.call.key in self._enlarged:
            return False
        return not any(
            one.call.name.startswith(f"{block}.") and one.size in entered
            for block, entered in self._reducing
        )

    @cached_property
    def _passed_on(self) -> set[tuple[str, int]]:
        """The calls that return the output of another call, as a dropout does in eval mode: a map
        belongs to the call that made it, before anything was taken from it. Nor is a map theirs
        that was used before, as in the shortcut of a block: they pass on a part of it."""
        used = first_uses(self._logits)
        made: set[Node] = set()
        found: set[tuple[str, int]] = set()
        for call in self._calls:
            is_known = call.node in made if call.node is not None else False
            is_leaf = next(call.part.children(), None) is None
            if (isinstance(call.part, nn.Identity) or (is_known and is_leaf)) and not hasattr(
                call.part, "is_folded_norm"
            ):
                found.add(call.key)
            if call.node is not None and used.get(call.node, call.nodes.start) < call.nodes.start:
                found.add(call.key)
            if call.node is not None:
                made.add(call.node)
        return found

    @cached_property
    def _reducing(self) -> list[tuple[str, set[torch.Size]]]:
        """Blocks whose map has another size than their input maps, with the sizes of these."""
        return [
            (one.call.name, one.entered)
            for one in self._maps
            # A list of blocks is not a block.
            if type(one.call.part) is not nn.Sequential
            and one.size.numel() > 1
            and one.entered
            and one.size not in one.entered
        ]

    @cached_property
    def _enlarged(self) -> set[tuple[str, int]]:
        """The calls whose map was enlarged, until a layer makes one of its size again."""
        found: set[tuple[str, int]] = set()
        enlarged: set[torch.Size] = set()
        for one in self._maps:
            if one.call.maps_made:
                enlarged.discard(one.size)
            elif one.entered and all(one.size.numel() > size.numel() for size in one.entered):
                enlarged.add(one.size)
            if one.size in enlarged:
                found.add(one.call.key)
        return found

    def _counts(self, call: Call, layout: Layout) -> bool:
        """Whether the logits depend on more than one place of a map."""
        axis = 1 if isinstance(layout, ChannelsFirst) else len(call.shape) - 1
        if self.is_convolutional or not self._knows_places_used:
            return True  # not measured, or all weights after it are 0, as before training
        places = call.places_used.get(axis)
        if places is None:
            return False
        if isinstance(layout, Tokens):
            places = layout.to_map(places[None, :, None])
        return int(places.sum()) > 1 or places.numel() == 1

    def _check_last(self, last: FeatureMap, maps: Sequence[_Candidate]) -> None:
        """Raises CamError if too many layers that still have places follow the last map: because
        they could not be laid out, are not modules, or make maps that lead to the logits side by
        side, as in a feature pyramid."""
        at = next(n for n, call in enumerate(self._calls) if call.key == (last.name, last.number))
        # Modules that also ran before now process another input, like an encoder of two pictures.
        again = {call.name for call in self._calls[: at + 1]}
        behind = [
            call
            for call in self._calls[at + 1 :]
            if call.makes_map and self._has_places(call) and call.name not in again
        ]
        before = layers_before(self._calls[at], self._calls)
        most = min(_MOST_BEHIND, max(_FEW_BEHIND, before))
        is_elsewhere = any(call.node in self._elsewhere for call in behind)
        if len(behind) > most and self.is_convolutional and not is_elsewhere:
            raise CamError(side_by_side(self._last_among(maps)))
        if len(behind) > most:
            known = [call for call in behind if call.key in self._layouts]
            if len(known) > len(behind) / 2:
                raise CamError(side_by_side(self._last_among(maps)))
            raise CamError(without_layout(last.stage.layer, behind))
        unseen = unseen_layers_behind(self._calls[at], self._calls, self._logits)
        if unseen > _MOST_BEHIND or unseen >= before:
            raise CamError(without_modules(last.stage.layer, unseen))

    def _has_places(self, call: Call) -> bool:
        if self.is_convolutional:  # whose graph is not run backwards
            return call.shape[2:].numel() > 1
        axes = call.places_used if len(call.shape) > 3 else {2: call.places_used.get(2)}
        return any(found is not None and int(found.sum()) > 1 for found in axes.values())

    def _is_of_one_trunk(self, call: Call) -> bool:
        """Whether the paths that bypass a call come from the same trunk, as when branches
        of several resolutions exchange maps, and not from another network of an ensemble."""
        past = bypass_of(self._calls, self._logits, call)
        beside = [one for one in past.beside if self._has_places(one)]
        known = {one.shape for one in past.shared}
        return (
            not past.is_apart
            and len(past.shared) >= _LEAST_SHARED * (len(past.shared) + len(beside))
            and all(one.shape in known for one in beside)
        )

    def _last_among(self, maps: Sequence[_Candidate]) -> list[str]:
        """Names of the maps that no other map follows. maps: all, or those before the output."""
        calls = [one.call for one in maps if one.size.numel() > 1 and self._belongs(one)]
        # Name the input of attention rather than its matrices.
        named = [call for call in calls if not call.makes_map or is_convolution(call.part)]
        return [self._name(call) for call in last_calls(named or calls)]


def _as_given(call: Call, layout: Layout) -> Layout:
    """The layout of a call's output as it is. layout: that of the output with the images first."""
    return SequenceFirst(layout) if call.is_sequence_first else layout


def is_convolutional(calls: Sequence[Call]) -> bool:
    """Whether all feature maps are made by convolutions, whose channels come first."""
    return all(is_convolution(call.part) for call in calls if call.makes_map)
