"""Finds out whether a module's outputs are logits, probabilities or something else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcam_core.upstream import limits_of

if TYPE_CHECKING:
    from torch import Tensor
    from torch.autograd.graph import Node

_SURE = 1e-4

_SAME_VALUES = (
    *("View", "ReshapeAlias", "UnsafeView", "Squeeze", "Unsqueeze", "Clone", "Alias", "ToCopy"),
    *("Select", "Slice", "Transpose", "T", "Permute", "Expand", "Clamp", "Cat", "Stack"),
)
"""Operations that pass on their input's values, by their names in autograd graphs."""

_PROBABILITIES = ("Sigmoid", "Hardsigmoid", "Softmax")
_LOGARITHMS = ("LogSigmoid", "LogSoftmax")
_BOUNDED = ("Tanh", "Hardtanh", "Erf")
_SCALED = (
    *(*_SAME_VALUES, "Add", "Sub", "Rsub", "Mul", "Neg", "Pow", "Sum", "Mean", "Max", "Amax"),
    *("Maximum", "Prod"),
)
"""Operations that turn probabilities into percentages, differences or means."""

_PARAMETER = "torch::autograd::AccumulateGrad"

_PASS = "pass output=, a function that returns logits, or "


def what_they_are(logits: Tensor, of_extremes: Tensor) -> str:
    """What outputs [N, classes] at the end of an autograd graph are: see `ModuleFacts.gives`.
    of_extremes: the outputs for pictures whose logits would be far from 0."""
    values = logits.detach().float()
    is_shares = bool((values >= 0).all()) and values.shape[1] > 1
    if is_shares and bool(((values.sum(dim=1) - 1).abs() < _SURE).all()):
        return "softmax"
    is_log = bool((values <= 0).all()) and values.shape[1] > 1
    if is_log and bool((values.logsumexp(dim=1).abs() < _SURE).all()):
        return "log-softmax"
    if _are_only(logits.grad_fn, _PROBABILITIES):
        return "sigmoid"
    # Probabilities may also be 1 - sigmoid, (tanh + 1) / 2, or a mean over all places. Logits of a
    # few pictures may lie between 0 and 1, too, so the graph has to bound them as well.
    is_outside = any(bool(((one < 0) | (one > 1)).any()) for one in (values, of_extremes))
    return "logits" if is_outside or not _are_bounded(logits.grad_fn) else "probabilities"


def _holds(end: Node | None, state: Any, step: Callable[[Node, Any], bool | list]) -> bool:
    """Whether a condition holds for all nodes that the outputs come from. step: (node, state) ->
    whether it holds there, or the nodes and states that decide. Each of these is visited once, as
    the number of paths to a node may be exponential."""
    waiting, seen = [(end, state)], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        node, state = one
        found = node is not None and step(node, state)
        if not found:
            return False
        if found is not True:
            waiting += found
    return True


def _are_bounded(end: Node | None) -> bool:
    """Whether all outputs come from probabilities, from exponentials, as in a hand-written sigmoid,
    or from a tanh or erf to which something was added, with no layer with weights after that."""
    from gradcam_core.cam.target_layers.graph import is_product

    def step(node: Node, is_shifted: bool) -> bool | list:
        name = _name(node)
        if is_product(node):
            return False
        if name in (*_PROBABILITIES, "Exp") or (is_shifted and name in ("Tanh", "Erf")):
            return True
        is_shifted |= name in ("Add", "Sub", "Rsub")
        return [(one, is_shifted) for one in _before(node) if _name(one) != _PARAMETER]

    return _holds(end, False, step)


def _are_of_shares(end: Node | None) -> bool:
    """Whether the outputs are computed from probabilities and constants alone."""

    def step(node: Node, state: None) -> bool | list:
        name, before = _name(node), _before(node)
        is_scaled = name in _SCALED or (name == "Div" and len(before) == 1)  # p/(1-p) has no limit
        return name in _PROBABILITIES or (is_scaled and [(one, state) for one in before])

    return _holds(end, None, step)


def _are_only(end: Node | None, names: Sequence[str]) -> bool:
    """Whether the outputs are results of these operations, at most in another shape, such as
    sigmoids, or some classes of a softmax."""

    def step(node: Node, names: Sequence[str]) -> bool | list:
        name, before = _name(node), _before(node)
        if name in _SAME_VALUES:
            return [(one, names) for one in before]
        if name == "Exp" and names is _PROBABILITIES:
            return [(before[0], _LOGARITHMS)]
        if name in ("Log", "Log2", "Log10") and names is _LOGARITHMS:
            return _are_of_shares(before[0])
        if name == "Hardtanh" and limits_of(node) != (-1, 1):  # such as a ReLU6
            return False
        return name in names

    return _holds(end, names, step)


def _before(node: Node) -> list[Node]:
    return [other for other, _ in node.next_functions if other is not None]


def _name(node: Node | None) -> str:
    return "" if node is None else node.name().partition("Backward")[0]


def not_taken(logits: Tensor) -> str:
    """For people: what outputs [N, classes] of different pictures are, if they are neither logits
    nor supported (see `what_they_are`), and what to return instead; "" if they may be logits."""
    values = logits.detach().double()
    of_shares = ""
    if _are_only(logits.grad_fn, _BOUNDED) and bool((values.abs() <= 1).all()):
        of_shares = (
            "between -1 and 1, as behind a tanh, and neither logits nor probabilities: "
            f"{_PASS}probabilities, for instance (y + 1) / 2"
        )
    elif _are_only(logits.grad_fn, _LOGARITHMS):
        of_shares = f"logarithms of single probabilities: {_PASS}the probabilities (exp)"
    elif _are_of_shares(logits.grad_fn):
        of_shares = (
            "computed from probabilities, but not between 0 and 1 (such as "
            f"{float(values[0, 0]):.4g}): {_PASS}probabilities"
        )
    if values.shape[1] == 1 or bool((values[0] - values[1]).abs().max() < _SURE):
        return of_shares
    for base, what in ((2, "to the base 2"), (10, "to the base 10"), (1 / math.e, "times -1")):
        shares = base**values
        if bool(((shares.sum(dim=1) - 1).abs() < _SURE).all()):
            return f"logarithms of probabilities {what}: {_PASS}natural logarithms"
    totals = values.sum(dim=1)
    total = float(totals[0])
    if bool((values >= 0).all()) and bool(((totals - total).abs() < _SURE * total).all()):
        return (
            f"not negative and add up to {total:.6g} for each picture, as shares do: {_PASS}"
            "probabilities, which add up to 1"
        )
    return of_shares
