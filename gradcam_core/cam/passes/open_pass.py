"""What a forward pass keeps while it is held open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.network.outputs import logits_of_output
from gradcam_core.cam.network.parts import parameters_of, parts_of
from gradcam_core.cam.saturation import gradients_of
from gradcam_core.cam.target_layers.layout import Layout
from gradcam_core.errors import CamError

_CHANGED_WEIGHTS = (
    "The network's weights have changed since the forward pass, for example through a training "
    "step: run `forward` again."
)


_apart: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()
"""For each network, the layers after which images are known not to mix."""


@dataclass(frozen=True, eq=False)
class OpenPass:
    """What one forward pass over N images keeps, shared by the runs of these images.

    inputs: as given, with images [N, C, H, W]; version: counts writes into these, and into the
    weights. layer, call: the dotted name of the layer whose output is held, and which of its calls.
    leaf: the feature map [N, C, h, w] in that output, where the graph begins; layout: how it lies
    there. output: the layer's output, or None if it is the map itself. given: the network's output.
    logits: [N, classes], the end of the graph; logits_of: maps a network's output to logits.
    precision: the autocast that was on. again: runs the network on other inputs and returns the
    open passes of all its layers; at: the index of this pass among them. lock: held while the
    graph is used.
    """

    module: nn.Module
    layer: str
    call: int
    layout: Layout
    inputs: Inputs
    leaf: Tensor
    output: Tensor | None
    given: Any
    logits: Tensor
    logits_of: Callable[[Any], Tensor]
    precision: Callable[[], AbstractContextManager]
    again: Callable[[Inputs], list[OpenPass]]
    at: int
    lock: threading.Lock
    version: tuple[int | None, int]

    @property
    def batch(self) -> Tensor:
        """The images [N, C, H, W]."""
        return self.inputs.images

    @property
    def path(self) -> str:
        """The dotted name of the layer's module."""
        return self.layer.partition("#")[0]

    def of(self, images: slice, inputs: Inputs) -> OpenPass:
        """The part that belongs to some of the images, for further passes over their inputs."""
        return replace(
            self,
            inputs=inputs,
            leaf=self.leaf[images],
            output=None if self.output is None else self.output[images],
            logits=self.logits[images],
        )

    def with_logits(self, logits: Tensor, logits_of: Callable[[Any], Tensor]) -> OpenPass:
        """The same pass with other logits as the end of the graph."""
        return replace(self, logits=logits, logits_of=logits_of)

    def gradient(self, score: Tensor) -> Tensor:
        """The gradient of a number with respect to the feature map [N, C, h, w]. Raises CamError if
        weights in the graph have changed since the pass, or an operation has no gradient."""
        try:
            found = gradients_of(score, [self.leaf], retain_graph=True)
        except CamError as error:
            if weights_version(self.module) != self.version[1]:
                raise CamError(_CHANGED_WEIGHTS) from error
            raise
        return found[0]

    @cached_property
    def images_mix(self) -> bool:
        """Whether the logits of one half of the images depend on the feature maps of the other, so
        that one backward pass does not give each image its own gradient. Takes two backward passes,
        once per layer if images do not mix."""
        apart = _apart.setdefault(self.module, set())
        is_plain = self.logits_of is logits_of_output
        if len(self.batch) < 2 or (is_plain and self.layer in apart):
            return False
        logits, middle = self.logits.flatten(1), len(self.batch) // 2
        factors = torch.linspace(1, 2, logits.shape[1], dtype=logits.dtype, device=logits.device)
        found = False
        for own, others in (
            (slice(middle), slice(middle, None)),
            (slice(middle, None), slice(middle)),
        ):
            gradient = self.gradient((logits[own] * factors).sum())[others]
            found |= bool(((gradient != 0) & gradient.isfinite()).any())
        if is_plain and not found:
            apart.add(self.layer)
        return found

    def check_unchanged(self) -> None:
        """Raises CamError if somebody wrote into the batch or the weights since the pass: further
        passes need them as they were."""
        images, weights = self.version
        if self.inputs.version != images:
            raise CamError(
                "The batch has changed since the forward pass, and this needs the original: run "
                "`forward` again, or give it a copy."
            )
        if weights_version(self.module) != weights:
            raise CamError(_CHANGED_WEIGHTS)

    @cached_property
    def nbytes(self) -> int:
        weights = {_storage(parameter) for parameter in self.module.parameters()}
        held = {
            _storage(tensor): tensor
            for tensor in [self.leaf, self.output, *_saved_tensors(self.logits.grad_fn)]
            if tensor is not None
        }
        graph = sum(
            tensor.untyped_storage().nbytes()
            for memory, tensor in held.items()
            if memory not in weights
        )
        return self.batch.nbytes + self.logits.nbytes + graph


def weights_version(module: nn.Module) -> int:
    """A number that changes when somebody writes into a network's weights."""
    return sum(one._version for one in parameters_of(parts_of(module)) if not one.is_inference())


def precision_here(device: str) -> Callable[[], AbstractContextManager]:
    """Returns a function that switches on the autocast of this moment again, for further passes.
    device: its type, such as "cpu"."""
    enabled = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype=dtype, enabled=enabled)


def at_least_float32(tensor: Tensor) -> Tensor:
    """Converts half precision to float32, for sums that need it; keeps float32 and float64."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _saved_tensors(graph: Node | None) -> Iterator[Tensor]:
    """The tensors that an autograd graph keeps for the backward pass."""
    visited: set[Node] = set()
    stack = [graph]
    while stack:
        node = stack.pop()
        if node is None or node in visited:
            continue
        visited.add(node)
        stack += [function for function, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_") and isinstance(tensor := getattr(node, name), Tensor):
                yield tensor


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
