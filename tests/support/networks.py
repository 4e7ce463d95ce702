"""Networks with random weights, which are for numbers and never for a picture."""

from __future__ import annotations

from torch import nn


def scattered(module: nn.Module) -> nn.Module:
    """A network with random weights, with random biases and statistics, too: as they are made,
    biases and means are 0, and whoever forgets them is not found out."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None:
            part.running_mean.normal_(0, 0.1)
            assert part.running_var is not None
            part.running_var.uniform_(0.5, 1.5)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)
        elif parameter.ndim == 1 and name.endswith("weight"):
            nn.init.uniform_(parameter, 0.5, 1.5)
    return module
