"""Deletion and insertion (Petsiuk, Das and Saenko, "RISE", BMVC 2018, algorithm 2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

STEPS = 32
_AT_ONCE = 4  # images in a pass, the fastest on a CPU
_BLUR = (11, 5.0)  # kernel and sigma in pixels at an input of 224, as in the paper's code


def deletion_and_insertion(
    module: nn.Module, image: Tensor, heatmap: np.ndarray, target: int
) -> tuple[float, float]:
    """The areas under the class's probability while the hottest pixels are taken out of the image,
    and while they are put into a blurred one. Low deletion and high insertion are good.

    image: a network's input [1, 3, H, W], where 0 is the training mean. heatmap: [H, W] over it.
    """
    order = torch.from_numpy(np.argsort(-heatmap, axis=None, kind="stable"))
    pixels = order.numel()
    blurred = gaussian_blur(image, [_BLUR[0]] * 2, [_BLUR[1]] * 2)
    areas = []
    for start, end in ((image, torch.zeros_like(image)), (blurred, image)):
        versions = []
        for count in np.linspace(0, pixels, STEPS + 1).astype(int):
            version = start.flatten(2).clone()
            version[:, :, order[:count]] = end.flatten(2)[:, :, order[:count]]
            versions.append(version.view_as(image))
        with torch.no_grad():
            logits = torch.cat([module(chunk) for chunk in torch.cat(versions).split(_AT_ONCE)])
        probability = logits.softmax(dim=1)[:, target]
        areas.append(float(torch.trapezoid(probability, dx=1 / STEPS)))
    return areas[0], areas[1]
