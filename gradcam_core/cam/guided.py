"""Guided backpropagation, and its product with Grad-CAM."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import CheckpointError

from gradcam_core.cam.forward import forward
from gradcam_core.cam.network.explainable import as_cam_errors, as_gradient_errors, explainable
from gradcam_core.cam.network.finite import check_finite
from gradcam_core.cam.network.hooks import exclusive
from gradcam_core.cam.network.inputs import Batch, Inputs
from gradcam_core.cam.network.outputs import Output
from gradcam_core.cam.target_layers.layout import Reshape
from gradcam_core.cam.targets import Targets
from gradcam_core.errors import CamError

_RELU = (functional.relu, torch.relu, Tensor.relu)
_RELU_IN_PLACE = (functional.relu_, torch.relu_, Tensor.relu_)
_BOUNDED = (functional.hardtanh, functional.hardtanh_)


class _GuidedReLU(torch.autograd.Function):
    """A ReLU up to `highest` that passes back only positive gradients (Springenberg et al., ICLR
    workshop 2015, fig. 1)."""

    @staticmethod
    def forward(context: Any, given: Tensor, highest: float) -> Tensor:
        found = given.clamp(0, highest)
        context.save_for_backward((found > 0) & (found < highest))
        return found

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (is_open,) = context.saved_tensors
        return gradients[0].clamp(min=0) * is_open, None


class _Guided(TorchFunctionMode):
    """A context in which all ReLUs and ReLU6s of this thread are guided, however they are called.
    count: how many have run."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        if function in (*_RELU, *_RELU_IN_PLACE):
            return self._guided(math.inf, function in _RELU_IN_PLACE, *args, **options)
        if function is functional.relu6:
            return self._guided(6.0, False, *args, **options)
        if function in _BOUNDED:  # nn.ReLU6 calls it
            low, high, *is_in_place = args[1:] or (options["min_val"], options["max_val"])
            if low == 0:
                is_in_place = is_in_place or [options.get("inplace", False)]
                return self._guided(high, function is functional.hardtanh_, args[0], *is_in_place)
        return function(*args, **options)

    def _guided(
        self, highest: float, always_in_place: bool, input: Tensor, inplace: bool = False
    ) -> Tensor:
        self.count += 1
        found = _GuidedReLU.apply(input, highest)
        return input.copy_(found) if inplace or always_in_place else found


def guided_gradcam(
    module: nn.Module,
    batch: Batch,
    targets: Targets = None,
    layer: str | None = None,
    *,
    reshape: Reshape | None = None,
    output: Output | None = None,
) -> Tensor:
    """Guided Grad-CAM (Selvaraju et al., ICCV 2017, section 3.2): the guided gradient of the
    class's score by the input, times the Grad-CAM map enlarged to it (bilinear, half-pixel
    centres).

    batch: images [N, C, H, W] -> [N, C, H, W], signed. The arguments are those of `forward` and
    `Run.cam`. For networks of ReLUs: guided backpropagation is not defined for other activations,
    which it leaves as they are.

    A known weakness: the fine lines come from the picture more than from the network. Guided
    backpropagation hardly changes when the weights are randomised or another class is explained
    (Adebayo et al., NeurIPS 2018; Nie et al., ICML 2018), so only the underlying map, which
    `Run.cam` gives alone, says something about the class. The result looks sharper than it is.

    Raises CamError as these do, and for a network without a ReLU.
    """
    if isinstance(layer, (list, tuple)):
        raise CamError("Guided Grad-CAM explains one layer: name one as layer=.")
    run = forward(module, batch, layer, reshape=reshape, output=output)
    chosen = run.top if targets is None else targets
    maps = run.cam(chosen)
    gradient = _guided_gradient(module, Inputs.of(batch), run.open_pass.logits_of, chosen)
    sides = tuple(gradient.shape[2:])
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sides)]
    found = gradient * functional.interpolate(maps[:, None], sides, mode=mode).to(gradient.device)
    check_finite([("The guided gradient", found)], run.open_pass.leaf.dtype)
    return found


def _guided_gradient(
    module: nn.Module, inputs: Inputs, logits_of: Output, targets: Targets
) -> Tensor:
    module = explainable(module)
    with torch.inference_mode(False), torch.enable_grad():
        if not inputs.images.is_floating_point():
            raise CamError(f"The batch is {inputs.described()}: only floats have gradients.")
        image = inputs.images.detach().clone().requires_grad_()
        with exclusive(module), as_cam_errors(module, inputs), _Guided() as guided:
            given = inputs.run(module, image)
        if not guided.count:
            raise CamError(
                "Guided backpropagation is defined for ReLUs, but this network has none: use the "
                "map of `run.cam` alone."
            )
        if callable(targets):
            scores = targets(given)
        else:
            logits = logits_of(given)
            index = torch.as_tensor(targets, device=logits.device).expand(len(logits))
            scores = logits.gather(1, index[:, None])
        with as_gradient_errors():
            try:
                (gradient,) = torch.autograd.grad(scores.sum(), image)
            except CheckpointError as error:
                raise CamError(
                    "The network's checkpointed parts run again in the backward pass, where their "
                    "ReLUs are not guided: switch checkpointing off."
                ) from error
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32))
