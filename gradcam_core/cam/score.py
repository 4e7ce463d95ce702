"""What a map explains of each image: a class's logit, or its lead over the logits of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcam_core.cam.methods.registry import DEFAULT_CONTRAST, Contrast, Method
from gradcam_core.errors import CamError


@dataclass(frozen=True)
class Score:
    """The score y of each image, whose gradient a map is made of.

    targets: [N], the classes explained. contrast: [N, R], the classes in contrast to them, or None.
    share: the factor by which the mean logit of the contrast is subtracted.
    """

    targets: Tensor
    contrast: Tensor | None = None
    share: float = 1.0

    def at(self, image: int) -> Score:
        """The score of one image, whose `of` takes any number of rows of logits."""
        contrast = None if self.contrast is None else self.contrast[image : image + 1]
        return Score(self.targets[image : image + 1], contrast, self.share)

    def of(self, logits: Tensor) -> Tensor:
        """The score of each image: logits [N, classes] -> [N]."""
        score = logits.gather(1, self.targets[:, None].expand(len(logits), -1))[:, 0]
        if self.contrast is None:
            return score
        others = self.contrast.expand(len(logits), -1)
        return score - self.share * logits.gather(1, others).mean(dim=1)


def score_of(
    method: Method, logits: Tensor, targets: Tensor, contrast: Sequence[int] | bool
) -> Score:
    """The score that a method explains, for logits [N, classes] and targets [N].

    contrast: classes; True lets the method choose them by the logits; False means none, except for
    methods that always have one. Raises CamError for a contrast that does not fit, or one for a
    method that ignores the class.
    """
    if contrast is False:
        kind = method.contrast
    elif not method.knows_class:
        raise CamError(f"{method.title} is the same for every class, so it takes no contrast.")
    else:
        kind = method.contrast or DEFAULT_CONTRAST
    if kind is None:
        return Score(targets)
    if isinstance(contrast, bool):
        return Score(targets, _chosen(logits, targets, kind), kind.share)
    if not contrast or set(contrast) & set(targets.tolist()):
        raise CamError("The contrast must be one or more classes other than the class explained.")
    given = torch.tensor([list(contrast)], device=targets.device).expand(len(targets), -1)
    return Score(targets, given, kind.share)


def _chosen(logits: Tensor, targets: Tensor, contrast: Contrast) -> Tensor:
    """The classes in contrast to each image's class: logits [N, classes], targets [N] -> [N, R].
    Raises CamError if the network has only one class."""
    count = min(contrast.count, logits.shape[1] - 1)
    if not count:
        raise CamError("A network with one class has no other class for a contrast.")
    own = targets[:, None]
    likeness = -(logits - logits.gather(1, own)).abs() if contrast.by == "nearest" else logits
    return likeness.scatter(1, own, -torch.inf).topk(count, dim=1).indices
