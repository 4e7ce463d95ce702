"""Checks that a network's feature maps lie over the picture as it is given: a crop, a flip or a
border within the network moves them.

The first map that the network makes shows a place to within a few pixels, and what is moved there
is moved in all later maps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from gradcam_core.cam.network.hooks import exclusive, on_this_thread
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.target_layers.calls import makes_a_map, nearness
from gradcam_core.cam.target_layers.feature_maps import FeatureMaps
from gradcam_core.cam.target_layers.layout import Layout
from gradcam_core.errors import CamError

_STRIPS = (0.2, 0.35, 0.8)
"""Middles of the strips that are changed, as shares of a side. No symmetry maps them onto each
other."""

_STRIP = 0.03  # width of a strip, as a share of a side

_LEAST_CELLS = 4  # along a side; with fewer, no place can be told
_MANY_CELLS = 8  # along a side; of so many, few change with a strip that is in its place
_FOCUSED = 1.5  # a place can be told if there are this many times as many cells as change
_MOST_APART = 0.5  # cells of the map explained: a place this near to its own lies there
_ONCE = 1.5  # a strip is seen twice if its extent is this many times the least, and a cell more

_CLEAR = 0.18  # nearness that random changes do not reach: they have 0.14
_MORE = 1.2  # times the nearness to the own places; networks before training reach 1.05
_SURE = 0.3
"""Nearness from which `_AS_MUCH` is enough, as of a map added to its mirror image, and which a
rolled map must exceed."""

_AS_MUCH = 0.9
_LEAST_NEAR = 0.5  # nearness along one axis; random changes have 0.37

ELSEWHERE = "so the heat would be in the wrong place"


class MovedError(CamError):
    """A network moves its pictures or maps. how: what it does, words for a sentence."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how

    def __str__(self) -> str:
        return (
            f"The network {self.how}, {ELSEWHERE}. Remove this step, or name the layer= to explain "
            "and, as reshape=, a function that moves its map back to [N, C, h, w]."
        )


_TURNED = {
    (False, True, False): "they were turned upside down",
    (False, False, True): "they were mirrored",
    (False, True, True): "they were rotated by 180 degrees",
    (True, False, False): "their height and width were swapped",
    (True, False, True): "they were rotated by 90 degrees",
    (True, True, False): "they were rotated by 270 degrees",
    (True, True, True): "their height and width were swapped",
}
"""By whether height and width are swapped, whether rows are reversed, and whether columns are."""


class SeenError(BaseException):
    """Ends a pass once the map is there. A BaseException, so that modules do not catch it."""


def first_layer(module: nn.Module, maps: FeatureMaps) -> str | None:
    """The name of the module that makes the first feature map; None if none is known."""
    names = (
        name
        for name, number in maps.layouts
        if number == 1 and (name, 1) not in maps.unused and makes_a_map(module.get_submodule(name))
    )
    return next(names, None)


def first_map(
    module: nn.Module, inputs: Inputs, layer: str, layout: Layout
) -> Callable[[Tensor], Tensor]:
    """A function from a picture [1, C, H, W], which replaces that of the inputs, to the map
    [1, C, h, w] that the first call of a layer makes of it. What follows is not run."""
    part = module.get_submodule(layer)

    def of(picture: Tensor) -> Tensor:
        found: list[Tensor] = []

        def keep(_part: nn.Module, _inputs: object, given: Tensor) -> None:
            found.append(layout.to_map(given).detach().clone())
            raise SeenError

        with exclusive(module) as undo, torch.no_grad(), suppress(SeenError):
            undo.callback(part.register_forward_hook(on_this_thread(keep)).remove)
            inputs.run(module, picture)
        return found[0]

    return of


def what_moves(
    picture: Tensor,
    map_of: Callable[[Tensor], Tensor],
    explained: Sequence[int],
    may_cut: bool = False,
) -> str:
    """What a network does if a change of the picture changes its first map at other places, or
    nowhere: words for a sentence, empty if each place stays where it is or if this cannot be told.

    picture: [1, C, H, W]. map_of: the first feature map [1, C, h, w] of a picture. explained: the
    cells (rows, columns) of the map that is explained. may_cut: whether something in the network
    cuts maps, so that parts of the picture that change nothing are not merely masked."""
    own = map_of(picture)
    cells = own.shape[2:]
    if len(cells) != 2 or min(cells) < _LEAST_CELLS or len(explained) != 2 or min(explained) < 2:
        return ""
    for length in (0.25, 1):  # a part of each strip shows where the picture is turned
        found = [
            torch.cat([_apart(map_of(one), own) for one in _changed(picture, axis, side, length)])
            for axis, side in enumerate(cells)
        ]
        are_seen = [one[2:].flatten(1).any(dim=1) for one in found]
        if all(bool(one.any()) for one in are_seen):
            break
    else:
        return ""  # it looks at hardly anything, or at nothing
    are_all_seen = all(bool(one.all()) for one in are_seen)
    if may_cut and not are_all_seen:
        return "does not look at all parts of its pictures, as if it cut out a part"
    if are_all_seen:
        for of_axis, edges in zip(found, (("upper", "lower"), ("left", "right")), strict=True):
            for one, edge in zip(of_axis, edges, strict=False):
                if not one.any():
                    return (
                        f"does not look at the {edge} edge of its pictures, as if it cut out a part"
                    )
    return _what_changes_order([one[2:] for one in found], explained)


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """How far apart two maps [1, C, h, w] are at each place, [1, h, w]."""
    return one.double().sub(other).square_().sum(dim=1).sqrt().cpu()


