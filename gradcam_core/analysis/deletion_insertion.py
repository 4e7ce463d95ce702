"""Whether the hot places of a map are what the network's answer rests on: the class's probability
while they are taken out of the picture, put into a blurred one, or shown alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

Predict = Callable[[Tensor], Tensor]
"""A function from images [M, C, H, W], a network's input, to a class's probabilities [M]."""

STEPS = 7

BATCH_SIZE = 4
"""Images in one pass: the fastest number on a CPU."""

_BLUR = (11, 5.0)  # kernel and sigma in pixels at an input of 224, as in the code of RISE


@dataclass(frozen=True)
class Curve:
    """probabilities: of a class, from none of the pixels changed to all, in equal steps."""

    probabilities: tuple[float, ...]

    @property
    def area(self) -> float:
        """Under the curve, by the trapezoidal rule, in [0, 1]."""
        return float(np.trapezoid(self.probabilities, dx=1 / (len(self.probabilities) - 1)))


def curves(
    predict: Predict, image: Tensor, heatmaps: Sequence[np.ndarray], steps: int = STEPS
) -> list[tuple[Curve, Curve]]:
    """Deletion and insertion by each heatmap (Petsiuk, Das and Saenko, "RISE", BMVC 2018, algorithm
    2): a class's probability while the hottest pixels are taken out of the picture, which leaves
    the training mean, and while they are put into a blurred one. A small area under the first and a
    large one under the second are good.

    image: a network's input [1, C, H, W], where 0 is the training mean. heatmaps: [H, W] over it.
    """
    nothing = torch.zeros_like(image)
    blurred = gaussian_blur(image, [_BLUR[0]] * 2, [_BLUR[1]] * 2)
    ways = [
        (start, end, heatmap)
        for heatmap in heatmaps
        for start, end in ((image, nothing), (blurred, image))
    ]
    between = (_between(start, end, heatmap, steps) for start, end, heatmap in ways)
    versions = chain([image, nothing, blurred], *between)
    found: list[float] = []
    while chunk := list(islice(versions, BATCH_SIZE)):
        found += predict(torch.cat(chunk)).tolist()
    of_image, of_nothing, of_blurred, *inner = found
    made = []
    for n, (start, _, _) in enumerate(ways):
        first, last = (of_image, of_nothing) if start is image else (of_blurred, of_image)
        made.append(Curve((first, *inner[n * (steps - 1) : (n + 1) * (steps - 1)], last)))
    return list(zip(made[::2], made[1::2], strict=True))


def _between(start: Tensor, end: Tensor, heatmap: np.ndarray, steps: int) -> Iterator[Tensor]:
    """start with more and more of its hottest pixels as they are in end; neither of the two."""
    order = torch.from_numpy(np.argsort(-heatmap, axis=None, kind="stable"))
    for step in range(1, steps):
        changed = order[: len(order) * step // steps]
        version = start.flatten(2).clone()
        version[:, :, changed] = end.flatten(2)[:, :, changed]
        yield version.view_as(start)


def shown_alone(predict: Predict, image: Tensor, heatmap: np.ndarray) -> float:
    """A class's probability for the picture seen through the heatmap: as it is where that is 1, the
    training mean where it is 0 (Chattopadhay and others, "Grad-CAM++", WACV 2018, section 4.1.1).

    image: [1, C, H, W]; heatmap: [H, W] in [0, 1].
    """
    visible = image * torch.from_numpy(heatmap).to(image)
    return float(predict(visible)[0])
