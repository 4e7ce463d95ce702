"""How a map is made, step by step: the channels of the feature map, their weights, the weighted
sum, and what the last ReLU leaves of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcam_core.cam.methods.registry import Method, check_steps
from gradcam_core.errors import CamError

if TYPE_CHECKING:
    from torch import Tensor

FOR = 6
"""How many of the channels that speak for the class are shown."""

AGAINST = 2
"""How many of the channels that speak against the class are shown."""

# Running sums are kept for each number of channels up to 8, then for every tenth more.
_EACH_UP_TO = 8
_GROWTH = 1.1


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel k of the feature map.

    index: from 0. activation: A_k, float32 [h, w]. weight: w_k, or None if each cell has a
    weight of its own. part: float32 [h, w], w_k A_k, what it adds to the sum at each cell. share:
    its part as a share of all parts on its side, for the class (above 0, at most 1) or against it
    (below 0, at least -1).
    """

    index: int
    activation: np.ndarray
    weight: float | None
    part: np.ndarray
    share: float

    def record(self) -> dict[str, object]:
        """The channel in JSON types, without its part; the activation as rows of numbers."""
        rows = self.activation.astype(float).tolist()
        return {
            "index": self.index,
            "weight": self.weight,
            "share": self.share,
            "activation": rows,
        }


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of one map, those of Grad-CAM's paper (Selvaraju et al., ICCV 2017, section 3).

    Forward: channels: how many the feature map has; size: its (rows, columns); mean_activation:
    float32 [h, w], the mean of its channels; score: y, the logit explained, or its lead over the
    mean logit of the contrast.
    Backward: speaking_for, speaking_against: the channels that add most to the sum over all cells,
    and that subtract most, each the largest first; counts: how many channels speak for the class,
    and how many against it.
    Heatmap: order: all channels by the absolute value of what they add, the largest first. counted:
    numbers of channels, from 1 to all; running: float32 [len(counted), h, w], the sum of the parts
    of that many channels in this order. others: float32 [h, w], the strongest map of another class,
    which is subtracted if classes compete; else None. feature_map: float32 [h, w], the map itself:
    the last of `running` after a ReLU; if there are `others`, less these, and after a second ReLU.
    """

    channels: int
    size: tuple[int, int]
    mean_activation: np.ndarray
    score: float
    speaking_for: tuple[Channel, ...]
    speaking_against: tuple[Channel, ...]
    counts: tuple[int, int]
    order: np.ndarray
    counted: tuple[int, ...]
    running: np.ndarray
    others: np.ndarray | None
    feature_map: np.ndarray

    def record(self) -> dict[str, object]:
        """The score, the counts and the largest channels, in JSON types; activations as rows."""
        return {
            "score": self.score,
            "channels": self.channels,
            "size": self.size,
            "speaking_for": self.counts[0],
            "speaking_against": self.counts[1],
            "largest_for": [one.record() for one in self.speaking_for],
            "largest_against": [one.record() for one in self.speaking_against],
        }


def steps_of(
    method: Method,
    activation: Tensor,
    gradient: Tensor,
    score: float,
    found: Tensor,
    others: Tensor | None = None,
) -> Steps:
    """The steps of one image's map. activation, gradient: [C, h, w]; found: the map [h, w]; others:
    [h, w]. Raises ChoiceError for a method that has no steps, CamError unless maps are 2D."""
    check_steps(method)
    assert method.weights is not None
    if activation.ndim != 3:
        raise CamError(f"Steps exist only for maps with 2 dimensions, not {activation.ndim - 1}.")
    weights = method.weights.of(activation[None], gradient[None])[0]
    parts = (weights * activation).double()  # in double, so that running sums are exact to float32
    sums = parts.sum(dim=(1, 2))
    order = sums.abs().argsort(descending=True, stable=True)
    counted = _counted(len(order))
    running = parts[order].cumsum(dim=0)[[count - 1 for count in counted]]
    totals = float(sums.clamp(min=0).sum()), float(-sums.clamp(max=0).sum())

    def channel(index: int) -> Channel:
        total = totals[0] if sums[index] > 0 else totals[1]
        return Channel(
            index,
            _array(activation[index]),
            float(weights[index]) if weights[index].numel() == 1 else None,
            _array(parts[index]),
            float(sums[index]) / total,
        )

    by_sum = sums.argsort(descending=True, stable=True).tolist()
    speaking = [index for index in by_sum if sums[index] > 0]
    opposing = [index for index in reversed(by_sum) if sums[index] < 0]
    return Steps(
        channels=len(order),
        size=(activation.shape[1], activation.shape[2]),
        mean_activation=_array(activation.mean(dim=0)),
        score=score,
        speaking_for=tuple(map(channel, speaking[:FOR])),
        speaking_against=tuple(map(channel, opposing[:AGAINST])),
        counts=(len(speaking), len(opposing)),
        order=order.cpu().numpy(),
        counted=tuple(counted),
        running=_array(running),
        others=None if others is None else _array(others),
        feature_map=_array(found),
    )


def _counted(channels: int) -> Sequence[int]:
    counts = list(range(1, min(_EACH_UP_TO, channels) + 1))
    while counts[-1] < channels:
        counts.append(min(channels, max(counts[-1] + 1, round(counts[-1] * _GROWTH))))
    return counts


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
