"""Networks with random weights, for comparing numbers and never for a picture that is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import nn

import gradcam_core as gc
from gradcam_core.models.optimise.meta_device import without_values
from gradcam_core.models.registry import remove_model


def scattered(module: nn.Module) -> nn.Module:
    """Gives a network random biases and statistics, too: initially, biases and means are 0, and
    code that forgets them would pass."""
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


def quickly_made(build: Callable[[], nn.Module]) -> nn.Module:
    """The network of `build` in eval mode, with random values that repeat, because drawing all of
    them takes most of the time of building a network. Normalisation layers change nothing."""
    module = without_values(build)
    tensors = module.state_dict()
    if len(tensors) < sum(1 for _ in module.parameters()) + sum(1 for _ in module.buffers()):
        return build().eval()  # it has tables that are not in its state, such as positions
    module.to_empty(device="cpu")
    few = torch.randn(65_537)  # a prime, so that no two outputs of a layer are the same
    few -= few.mean()
    for name, tensor in module.state_dict().items():
        if tensor.ndim > 1 and tensor[0].numel() > 1:
            repeated = few.repeat(-(-tensor.numel() // len(few)))[: tensor.numel()]
            tensor.copy_(repeated.view(tensor.shape)).mul_((2 / tensor[0].numel()) ** 0.5)
        else:
            tensor.fill_(0 if name.endswith(("bias", "mean", "tracked")) else 1)
    return module


@contextmanager
def registered_small_network(folder: Path) -> Iterator[gc.Model]:
    """Registers timm's small ResNet for tests: a hundred passes of it take a tenth of a second.
    folder: for its weights."""
    torch.manual_seed(0)
    module = scattered(timm.create_model("test_resnet"))
    save_file(module.state_dict(), folder / "small.safetensors")
    info = gc.register("Small", "test_resnet", weights=folder / "small.safetensors", size=96)
    yield gc.load_model(info.name)
    remove_model(info.name)


def with_heat(photo: gc.Photo, model: gc.Model, **options: object) -> gc.Explanation:
    """The explanation of the first class that has heat: with random weights, some have none."""
    held = gc.examine(photo, model)
    found = (gc.explain(photo, model, one.index, **options) for one in held.top)  # type: ignore[arg-type]
    return next(one for one in found if not one.degenerate)
