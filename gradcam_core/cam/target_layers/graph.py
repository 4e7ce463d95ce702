"""What the autograd graph of a pass tells: what the logits are made from, and by which ways."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.calls import Call

_PRIME = 2**61 - 1


def reorders(logits: Tensor) -> bool:
    """Whether axes change places anywhere before the logits."""
    nodes = () if logits.grad_fn is None else _in_order(logits.grad_fn)
    return any(node.name().startswith(("Permute", "Transpose")) for node in nodes)


def depends_on(logits: Tensor, tensor: Tensor) -> bool:
    """Whether the autograd graph leads from the logits to a tensor."""
    if logits.grad_fn is None:
        return False
    nodes = _in_order(logits.grad_fn)
    if tensor.grad_fn is not None:
        return tensor.grad_fn in nodes
    return any(getattr(node, "variable", None) is tensor for node in nodes)


def used(calls: Sequence[Call], logits: Tensor) -> set[tuple[str, int]]:
    """The calls whose output the logits are computed from, as another head's are not."""
    nodes = set() if logits.grad_fn is None else set(_in_order(logits.grad_fn))
    return {call.key for call in calls if call.node in nodes}


def passed_by_all(calls: Sequence[Call], logits: Tensor) -> set[tuple[str, int]]:
    """The calls that all the logits know of the input went through.

    Counted are the ways through the autograd graph, in a field of whole numbers with a random
    weight for each edge: all lead through a node if the ways to it times the ways from it are as
    many as there are.
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
            ways = (to_input[following] * weight for following, weight in edges[node])
            to_input[node] = sum(ways) % _PRIME
    total = to_input[logits.grad_fn]
    return {
        call.key
        for call in calls
        if call.node in to_input
        and total
        and from_logits[call.node] * to_input[call.node] % _PRIME == total
    }


def _in_order(end: Node) -> Iterator[Node]:
    """The nodes of a graph, each before those that it is made from."""
    finished: list[Node] = []
    seen = {end}
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
    """Whether this is where a tensor begins that requires gradients and is no parameter."""
    variable = getattr(node, "variable", None)
    return variable is not None and not isinstance(variable, nn.Parameter)
