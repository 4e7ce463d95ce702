"""Computes gradients through a saturated softmax or sigmoid from values that are not rounded.

There 1 - p is rounded to few digits or to 0, and so is the gradient that autograd computes from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam_core.cam.network.explainable import as_gradient_errors
from gradcam_core.cam.target_layers.graph import is_product
from gradcam_core.errors import CamError
from gradcam_core.upstream import axis_of, saved_by

_RISING = ("Sigmoid", "LogSigmoid", "Tanh", "Softplus")
"""Rising functions of each number alone. If a score depends on one such number, the map of the
function's input is that of its output times a positive factor."""

_PLAIN = ("Sigmoid", "LogSigmoid", "Tanh")
"""Those without parameters: two calls with the same input give the same output."""

_ON_THE_WAY = ("Expand", "View", "UnsafeView", "Unsqueeze", "Squeeze", "Add", "Clamp", "ClampMin")
"""Nodes that may stand between a sum and the division by it."""

_FAINT = 1e-20
"""A smaller gradient is scaled up before it underflows: that only multiplies the map."""

_SUMS_TO_ONE = 1e-3

_MOST_LOST = 0.01
"""The most that rounding may change when gradients are added up, as a share of the largest."""

_DEEPEST = 4  # the length of the chains of nodes that are compared


@dataclass(frozen=True)
class _Softmax:
    """A node whose values are shares p, which sum to 1 along an axis, or their logarithms."""

    node: Node
    axis: int
    values: Tensor
    is_log: bool

    def shifted(
        self, gradients: Sequence[Tensor | None], is_alone: bool, images: int
    ) -> tuple[Tensor | None]:
        """A prehook of the node: replaces the gradient a_k with respect to its output p_k.

        As the p_k sum to 1, a_k - a_r gives the same gradient of the input for any r. Here r is the
        largest share, which is rounded to 1 before the others are rounded to 0. For log p_k, it is
        a_k - a_r p_k / p_r. is_alone: the score depends on the network through this node alone, so
        a faint gradient may be scaled up: for each image if they lie along the first axis,
        otherwise for all together.
        """
        (given,) = gradients
        if given is None:
            return (None,)
        values, axis = self.values.detach().double(), self.axis
        shares = values.exp() if self.is_log else values
        top = values.argmax(dim=axis, keepdim=True)
        factors = given.double()
        of_top = factors.gather(axis, top)
        of_each = axis > 0 and len(factors) == images
        others = tuple(range(int(of_each), factors.ndim))
        if not self.is_log:
            factors = factors - of_top
            size = (factors.abs() * shares).amax(dim=others, keepdim=True)
            is_faint = (size < _FAINT) & (size >= torch.finfo(torch.float32).tiny)
            larger = factors / size
        else:
            factors = factors - of_top * shares / shares.gather(axis, top)
            factors = factors.scatter(axis, top, 0)
            rest = values.scatter(axis, top, -torch.inf)
            larger = (-of_top * (rest - rest.amax(dim=others, keepdim=True)).exp()).nan_to_num()
            is_faint = factors.abs().amax(dim=others, keepdim=True) < _FAINT
        if is_alone and bool(is_faint.any()):
            factors = torch.where(is_faint, larger, factors)
        return (factors.to(given.dtype),)


class _Rising:
    """The gradients of the outputs and inputs of all `_RISING` functions in a first backward pass.
    The score must depend on the network through them alone. Gradients have a row per image, or a
    single row if one does not have the images first."""

    def __init__(self, images: int) -> None:
        self._images = images
        self._wanted: dict[Node, Tensor] = {}
        self._passed: dict[Node, Tensor] = {}

    def record(
        self, node: Node, found: Sequence[Tensor | None], gradients: Sequence[Tensor | None]
    ) -> None:
        before, given = found[0], gradients[0]
        if before is not None and given is not None and before.shape == given.shape:
            self._passed[node], self._wanted[node] = before.detach(), given.detach()

    def silent(self) -> Tensor:
        """The rows whose score depends on a single number, where its function is so flat that the
        gradient is rounded to 0: bool [rows]. Raises CamError if a score depends on several numbers
        whose shares in the gradient are rounded."""
        if not self._wanted:
            return torch.zeros(1, dtype=torch.bool)
        rows = self._rows
        # A function called twice on the same numbers has the same slope, so gradients add up.
        together: dict[object, Tensor] = {}
        for node, given in self._wanted.items():
            is_plain = _name(node) in _PLAIN
            key = (_name(node), node.next_functions[0]) if is_plain else node
            together[key] = together[key] + given if key in together else given
        wanted, passed, lost = (
            torch.cat([one.reshape(rows, -1).cpu() for one in each], dim=1)
            for each in (
                together.values(),
                self._passed.values(),
                [_lost(node, given) for node, given in self._wanted.items()],
            )
        )
        count, largest = (wanted != 0).sum(dim=1), passed.abs().amax(dim=1)
        most = max(_MOST_LOST, 16 * torch.finfo(wanted.dtype).eps)
        if bool(((count > 1) & (largest > 0) & (lost.amax(dim=1) > most * largest)).any()):
            raise CamError(
                "The score is made from several sigmoids that are so sure that their slopes are "
                "rounded, so their shares in the map are unknown. Explain one class alone, or "
                "the logits (with output= if the network also returns them)."
            )
        return (count == 1) & ~passed.any(dim=1)

    def through(
        self, node: Node, silent: Tensor, found: Sequence[Tensor | None]
    ) -> tuple[Tensor | None, ...]:
        """A hook of the node: in silent rows, the gradient of the output replaces that of the
        input."""
        before, wanted = found[0], self._wanted.get(node)
        if before is None or wanted is None:
            return tuple(found)
        each = silent.to(before.device)[:, None]
        flat = torch.where(each, wanted.reshape(self._rows, -1), before.reshape(self._rows, -1))
        return (flat.view_as(before), *found[1:])

    @property
    def _rows(self) -> int:
        of_each = all(one.ndim and len(one) == self._images for one in self._wanted.values())
        return self._images if of_each else 1


