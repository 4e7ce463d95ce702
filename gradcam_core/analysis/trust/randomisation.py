"""Randomises the weights of a network step by step, from the head downwards.

For the sanity check of Adebayo and others ("Sanity Checks for Saliency Maps", NeurIPS 2018,
section 3): a map that does not change says nothing about what the network has learned.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradcam_core.cam.network.hooks import exclusive, on_this_thread
from gradcam_core.cam.target_layers.feature_maps import Stage
from gradcam_core.cam.target_layers.layers import share_maps

HEAD = "head"
"""The name of the part of a network after its last feature map."""


AGAIN = "again"
"""The name of a step that randomises a fully random network again."""


def cascade(
    module: nn.Module,
    batch: Tensor,
    stages: Sequence[Stage],
    seed: int = 0,
    again: int = 0,
    explained: Sequence[str] = (),
    other_batches: bool = False,
) -> Iterator[tuple[str, nn.Module]]:
    """Yields the network with a random head, then with the last stage random, too, and so on to the
    first stage, when all of it is random. Each comes with the name of the part randomised last:
    "head", or the layer that ends a stage. Then, `again` times, randomises all but the head once
    more, under the name `AGAIN`. The head keeps its random weights: its input differs anyway, and
    drawing VGG19's takes a second.

    The network itself does not change. Every step yields the same copy, which shares the weights
    that are not random yet. Each tensor is drawn from a normal distribution with the mean and
    standard deviation of the original, which keeps the scale of the activations.

    batch: an input [N, C, H, W], the only one that the copy answers for: modules below the random
    part repeat their recorded outputs, which saves a third of VGG19's time. other_batches: records
    nothing, so that the copy runs any input. explained: dotted names of the explained layers; no
    outputs are recorded after them, because gradients pass there. stages: see `layers`.
    """
    parts = _parts(module, batch, [stage.layer for stage in stages], explained)
    with exclusive(module):  # other passes' hooks must not be copied
        shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
        randomised = copy.deepcopy(module, shared)
    share_maps(module, randomised)  # they cannot be found in a copy that only repeats outputs
    for part in parts:
        if other_batches:
            part.outputs.clear()
        for owner, output in part.outputs.items():
            randomised.get_submodule(owner).forward = partial(_given, output)
    generators = [torch.Generator(batch.device).manual_seed(2 * seed + n) for n in range(2)]
    for part in parts:
        for owner in part.owners:
            changed = randomised.get_submodule(owner)
            if part.outputs.pop(owner, None) is not None:
                del changed.forward
            _randomise(changed, generators)
        yield part.name, randomised
    for _ in range(again):
        for part in parts[1:]:
            for owner in part.owners:
                _randomise(randomised.get_submodule(owner), generators)
        yield AGAIN, randomised


def _given(output: Tensor, *_: object, **__: object) -> Tensor:
    return output.clone()  # later modules may change it in place


@dataclass
class _Part:
    """The head or a stage. owners: the dotted names of its modules with parameters of their own.
    outputs: the recorded output of each owner that has no submodules, ran once and gave a tensor;
    empty for the head."""

    name: str
    owners: list[str] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)


def _parts(
    module: nn.Module, batch: Tensor, stages: Sequence[str], explained: Sequence[str]
) -> list[_Part]:
    """The parts of the network from the head to the first stage, found by running it."""
    of_explained = {layer.partition("#")[0] for layer in explained}
    events: list[tuple[str, bool]] = []  # in order: modules that began, stages that ended (True)
    outputs: dict[str, Any] = {}
    modules = {stage.partition("#")[0] for stage in stages}
    ended: Counter[str] = Counter()

    def note(name: str, has_ended: bool, *_: object) -> None:
        if has_ended:
            ended[name] += 1
            numbered = f"{name}#{ended[name]}"
            if name not in modules:
                return  # an explained layer that ends no stage
            name = numbered if numbered in stages else name
        events.append((name, has_ended))

    def keep(name: str, _module: nn.Module, _inputs: object, output: Any) -> None:
        is_known = name in outputs or not of_explained.isdisjoint(ended)
        is_first = isinstance(output, Tensor) and not is_known
        outputs[name] = output.clone() if is_first else None

    with exclusive(module) as undo, torch.no_grad():
        for name, part in module.named_modules():
            if next(part.parameters(recurse=False), None) is not None:
                begins = partial(note, name, False)
                undo.callback(part.register_forward_pre_hook(on_this_thread(begins)).remove)
                if next(part.children(), None) is None:
                    undo.callback(
                        part.register_forward_hook(on_this_thread(partial(keep, name))).remove
                    )
            if name in modules | of_explained:
                undo.callback(
                    part.register_forward_hook(on_this_thread(partial(note, name, True))).remove
                )
        module(batch)
    ends = {name: at for at, (name, has_ended) in enumerate(events) if has_ended}  # the last
    found = {name: _Part(name) for name in (*stages, HEAD)}
    seen = set()
    for at, (name, has_ended) in enumerate(events):
        if has_ended or name in seen:
            continue
        seen.add(name)
        part_of = found[next((stage for stage in stages if at < ends[stage]), HEAD)]
        part_of.owners.append(name)
        if part_of.name != HEAD and outputs.get(name) is not None:
            part_of.outputs[name] = outputs[name]
    return list(reversed(found.values()))


def _randomise(part: nn.Module, generators: Sequence[torch.Generator]) -> None:
    for name, parameter in list(part.named_parameters(recurse=False)):
        drawn = torch.empty_like(parameter)
        # VGG19 has over a hundred million values, and a generator draws on one core only.
        parts = _memory_of(drawn).chunk(len(generators))
        with ThreadPoolExecutor(len(parts)) as pool:
            list(pool.map(lambda half, own: half.normal_(generator=own), parts, generators))
        deviation = parameter.std() if parameter.numel() > 1 else parameter.new_zeros(())
        drawn.mul_(deviation).add_(parameter.mean())
        setattr(part, name, nn.Parameter(drawn, requires_grad=False))


def _memory_of(tensor: Tensor) -> Tensor:
    """All values of a tensor without gaps, as a view [numel] in the order of memory."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))
