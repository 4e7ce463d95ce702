"""A module that a person has built, as one of the networks: it stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_core.errors import CamError, NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.weights import Source, Weights

if TYPE_CHECKING:
    from torch import Tensor, nn

_SURE = 1e-4


@dataclass(frozen=True)
class ModuleSource(Source):
    """No file: the module is in this process. Its address has the name of its class."""

    name: str

    @property
    def url(self) -> str:
        return f"module:{self.name}"

    def cached(self) -> Path | None:
        return None

    def sha256_prefix(self, path: Path) -> str:
        return ""

    def download_arguments(self, force: bool) -> list[str]:
        raise AssertionError("a module is not downloaded")


@dataclass(frozen=True)
class ModuleWeights(Weights):
    """The values of a module at the time when it was first used. digest: of all of them."""

    digest: str = ""

    @property
    def sha256(self) -> str:
        return self.digest


@dataclass(frozen=True)
class ModuleRecipe:
    """See `Recipe`. given_output: from what the module gives to its logits; None where that is
    clear. is_single: whether it has a single output, which says how likely one class is. gives: see
    `Seen`."""

    module: nn.Module = field(repr=False)
    preprocessing: Preprocessing
    given_output: Callable[[Any], Tensor] | None = None
    is_single: bool = False
    gives: str = "logits"

    @property
    def output(self) -> Callable[[Any], Tensor] | None:
        """For `forward`: a single output z, whose sigmoid is a probability, becomes the two -z/2
        and z/2, as in files (see `Fit.tensors`)."""
        return self._both if self.is_single else self.given_output

    def _both(self, given: Any) -> Tensor:
        import torch

        from gradcam_core.cam.outputs import chosen_by

        found = chosen_by(self.given_output)(given)
        if self.gives == "sigmoid":
            return torch.cat([1 - found, found], dim=1)
        return torch.cat([-found / 2, found / 2], dim=1)

    def read(self, path: Path) -> nn.Module:
        return self.module

    def weights(self) -> ModuleWeights:
        return ModuleWeights(f"module:{type(self.module).__name__}", Path(), _digest(self.module))


@dataclass(frozen=True)
class Seen:
    """What a pass of a module shows. outputs: how many; gives: "logits", or "softmax" or "sigmoid"
    if that is in the module; layer: the last feature map."""

    outputs: int
    gives: str
    layer: str
    notes: tuple[str, ...] = ()


def channels_of(module: nn.Module) -> int:
    """That the first convolution takes; 3 if there is none."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.LazyConv2d)) and part.in_channels:
            return part.in_channels
    return 3


def look_at(
    module: nn.Module,
    preprocessing: Preprocessing,
    layer: str | None,
    output: Callable[[Any], Tensor] | None,
) -> Seen:
    """Run the module on noise. Raises NetworkError if it cannot be explained, and says why."""
    import torch

    from gradcam_core.cam.forward import forward

    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    if any(p.is_meta for p in module.parameters()):
        raise NetworkError("the module has no values (it is on the meta device): load its weights")
    random = torch.Generator().manual_seed(0)
    shape = (2, preprocessing.channels, *preprocessing.size)
    batch = torch.randn(shape, generator=random).to(device)
    gives: list[str] = []
    hooks = [
        part.register_forward_hook(lambda part, _, given: last.append((part, given)))
        for part in module.modules()
        if isinstance(part, (torch.nn.Softmax, torch.nn.Sigmoid))
    ]
    last: list[tuple[Any, Any]] = []
    try:
        run = forward(module, batch, layer, output=output)
    except CamError as error:
        if error.__cause__ is None:
            raise NetworkError(f"the module cannot be explained: {error}") from None
        raise NetworkError(
            f"the module does not take a batch {list(shape)} ({_first_line(error.__cause__)}): "
            "give size= and channels= as it was trained with"
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    logits = run.logits.detach().float()
    if logits.ndim != 2:
        raise NetworkError(
            f"the module gives {list(run.logits.shape)}: one number for each class is expected; "
            "give output= a function of it that returns them as a tensor [N, classes]"
        )
    if last and last[-1][1].shape == run.logits.shape and last[-1][1].equal(run.logits):
        gives.append("softmax" if isinstance(last[-1][0], torch.nn.Softmax) else "sigmoid")
    is_shares = bool((logits >= 0).all()) and logits.shape[1] > 1
    if is_shares and bool(((logits.sum(dim=1) - 1).abs() < _SURE).all()):
        gives.insert(0, "softmax")
    return Seen(logits.shape[1], gives[0] if gives else "logits", run.layer)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _digest(module: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        if tensor.layout.__str__() == "torch.strided" and not tensor.is_quantized:
            values = tensor.detach().cpu().contiguous().flatten()
            import torch

            found.update(values.view(torch.uint8).numpy().tobytes() if values.numel() else b"")
    return found.hexdigest()
