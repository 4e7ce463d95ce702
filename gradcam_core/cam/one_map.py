"""Computes the maps that `Run.cam` returns, for some images of an open forward pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradcam_core.cam.methods.one_pass import gradcam_plus_plus
from gradcam_core.cam.methods.registry import Method, signed
from gradcam_core.cam.network.finite import check_finite, numbered
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.passes import smoothing
from gradcam_core.cam.passes.further_passes import (
    at_earlier_layers,
    attention_gradients,
    noisy_gradients,
)
from gradcam_core.cam.passes.open_pass import OpenPass, at_least_float32
from gradcam_core.cam.passes.perturbed import perturbed_logits
from gradcam_core.cam.passes.smoothing import Smooth
from gradcam_core.cam.score import Score
from gradcam_core.cam.targets import of_function
from gradcam_core.errors import CamError

_BY_GRADIENTS = ("gradient", "gradients", "noisy gradients", "earlier maps", "attention")

_FAINT = torch.finfo(torch.float32).tiny
"""Smaller numbers are subnormal: they are rounded to few digits, or to 0."""

_ROUNDED = 1e-6
"""A map below this share of the score, or of 1 if that is more, may come from rounding alone."""

_SIZES = (1024, 1024 * 1.1)
_MOST_NOISE = 0.1
"""A gradient consists of rounding errors if, as a share of its largest value, it differs by more
than this between scores multiplied by each of `_SIZES`: large, as float16 has few digits below
0.0001."""


@dataclass(frozen=True)
class Explained:
    """What a map explains, and by which method. function: the target, if it is not a class."""

    method: Method
    score: Score
    signed: bool = False
    function: Callable[[Any], Tensor] | None = None


@dataclass(frozen=True, eq=False)
class PassImages:
    """Some images of an open pass: those of the slice `rows`, whose ends are never None."""

    open_pass: OpenPass
    rows: slice

    def __len__(self) -> int:
        return self.rows.stop - self.rows.start

    @property
    def logits(self) -> Tensor:
        """[N, classes], of at least single precision."""
        return at_least_float32(self.open_pass.logits.detach()[self.rows])

    @property
    def activation(self) -> Tensor:
        """[N, C, h, w], of at least single precision."""
        return at_least_float32(self.open_pass.leaf.detach()[self.rows])

    @property
    def inputs(self) -> Inputs:
        """Raises CamError if somebody wrote into the batch or the weights since the pass."""
        self.open_pass.check_unchanged()
        return self.open_pass.inputs.rows(self.rows)

    def gradient(self, score: Score, times: float = 1) -> Tensor:
        """Gradient of each image's score, times a number, with respect to its feature map:
        [N, C, h, w]."""
        # In eval mode images do not mix, so the gradient of the sum holds each image's own.
        held, rows = self.open_pass, self.rows
        with held.lock, torch.enable_grad():
            found = held.gradient(times * score.of(held.logits[rows]).sum())[rows]
        return at_least_float32(found)

    def apart(self) -> OpenPass:
        """The open pass of these images alone, for further passes."""
        return self.open_pass.of(self.rows, self.inputs)

    def replaced(self, images: Tensor) -> PassImages:
        """The same rows of a new pass, over altered images [N, C, *sides]. Raises CamError if that
        leads to another layer, or to a feature map of another size."""
        inputs = replace(self.inputs, images=images)
        with self.open_pass.precision():
            again = self.open_pass.again(inputs)[self.open_pass.at]
        if again.layer != self.open_pass.layer or again.leaf.shape[2:] != self.activation.shape[2:]:
            raise CamError(
                "The network takes a different route for other versions of the picture, to "
                f"{again.layer} instead of {self.open_pass.layer}. smooth= cannot average the two."
            )
        return PassImages(again, slice(0, len(self)))


class PerturbedLogits:
    """A cache of the logits for every perturbed channel of some images, [N, C, classes]. Further
    classes then need no passes. Only the last method's logits are kept."""

    def __init__(self) -> None:
        self._computing = threading.Lock()
        self._kept: dict[str, Tensor] = {}  # by the method's name

    @property
    def nbytes(self) -> int:
        return sum(logits.nbytes for logits in self._kept.values())

    def of(
        self, images: PassImages, method: Method, on_progress: Callable[[float], None]
    ) -> Tensor:
        with self._computing:
            if method.name not in self._kept:
                self._kept = {method.name: perturbed_logits(images.apart(), method, on_progress)}
            on_progress(1.0)
            return self._kept[method.name]


def map_of(
    images: PassImages,
    explained: Explained,
    perturbed: PerturbedLogits,
    on_progress: Callable[[float], None],
) -> Tensor:
    """The maps of these images, [N, h, w], unchecked. perturbed: their cache, which a target
    function does not use."""
    if explained.function is not None:
        with_function = of_function(images.open_pass, explained.function)
        images, perturbed = PassImages(with_function, images.rows), PerturbedLogits()
    chosen, score = explained.method, explained.score
    compute = signed(chosen) if explained.signed else chosen.compute
    if chosen.needs == "nothing":
        return compute(images.activation)
    if chosen.needs == "gradient":
        return compute(images.activation, images.gradient(score))
    if chosen.needs == "gradients":
        assert score.contrast is not None
        others = [images.gradient(Score(other)) for other in score.contrast.T]
        gradient = images.gradient(Score(score.targets))
        return compute(images.activation, gradient, torch.stack(others))
    if chosen.needs in ("noisy gradients", "earlier maps", "attention"):
        return _by_further_passes(images, chosen, score, on_progress)
    logits = perturbed.of(images, chosen, on_progress)
    scores = torch.stack([score.of(each) for each in logits.unbind(1)], dim=1)
    # The layer and the logits may be on different devices.
    device = images.activation.device
    return compute(images.activation, scores.to(device), score.of(images.logits).to(device))