def are_elsewhere(changed: Tensor, is_picked: bool) -> bool:
    """Whether patches of the picture change a map in other places than their own: those that they
    have in a mirrored, turned or rolled picture or, if is_picked, in no order. changed: of a
    `Call`, [patches, *sides]. False if this cannot be told."""
    if not bool(changed.flatten(1).any(dim=1).all()) or min(changed.shape[1:]) < _LEAST_CELLS:
        return False
    if is_picked and any(
        nearness(changed, [axis]) < _LEAST_NEAR for axis in range(changed[0].ndim)
    ):
        return True
    own = nearness(changed)
    others = max(map(nearness, _turned(changed)))
    if others > max(_CLEAR, _MORE * own) or others > max(_SURE, _AS_MUCH * own):
        return True
    # On few cells, a map in its place may be as near to the places of a rolled picture.
    return own < _CLEAR and max(map(nearness, _rolled(changed)), default=0) > _SURE


def _turned(changed: Tensor) -> Iterator[Tensor]:
    axes = range(1, changed.ndim)
    for turned in [changed, *([changed.mT] if changed.ndim > 2 else [])]:
        for flips in itertools.product((False, True), repeat=len(axes)):
            if any(flips) or turned is not changed:
                yield turned.flip([axis for axis, flip in zip(axes, flips, strict=True) if flip])


def _rolled(changed: Tensor) -> Iterator[Tensor]:
    axes = range(1, changed.ndim)
    for shares in itertools.product((0, 0.25, 0.5, 0.75), repeat=len(axes)):
        cells = [round(s * n) for s, n in zip(shares, changed.shape[1:], strict=True)]
        apart = [min(one, n - one) for one, n in zip(cells, changed.shape[1:], strict=True)]
        if max(apart) > 1:  # by one of few cells a border may move it, too
            yield changed.roll(cells, list(axes))


def _what_changes_order(differences: Sequence[Tensor], explained: Sequence[int]) -> str:
    """See `what_moves`. differences: how much the first map changed with strips of rows, and with
    strips of columns, each [strips, h, w]."""
    by_order = [
        (is_swapped, [_Along(one, axis ^ is_swapped) for axis, one in enumerate(differences)])
        for is_swapped in (False, True)
    ]
    (_, own), _ = by_order
    if all(float(one.focus.min()) < _FOCUSED for _, both in by_order for one in both):
        if min(differences[0].shape[1:]) < _MANY_CELLS:
            return ""
        return (
            "changes its first feature map everywhere with every place of its pictures, as behind "
            "a Fourier transform"
        )
    for is_swapped, both in by_order:
        first, second = (
            one.is_reversed(_MOST_APART / cells) for one, cells in zip(both, explained, strict=True)
        )
        if first is not None and second is not None:
            how = _TURNED.get((is_swapped, first, second))
            return "" if how is None else f"processes its pictures as if {how}"
    _, axis = max(
        (float((one.middle - one.expected).abs().max()), axis) for axis, one in enumerate(own)
    )
    at = int((own[axis].middle - own[axis].expected).abs().argmax())
    return (
        "moves, turns, enlarges or pads its pictures first: what is at "
        f"{float(own[axis].expected[at]):.0%} of their {('height', 'width')[axis]} lies at "
        f"{float(own[axis].middle[at]):.0%} of its map"
    )


class _Along:
    """Where a map changed with each strip [strips, h, w], along one axis. middle, expected: where
    each change lies, and where it should, as shares of the side [strips]. cells: how many lie along
    the axis; focus: these divided by how many changed [strips]. extent, most: the least and the
    largest extent of a change, as shares of the side."""

    def __init__(self, differences: Tensor, axis: int) -> None:
        is_seen = differences.flatten(1).any(dim=1)
        sums = differences[is_seen].sum(dim=2 - axis)
        side = sums.shape[1]
        squares = sums.square()  # so that what changes a little everywhere counts little
        at = (torch.arange(side, dtype=squares.dtype, device=sums.device) + 0.5) / side
        self.middle = (squares * at).sum(dim=1) / squares.sum(dim=1)
        self.focus = side * squares.sum(dim=1) / sums.sum(dim=1).square()
        self.extent, self.most = (float(one) for one in (1 / self.focus).aminmax())
        self.cells = side
        self.expected = torch.tensor(_STRIPS, dtype=at.dtype, device=at.device)[is_seen]

    def is_reversed(self, apart: float) -> bool | None:
        """Whether the changes lie in the opposite order; None if they lie in neither. apart: how
        far they may be from where they should be, as a share of the side."""
        most = apart + self.extent / 2
        if self.most > _ONCE * self.extent + 1 / self.cells:
            return None
        for is_it, middle in ((False, self.middle), (True, 1 - self.middle)):
            if bool(((middle - self.expected).abs() <= most).all()):
                return is_it
        return None


def _changed(picture: Tensor, axis: int, cells: int, share: float) -> list[Tensor]:
    """Copies of the picture, each with one strip changed: at the first edge, at the last one, where
    less than a cell may be left over, and at each of `_STRIPS`, there for a share of its length.

    The values of a strip are moved along it, which preserves the statistics by which a module may
    normalise its pictures.
    """
    along, across = axis + 2, 3 - axis
    side, whole = picture.shape[along], picture.shape[across]
    wide = max(side // cells, round(_STRIP * side))
    last = max(wide, side // cells + 1)
    part = max(2, int(share * whole))
    strips = [(0, wide, whole), (side - last, last, whole)]
    strips += [(round(middle * side - wide / 2), wide, part) for middle in _STRIPS]
    found = []
    for begin, width, length in strips:
        one = picture.clone()
        strip = one.narrow(along, begin, width).narrow(across, 0, length)
        strip.copy_(strip.roll(length // 2, across))
        found.append(one)
    return found
