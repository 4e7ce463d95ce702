"""Further passes, for methods that need more than one: over noisy pictures, held open at earlier
layers, or recording the attention of a transformer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradcam_core.cam.methods.several_passes import SMOOTH_NOISE, SMOOTH_SAMPLES, noise
from gradcam_core.cam.network.attention import AttentionPass
from gradcam_core.cam.network.inputs import Inputs
from gradcam_core.cam.passes.head import Head
from gradcam_core.cam.passes.layer_hooks import LayerTarget, NotRunError, hold
from gradcam_core.cam.passes.open_pass import OpenPass
from gradcam_core.cam.saturation import gradients_of
from gradcam_core.cam.target_layers.graph import depends_on
from gradcam_core.cam.target_layers.layers import maps_of
from gradcam_core.cam.target_layers.layout import SequenceFirst, Tokens
from gradcam_core.errors import CamError

ScoreOf = Callable[[Tensor], Tensor]
"""Maps logits [N, classes] to the score of each image [N]."""

Progress = Callable[[float], None]

_EARLIER = 2
"""How many feature maps before the target layer RefineCAM uses, at most."""


def noisy_gradients(held: OpenPass, score_of: ScoreOf, on_progress: Progress) -> Tensor:
    """The gradients at the target layer for S noisy copies of the images: [S, N, C, h, w]."""
    target = LayerTarget(held.layer, held.call, lambda *_: held.layout)
    found = []
    for sample in range(SMOOTH_SAMPLES):
        on_progress(sample / SMOOTH_SAMPLES)
        # Every image gets the same noise, so that each has the map it would have alone.
        images = held.batch + SMOOTH_NOISE * noise(held.batch, sample)
        ((_, gradient),) = _at(held, replace(held.inputs, images=images), [target], score_of)
        found.append(gradient)
    on_progress(1.0)
    return torch.stack(found)


def at_earlier_layers(held: OpenPass, score_of: ScoreOf) -> list[tuple[Tensor, Tensor]]:
    """Activation and gradient [N, C, h, w] of the last feature maps larger than that of the pass.

    Raises CamError if there are none.
    """
    places = held.leaf[0, 0].numel()
    found = maps_of(held.module, held.inputs, held.logits_of).found
    larger = [one for one in found if torch.Size(one.stage.shape[1:]).numel() > places]
    if not larger:
        raise CamError(
            "RefineCAM multiplies the maps of several layers, but no feature map of the network "
            f"is larger than that of {held.layer!r}: choose another method, or a later layer."
        )
    targets = [
        LayerTarget(one.stage.layer, one.number, lambda *_, layout=one.layout: layout)
        for one in larger[-_EARLIER:]
    ]
    return _at(held, held.inputs, targets, score_of)


def _at(
    held: OpenPass, inputs: Inputs, targets: Sequence[LayerTarget], score_of: ScoreOf
) -> list[tuple[Tensor, Tensor]]:
    """Activation and gradient at each layer, from one new pass. Raises CamError if it takes a route
    on which the logits do not depend on all layers."""
    with held.precision():
        try:
            found, given = hold(held.module, inputs, targets)
        except NotRunError:
            found, given = [], held.given
        logits = held.logits_of(given)
        leaves = [one.leaf for one in found if one is not None]
        if len(leaves) < len(targets) or not all(depends_on(logits, leaf) for leaf in leaves):
            names = ", ".join(target.name for target in targets)
            raise CamError(
                "The network takes a different route for other versions of the picture, in which "
                f"the logits are not made from {names}: choose a method that needs no further "
                "passes."
            )
        with torch.enable_grad():
            total = score_of(logits).sum()
    gradients = gradients_of(total, leaves)
    return [(leaf.detach(), one) for leaf, one in zip(leaves, gradients, strict=True)]


def attention_gradients(
    held: OpenPass, score_of: Callable[[Tensor, int], Tensor], on_progress: Progress
) -> Iterator[Iterator[Tensor]]:
    """For each image in turn, yields the gradient of each block's score with respect to the block's
    attention: [1, heads, queries, *places]. These are large, so each is computed when it is taken.

    For the score of a block, the network's head, which is all that follows the last block, gets the
    mean of the block's tokens in the place of every token. score_of: maps logits [M, classes] of
    the image with the given number to scores [M]. Raises CamError for a network without blocks in
    which all tokens attend to each other.
    """
    layout = held.layout
    if isinstance(layout, SequenceFirst):
        raise CamError(
            "LeGrad needs tokens with the images first, [N, L, C], but this network has them "
            "second, [L, N, C]: choose another method."
        )
    if not isinstance(layout, Tokens) or held.output is None:
        raise CamError(_NO_ATTENTION)
    count, tokens = len(held.batch), held.output.shape[1]
    head: Head | None = None
    for n in range(count):
        on_progress(n / count)
        inputs, logits = held.inputs.rows(slice(n, n + 1)), held.logits.detach()[n : n + 1]
        with held.precision():
            blocks = AttentionPass(held.module, inputs, tokens).blocks
            if not blocks:
                raise CamError(_NO_ATTENTION)
            last = blocks[-1]
            # A head that runs without its image serves all images.
            if head is None or not head.is_enough:
                head = Head(
                    held.module, last.name, inputs, last.tokens, logits, logits_of=held.logits_of
                )
            on_progress((n + 0.5) / count)
            means = torch.cat(
                [block.tokens.mean(dim=1, keepdim=True).to(last.tokens) for block in blocks]
            )
            means.requires_grad_()
            with torch.enable_grad():
                each = [head(one.expand(-1, tokens, -1)) for one in means.split(1)]
                total = score_of(torch.cat(each), n).sum()
        (gradients,) = gradients_of(total, [means])
        # All tokens count alike in the mean.
        shares = gradients.expand(-1, tokens, -1) / tokens
        yield (
            _on_the_grid(block.gradient(share).to(held.leaf.device), layout)
            for block, share in zip(blocks, shares.split(1), strict=True)
        )
    on_progress(1.0)


_NO_ATTENTION = (
    "LeGrad explains transformers whose tokens all attend to each other; no such attention was "
    "found in this network."
)


def _on_the_grid(attention: Tensor, layout: Tokens) -> Tensor:
    """[N, heads, queries, keys] -> [N, heads, queries, *places of the keys]"""
    images, heads, queries, keys = attention.shape
    one_channel = layout.to_map(attention.reshape(-1, keys, 1))
    return one_channel.reshape(images, heads, queries, *layout.grid)
