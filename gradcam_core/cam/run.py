"""The class activation maps of a forward pass that is held open."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradcam_core.cam.methods.one_pass import strongest_other
from gradcam_core.cam.methods.registry import (
    DEFAULT_METHOD,
    Method,
    check_signed,
    check_steps,
    method_named,
)
from gradcam_core.cam.one_map import (
    Explained,
    PassImages,
    PerturbedLogits,
    check_finite_map,
    check_map,
    map_of,
    smoothed_map_of,
)
from gradcam_core.cam.passes.open_pass import OpenPass
from gradcam_core.cam.passes.smoothing import Smooth
from gradcam_core.cam.score import Score, score_of
from gradcam_core.cam.steps import Steps, steps_of
from gradcam_core.cam.target_layers.layout import SequenceFirst, Tokens
from gradcam_core.cam.targets import Targets, class_indices, contrast_classes, top_classes
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
        self._images = PassImages(open_pass, images)
        self._perturbed = PerturbedLogits()

    def __len__(self) -> int:
        """N, the number of images."""
        return len(self._images)

    @property
    def is_of_tokens(self) -> bool:
        """Whether the cells of the activation are tokens, laid out on their grid."""
        layout = self.open_pass.layout
        return isinstance(layout.within if isinstance(layout, SequenceFirst) else layout, Tokens)

    @property
    def logits(self) -> Tensor:
        return self._images.logits

    @property
    def activation(self) -> Tensor:
        return self._images.activation

    @property
    def top(self) -> list[int]:
        """The most probable class of each image."""
        return top_classes(self.logits)

    @property
    def nbytes(self) -> int:
        """Bytes held: the input, the activation, and what the graph after it keeps. Runs that share
        a pass each count the part of their images."""
        held = self.open_pass.nbytes * len(self) // len(self.open_pass.batch)
        return held + self._perturbed.nbytes

    def split(self) -> list[Run]:
        """One run per image. They share the memory of the pass, which is freed with the last of
        them, and a map of any image costs a backward pass over all images of the pass."""
        rows = self._images.rows
        return [Run(self.open_pass, slice(n, n + 1)) for n in range(rows.start, rows.stop)]

    def join(self, others: Sequence[Run]) -> Run:
        """The inverse of `split`: one run over these images followed by the others', whose maps
        cost one backward pass.

        Raises ValueError if these are not consecutive images of one pass.
        """
        if not others:
            return self
        starts = [run._images.rows.start for run in others]
        *ends, stop = [run._images.rows.stop for run in (self, *others)]
        if ends != starts or any(run.open_pass is not self.open_pass for run in others):
            raise ValueError("These are not consecutive images of one forward pass.")
        return Run(self.open_pass, slice(self._images.rows.start, stop))

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

        contrast: a class or several to explain the target against; True lets the method choose them
        by the logits of this pass. False means none, except for methods that always have one.
        on_progress: called by slow methods with the share that is done; an exception it raises
        stops the work. rivals: the old name of `contrast`, which takes precedence.

        signed: keep the evidence against the class, as negative values (see `methods.signed`).
        smooth: the mean over the maps of altered copies of the images, each with a pass of its own:
        "noise" for eight noisy copies (SmoothGrad, see `smoothing`), "flips" for six copies,
        mirrored and not, times 0.9, 1 and 1.1, each map first divided by its maximum, as in
        pytorch-grad-cam's aug_smooth. Target and contrast classes are those of this pass.
        allow_nan: return maps that are not finite, and maps of 0, or of rounding alone, from a
        score whose gradient is 0, instead of raising an error.

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
        # Tensors made in inference mode can never have gradients.
        with torch.inference_mode(False):
            chosen = method_named(method)
            if signed:
                check_signed(chosen, CamError)
            if not callable(targets):
                explained = Explained(chosen, self._score(targets, chosen, contrast), signed)
            elif contrast is not False or chosen.contrast is not None:
                raise CamError(
                    f"A function of the output has no classes in contrast: {chosen.title} with "
                    f"contrast={contrast!r} cannot explain it."
                )
            else:
                first = torch.zeros(len(self), dtype=torch.long, device=self.logits.device)
                explained = Explained(chosen, Score(first), signed, targets)
            if smooth is None:
                found = map_of(self._images, explained, self._perturbed, on_progress)
            else:
                found = smoothed_map_of(self._images, explained, smooth, on_progress)
            if not allow_nan:
                check_map(self._images, explained, found)
            return found

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
            check = check_finite_map if allow_nan else check_map
            check(self._images, Explained(chosen, score), found)
            others: Tensor | None = None
            values = score.of(self.logits)
            if chosen.needs == "gradients":
                assert score.contrast is not None
                each = [self._images.gradient(Score(other)) for other in score.contrast.T]
                others = strongest_other(self.activation, torch.stack(each))
                score = Score(score.targets)
                values = score.of(self.logits)
            gradient = self._images.gradient(score)
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
