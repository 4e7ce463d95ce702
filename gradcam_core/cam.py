"""One forward pass, kept open at the target layer; any class's map from it.

Grad-CAM needs the gradient at one layer only. So the network runs without an autograd graph up to
that layer, where a forward hook hands on a copy that requires grad; from there on gradients are
enabled. A class then costs a backward pass through the head alone.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from gradcam_core.methods import method_named

_locks: WeakKeyDictionary[nn.Module, threading.Lock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


class CamError(ValueError):
    """The network, layer or class given does not admit a class activation map."""


class Run:
    """A forward pass held open at its target layer.

    logits: [N, classes]. activation: [N, C, h, w]. layer: the dotted name of the target layer.
    """

    def __init__(self, layer: str, activation: Tensor, logits: Tensor) -> None:
        self.layer = layer
        self._leaf = activation
        self._graph = logits
        self._lock = threading.Lock()

    @property
    def logits(self) -> Tensor:
        return self._graph.detach()

    @property
    def activation(self) -> Tensor:
        return self._leaf.detach()

    def cam(self, targets: int | Sequence[int], method: str = "gradcam") -> Tensor:
        """The maps of one class (an int) or of one class an image (N ints): [N, h, w], >= 0, not
        normalised. No second forward pass; may be called again and again.

        Raises CamError for a class that the network does not have, ValueError for an unknown
        method.
        """
        apply = method_named(method)
        index = self._indices(targets)
        # One sum gives every image its own gradient: in eval mode images do not mix.
        score = self._graph.gather(1, index[:, None]).sum()
        with self._lock:
            (gradient,) = torch.autograd.grad(score, self._leaf, retain_graph=True)
        return apply(self.activation, gradient)

    def _indices(self, targets: int | Sequence[int]) -> Tensor:
        images, classes = self._graph.shape
        try:
            indices = [operator.index(targets)] * images  # type: ignore[arg-type]
        except TypeError:
            indices = [operator.index(target) for target in targets]  # type: ignore[union-attr]
        if len(indices) != images:
            raise CamError(f"{len(indices)} target classes were given for {images} images.")
        for index in indices:
            if not 0 <= index < classes:
                raise CamError(f"There is no class {index}: the network has {classes} classes.")
        return torch.tensor(indices, device=self._graph.device)


def forward(module: nn.Module, batch: Tensor, layer: str | None = None) -> Run:
    """Run a classifier on a batch [N, 3, H, W] and hold the pass open at a layer.

    layer: the dotted name of a module whose output is a feature map [N, C, h, w]; None finds the
    last convolutional one by running the network once more (see `last_feature_map`). The module
    is left as it was; one run at a time per module, others wait. The batch is not differentiated.

    Raises CamError if the module is in training mode, has no such layer, the layer gives no
    feature map, or the logits [N, classes] do not depend on it.
    """
    if module.training:
        raise CamError("The network is in training mode. Call .eval() on it first.")
    name = last_feature_map(module, batch) if layer is None else layer
    target = _submodule(module, name)
    held: list[Tensor] = []

    def hold(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        activation = _feature_map(output, name)
        leaf = activation.detach().requires_grad_()
        # A layer called several times in one pass counts as of its last call.
        held[:] = [leaf]
        torch.set_grad_enabled(True)
        # The clone, because an in-place operation (ReLU after a batch norm) refuses a leaf.
        return leaf.clone()

    with _one_at_a_time(module), ExitStack() as hooks, torch.no_grad():
        hooks.callback(target.register_forward_hook(hold).remove)
        logits = module(batch)
    if not held:
        raise CamError(f"The layer {name!r} is not used in the forward pass of this network.")
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise CamError("The network does not give logits of shape [N, classes].")
    if not logits.requires_grad:
        raise CamError(f"The logits do not depend on the layer {name!r}.")
    return Run(name, held[0], logits)


def last_feature_map(module: nn.Module, batch: Tensor) -> str:
    """The dotted name of the last convolutional feature map before pooling, as in the paper.

    Found by running the network on the first image of the batch: of all modules whose output has
    the height and width of the last convolution that still has a spatial extent, the one that
    ends last. So the activation and the norm that follow that convolution belong to it, and a
    pooling does not.

    Raises CamError if no convolution gives a feature map larger than 1 x 1.
    """
    maps: list[tuple[str, torch.Size]] = []
    extent: torch.Size | None = None

    def note(name: str, part: nn.Module, output: object) -> None:
        nonlocal extent
        if not (isinstance(output, Tensor) and output.ndim == 4):
            return
        size = output.shape[2:]
        if isinstance(part, nn.Conv2d) and size.numel() > 1:
            extent = size
        maps.append((name, size))

    with _one_at_a_time(module), ExitStack() as hooks, torch.no_grad():
        for name, part in module.named_modules():
            if name:
                hook = part.register_forward_hook(
                    lambda part, _inputs, output, name=name: note(name, part, output)
                )
                hooks.callback(hook.remove)
        module(batch[:1])
    names = [name for name, size in maps if extent is not None and size == extent]
    if not names:
        raise CamError("The network has no convolution whose output is a feature map.")
    return names[-1]


def _submodule(module: nn.Module, name: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError:
        parts = ", ".join(child for child, _ in module.named_children())
        raise CamError(f"The network has no layer {name!r}. It consists of: {parts}.") from None


def _feature_map(output: object, name: str) -> Tensor:
    if not (isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point()):
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise CamError(f"The layer {name!r} gives no feature map [N, C, h, w] but {shape}.")
    return output


@contextmanager
def _one_at_a_time(module: nn.Module) -> Iterator[None]:
    """Hooks sit on the shared module, so two passes at once would see each other's."""
    with _locks_lock:
        lock = _locks.setdefault(module, threading.Lock())
    with lock:
        yield
