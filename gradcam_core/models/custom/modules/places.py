"""Whether the feature maps of a person's module lie over the picture as it is given: a crop, a flip
or a border within the module moves them.

Seen from the first map that the module makes, in which a place is known to a few pixels: what is
moved there is moved in all later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gradcam_core.errors import NetworkError

if TYPE_CHECKING:
    from torch import Tensor, nn

_STRIPS = (0.2, 0.35, 0.8)
"""Middles of the strips that are changed, as shares of a side; no symmetry maps them onto
others."""

_STRIP = 0.03  # of a side: width of a strip

_LEAST_CELLS = 4  # along a side, in which a place can be told
_MANY_CELLS = 8  # along a side, few of which change with a strip if it is in its place
_FOCUSED = 1.5  # times as many cells as change, or more, are there if a place is to be told
_MOST_APART = 0.5  # cells of the map that is explained
_ONCE = 1.5  # times the least extent, above which, but for a cell, a strip is seen twice

_ELSEWHERE = "so the heat would be in the wrong place"
_AS_THEY_ARE = "remove this step, so that it takes pictures as they are"

_TURNED = {
    (False, True, False): "they were turned upside down",
    (False, False, True): "they were mirrored",
    (False, True, True): "they were rotated by 180 degrees",
    (True, False, False): "their height and width were swapped",
    (True, False, True): "they were rotated by 90 degrees",
    (True, True, False): "they were rotated by 270 degrees",
    (True, True, True): "their height and width were swapped",
}
"""By whether height and width are swapped, rows are in the opposite order, and columns are."""


class SeenError(BaseException):
    """Ends a pass once what was looked for is seen; not to be caught by a module's own code."""


def first_map(
    module: nn.Module, batch: Tensor, output: Callable[[Any], Tensor] | None
) -> Callable[[Tensor], Tensor] | None:
    """From pictures to the first feature map that the module makes of them, without what follows;
    None if it cannot be seen."""
    import torch

    from gradcam_core.cam.network.hooks import exclusive, on_this_thread
    from gradcam_core.cam.network.inputs import Inputs
    from gradcam_core.cam.target_layers.calls import makes_a_map
    from gradcam_core.cam.target_layers.layers import maps_of

    maps = maps_of(module, Inputs.of(batch), output)
    names = (
        name
        for name, number in maps.layouts
        if number == 1 and (name, 1) not in maps.unused and makes_a_map(module.get_submodule(name))
    )
    first = next(names, None)
    if first is None:
        return None
    part, layout = module.get_submodule(first), maps.layouts[first, 1]

    def of(pictures: Tensor) -> Tensor:
        found: list[Tensor] = []

        def keep(_part: nn.Module, _inputs: object, given: Tensor) -> None:
            found.append(layout.to_map(given).detach().clone())
            raise SeenError

        with exclusive(module) as undo, torch.no_grad(), suppress(SeenError):
            undo.callback(part.register_forward_hook(on_this_thread(keep)).remove)
            module(pictures.clone())
        return found[0]

    return of