def _by_further_passes(
    images: PassImages, chosen: Method, score: Score, on_progress: Callable[[float], None]
) -> Tensor:
    held = images.apart()
    if chosen.needs == "noisy gradients":
        gradients = noisy_gradients(held, score.of, on_progress)
        return chosen.compute(images.activation, at_least_float32(gradients))
    if chosen.needs == "attention":
        found = attention_gradients(held, lambda y, n: score.at(n).of(y), on_progress)
        return torch.cat([chosen.compute(map(at_least_float32, image)) for image in found])
    on_progress(0.0)
    earlier = at_earlier_layers(held, score.of)
    device = images.activation.device
    pairs = [tuple(at_least_float32(one.to(device)) for one in pair) for pair in earlier]
    pairs.append((images.activation, images.gradient(score)))
    on_progress(1.0)
    return chosen.compute([gradcam_plus_plus(*pair) for pair in pairs])


def smoothed_map_of(
    images: PassImages,
    explained: Explained,
    smooth: Smooth,
    on_progress: Callable[[float], None],
) -> Tensor:
    """The mean of the maps of altered copies of the images, each with a pass of its own: [N, h, w].
    Raises CamError if copies are mirrored, but the network's other inputs, or the places that the
    target reads, are not."""
    is_of_maps = explained.function is not None and images.open_pass.logits.ndim > 2
    if smooth == "flips" and (images.inputs.several or is_of_maps):
        what = "the target reads places of the output" if is_of_maps else "the network gets several"
        raise CamError(
            f'smooth="flips" mirrors the picture alone, but {what}, which would no longer fit: use '
            'smooth="noise".'
        )
    total, count = torch.zeros((), device="cpu"), smoothing.count(smooth)
    for done, (version, back) in enumerate(smoothing.versions(images.inputs.images, smooth)):

        def progress(share: float, done: int = done) -> None:
            on_progress((done + share) / count)

        progress(0)
        replaced = images.replaced(version)
        found = back(map_of(replaced, explained, PerturbedLogits(), progress))
        if smooth == "flips":
            found = _over_maximum(found)
        total = total + found / count
    return total


def check_map(images: PassImages, explained: Explained, found: Tensor) -> None:
    """Raises CamError if a map is not finite, if it is 0, but for rounding, because the score's
    gradient is, or if the images of a batch mix."""
    check_finite_map(images, explained, found)
    _check_gradient(images, explained, found)


def check_finite_map(images: PassImages, explained: Explained, found: Tensor) -> None:
    """Raises CamError if a map, or the score that it explains, is not finite."""
    steps = [("The heat", found)]
    if explained.method.knows_class and explained.function is None:
        steps.insert(0, ("The score", explained.score.of(images.logits)))
    if all(bool(values.isfinite().all()) for _, values in steps):
        return
    batch = images.open_pass.batch[images.rows]
    steps = [("The batch", batch), ("The activation", images.activation), *steps]
    check_finite(steps, images.open_pass.leaf.dtype)


def _check_gradient(images: PassImages, explained: Explained, found: Tensor) -> None:
    """Raises CamError if the images of a batch mix, so that they have no gradients of their own, or
    if a map is 0, but for rounding, because the score's gradient is."""
    if explained.method.needs not in _BY_GRADIENTS:
        return
    held, layer = images.open_pass, images.open_pass.layer
    if explained.function is not None:
        held = of_function(held, explained.function)
    with held.lock, torch.enable_grad():
        is_mixed = held.images_mix
    if is_mixed:
        raise CamError(
            "The images of a batch mix: what the network, or the target function, returns "
            f"for one image changes with the {layer!r} of another, as with a batch norm "
            "that takes the batch's statistics. Give one picture at a time."
        )
    own = PassImages(held, images.rows)
    least = _ROUNDED * explained.score.of(own.logits).abs().clamp(min=1).to(found.device)
    is_clear = _largest(found) > least
    if bool(is_clear.all()):
        return
    gradient = own.gradient(explained.score)
    # Rounding errors of sums that should be 0 differ for a score of another size.
    first, second = (_over_maximum(own.gradient(explained.score, times)) for times in _SIZES)
    is_noise = _largest(first - second) > _MOST_NOISE
    is_nothing = ~is_clear & (is_noise | (_largest(gradient) <= _FAINT)).to(found.device)
    wrong = is_nothing.nonzero().flatten().tolist()
    if wrong:
        which = f" of the {numbered(wrong)}" if len(images) > 1 else ""
        raise CamError(
            f"Nothing in the layer {layer!r} changes the score{which}: its gradient is 0 "
            "everywhere, or rounding alone, as after a saturated softmax or sigmoid, a ReLU that "
            "outputs 0, a clamp, a rounding or a head whose weights are 0 before training, or of "
            "a score that is the same for all pictures, so there is no map. "
            "Explain another class or layer, or remove that operation (with output= if the "
            "network also returns its logits); allow_nan=True gives the map as it is."
        )


def _largest(values: Tensor) -> Tensor:
    """The largest absolute value of each image [N]."""
    return values.abs().flatten(1).amax(dim=1)


def _over_maximum(found: Tensor) -> Tensor:
    """Each map divided by its largest absolute value; 0 where that is 0."""
    highest = found.abs().amax(dim=tuple(range(1, found.ndim)), keepdim=True)
    return found / highest.where(highest > 0, torch.ones_like(highest))
