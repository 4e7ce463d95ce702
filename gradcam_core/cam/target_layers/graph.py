"""Reads from a pass's autograd graph what the logits are computed from, and by which paths."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.calls import Call
from gradcam_core.upstream import number_of, shapes_of

_PRIME = 2**61 - 1

NOTHING_COMPUTED = frozenset(
    ("View", "UnsafeView", "ReshapeAlias", "Clone", "Expand", "Squeeze", "Unsqueeze", "Copy")
)
"""Nodes whose presence may depend on the number of images and on how they lie in memory."""

GraphSignature = tuple[tuple[str, int], ...]
"""The kind of each node in a part of a graph, and its number of inputs. It is the same on the same
execution path."""


def reorders(logits: Tensor) -> bool:
    """Whether axes are permuted anywhere before the logits."""
    nodes = () if logits.grad_fn is None else _in_order(logits.grad_fn)
    return any(node.name().startswith(("Permute", "Transpose")) for node in nodes)


def from_input(end: Node | None) -> Iterator[tuple[Node, set[Node]]]:
    """Yields the nodes up to this one that are computed from the input, each after the nodes among
    them that are its inputs, and with the set of these."""
    found: set[Node] = set()
    nodes = () if end is None else _in_order(end)
    for node in reversed(list(nodes)):
        before = {one for one, _ in node.next_functions if one is not None and one in found}
        if before or _is_input(node):
            found.add(node)
            yield node, before


def depends_on(logits: Tensor, tensor: Tensor) -> bool:
    """Whether the autograd graph leads from the logits to a tensor."""
    if logits.grad_fn is None:
        return False
    nodes = _in_order(logits.grad_fn)
    if tensor.grad_fn is not None:
        return tensor.grad_fn in nodes
    return any(getattr(node, "variable", None) is tensor for node in nodes)


def graph_signature(node: Node, logits: Tensor) -> GraphSignature:
    """The signature of the graph between a call's node and the logits; () if there is none. It
    differs if the network takes another path, or if the call is no longer the last."""
    if logits.grad_fn is None:
        return ()
    behind = {node}
    form = []
    for one in reversed(list(_in_order(logits.grad_fn, without={node}))):
        if any(before in behind for before, _ in one.next_functions):
            behind.add(one)
            name = one.name().partition("Backward")[0]
            if name not in NOTHING_COMPUTED:
                # The number of inputs also counts those that bypass the call.
                form.append((name, len(one.next_functions)))
    return tuple(form)


def calls_used(calls: Sequence[Call], logits: Tensor) -> set[tuple[str, int]]:
    """The keys of the calls that the logits are computed from, unlike those of other heads."""
    nodes = set() if logits.grad_fn is None else set(_in_order(logits.grad_fn))
    return {call.key for call in calls if call.node in nodes}


def calls_on_every_path(calls: Sequence[Call], logits: Tensor) -> set[tuple[str, int]]:
    """The keys of the calls that every path from the input to the logits goes through.

    Counts the paths through the autograd graph modulo a prime, with a random weight for each edge:
    all go through a node if the paths to it times the paths from it equal the total.
    """
    if logits.grad_fn is None:
        return set()
    order = list(_in_order(logits.grad_fn))
    chance = random.Random(0)
    edges = {
        node: [
            (following, chance.randrange(1, _PRIME))
            for following, _ in node.next_functions
            if following is not None
        ]
        for node in order
    }
    from_logits: dict[Node, int] = dict.fromkeys(order, 0)
    from_logits[logits.grad_fn] = 1
    for node in order:
        for following, weight in edges[node]:
            from_logits[following] = (from_logits[following] + from_logits[node] * weight) % _PRIME
    to_input: dict[Node, int] = {}
    for node in reversed(order):
        if _is_input(node):
            to_input[node] = 1
        else:
            paths = (to_input[following] * weight for following, weight in edges[node])
            to_input[node] = sum(paths) % _PRIME
    total = to_input[logits.grad_fn]
    return {
        call.key
        for call in calls
        if call.node in to_input
        and total
        and from_logits[call.node] * to_input[call.node] % _PRIME == total
    }


def is_on_every_path(node: Node, end: Node | None) -> bool:
    """Whether every path from the input to this end goes through a node."""
    return end is not None and not any(map(_is_input, _in_order(end, without={node})))


@dataclass(frozen=True)
class Bypass:
    """The paths from the input to the logits that bypass a call. is_apart: whether one of them goes
    through no layer before the call. beside: the layers on these paths that are neither before nor
    after the call; shared: those before both the call and `beside`."""

    is_apart: bool
    shared: list[Call]
    beside: list[Call]


def bypass_of(calls: Sequence[Call], logits: Tensor, one: Call) -> Bypass:
    """The paths from the input to the logits [N, classes] that bypass a call."""
    assert logits.grad_fn is not None
    assert one.node is not None
    makers = {call.node: call for call in calls if call.makes_map and call.node is not None}
    order = list(_in_order(logits.grad_fn))
    from_input: set[Node] = set()
    behind: set[Node] = {one.node}
    for node in reversed(order):
        before = {following for following, _ in node.next_functions}
        if _is_input(node) or before & from_input:
            from_input.add(node)
        if before & behind:
            behind.add(node)
    before_it = set(_in_order(one.node))
    past = set(_in_order(logits.grad_fn, without={one.node})) & from_input
    apart = _in_order(logits.grad_fn, without={one.node, *(makers.keys() & before_it)})
    beside = [call for node, call in makers.items() if node in past - before_it - behind]
    before_them: set[Node] = set()
    for call in beside:
        before_them |= set(_before(call, before_them))
    return Bypass(
        any(map(_is_input, apart)),
        [call for node, call in makers.items() if node in before_it & before_them],
        beside,
    )


def first_uses(logits: Tensor) -> dict[Node, int]:
    """The number of the first node that is computed from each node of the logits' graph."""
    found: dict[Node, int] = {}
    for node in () if logits.grad_fn is None else _in_order(logits.grad_fn):
        for before, _ in node.next_functions:
            if before is not None:
                found[before] = min(found.get(before, number_of(node)), number_of(node))
    return found


