"""Whether weights fit an architecture, and with how many classes and channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gradcam_core.errors import ArchitectureError
from gradcam_core.models.custom.architectures import Architecture, Shapes, shapes_of
from gradcam_core.models.custom.likeness import COUNTER, likeliest

_NAMED_MISFITS = 3  # tensors


@dataclass(frozen=True)
class Fit:
    """How a network has to be built for these tensors. outputs: that the file has; classes: what is
    told apart by them, two by a single one. split: the tensors whose one row becomes two."""

    architecture: Architecture
    outputs: int
    classes: int
    channels: int
    split: Mapping[str, int]

    def tensors(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the network loads. A single output z, whose sigmoid is a probability, becomes the
        two -z/2 and z/2, whose softmax is the same."""
        return {
            name: torch.cat([-tensor / 2, tensor / 2], self.split[name])
            if name in self.split
            else tensor
            for name, tensor in given.items()
        }


def fit(architectures: Iterable[Architecture], given: Mapping[str, Tensor]) -> Fit:
    """The first of these architectures that the tensors fit, with the number of classes and of
    channels that they have.

    Raises ArchitectureError, which names the first tensors that differ from the last one's, with
    both shapes, and the likeliest architecture.
    """
    shapes = {name: tensor.shape for name, tensor in given.items()}
    problems = list[tuple[Architecture, list[str]]]()
    for architecture in architectures:
        sizes = _sizes(architecture, shapes)
        own = shapes_of(architecture, sizes.classes, sizes.channels)
        differing = list(_differing(own, shapes, sizes))
        if not differing:
            single = sizes.outputs == 1
            classes = 2 if single else sizes.outputs
            split = dict(sizes.of_classes) if single else {}
            return Fit(architecture, sizes.outputs, classes, sizes.channels, split)
        problems.append((architecture, differing))
    architecture, differing = min(problems, key=lambda problem: len(problem[1]))
    named = "; ".join(differing[:_NAMED_MISFITS])
    more = (
        f"; and {len(differing) - _NAMED_MISFITS} more" if len(differing) > _NAMED_MISFITS else ""
    )
    raise ArchitectureError(
        f"the weights do not fit {architecture}: {named}{more}. {_hint(shapes)}"
    )


@dataclass(frozen=True)
class _Sizes:
    """outputs: rows that the file has for the classes; classes: that the network is built with.
    of_classes, of_channels: which tensors have them, and in which dimension."""

    outputs: int
    classes: int
    channels: int
    of_classes: Mapping[str, int]
    of_channels: Mapping[str, int]


def _sizes(architecture: Architecture, given: Shapes) -> _Sizes:
    """How many classes and channels the tensors have, from those that differ between two networks
    of this architecture with different numbers."""
    usual = shapes_of(architecture, 2, 3)
    of_classes = _dimensions(usual, shapes_of(architecture, 3, 3))
    try:
        of_channels = _dimensions(usual, shapes_of(architecture, 2, 1))
    except (RuntimeError, ValueError, AssertionError, TypeError):
        of_channels = {}  # some cannot be built for one channel

    def size(dimensions: Mapping[str, int], otherwise: int) -> int:
        found = [
            given[name][dimension]
            for name, dimension in dimensions.items()
            if len(given.get(name, ())) == len(usual[name])
        ]
        return found[0] if found else otherwise

    outputs = size(of_classes, 2)
    channels = size(of_channels, 3)
    if channels not in (1, 3):
        raise ArchitectureError(
            f"the weights are for pictures of {channels} channels; 1 and 3 will do"
        )
    # A network with a single output is built with two; see `Fit.tensors`.
    return _Sizes(outputs, max(outputs, 2), channels, of_classes, of_channels)


def _dimensions(first: Shapes, second: Shapes) -> dict[str, int]:
    """The first dimension in which the shapes of each tensor differ, for those that do."""
    return {
        name: next(n for n, (a, b) in enumerate(zip(shape, second[name], strict=True)) if a != b)
        for name, shape in first.items()
        if name in second and shape != second[name]
    }


def _differing(own: Shapes, given: Shapes, sizes: _Sizes) -> Iterator[str]:
    """What does not fit, in words, in the order of the network."""
    for name, shape in own.items():
        if name.endswith(COUNTER):
            continue
        expected = list(shape)
        if sizes.outputs == 1 and name in sizes.of_classes:
            expected[sizes.of_classes[name]] = 1
        found = given.get(name)
        if found is None:
            yield f"{name} {_text(expected)} is missing"
        elif list(found) != expected:
            yield f"{name} is {_text(found)} in the file and {_text(expected)} in the network"
    for name, shape in given.items():
        if name not in own and not name.endswith(COUNTER):
            yield f"{name} {_text(shape)} is not in the network"


def _text(shape: Iterable[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _hint(given: Shapes) -> str:
    best, share = likeliest(given)
    if best is None:
        return "No architecture of timm or torchvision is much like it"
    whole = "all" if share == 1 else f"{share:.0%}"
    return f"The likeliest architecture is {best}: {whole} of its tensors fit"
