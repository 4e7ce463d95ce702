"""What the numbers are that a person's module gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.autograd.graph import Node

_SURE = 1e-4

_SAME_VALUES = (
    *("View", "ReshapeAlias", "UnsafeView", "Squeeze", "Unsqueeze", "Clone", "Alias", "ToCopy"),
    *("Select", "Slice", "Transpose", "T", "Permute", "Expand", "Clamp", "Cat", "Stack"),
)
"""Operations, by their names in autograd graphs, that hand on the values that they are given."""

_PROBABILITIES = ("Sigmoid", "Hardsigmoid", "Softmax")
_LOGARITHMS = ("LogSigmoid", "LogSoftmax")

_PASS = "pass output=, a function that returns logits, or "


def what_they_are(logits: Tensor) -> str:
    """What the numbers [N, classes] at the end of an autograd graph are: see `ModuleFacts`."""
    values = logits.detach().float()
    is_shares = bool((values >= 0).all()) and values.shape[1] > 1
    if is_shares and bool(((values.sum(dim=1) - 1).abs() < _SURE).all()):
        return "softmax"
    is_log = bool((values <= 0).all()) and values.shape[1] > 1
    if is_log and bool((values.logsumexp(dim=1).abs() < _SURE).all()):
        return "log-softmax"
    return "sigmoid" if _are_only(logits.grad_fn, _PROBABILITIES) else "logits"


def _are_only(node: Node | None, names: Sequence[str]) -> bool:
    """Whether nothing but a change of shape lies between these and this end of a graph, such as
    sigmoids, or some classes of a softmax."""
    if node is None:
        return False
    name = node.name().partition("Backward")[0]
    before = [other for other, _ in node.next_functions if other is not None]
    if name in _SAME_VALUES:
        return bool(before) and all(_are_only(one, names) for one in before)
    if name == "Exp" and names is _PROBABILITIES:
        return _are_only(before[0], _LOGARITHMS)
    return name in names


def not_taken(logits: Tensor) -> str:
    """What numbers [N, classes] of different images are, where they are neither logits nor one of
    `what_they_are`, and what to return instead, for a person; empty if they may be logits."""
    values = logits.detach().double()
    if _are_only(logits.grad_fn, _LOGARITHMS):
        return f"logarithms of single probabilities: {_PASS}the probabilities (exp)"
    if values.shape[1] == 1 or bool((values[0] - values[1]).abs().max() < _SURE):
        return ""
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
    return ""
