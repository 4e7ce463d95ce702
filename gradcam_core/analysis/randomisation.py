"""A network whose weights are made random step by step, from the head downwards.

For the sanity check of Adebayo and others ("Sanity Checks for Saliency Maps", NeurIPS 2018,
section 3): a map that stays what it was says nothing of what the network has learned.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor, nn

from gradcam_core.cam.hooks import exclusive
from gradcam_core.cam.layers import Stage

HEAD = "head"
"""Name of the part of a network behind its last feature map."""


AGAIN = "again"
"""Name of the part of a network that was made random again, when all of it was random already."""


def cascade(
    module: nn.Module, batch: Tensor, stages: Sequence[Stage], seed: int = 0, again: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """The network with its head random; then with the last stage random, too; and so on to the
    first, where all of it is. Each with the name of the part that was made random last: "head", or
    the layer that ends a stage. Then, so many times, all of it but the head made random `AGAIN`:
    what the head is given is another, and that of VGG19 alone takes a second to draw.

    The network itself is never touched: what is given is a copy, the same one again and again,
    which shares with it the weights that are not random yet. Each tensor is drawn anew from a
    normal distribution with its own mean and deviation, so that the scale of what flows through
    stays. batch: an input [N, C, H, W]. stages: of the network, see `layers`.
    """
    parts = _parts(module, batch, [stage.layer for stage in stages])
    with exclusive(module):  # without the hooks of others
        shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
        randomised = copy.deepcopy(module, shared)
    generators = [torch.Generator(batch.device).manual_seed(2 * seed + n) for n in range(2)]
    for name, owners in parts:
        for owner in owners:
            _randomise(randomised.get_submodule(owner), generators)
        yield name, randomised
    for _ in range(again):
        for _, owners in parts[1:]:
            for owner in owners:
                _randomise(randomised.get_submodule(owner), generators)
        yield AGAIN, randomised


def _parts(module: nn.Module, batch: Tensor, stages: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The modules with parameters of their own, of the head and every stage, the last first."""
    events: list[tuple[str, bool]] = []  # what began, and the stages that ended, in their order

    def note(name: str, has_ended: bool, *_: object) -> None:
        events.append((name, has_ended))

    with exclusive(module) as undo, torch.no_grad():
        for name, part in module.named_modules():
            if next(part.parameters(recurse=False), None) is not None:
                begins = partial(note, name, False)
                undo.callback(part.register_forward_pre_hook(begins).remove)
            if name in stages:
                undo.callback(part.register_forward_hook(partial(note, name, True)).remove)
        module(batch[:1])
    ends = {name: at for at, (name, has_ended) in enumerate(events) if has_ended}
    found: dict[str, list[str]] = {name: [] for name in (*stages, HEAD)}
    seen = set()
    for at, (name, has_ended) in enumerate(events):
        if has_ended or name in seen:
            continue
        seen.add(name)
        part_of = next((stage for stage in stages if at < ends[stage]), HEAD)
        found[part_of].append(name)
    return list(reversed(found.items()))


def _randomise(part: nn.Module, generators: Sequence[torch.Generator]) -> None:
    for name, parameter in list(part.named_parameters(recurse=False)):
        drawn = torch.empty_like(parameter)
        # VGG19 has more than a hundred million of them. A generator draws on one core.
        parts = _memory_of(drawn).chunk(len(generators))
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(lambda half, own: half.normal_(generator=own), parts, generators))
        deviation = parameter.std() if parameter.numel() > 1 else parameter.new_zeros(())
        drawn.mul_(deviation).add_(parameter.mean())
        setattr(part, name, nn.Parameter(drawn, requires_grad=False))


def _memory_of(tensor: Tensor) -> Tensor:
    """All values of a tensor without gaps, [numel], in whichever order they lie in memory."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))
