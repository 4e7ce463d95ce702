"""One forward pass, kept open at the target layer; any class's map from it.

A map needs the gradient at one layer only. So the network runs without an autograd graph up to
that layer, where a forward hook hands on a copy that requires grad; from there on gradients are
enabled. A class then costs a backward pass through the head alone.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradcam_core.cam.head import Head
from gradcam_core.cam.hooks import exclusive
from gradcam_core.cam.layers import in_eval_mode, last_feature_map, no_such_layer
from gradcam_core.cam.methods import (
    AGAINST_RIVALS,
    DEFAULT_METHOD,
    Contrast,
    Method,
    method_named,
)
from gradcam_core.errors import CamError

_PIXELS_AT_ONCE = {"cpu": 4 * 224 * 224, "cuda": 128 * 224 * 224}
"""Of the images in one pass: on a CPU, larger ones take 1.5 times as long for each image."""

_ACTIVATIONS_AT_ONCE = 64
_ACTIVATION_BYTES = 32 * 2**20
"""At most so many, and so many bytes, in one pass of a head."""


@dataclass(frozen=True)
class _Score:
    """What is explained of each image: a logit, or how far it is above those of rivals.

    targets: [N]. rivals: [N, R] or None.
    """

    targets: Tensor
    rivals: Tensor | None = None
    share: float = 1.0

    def of(self, logits: Tensor) -> Tensor:
        """The score of each image: logits [N, classes] -> [N]."""
        score = logits.gather(1, self.targets[:, None])[:, 0]
        if self.rivals is None:
            return score
        return score - self.share * logits.gather(1, self.rivals).mean(dim=1)


@dataclass(frozen=True, eq=False)
class OpenPass:
    """What one forward pass over N images keeps, shared by the runs of these images.

    batch: [N, C, H, W]. leaf: the activation at the layer, from which the graph goes on. logits:
    the end of the graph. precision: the autocast that was on.
    """

    module: nn.Module
    layer: str
    batch: Tensor
    leaf: Tensor
    logits: Tensor
    precision: Callable[[], AbstractContextManager]
    lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def nbytes(self) -> int:
        weights = {_memory(parameter) for parameter in self.module.parameters()}
        held = {_memory(tensor): tensor for tensor in [self.leaf, *_saved(self.logits.grad_fn)]}
        graph = sum(
            tensor.untyped_storage().nbytes()
            for memory, tensor in held.items()
            if memory not in weights
        )
        return self.batch.nbytes + self.logits.nbytes + graph


class Run:
    """A forward pass held open at its target layer, or some of its images.

    logits: float32 [N, classes]. activation: float32 [N, C, h, w] at `layer`, a dotted name.
    open_pass: what is held, of all images of the pass.
    """

    def __init__(self, open_pass: OpenPass, images: slice) -> None:
        self.layer = open_pass.layer
        self.open_pass = open_pass
        self._images = images  # start and stop are numbers
        self._slow = threading.Lock()
        self._kept: dict[str, Tensor] = {}  # logits of the last slow method, by its name

    def __len__(self) -> int:
        """N, the number of images."""
        return self._images.stop - self._images.start

    @property
    def logits(self) -> Tensor:
        return _at_least_float32(self.open_pass.logits.detach()[self._images])

    @property
    def activation(self) -> Tensor:
        return _at_least_float32(self.open_pass.leaf.detach()[self._images])

    @property
    def nbytes(self) -> int:
        """Bytes that are held: the input, the activation, and what the graph behind it keeps. Of
        what several runs share, each counts its images' part."""
        kept = sum(logits.nbytes for logits in self._kept.values())
        return self.open_pass.nbytes * len(self) // len(self.open_pass.batch) + kept

    def split(self) -> list[Run]:
        """The runs of the single images. They share what the pass holds: it is freed with the last
        of them, and a map of one costs a backward pass for all images of the pass."""
        start, stop = self._images.start, self._images.stop
        return [Run(self.open_pass, slice(n, n + 1)) for n in range(start, stop)]

    def join(self, others: Sequence[Run]) -> Run:
        """The opposite of `split`: one run of these images and the others' after them, whose maps
        cost one backward pass.

        Raises ValueError if these are not consecutive images of one pass.
        """
        if not others:
            return self
        starts = [run._images.start for run in others]
        *ends, stop = [run._images.stop for run in (self, *others)]
        if ends != starts or any(run.open_pass is not self.open_pass for run in others):
            raise ValueError("These are not consecutive images of one forward pass.")
        return Run(self.open_pass, slice(self._images.start, stop))

    def cam(
        self,
        targets: int | Sequence[int],
        method: str = DEFAULT_METHOD,
        rivals: Sequence[int] | bool = False,
        on_progress: Callable[[float], None] = lambda share: None,
    ) -> Tensor:
        """The maps of one class (an int) or of one class an image (N ints): float32 (float64 of a
        double network) [N, h, w], >= 0, not normalised. May be called again and again; most methods
        need no further forward pass.

        rivals: classes against which the class is explained, or True for those that the method
        chooses by the logits of this pass. False is none, but for methods that always have rivals.
        on_progress: called by the slow methods with the share that is done; what it raises ends
        the work.
        Raises CamError for a class that the network does not have, for rivals that do not fit or a
        method that knows no class, ValueError for an unknown method.
        """
        # Tensors of inference mode can never have gradients.
        with torch.inference_mode(False):
            return self._cam(targets, method_named(method), rivals, on_progress)

    def _cam(
        self,
        targets: int | Sequence[int],
        chosen: Method,
        rivals: Sequence[int] | bool,
        on_progress: Callable[[float], None],
    ) -> Tensor:
        index = self._indices(targets)
        score = self._score(chosen, index, rivals)
        if chosen.needs == "nothing":
            return chosen.compute(self.activation)
        if chosen.needs == "gradient":
            return chosen.compute(self.activation, self._gradient(score))
        if chosen.needs == "rivals":
            assert score.rivals is not None
            others = [self._gradient(_Score(other)) for other in score.rivals.T]
            gradient = self._gradient(_Score(index))
            return chosen.compute(self.activation, gradient, torch.stack(others))
        perturbed = self._perturbed(chosen, on_progress)
        scores = torch.stack([score.of(logits) for logits in perturbed.unbind(1)], dim=1)
        return chosen.compute(self.activation, scores, score.of(self.logits))

    def rivals(
        self,
        targets: int | Sequence[int],
        method: str = DEFAULT_METHOD,
        rivals: Sequence[int] | bool = False,
    ) -> list[list[int]]:
        """The classes that `cam` explains each image's class against, given the same arguments."""
        index = self._indices(targets)
        score = self._score(method_named(method), index, rivals)
        return [[]] * len(index) if score.rivals is None else score.rivals.tolist()

    def _gradient(self, score: _Score) -> Tensor:
        # One sum gives every image its own gradient: in eval mode images do not mix.
        with self.open_pass.lock, torch.enable_grad():
            total = score.of(self.open_pass.logits[self._images]).sum()
            (gradient,) = torch.autograd.grad(total, self.open_pass.leaf, retain_graph=True)
        return _at_least_float32(gradient[self._images])

    def _perturbed(self, method: Method, on_progress: Callable[[float], None]) -> Tensor:
        """The logits for every perturbed channel [N, C, classes], kept for other classes."""
        with self._slow:
            if method.name not in self._kept:
                self._kept = {method.name: self._compute_perturbed(method, on_progress)}
            on_progress(1.0)
            return self._kept[method.name]

    def _compute_perturbed(self, method: Method, on_progress: Callable[[float], None]) -> Tensor:
        assert method.perturb is not None
        of_images = method.needs == "scores of images"
        channels = self.open_pass.leaf.shape[1]
        logits = []
        for done, run in enumerate(self.split()):
            activation = self.open_pass.leaf.detach()[run._images]
            image = self.open_pass.batch[run._images]
            network = self.open_pass.module if of_images else run._head(activation, image)
            if isinstance(network, Head) and network.is_enough:
                at_once = min(_ACTIVATIONS_AT_ONCE, _ACTIVATION_BYTES // activation.nbytes)
            else:
                at_once = _images_at_once(self.open_pass.batch)
            for chunk in torch.arange(channels).split(max(1, at_once)):
                on_progress((done + int(chunk[0]) / channels) / len(self))
                inputs = method.perturb(activation, image, chunk.to(activation.device))
                logits.append(self._logits_of(network, inputs))
        return torch.cat(logits).unflatten(0, (len(self), channels))

    def _head(self, activation: Tensor, image: Tensor) -> Head:
        with self.open_pass.precision():
            logits = self.open_pass.logits.detach()[self._images]
            return Head(self.open_pass.module, self.layer, image, activation, logits)

    def _logits_of(self, network: nn.Module | Head, inputs: Tensor) -> Tensor:
        with self.open_pass.precision(), torch.no_grad():
            if isinstance(network, Head):
                return _at_least_float32(network(inputs))
            with exclusive(network):
                return _at_least_float32(network(inputs))

    def _score(self, method: Method, index: Tensor, rivals: Sequence[int] | bool) -> _Score:
        if rivals is False:
            contrast = method.contrast
        elif not method.knows_class:
            raise CamError(
                f"{method.title} knows no class, so it cannot explain one against others."
            )
        else:
            contrast = method.contrast or AGAINST_RIVALS
        if contrast is None:
            return _Score(index)
        if isinstance(rivals, bool):
            return _Score(index, _chosen(self.logits, index, contrast), contrast.share)
        given = self._valid(rivals)
        if not given or set(given) & set(index.tolist()):
            raise CamError("The rivals must be one or more classes other than the class explained.")
        return _Score(
            index, torch.tensor([given], device=index.device).expand(len(index), -1), contrast.share
        )

    def _indices(self, targets: int | Sequence[int]) -> Tensor:
        images = len(self)
        try:
            indices = [operator.index(targets)] * images  # type: ignore[arg-type]
        except TypeError:
            indices = list(targets)  # type: ignore[arg-type]
        if len(indices) != images:
            raise CamError(f"{len(indices)} target classes were given for {images} images.")
        return torch.tensor(self._valid(indices), device=self.open_pass.logits.device)

    def _valid(self, classes: Sequence[int]) -> list[int]:
        count = self.open_pass.logits.shape[1]
        indices = [operator.index(index) for index in classes]
        for index in indices:
            if not 0 <= index < count:
                raise CamError(f"There is no class {index}: the network has {count} classes.")
        return indices


def _chosen(logits: Tensor, targets: Tensor, contrast: Contrast) -> Tensor:
    """The rivals of each image's class: logits [N, classes], targets [N] -> [N, R]."""
    count = min(contrast.count, logits.shape[1] - 1)
    if not count:
        raise CamError("A network with one class has no rivals to explain it against.")
    own = targets[:, None]
    likeness = -(logits - logits.gather(1, own)).abs() if contrast.by == "nearest" else logits
    return likeness.scatter(1, own, -torch.inf).topk(count, dim=1).indices


def forward(module: nn.Module, batch: Tensor, layer: str | None = None) -> Run:
    """Run a classifier on a batch [N, 3, H, W] and hold the pass open at a layer.

    layer: the dotted name of a module whose output is a feature map [N, C, h, w]; None finds the
    last convolutional one by running the network once more (see `layers`). The module is left as
    it was; one run at a time per module, others wait. The batch is not differentiated.

    Raises CamError if the module is in training mode, has no such layer, the layer gives no
    feature map, or the logits [N, classes] do not depend on it.
    """
    with torch.inference_mode(False):  # see `Run.cam`
        in_eval_mode(module)
        name = last_feature_map(module, batch) if layer is None else layer
        leaf, logits = _run(module, batch, name)
    if leaf is None:
        raise CamError(f"The layer {name!r} is not used in the forward pass of this network.")
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise CamError("The network does not give logits of shape [N, classes].")
    if not logits.requires_grad:
        raise CamError(f"The logits do not depend on the layer {name!r}.")
    precision = _precision_here(leaf.device.type)
    open_pass = OpenPass(module, name, batch, leaf, logits, precision)
    return Run(open_pass, slice(0, len(logits)))


def _run(module: nn.Module, batch: Tensor, name: str) -> tuple[Tensor | None, object]:
    """The activation at the layer, of its last call if there are several, and the output."""
    target = dict(module.named_modules()).get(name) if name else None
    if target is None:
        raise no_such_layer(module, batch, f"The network has no layer {name!r}.")
    leaf: Tensor | None = None

    def hold(_module: nn.Module, _inputs: object, output: object) -> Tensor:
        nonlocal leaf
        if not _is_feature_map(output):
            raise _NoFeatureMapError(output)
        leaf = output.detach().requires_grad_()
        torch.set_grad_enabled(True)
        # The clone, because an in-place operation (ReLU after a batch norm) refuses a leaf.
        return leaf.clone()

    try:
        with exclusive(module) as undo, torch.no_grad():
            undo.callback(target.register_forward_hook(hold).remove)
            output = module(batch)
            return leaf, output
    except _NoFeatureMapError as error:
        problem = f"The layer {name!r} gives no feature map [N, C, h, w] but {error}."
        raise no_such_layer(module, batch, problem) from None


class _NoFeatureMapError(Exception):
    def __init__(self, output: object) -> None:
        shape = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        super().__init__(str(shape))


def _is_feature_map(output: object) -> TypeGuard[Tensor]:
    return isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point()


def _saved(graph: Node | None) -> Iterator[Tensor]:
    """The tensors that an autograd graph keeps for the way back."""
    seen: set[Node] = set()
    ahead = [graph]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        ahead += [function for function, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_") and isinstance(tensor := getattr(node, name), Tensor):
                yield tensor


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _images_at_once(batch: Tensor) -> int:
    pixels = _PIXELS_AT_ONCE.get(batch.device.type, _PIXELS_AT_ONCE["cpu"])
    return max(1, pixels // batch.shape[2:].numel())


def _at_least_float32(tensor: Tensor) -> Tensor:
    """What a pass in half precision gives, for sums that need more."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _precision_here(device: str) -> Callable[[], AbstractContextManager]:
    """The autocast that is on here, to be switched on again by another pass of the same run."""
    enabled = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype=dtype, enabled=enabled)
