"""The class activation maps of a forward pass that is held open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradcam_core.cam.methods.one_pass import gradcam_plus_plus, strongest_other
from gradcam_core.cam.methods.registry import (
    DEFAULT_METHOD,
    Method,
    check_signed,
    check_steps,
    method_named,
    signed,
)
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
from gradcam_core.cam.score import Score, score_of
from gradcam_core.cam.steps import Steps, steps_of
from gradcam_core.cam.target_layers.layout import SequenceFirst, Tokens
from gradcam_core.cam.targets import (
    Targets,
    class_indices,
    contrast_classes,
    of_function,
    top_classes,
)
from gradcam_core.errors import CamError
from gradcam_core.old_names import warn


class Run:
    """A forward pass kept open at its target layer, or some of its images.

    logits: float32 [N, classes]. activation: float32 [N, C, h, w] at `layer`, a dotted name.
    open_pass: the open pass of all its images.
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
    def is_of_tokens(self) -> bool:
        """Whether the cells of the activation are tokens, laid out on their grid."""
        layout = self.open_pass.layout
        return isinstance(layout.within if isinstance(layout, SequenceFirst) else layout, Tokens)

    @property
    def logits(self) -> Tensor:
        return at_least_float32(self.open_pass.logits.detach()[self._images])

    @property
    def activation(self) -> Tensor:
        return at_least_float32(self.open_pass.leaf.detach()[self._images])

    @property
    def top(self) -> list[int]:
        """The most probable class of each image."""
        return top_classes(self.logits)

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
        targets: Targets = None,
        method: str = DEFAULT_METHOD,
        contrast: int | Sequence[int] | bool = False,
        on_progress: Callable[[float], None] = lambda share: None,
        *,
        signed: bool = False,
        smooth: Smooth | None = None,
        target: Targets = None,
        rivals: Sequence[int] | bool | None = None,
        allow_nan: bool = False,
    ) -> Tensor:
        """The maps of one class (an int) or of one class per image (N ints): float32 (float64 for a
        double network) [N, h, w], >= 0, not normalised. May be called repeatedly; most methods need
        no further forward pass.

        targets: None is each image's most probable class. A function from the network's output to
        one number per image [N] is explained like a class: the mean of a class over a mask, a
        regression value, the similarity to an embedding. target: another name for targets.

        contrast: a class or several to explain the target against; True stands for the classes that
        the method chooses by the logits of this pass. False is none, except for methods that always
        have one. on_progress: called by slow methods with the share that is done; an exception it
        raises stops the work. rivals: the old name of `contrast`, which takes precedence.

        signed: keep the evidence against the class, as negative values (see `methods.signed`).
        smooth: the mean over the maps of other versions of the images, each with a pass of its own:
        "noise" for eight noisy copies (SmoothGrad, see `smoothing`), "flips" for six copies,
        mirrored and not, times 0.9, 1 and 1.1, each map first divided by its maximum, as in
        pytorch-grad-cam's aug_smooth. Target and contrast classes are those of this pass.
        allow_nan: return maps that are not numbers, and those of scores that nothing at the layer
        changes, instead of raising an error.

        Raises CamError for a class that the network lacks, an unsuitable contrast or a method that
        ignores the class, a signed map of a gradient-free method, scores or maps that are not
        finite, or a score whose gradient is 0; ValueError for an unknown method.
        """
        if target is not None and targets is not None:
            raise CamError("target= is another name for targets: give only one of them.")
        targets = targets if target is None else target
        if rivals is not None:
            warn("rivals", "contrast")
            contrast = rivals if contrast is False else contrast
        # Tensors of inference mode can never have gradients.
        with torch.inference_mode(False):
            chosen = method_named(method)
            if signed:
                check_signed(chosen, CamError)
            if not callable(targets):
                explained = _Explained(chosen, self._score(targets, chosen, contrast), signed)
            elif contrast is not False or chosen.contrast is not None:
                raise CamError(
                    f"A function of the output has no classes in contrast: {chosen.title} with "
                    f"contrast={contrast!r} cannot explain it."
                )
            else:
                first = torch.zeros(len(self), dtype=torch.long, device=self.logits.device)
                explained = _Explained(chosen, Score(first), signed, targets)
            if smooth is None:
                found = self._map(explained, on_progress)
            else:
                found = self._smoothed(explained, smooth, on_progress)
            if not allow_nan:
                self._check_finite(explained, found)
                self._check_gradient(explained, found)
            return found

    def _check_finite(self, explained: _Explained, found: Tensor) -> None:
        """Raises CamError where a map, or the score that it explains, is not of finite numbers."""
        steps = [("The heat", found)]
        if explained.method.knows_class and explained.function is None:
            steps.insert(0, ("The score", explained.score.of(self.logits)))
        if all(bool(values.isfinite().all()) for _, values in steps):
            return
        images = self.open_pass.batch[self._images]
        steps = [("The batch", images), ("The activation", self.activation), *steps]
        check_finite(steps, self.open_pass.leaf.dtype)

    def _check_gradient(self, explained: _Explained, found: Tensor) -> None:
        """Raises CamError where the images of a batch mix, so that they have no gradients of their
        own, or where a map is 0 because nothing at the layer changes the score."""
        if explained.method.needs not in _BY_GRADIENTS:
            return
        held = self.open_pass
        if explained.function is not None:
            held = of_function(held, explained.function)
        with held.lock, torch.enable_grad():
            is_mixed = held.images_mix
        if is_mixed:
            raise CamError(
                "The images of a batch mix: what the network, or the target function, returns "
                f"for one image changes with the {self.layer!r} of another, as with a batch norm "
                "that takes the batch's statistics. Give one picture at a time."
            )
        if bool(_is_any(found, _FAINT).all()):
            return
        gradient = Run(held, self._images)._gradient(explained.score)
        wrong = [n for n, one in enumerate(_is_any(gradient, _FAINT).tolist()) if not one]
        if wrong:
            which = f" of the {numbered(wrong)}" if len(self) > 1 else ""
            raise CamError(
                f"Nothing in the layer {self.layer!r} changes the score{which}: its gradient is 0 "
                "everywhere, as after a saturated softmax, a ReLU that outputs 0, a clamp, a "
                "rounding or a head whose weights are 0 before training, so there is no map. "
                "Explain another class or layer, or remove that operation (with output= if the "
                "network also returns its logits); allow_nan=True gives a map of 0."
            )

    def _smoothed(
        self, explained: _Explained, smooth: Smooth, on_progress: Callable[[float], None]
    ) -> Tensor:
        total, count = torch.zeros(()), smoothing.count(smooth)
        for done, (images, back) in enumerate(smoothing.versions(self._own_inputs.images, smooth)):

            def progress(share: float, done: int = done) -> None:
                on_progress((done + share) / count)

            progress(0)
            found = back(self._of_images(images)._map(explained, progress))
            if smooth == "flips":
                found = _over_maximum(found)
            total = total + found / count
        return total

    def _of_images(self, images: Tensor) -> Run:
        """The same run with other images in the place of its own."""
        inputs = replace(self._own_inputs, images=images)
        with self.open_pass.precision():
            again = self.open_pass.again(inputs)[self.open_pass.at]
        if again.layer != self.layer or again.leaf.shape[2:] != self.activation.shape[2:]:
            raise CamError(
                "The network takes a different route for other versions of the picture, to "
                f"{again.layer} instead of {self.layer}. smooth= cannot average the two."
            )
        return Run(again, slice(0, len(self)))

    @property
    def _own_inputs(self) -> Inputs:
        """Raises CamError if somebody wrote into the batch or the weights since the pass."""
        self.open_pass.check_unchanged()
        return self.open_pass.inputs.rows(self._images)

    def _map(self, explained: _Explained, on_progress: Callable[[float], None]) -> Tensor:
        if explained.function is not None:
            run = Run(of_function(self.open_pass, explained.function), self._images)
            return run._map(replace(explained, function=None), on_progress)
        chosen, score = explained.method, explained.score
        compute = signed(chosen) if explained.signed else chosen.compute
        if chosen.needs == "nothing":
            return compute(self.activation)
        if chosen.needs == "gradient":
            return compute(self.activation, self._gradient(score))
        if chosen.needs == "gradients":
            assert score.contrast is not None
            others = [self._gradient(Score(other)) for other in score.contrast.T]
            gradient = self._gradient(Score(score.targets))
            return compute(self.activation, gradient, torch.stack(others))
        if chosen.needs in ("noisy gradients", "earlier maps", "attention"):
            return self._by_further_passes(chosen, score, on_progress)
        perturbed = self._perturbed(chosen, on_progress)
        scores = torch.stack([score.of(logits) for logits in perturbed.unbind(1)], dim=1)
        # The parts of a network may be on several devices.
        device = self.activation.device
        return compute(self.activation, scores.to(device), score.of(self.logits).to(device))

    def _by_further_passes(
        self, chosen: Method, score: Score, on_progress: Callable[[float], None]
    ) -> Tensor:
        held = self.open_pass.of(self._images, self._own_inputs)
        if chosen.needs == "noisy gradients":
            gradients = noisy_gradients(held, score.of, on_progress)
            return chosen.compute(self.activation, at_least_float32(gradients))
        if chosen.needs == "attention":
            images = attention_gradients(held, lambda y, n: score.at(n).of(y), on_progress)
            return torch.cat([chosen.compute(map(at_least_float32, image)) for image in images])
        on_progress(0.0)
        earlier = at_earlier_layers(held, score.of)
        device = self.activation.device
        pairs = [tuple(at_least_float32(one.to(device)) for one in pair) for pair in earlier]
        pairs.append((self.activation, self._gradient(score)))
        on_progress(1.0)
        return chosen.compute([gradcam_plus_plus(*pair) for pair in pairs])

    def steps(
        self,
        targets: int | Sequence[int] | None = None,
        method: str = DEFAULT_METHOD,
        contrast: int | Sequence[int] | bool = False,
        *,
        allow_nan: bool = False,
    ) -> list[Steps]:
        """How `cam` makes the map of each image, given the same arguments: see `Steps`.

        Raises ChoiceError for a method that is not a sum of weighted channels, and the errors of
        `cam`.
        """
        chosen = method_named(method)
        check_steps(chosen)
        found = self.cam(targets, method, contrast, allow_nan=True)
        with torch.inference_mode(False):
            score = self._score(targets, chosen, contrast)
            self._check_finite(_Explained(chosen, score, False), found)
            if not allow_nan:
                self._check_gradient(_Explained(chosen, score, False), found)
            others: Tensor | None = None
            values = score.of(self.logits)
            if chosen.needs == "gradients":
                assert score.contrast is not None
                each = torch.stack([self._gradient(Score(other)) for other in score.contrast.T])
                others = strongest_other(self.activation, each)
                score = Score(score.targets)
                values = score.of(self.logits)
            gradient = self._gradient(score)
        return [
            steps_of(
                chosen,
                self.activation[n],
                gradient[n],
                float(values[n]),
                found[n],
                None if others is None else others[n],
            )
            for n in range(len(self))
        ]

    def contrast(
        self,
        targets: int | Sequence[int] | None,
        method: str = DEFAULT_METHOD,
        contrast: int | Sequence[int] | bool = False,
    ) -> list[list[int]]:
        """The classes against which `cam` explains each image's class, given the same arguments."""
        score = self._score(targets, method_named(method), contrast)
        return [[]] * len(self) if score.contrast is None else score.contrast.tolist()

    def rivals(
        self,
        targets: int | Sequence[int] | None,
        method: str = DEFAULT_METHOD,
        rivals: Sequence[int] | bool = False,
    ) -> list[list[int]]:
        """The old name of `contrast`."""
        warn("rivals", "contrast")
        return self.contrast(targets, method, rivals)

    def _score(
        self,
        targets: int | Sequence[int] | None,
        method: Method,
        contrast: int | Sequence[int] | bool,
    ) -> Score:
        logits = self.logits
        index = class_indices(targets, logits)
        return score_of(method, logits, index, contrast_classes(contrast, logits.shape[1]))

    def _gradient(self, score: Score) -> Tensor:
        # One sum gives every image its own gradient: in eval mode images do not mix.
        held, rows = self.open_pass, self._images
        with held.lock, torch.enable_grad():
            found = held.gradient(score.of(held.logits[rows]).sum())[rows]
        return at_least_float32(found)

    def _perturbed(self, method: Method, on_progress: Callable[[float], None]) -> Tensor:
        """The logits for every perturbed channel [N, C, classes], kept for other classes."""
        with self._slow:
            if method.name not in self._kept:
                held = self.open_pass.of(self._images, self._own_inputs)
                self._kept = {method.name: perturbed_logits(held, method, on_progress)}
            on_progress(1.0)
            return self._kept[method.name]


_BY_GRADIENTS = ("gradient", "gradients", "noisy gradients", "earlier maps", "attention")

_FAINT = torch.finfo(torch.float32).tiny
"""Below this, numbers are rounded to few digits or to 0."""


def _is_any(found: Tensor, least: float = 0.0) -> Tensor:
    """Of each image, whether any value is further from 0 than this."""
    return (found.abs() > least).flatten(1).any(dim=1)


@dataclass(frozen=True)
class _Explained:
    """What a map is made of. function: the target, where it is no class."""

    method: Method
    score: Score
    signed: bool
    function: Callable[[Any], Tensor] | None = None


def _over_maximum(found: Tensor) -> Tensor:
    """Each map divided by its largest absolute value; 0 where that is 0."""
    highest = found.abs().amax(dim=tuple(range(1, found.ndim)), keepdim=True)
    return found / highest.where(highest > 0, torch.ones_like(highest))
