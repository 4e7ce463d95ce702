"""Finds the parts of an autograd graph whose places are not those of the network's input."""

from __future__ import annotations

import math

from torch import Tensor
from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.graph import (
    NOTHING_COMPUTED,
    from_input,
    is_on_every_path,
    name_of,
    size_of,
)
from gradcam_core.upstream import axes_picked, axis_of, shapes_of, strides_of

_VIEWS = (*NOTHING_COMPUTED, "Transpose", "Permute", "T", "Conj")

_SELECTING = ("Gather", "Index", "IndexSelect", "MaskedSelect", "Topk", "Sort")

_MOVING = (
    *("Flip", "Roll", "Rot90", "Transpose", "Permute", "AsStrided", "CopySlices"),
    *("Unbind", "GridSampler2D", "GridSampler3D"),
)

_PADDING = ("ConstantPadNd", "ReflectionPad", "ReplicationPad")

_CUTTING = ("Slice", "Split", *_PADDING)

_BORDER = 8  # cells of padding that do not count, both sides together, as before a convolution

_LITTLE = 1 / 16
"""Cutting or padding a side by up to this share of it does not count."""


def nodes_behind_selections(end: Node | None) -> set[Node]:
    """The nodes up to this one that are computed from places picked by a list of indices, such as
    from the tokens that a network keeps."""
    found: set[Node] = set()
    for node, before in from_input(end):
        if found.intersection(before) or (name_of(node) in _SELECTING and not _keeps_places(node)):
            found.add(node)
    return found


def _keeps_places(node: Node) -> bool:
    """Whether a selection picks channels only, such as one that swaps red and blue."""
    given, _ = _shapes(node)
    channels = 1 if len(given) > 3 else 2
    if name_of(node) == "IndexSelect":
        return axis_of(node, len(given)) == channels
    return name_of(node) == "Index" and axes_picked(node) == [channels]


def _shapes(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of a node's first input and first output, in the forward pass."""
    before, number = node.next_functions[0]
    given = shapes_of(node)[0]
    return given if before is None else shapes_of(before)[number], given


def may_move_places(end: Node | None) -> bool:
    """Whether anything up to this node may move values to other places, as a flip or a crop does.
    It may also move channels only, or be undone later."""
    return any(
        (name_of(node) in _MOVING and _has_places(node))
        or (name_of(node) in _SELECTING and not _keeps_places(node))
        or (name_of(node).startswith(_CUTTING) and _changes_sides(node))
        for node, _ in from_input(end)
    )


def _has_places(node: Node) -> bool:
    given, _ = _shapes(node)
    return math.prod(given[2:]) > 1


def _changes_sides(node: Node) -> bool:
    given, cut = _shapes(node)
    border = _BORDER if name_of(node).startswith(_PADDING) else 0
    pairs = zip(given[2:], cut[2:], strict=False)
    return any(abs(one - other) > max(border, _LITTLE * one) for one, other in pairs)


def how_sampled(end: Node | None) -> str:
    """What every path goes through that picks places of the input: a sampling at places computed
    from it, as in a spatial transformer, or boxes. Words for a sentence; empty if nothing does. A
    sampling that enlarges maps, by an offset for each place, only refines them, as in DySample."""
    for node, before in from_input(end):
        grid = node.next_functions[1][0] if name_of(node).startswith("GridSampler") else None
        is_grid = grid in before and not (_is_enlarging(node) and not is_of_a_vector(grid))
        if (is_grid or "_roi_" in node.name()) and is_on_every_path(node, end):
            if is_grid:
                return (
                    "samples its pictures, or maps, at places computed from each of them "
                    "(grid_sample)"
                )
            return "takes its maps from boxes, which may lie elsewhere in each picture (roi_align)"
    return ""


def _is_enlarging(node: Node) -> bool:
    given, made = _shapes(node)
    return math.prod(made[2:]) > math.prod(given[2:])


def share_kept(end: Node | None, sides: int) -> float:
    """The share of the picture's most cut side that is left in a node's output. Only cuts that all
    paths go through count, and padding before them, also that of a convolution, cancels out. sides:
    how many a picture has."""
    shares = [1.0] * sides
    for node, _ in from_input(end):
        if name_of(node) == "Convolution":
            grown = _growth(node, sides)
            if max(grown, default=1) > 1 and is_on_every_path(node, end):
                shares = [share * max(1, by) for share, by in zip(shares, grown, strict=True)]
            continue
        if not name_of(node).startswith(_CUTTING) or name_of(node).startswith("Split"):
            continue
        given, cut = _shapes(node)
        if len(given) != sides + 2 or given[2:] == cut[2:] or not is_on_every_path(node, end):
            continue
        step = getattr(node, "_saved_step", 1)
        for axis, (one, other) in enumerate(zip(given[2:], cut[2:], strict=True)):
            if one != other:
                shares[axis] *= min(other * step, max(one, other)) / one
    return min(shares)


def _growth(node: Node, sides: int) -> list[float]:
    """By how much each side of a convolution's output reaches beyond its input: above 1, its own
    padding does, as under even kernels. Empty for an input with another number of sides."""
    given, made = (shape[2:] for shape in _shapes(node))
    if len(given) != sides:
        return []
    strides, is_transposed = strides_of(node)
    pairs = zip(given, made, strides, strict=True)
    if is_transposed:
        return [out / (stride * one) for one, out, stride in pairs]
    return [((out - 1) * stride + 1) / one for one, out, stride in pairs]


def nodes_without_places(logits: Tensor) -> set[Node]:
    """The nodes whose places are not those of the input: frequencies after a Fourier transform, and
    pairs of places, or of channels, from the product of a map with itself. An inverse transform, or
    a product with another map, leads back to places."""
    spectra: set[Node] = set()
    pairs: set[Node] = set()
    for node, before in from_input(logits.grad_fn):
        kind = name_of(node)
        is_spectrum = bool(before) and spectra.issuperset(before)
        if kind in ("FftR2C", "FftC2C"):
            is_spectrum = getattr(node, "_saved_forward", True)
        if is_spectrum and kind != "FftC2R":
            spectra.add(node)
        factors = [_source(one) for one, _ in node.next_functions if one is not None]
        is_own = kind in ("Mm", "Bmm", "Cdist") and len(factors) == 2 == 1 + len(set(factors))
        if is_own or (before and pairs.issuperset(before)):
            pairs.add(node)
    return spectra | pairs


def is_of_a_vector(end: Node | None) -> bool:
    """Whether what a node gives for one image, whatever its shape, is computed from a vector
    without places, as for several tasks with equally many classes."""
    vectors: set[Node] = set()
    for node, before in from_input(end):
        if before and vectors.issuperset(before):
            is_vector = name_of(node) != "Convolution"  # it makes a map of a vector in decoders
        else:
            shape = next(iter(shapes_of(node)), ())
            is_alone = len(shape) > 1 and shape[0] == 1 and math.prod(shape) == shape[1]
            # The tokens of one channel may have this shape, too.
            is_alone = is_alone and all(size_of(one) != shape[1] for one in before)
            is_vector = is_alone and name_of(node) != "Select"
        if is_vector:
            vectors.add(node)
    return end in vectors


def _source(node: Node) -> Node:
    """The node of which this one is only another view."""
    while name_of(node) in _VIEWS and (before := node.next_functions[0][0]) is not None:
        node = before
    return node
