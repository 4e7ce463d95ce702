"""The logits of a network, or of its head, with each channel of the target layer perturbed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gradcam_core.cam.methods.registry import Method
from gradcam_core.cam.network.explainable import OF_A_NETWORK, check_images_do_not_mix
from gradcam_core.cam.network.hooks import exclusive
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.passes.head import Head
from gradcam_core.cam.passes.open_pass import OpenPass, at_least_float32
from gradcam_core.errors import CamError

_MAX_PIXELS = {"cpu": 4 * 224 * 224, "cuda": 128 * 224 * 224}
"""The most pixels in one pass. On a CPU, larger passes take 1.5 times as long per image."""

_MAX_ACTIVATIONS = 64
_MAX_ACTIVATION_BYTES = 32 * 2**20
"""The most bytes of activations in one pass of a head."""


def perturbed_logits(
    held: OpenPass, method: Method, on_progress: Callable[[float], None]
) -> Tensor:
    """The logits for every perturbed channel: [N, C, classes]. Raises CamError if images of a batch
    mix, or if a method that masks the picture meets a network with several inputs."""
    of_images = method.needs == "scores of images"
    if of_images and held.inputs.several:
        raise CamError(
            f"{method.title} masks the picture, but this network gets several: it is unknown "
            "which of them the layer belongs to."
        )
    check_images_do_not_mix(held.module)
    count = len(held.batch)
    logits = []
    for n in range(count):

        def progress(share: float, n: int = n) -> None:
            on_progress((n + share) / count)

        image = slice(n, n + 1)
        logits.append(_of_image(held.of(image, held.inputs.rows(image)), method, progress))
    return torch.stack(logits)


def _of_image(held: OpenPass, method: Method, on_progress: Callable[[float], None]) -> Tensor:
    """The logits for one image: [C, classes]."""
    assert method.perturb is not None
    activation = held.leaf.detach()
    head = None if method.needs == "scores of images" else _head(held, activation)
    if head is not None and head.is_enough:
        at_once = min(_MAX_ACTIVATIONS, _MAX_ACTIVATION_BYTES // activation.nbytes)
    else:
        pixels = _MAX_PIXELS.get(held.batch.device.type, _MAX_PIXELS["cpu"])
        at_once = pixels // held.batch.shape[2:].numel()
    channels = activation.shape[1]
    # The layer may be on another device than the images that are masked by it.
    given = activation if head is not None else activation.to(held.batch.device)
    logits = []
    for chunk in torch.arange(channels, device="cpu").split(max(1, at_once)):
        found: list[Tensor] = []
        for sample in range(method.samples):
            done = int(chunk[0]) + len(chunk) * sample / method.samples
            on_progress(done / channels)
            channels_here = chunk.to(given.device)
            changed = method.perturb(given, held.batch, channels_here, sample)
            found.append(_logits_of(held, held.inputs, head, changed))
        # Scores are linear in the logits, so the mean logits give the mean score.
        logits.append(torch.stack(found).mean(dim=0))
    return torch.cat(logits)


def _head(held: OpenPass, activation: Tensor) -> Head:
    with held.precision():
        return Head(
            held.module,
            held.path,
            held.inputs,
            activation,
            held.logits.detach(),
            call=held.call,
            layout=held.layout,
            output=held.output,
            logits_of=held.logits_of,
        )


def _logits_of(held: OpenPass, inputs: Inputs, head: Head | None, changed: Tensor) -> Tensor:
    """The logits of perturbed activations through the head, or without one, of masked images."""
    try:
        with held.precision(), torch.no_grad():
            if head is not None:
                return at_least_float32(head(changed))
            with exclusive(held.module):
                return at_least_float32(held.logits_of(inputs.run(held.module, changed)))
    except (CamError, torch.OutOfMemoryError):
        raise
    except OF_A_NETWORK:  # the network may take only one image at a time
        if len(changed) == 1:
            raise
        return torch.cat([_logits_of(held, inputs, head, one) for one in changed.split(1)])
