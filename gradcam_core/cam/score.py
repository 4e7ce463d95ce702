"""What a map explains of each image: a class's logit, or its lead over the logits of rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcam_core.cam.methods import AGAINST_RIVALS, Contrast, Method
from gradcam_core.errors import CamError


@dataclass(frozen=True)
class Score:
    """The score y of each image, whose gradient a map is made of.

    targets: [N], the classes explained. rivals: [N, R] or None. share: of the rivals' mean logit
    that is subtracted.
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


def score_of(
    method: Method, logits: Tensor, targets: Tensor, rivals: Sequence[int] | bool
) -> Score:
    """What this method explains: logits [N, classes], targets [N].

    rivals: classes, or True for those that the method chooses by the logits; False is none, but for
    methods that always have rivals. Raises CamError for rivals that do not fit, or a method that
    knows no class.
    """
    if rivals is False:
        contrast = method.contrast
    elif not method.knows_class:
        raise CamError(f"{method.title} knows no class, so it cannot explain one against others.")
    else:
        contrast = method.contrast or AGAINST_RIVALS
    if contrast is None:
        return Score(targets)
    if isinstance(rivals, bool):
        return Score(targets, _chosen_rivals(logits, targets, contrast), contrast.share)
    if not rivals or set(rivals) & set(targets.tolist()):
        raise CamError("The rivals must be one or more classes other than the class explained.")
    given = torch.tensor([list(rivals)], device=targets.device).expand(len(targets), -1)
    return Score(targets, given, contrast.share)


def _chosen_rivals(logits: Tensor, targets: Tensor, contrast: Contrast) -> Tensor:
    """The rivals of each image's class: logits [N, classes], targets [N] -> [N, R]."""
    count = min(contrast.count, logits.shape[1] - 1)
    if not count:
        raise CamError("A network with one class has no rivals to explain it against.")
    own = targets[:, None]
    likeness = -(logits - logits.gather(1, own)).abs() if contrast.by == "nearest" else logits
    return likeness.scatter(1, own, -torch.inf).topk(count, dim=1).indices