def last_calls(calls: Sequence[Call]) -> list[Call]:
    """The calls from which none of the others is computed."""
    found: list[Call] = []
    covered: set[Node] = set()
    for call in reversed(calls):
        if call.node is not None and call.node not in covered:
            covered |= set(_before(call, covered))
            found.append(call)
    return found[::-1]


def unseen_layers_behind(one: Call, calls: Sequence[Call], logits: Tensor) -> int:
    """How many products with weights follow each other after a call that no module's output shows,
    but whose results still have places: of `torch.nn.functional`, of parameters, or of modules that
    return no tensor. The product of two maps, as in attention, does not count."""
    if logits.grad_fn is None or one.node is None:
        return 0
    shown = {number for call in calls if call.makes_map for number in call.nodes}
    # The longest chain of such products up to each node that has places, or has none any more.
    chains = {one.node: 0}
    vectors: dict[Node, int] = {}
    behind = _in_order(logits.grad_fn, without=set(_before(one, set())))
    for node in reversed(list(behind)):
        before = [following for following, _ in node.next_functions if following is not None]
        maps = [following for following in before if following in chains]
        found = [chains[following] for following in maps]
        found += [vectors[following] for following in before if following in vectors]
        if not found:
            continue
        if not _has_places(node) or not (maps or _joins_places(node)):
            vectors[node] = max(found)
            continue
        is_product = number_of(node) not in shown and _is_product_with_weights(node, maps)
        longest = max(map(chains.__getitem__, maps)) if maps else max(found)
        chains[node] = longest + is_product
    return max(chains.values())


_PLACES = 8


def _joins_places(node: Node) -> bool:
    """Whether a node joins so many vectors that they are places, such as the steps of a recurrent
    layer."""
    return node.name().startswith(("Stack", "Cat")) and len(node.next_functions) >= _PLACES


_LEAST_LEFT = 0.2
"""A product that leaves a smaller share of a map's values sums it up. A stride of 2 leaves 1/4."""

_PRODUCTS = ("Mm", "Addmm", "Bmm", "Baddbmm", "Addbmm", "Linear", "MkldnnLinear", "Trilinear")
_FILTERS = ("Convolution", "FftC2R", "FftC2C", "DifferentiableGraph", "MkldnnRnnLayer", "CudnnRnn")


def _is_product_with_weights(node: Node, maps: Sequence[Node]) -> bool:
    """Whether a node multiplies a map with weights. maps: those of its inputs that are maps. A
    custom `autograd.Function`, and what TorchScript has fused, may do so and count, too."""
    name = name_of(node)
    if name in _PRODUCTS:
        # Attention pooling multiplies each place by a vector, which leaves one number for each.
        return len(maps) == 1 and size_of(node) >= _LEAST_LEFT * size_of(maps[0])
    if name == "Mul":  # each value times several weights, summed later
        return len(maps) == 1 and size_of(node) > size_of(maps[0])
    is_transform = getattr(node, "_saved_forward", False)  # its inverse follows the weights
    return (name in _FILTERS and not is_transform) or isinstance(node, BackwardCFunction)


def is_product(node: Node) -> bool:
    """Whether a node may multiply its input with weights."""
    name = name_of(node)
    return name in _PRODUCTS or name in _FILTERS or isinstance(node, BackwardCFunction)


def name_of(node: Node) -> str:
    return node.name().rpartition("::")[2].partition("Backward")[0]


def size_of(node: Node) -> int:
    return sum(map(math.prod, shapes_of(node)))


def _has_places(node: Node) -> bool:
    """Whether a node's output for one image has more than one side longer than 1, like a map
    [1, C, h, w] or tokens [1, L, C] or [L, C], and unlike a vector."""
    return any(math.prod(shape) > max(shape, default=1) for shape in shapes_of(node))


def layers_before(one: Call, calls: Sequence[Call]) -> int:
    """From how many calls that make maps a call's output is computed, itself included."""
    before = set(_before(one, set()))
    return sum(call.makes_map and call.node in before for call in calls)


def nodes_behind_which_others_are(calls: Sequence[Call]) -> set[Node]:
    """The nodes from which calls that make maps are computed."""
    found: set[Node] = set()
    for call in reversed(calls):
        if call.makes_map and call.node is not None:
            found |= {node for node in _before(call, found - {call.node}) if node != call.node}
    return found


def _before(call: Call, without: set[Node]) -> Iterator[Node]:
    """The nodes from which a call's output is computed, its own included. without: not entered."""
    return iter(()) if call.node is None else _in_order(call.node, without)


def _in_order(end: Node, without: Iterable[Node] = ()) -> Iterator[Node]:
    """The nodes of a graph, each before those that it is computed from. without: not entered."""
    finished: list[Node] = []
    seen = {end, *without}
    stack = [(end, iter(end.next_functions))]
    while stack:
        node, rest = stack[-1]
        for following, _ in rest:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append((following, iter(following.next_functions)))
                break
        else:
            finished.append(node)
            stack.pop()
    return reversed(finished)


def _is_input(node: Node) -> bool:
    """Whether this is the node of a leaf that requires gradients and is not a parameter."""
    variable = getattr(node, "variable", None)
    return variable is not None and not isinstance(variable, nn.Parameter)
