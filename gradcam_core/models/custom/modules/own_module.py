"""A module that a person has built, used as a network without being changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_core.errors import CamError, NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.modules.outputs import not_taken, what_they_are
from gradcam_core.models.custom.modules.scaling import scales_pictures
from gradcam_core.models.downloads.weights import Source, Weights
from gradcam_core.upstream import watching_operations
from gradcam_core.wording import first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradcam_core.cam.run import Run
    from gradcam_core.cam.target_layers.places import MovedError

_STEADY = 0.02  # of the largest logit; rounding in batches of other sizes changes less
_EXTREME = 100  # times noise


@dataclass(frozen=True)
class ModuleSource(Source):
    """The source of a module in this process, which has no file. name: of its class."""

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
    """The values of a module when it was first used. digest: the SHA-256 of all of them."""

    digest: str = ""

    @property
    def sha256(self) -> str:
        return self.digest


@dataclass(frozen=True)
class ModuleRecipe:
    """See `Recipe`. given_output: maps the module's output to logits; None if that is not needed.
    is_single: whether it has a single output, for one class. gives: see `ModuleFacts`. finds_layer:
    whether the target layer is found in each forward pass, because nobody has named it and the
    module may take another path for another photo. is_alone: whether each picture is run alone,
    because values read from one picture would decide for the whole batch."""

    module: nn.Module = field(repr=False)
    preprocessing: Preprocessing
    given_output: Callable[[Any], Tensor] | None = None
    is_single: bool = False
    gives: str = "logits"
    finds_layer: bool = True
    is_alone: bool = False

    @property
    def output(self) -> Callable[[Any], Tensor] | None:
        """Maps the module's output to logits, for `forward`. A single output z, whose sigmoid is a
        probability, becomes the two -z/2 and z/2, as for files (see `Fit.tensors`)."""
        return self._both if self.is_single else self.given_output

    def _both(self, given: Any) -> Tensor:
        import torch

        from gradcam_core.cam.network.outputs import logits_selector

        found = logits_selector(self.given_output)(given)
        if self.gives in ("sigmoid", "probabilities"):
            return torch.cat([1 - found, found], dim=1)
        return torch.cat([-found / 2, found / 2], dim=1)

    def read(self, path: Path) -> nn.Module:
        return self.module

    def weights(self) -> ModuleWeights:
        return ModuleWeights(f"module:{type(self.module).__name__}", Path(), _digest(self.module))


@dataclass(frozen=True)
class ModuleFacts:
    """What forward passes show about a module. outputs: their number. gives: "logits"; "softmax",
    "log-softmax" or "sigmoid" if the module ends with that; or "probabilities" if it ends with
    something similar and all outputs seen are from 0 to 1. layer: name of the layer with the last
    feature map. reads_values: whether its code reads computed values, so that it may take another
    path for another picture. scales_pictures: whether it scales them, as a module does that
    normalises its input. no_logits: what the outputs are if they are not supported, and what to
    return instead, else ""."""

    outputs: int
    gives: str
    layer: str
    reads_values: bool = False
    scales_pictures: bool = False
    no_logits: str = ""


def channels_of(module: nn.Module) -> int:
    """The number of channels that the first convolution takes; 3 if there is no convolution."""
    from torch import nn

    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.LazyConv2d)) and part.in_channels:
            return part.in_channels
    return 3


def unwrapped(module: nn.Module) -> nn.Module:
    """The module that `torch.compile` or nn.DataParallel was called with, which has the same
    weights and computes the same. Compiled code cannot be inspected."""
    from torch import nn

    while True:
        if type(module).__name__ == "OptimizedModule":
            module = module.get_submodule("_orig_mod")
        elif isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        else:
            return module


def inspect_module(
    module: nn.Module,
    preprocessing: Preprocessing,
    layer: str | None,
    output: Callable[[Any], Tensor] | None,
) -> ModuleFacts:
    """Runs the module on noise. Raises NetworkError, with the reason, if it cannot be explained."""
    import torch

    _check_values(module)
    random = torch.Generator().manual_seed(0)
    shape = (2, preprocessing.channels, *preprocessing.size)
    batch = torch.randn(shape, generator=random, device="cpu")
    batch = batch.to(next((p.device for p in module.parameters()), torch.device("cpu")))
    run = _run(module, batch, layer, output)
    if run.logits.ndim != 2:
        raise NetworkError(
            f"the module gives {list(run.logits.shape)}: one number for each class is expected; "
            "pass output=, a function that returns them as a tensor [N, classes]"
        )
    _check_steady(run, [_run(module, batch[:1], layer, output) for _ in range(2)])
    _check_places(module, batch[:1], run, output)
    extremes = _EXTREME * torch.stack([batch[0], -torch.ones_like(batch[1])])
    gives = what_they_are(run.open_pass.logits, _logits(module, extremes, output))
    return ModuleFacts(
        run.logits.shape[1],
        gives,
        run.layer,
        _reads_values(module, batch),
        scales_pictures(module, batch),
        not_taken(run.open_pass.logits) if gives == "logits" else "",
    )


def _logits(module: nn.Module, batch: Tensor, output: Callable[[Any], Tensor] | None) -> Tensor:
    """The logits of a batch; infinite if the module does not accept it."""
    import torch

    from gradcam_core.cam.network.outputs import logits_selector

    try:
        with torch.no_grad():
            return logits_selector(output)(module(batch))
    except Exception:  # a person's own code may raise anything
        return torch.full((1, 1), torch.inf)


def _check_places(
    module: nn.Module, picture: Tensor, run: Run, output: Callable[[Any], Tensor] | None
) -> None:
    """Raises NetworkError if the module moves its pictures: heat would be in the wrong place."""
    from gradcam_core.cam.network.inputs import Inputs
    from gradcam_core.cam.target_layers.layers import maps_of
    from gradcam_core.cam.target_layers.places import (
        MovedError,
        first_layer,
        first_map,
        what_moves,
    )

    inputs = Inputs.of(picture)
    maps = maps_of(module, inputs, output)
    layer = first_layer(module, maps)
    if layer is None:
        return
    first = first_map(module, inputs, layer, maps.layouts[layer, 1])
    if how := what_moves(picture, first, run.activation.shape[2:]):
        raise _moved(MovedError(how))


def _moved(error: MovedError) -> NetworkError:
    from gradcam_core.cam.target_layers.places import ELSEWHERE

    what = "remove this step, so that it takes pictures as they are"
    if "cut out" in error.how:
        what = "take the crop out of the module, and give its size= and crop="
    return NetworkError(f"the module {error.how}, {ELSEWHERE}: {what}")


def _reads_values(module: nn.Module, batch: Tensor) -> bool:
    import torch

    reading_operations = (
        torch.ops.aten._local_scalar_dense,
        torch.ops.aten.is_nonzero,
        torch.ops.aten.equal,
        torch.ops.aten.nonzero,
    )
    found = set()
    with torch.no_grad(), watching_operations(lambda one, _: found.add(one.overloadpacket)):
        module(batch.clone())
    return not found.isdisjoint(reading_operations)


def _check_values(module: nn.Module) -> None:
    import torch
    from torch.nn.parameter import is_lazy

    tensors = [*module.parameters(), *module.buffers()]
    if any(map(is_lazy, tensors)):
        raise NetworkError("the module has lazy layers without values: load its weights first")
    if any(one.is_meta for one in tensors):
        raise NetworkError("the module has no values (it is on the meta device): load its weights")
    if isinstance(module, torch.jit.ScriptModule):
        raise NetworkError(
            "the module is TorchScript, whose parts cannot be inspected: give the module that it "
            "was made from, or save it and give the file as weights="
        )


def _run(
    module: nn.Module,
    batch: Tensor,
    layer: str | None,
    output: Callable[[Any], Tensor] | None,
) -> Run:
    import torch

    from gradcam_core.cam.forward import forward
    from gradcam_core.cam.target_layers.places import MovedError

    try:
        return forward(module, batch, layer, output=output)
    except MovedError as error:
        raise _moved(error) from error
    except Exception as error:  # a person's own code may raise anything
        reason = error.__cause__ if isinstance(error, CamError) else error
        if reason is None:
            raise NetworkError(f"the module cannot be explained: {error}") from error
        what = "give the size= and channels= that it was trained with"
        kinds = {p.dtype for p in module.parameters() if p.is_floating_point()}
        if kinds - {torch.float32}:
            kind = str(min(kinds - {torch.float32}, key=str)).removeprefix("torch.")
            what = f"its values are {kind} and not float32: give copy.deepcopy(module).float()"
        elif isinstance(reason, TypeError) and "required positional argument" in str(reason):
            what = "wrap it in a module that takes only pictures"
        raise NetworkError(
            f"the module does not accept a batch {list(batch.shape)} ({in_one_line(reason)}): "
            f"{what}"
        ) from error


def _check_steady(run: Run, alone: Sequence[Run]) -> None:
    """Raises NetworkError unless a picture has the same logits each time, whatever else is in the
    batch."""
    import torch

    def same(first: Tensor, second: Tensor) -> bool:
        scale = float(first.float().abs().max().nan_to_num())
        return torch.allclose(
            first.float(), second.float(), rtol=0, atol=_STEADY * scale, equal_nan=True
        )

    first, second = (one.logits[0].detach() for one in alone)
    if not same(first, second):
        raise NetworkError(
            "the module returns different numbers for the same picture each time: something in "
            "it is random, such as a dropout that ignores self.training"
        )
    if not same(first, run.logits[0].detach()):
        raise NetworkError(
            "the module returns different numbers for a picture if another one is in the batch, "
            "as batch norms without running statistics do"
        )


def in_one_line(error: BaseException) -> str:
    first = first_line(error)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _digest(module: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        if tensor.layout.__str__() == "torch.strided" and not tensor.is_quantized:
            values = tensor.detach().cpu().contiguous().flatten()
            import torch

            found.update(values.view(torch.uint8).numpy().tobytes() if values.numel() else b"")
    return found.hexdigest()
