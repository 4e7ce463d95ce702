"""Scores behind a saturated softmax or sigmoid, where 1 - p, and with it the gradient, is rounded
to 0: the gradient is computed from values that are not rounded."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from gradcam_core.cam.score import Score
from gradcam_core.upstream import shapes_of

_SAME_VALUES = ("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Clone", "Alias")
"""Nodes that hand on the values that they are given, in the same order."""

_RISING = ("Sigmoid", "LogSigmoid", "Tanh", "Softplus")
"""Functions of each number alone: the map of what they are given is that of what they give, but for
its size."""

_FAINT = 1e-20
"""Below this a gradient is made larger, which changes a map's size alone, before it underflows."""

_SUMS_TO_ONE = 1e-3


_ALL = slice(None)


def to_differentiate(score: Score, logits: Tensor, rows: slice = _ALL) -> Tensor:
    """What has the gradient of the score of each image: rows of logits [N, classes] -> [M].

    Where the network ends in a softmax, the probabilities p of an image are 1 together, so that
    sum_k a_k p_k has the gradient of sum_k (a_k - a_r) p_k for any r. Taken is the most probable
    class as r, whose own p is rounded to 1 before the others are to 0. For log p in the same way,
    a_k - a_r p_k / p_r. What is below 1e-20 has another size, so that it does not underflow.
    """
    end = _end(logits)
    kind = "" if end is None else _name(end)
    logits = logits[rows]
    if kind not in ("Softmax", "LogSoftmax") or logits.ndim != 2 or logits.shape[1] < 2:
        return score.of(logits)
    values = logits.detach().double()
    shares = values.exp() if kind == "LogSoftmax" else values
    if not bool(((shares.sum(dim=1) - 1).abs() < _SUMS_TO_ONE).all()):
        return score.of(logits)
    factors = _factors(score, values)
    top = values.argmax(dim=1, keepdim=True)
    of_top = factors.gather(1, top)
    if kind == "Softmax":
        factors = factors - of_top
        size = (factors.abs() * shares).amax(dim=1, keepdim=True)
        is_faint = (size < _FAINT) & (size >= torch.finfo(torch.float32).tiny)
        factors = torch.where(is_faint, factors / size, factors)
    else:
        factors = (factors - of_top * shares / shares.gather(1, top)).scatter(1, top, 0)
        others = values.scatter(1, top, -torch.inf)
        alone = -of_top * (others - others.amax(dim=1, keepdim=True)).exp()
        is_faint = factors.abs().amax(dim=1, keepdim=True) < _FAINT
        factors = torch.where(is_faint, alone.nan_to_num(), factors)
    precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return (factors.to(precise) * precise).sum(dim=1)


def gradient_before_rising(
    score: Score, logits: Tensor, rows: slice
) -> tuple[GradientEdge, Tensor] | None:
    """Where the network ends in a sigmoid or the like: what that is given, with the gradient of the
    score by it, if the sigmoid were not there; None elsewhere."""
    end = _end(logits)
    if end is None or _name(end) not in _RISING or score.contrast is not None:
        return None
    before, number = end.next_functions[0]
    shapes = shapes_of(end)
    if before is None or not shapes or math.prod(shapes[0]) != logits.numel():
        return None
    wanted = torch.zeros_like(logits)
    wanted[rows] = _factors(score, logits[rows].detach())
    return GradientEdge(before, number), wanted.reshape(shapes[0])


def _factors(score: Score, values: Tensor) -> Tensor:
    """The gradient of the score by the logits [N, classes]."""
    with torch.enable_grad():
        copy = values.clone().requires_grad_()
        return torch.autograd.grad(score.of(copy).sum(), copy)[0]


def _end(logits: Tensor) -> Node | None:
    """What made the values of the logits."""
    node = logits.grad_fn
    while node is not None and _name(node) in _SAME_VALUES:
        node = node.next_functions[0][0]
    return node


def _name(node: Node) -> str:
    return node.name().partition("Backward")[0]