def _lost(node: Node, given: Tensor) -> Tensor:
    """The most that rounding 1 - p changes each gradient at a sigmoid or tanh; 0 for others."""
    if _name(node) not in ("Sigmoid", "Tanh"):
        return torch.zeros_like(given)
    is_sure = saved_by(node, "result").detach().abs() > 0.5
    return given.abs() * is_sure * (torch.finfo(given.dtype).eps / 2)


def gradients_of(
    score: Tensor, leaves: Sequence[Tensor], *, retain_graph: bool = False
) -> tuple[Tensor, ...]:
    """The gradient of a score, one number, with respect to each leaf [N, ...]. Where
    softmaxes and sigmoids that no weights follow would round it to 0, it comes out multiplied by a
    positive factor instead. Raises CamError if it does not exist, or if it is rounded after all."""
    images = len(leaves[0])
    with as_gradient_errors(), ExitStack() as undo:
        found, is_all = _last_functions(score.grad_fn)
        softmaxes = [one for one in found if isinstance(one, _Softmax)]
        others = [one for one in found if not isinstance(one, _Softmax)]
        for one in softmaxes:
            shifted = partial(one.shifted, is_alone=is_all and len(found) == 1, images=images)
            undo.callback(one.node.register_prehook(shifted).remove)
        if softmaxes or not others or not is_all:
            return torch.autograd.grad(score, leaves, retain_graph=retain_graph)
        rising = _Rising(images)
        with ExitStack() as recorded:
            for node in others:
                hook = node.register_hook(partial(rising.record, node))
                recorded.callback(hook.remove)
            gradients = torch.autograd.grad(score, leaves, retain_graph=True)
        silent = rising.silent()
        if not bool(silent.any()):
            return gradients
        for node in others:

            def through(found: Any, _: Any, node: Node = node) -> Any:
                return rising.through(node, silent, found)

            undo.callback(node.register_hook(through).remove)
        return torch.autograd.grad(score, leaves, retain_graph=retain_graph)


def _last_functions(end: Node | None) -> tuple[list[_Softmax | Node], bool]:
    """The softmaxes and `_RISING` functions that no product with weights follows; and whether the
    end of the graph depends on the network through them alone."""
    found: list[_Softmax | Node] = []
    is_all = True
    seen = {end}
    stack = [end]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        one = _softmax(node)
        if one is not None:
            found.append(one)
        elif _name(node) in _RISING:
            found.append(node)
        elif is_product(node) or not node.next_functions:
            is_all &= isinstance(getattr(node, "variable", None), nn.Parameter)
        else:
            before = [one for one, _ in node.next_functions if one not in seen]
            seen.update(before)
            stack += before
    return found, is_all


def _softmax(node: Node) -> _Softmax | None:
    name = _name(node)
    if name in ("Softmax", "LogSoftmax"):
        values = saved_by(node, "result")
        return _Softmax(node, axis_of(node, values.ndim), values, name == "LogSoftmax")
    # Written by hand: e / e.sum(), exp(z - logsumexp(z)), or z - logsumexp(z).
    before = node.next_functions[0][0] if node.next_functions else None
    if name in ("Div", "Sub"):
        total = _sum_of(node)
    elif name == "Exp" and before is not None and _name(before) == "Sub":
        total = _sum_of(before)
    else:
        return None
    if total is None or (name == "Sub" and _name(total) != "Logsumexp"):
        return None
    if name == "Sub":
        given = saved_by(total, "self")
        values = given.log_softmax(axis_of(total, given.ndim))
    else:
        values = saved_by(node, "result") if name == "Exp" else saved_by(node, "self", "other")
    axis = axis_of(total, values.ndim)
    shares = values.detach().exp() if name == "Sub" else values.detach()
    if bool(((shares.sum(dim=axis) - 1).abs() < _SUMS_TO_ONE).all()):
        return _Softmax(node, axis, values, name == "Sub")
    return None


def _sum_of(node: Node) -> Node | None:
    """The node of the sum if `node` divides values by their own sum, or subtracts it; else None."""
    (values, _), *rest = node.next_functions
    total = rest[0][0] if rest else None
    while total is not None and _name(total) in _ON_THE_WAY:
        total = total.next_functions[0][0]
    is_sum = _name(total) in ("Sum", "Logsumexp") or getattr(total, "_saved_ord", None) == 1
    return total if total and is_sum and _is_same(total.next_functions[0][0], values) else None


def _is_same(first: Node | None, second: Node | None, depth: int = 0) -> bool:
    """Whether two nodes compute the same, as in code with exp(z) written twice."""
    if first is second:
        return True
    if first is None or second is None or first.name() != second.name() or depth == _DEEPEST:
        return False
    pairs = zip(first.next_functions, second.next_functions, strict=False)
    return bool(first.next_functions) and all(
        _is_same(one, other, depth + 1) for (one, _), (other, _) in pairs
    )


def _name(node: Node | None) -> str:
    return "" if node is None else node.name().partition("Backward")[0]