def check_places(
    picture: Tensor, maps_of: Callable[[Tensor], Tensor], explained: Sequence[int]
) -> None:
    """picture: [1, C, H, W] of noise. maps_of: the first feature maps [N, C, h, w] of pictures.
    explained: the cells of the map that is explained. Raises NetworkError where what is changed in
    the picture changes the map at other places, or nowhere."""
    import torch

    cells = maps_of(picture).shape[2:]
    if len(cells) != 2 or min(cells) < _LEAST_CELLS or len(explained) != 2 or min(explained) < 2:
        return
    changed = [one for axis in (0, 1) for one in _changed(picture, axis, cells[axis])]
    maps = maps_of(torch.cat([picture, *changed])).double()
    differences = (maps[1:] - maps[:1]).square().sum(dim=1).sqrt().cpu().split(len(changed) // 2)
    if not all(bool(one[2:].flatten(1).any(dim=1).all()) for one in differences):
        return  # it looks at hardly anything, or at nothing
    for of_axis, edges in zip(differences, (("upper", "lower"), ("left", "right")), strict=True):
        for one, edge in zip(of_axis, edges, strict=False):
            if not one.any():
                raise NetworkError(
                    f"the module does not look at the {edge} edge of its pictures, as if it cut "
                    f"out a part, {_ELSEWHERE}: take the crop out of the module, and give its "
                    "size= and crop="
                )
    _check_order([one[2:] for one in differences], explained)


def _check_order(differences: Sequence[Tensor], explained: Sequence[int]) -> None:
    """differences: by which rows were changed, and which columns, [strips, h, w] each."""
    by_order = [
        (is_swapped, [_Along(one, axis ^ is_swapped) for axis, one in enumerate(differences)])
        for is_swapped in (False, True)
    ]
    (_, own), _ = by_order
    if all(float(one.focus.min()) < _FOCUSED for _, both in by_order for one in both):
        if min(differences[0].shape[1:]) < _MANY_CELLS:
            return
        raise NetworkError(
            "every place of its pictures changes the module's first feature map everywhere, as "
            f"behind a Fourier transform, {_ELSEWHERE}: {_AS_THEY_ARE}"
        )
    for is_swapped, both in by_order:
        first, second = (
            one.is_reversed(_MOST_APART / cells) for one, cells in zip(both, explained, strict=True)
        )
        if first is not None and second is not None:
            how = _TURNED.get((is_swapped, first, second))
            if how is None:
                return
            raise NetworkError(
                f"the module processes its pictures as if {how}, {_ELSEWHERE}: {_AS_THEY_ARE}"
            )
    _, axis = max(
        (float((one.middle - one.expected).abs().max()), axis) for axis, one in enumerate(own)
    )
    at = int((own[axis].middle - own[axis].expected).abs().argmax())
    raise NetworkError(
        "the module moves, turns, enlarges or pads its pictures first: what is at "
        f"{_STRIPS[at]:.0%} of their {('height', 'width')[axis]} lies at "
        f"{float(own[axis].middle[at]):.0%} of its map, {_ELSEWHERE}: {_AS_THEY_ARE}"
    )


class _Along:
    """Where several maps changed [strips, h, w], along one axis: middle and extent as shares of its
    side [strips], the least and the largest extent of all; cells: along it; focus: how many times
    these are as many as those that changed."""

    def __init__(self, differences: Tensor, axis: int) -> None:
        import torch

        sums = differences.sum(dim=2 - axis)
        side = sums.shape[1]
        squares = sums.square()  # so that what changes a little everywhere counts little
        at = (torch.arange(side, dtype=squares.dtype, device=sums.device) + 0.5) / side
        self.middle = (squares * at).sum(dim=1) / squares.sum(dim=1)
        self.focus = side * squares.sum(dim=1) / sums.sum(dim=1).square()
        self.extent, self.most = (float(one) for one in (1 / self.focus).aminmax())
        self.cells = side
        self.expected = torch.tensor(_STRIPS, dtype=at.dtype, device=at.device)

    def is_reversed(self, apart: float) -> bool | None:
        """Whether they lie in the opposite order, with so much of the side between them and where
        they should be; None if they lie in no order."""
        most = apart + self.extent / 2
        if self.most > _ONCE * self.extent + 1 / self.cells:
            return None
        for is_it, middle in ((False, self.middle), (True, 1 - self.middle)):
            if bool(((middle - self.expected).abs() <= most).all()):
                return is_it
        return None


def _changed(picture: Tensor, axis: int, cells: int) -> list[Tensor]:
    """The picture with one strip of it changed: at the first edge, at the last one, where less than
    a cell may be left over, and between.

    Values change their places within a strip, which keeps what a module may normalise its pictures
    by; in one quarter of those between, which shows where it turns them.
    """
    along, across = axis + 2, 3 - axis
    side, whole = picture.shape[along], picture.shape[across]
    wide = max(1, round(_STRIP * side))
    last = max(wide, side // cells + 1)
    part = max(2, whole // 4)
    strips = [(0, wide, whole), (side - last, last, whole)]
    strips += [(round(share * side - wide / 2), wide, part) for share in _STRIPS]
    found = []
    for begin, width, length in strips:
        one = picture.clone()
        strip = one.narrow(along, begin, width).narrow(across, 0, length)
        strip.copy_(strip.roll(length // 2, across))
        found.append(one)
    return found
