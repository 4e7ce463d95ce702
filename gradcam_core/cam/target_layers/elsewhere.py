"""Which parts of an autograd graph have other places than the input of the network."""

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
from gradcam_core.upstream import axes_picked, axis_of, shapes_of

_VIEWS = (*NOTHING_COMPUTED, "Transpose", "Permute", "T", "Conj")

_SELECTING = ("Gather", "Index", "IndexSelect", "MaskedSelect", "Topk", "Sort")

_MOVING = (
    *("Flip", "Roll", "Rot90", "Transpose", "Permute", "AsStrided", "CopySlices"),
    *("Unbind", "GridSampler2D", "GridSampler3D"),
)

_PADDING = ("ConstantPadNd", "ReflectionPad", "ReplicationPad")

_CUTTING = ("Slice", "Split", *_PADDING)

_BORDER = 8  # cells that a map may be padded by, both sides together, as before a convolution

_LITTLE = 1 / 16
"""Share of a side by which it may be cut or padded."""


def nodes_behind_selections(end: Node | None) -> set[Node]:
    """What, before this node, is made from places of the input that were picked by a list of their
    numbers, as from the tokens that a network keeps."""
    found: set[Node] = set()
    for node, before in from_input(end):
        if found.intersection(before) or (name_of(node) in _SELECTING and not _keeps_places(node)):
            found.add(node)
    return found


def _keeps_places(node: Node) -> bool:
    """Whether a selection is one of channels, as where red and blue change places."""
    given, _ = _shapes(node)
    channels = 1 if len(given) > 3 else 2
    if name_of(node) == "IndexSelect":
        return axis_of(node, len(given)) == channels
    return name_of(node) == "Index" and axes_picked(node) == [channels]


def _shapes(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of the first that a node is given, and of the first that it gives."""
    before, number = node.next_functions[0]
    given = shapes_of(node)[0]
    return given if before is None else shapes_of(before)[number], given


def may_move_places(end: Node | None) -> bool:
    """Whether anything before this node may give places to other places than it took them from,
    such as a flip or a crop; it may also do so to channels, or take it back."""
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


def share_kept(end: Node | None, sides: int) -> float:
    """The share of a side of the picture, which has so many, that is left in what a node gave,
    where all that it is made from was cut; what was padded before counts as cut off again."""
    shares = [1.0] * sides
    for node, _ in from_input(end):
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


def nodes_without_places(logits: Tensor) -> set[Node]:
    """What has other places than the input: the frequencies behind a Fourier transform, or the
    pairs of places, or of channels, that the product of a map with itself has. An inverse
    transform, and the product with another map, lead back."""
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


def is_of_a_vector(logits: Tensor) -> bool:
    """Whether the numbers of one image, whatever their shape, come from a vector without places, as
    those of several tasks with as many classes each."""
    vectors: set[Node] = set()
    for node, before in from_input(logits.grad_fn):
        if before and vectors.issuperset(before):
            is_vector = name_of(node) != "Convolution"  # which makes a map of it, as decoders do
        else:
            shape = next(iter(shapes_of(node)), ())
            is_alone = len(shape) > 1 and shape[0] == 1 and math.prod(shape) == shape[1]
            # The tokens of one channel may have this shape, too.
            is_alone &= all(size_of(one) != shape[1] for one in before)
            is_vector = is_alone and name_of(node) != "Select"
        if is_vector:
            vectors.add(node)
    return logits.grad_fn in vectors


def _source(node: Node) -> Node:
    """What this is another view of."""
    while name_of(node) in _VIEWS and (before := node.next_functions[0][0]) is not None:
        node = before
    return node
