"""Which parts of an autograd graph have other places than the input of the network."""

from __future__ import annotations

import math

from torch import Tensor
from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.graph import (
    NOTHING_COMPUTED,
    from_input,
    name_of,
    size_of,
)
from gradcam_core.upstream import shapes_of

_VIEWS = (*NOTHING_COMPUTED, "Transpose", "Permute", "T", "Conj")

_SELECTING = ("Gather", "Index", "IndexSelect", "MaskedSelect", "Topk", "Sort")


def nodes_behind_selections(logits: Tensor) -> set[Node]:
    """What is made from places of the input that were picked by a list of their numbers, as from
    the tokens that a network keeps."""
    found: set[Node] = set()
    for node, before in from_input(logits):
        if found.intersection(before) or (name_of(node) in _SELECTING and not _keeps_places(node)):
            found.add(node)
    return found


def _keeps_places(node: Node) -> bool:
    """Whether a selection is one of channels, as where red and blue change places."""
    before = node.next_functions[0][0]
    if before is None or name_of(node) not in ("Index", "IndexSelect"):
        return False
    (given,), (selected,) = shapes_of(before), shapes_of(node)
    return given == selected or (len(given) > 3 and given[2:] == selected[2:])


def nodes_without_places(logits: Tensor) -> set[Node]:
    """What has other places than the input: the frequencies behind a Fourier transform, or the
    pairs of places, or of channels, that the product of a map with itself has. An inverse
    transform, and the product with another map, lead back."""
    spectra: set[Node] = set()
    pairs: set[Node] = set()
    for node, before in from_input(logits):
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
    for node, before in from_input(logits):
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
