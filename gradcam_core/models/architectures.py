"""The architectures of timm and torchvision, and which of them a file of weights fits."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from gradcam_core.errors import ArchitectureError
from gradcam_core.images.geometry import Preprocessing
from gradcam_core.upstream import import_timm

Library: TypeAlias = Literal["timm", "torchvision"]

NAMED = 3
"""So many tensors that do not fit are named."""

INDEX = Path(__file__).with_name("architectures.json")
"""How many tensors and values every architecture has; see `scripts/architectures.py`."""

_COUNTER = "num_batches_tracked"

_BUILT = 12  # architectures that a file of weights is compared with
_LIKELY = 0.5  # share of the tensors that must fit an architecture for it to be offered

_Shapes: TypeAlias = Mapping[str, torch.Size]


@dataclass(frozen=True)
class Architecture:
    """A classifier as a library has it by this name. arguments: for the library's builder."""

    library: Library
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.library}'s {self.name}"

    def build(self, classes: int | None = None, channels: int = 3) -> nn.Module:
        """In eval mode, its values random; on the device that is torch's default. None is the
        number of classes that it was published with."""
        if self.library == "timm":
            arguments = dict(self.arguments)
            if classes is not None:
                arguments["num_classes"] = classes
            name = self.name
            return import_timm().create_model(name, in_chans=channels, **arguments).eval()
        arguments = {} if classes is None else {"num_classes": classes}
        if self.name in ("googlenet", "inception_v3"):
            arguments["init_weights"] = False  # takes a minute
        module = _torchvision().get_model(self.name, weights=None, **arguments).eval()
        if channels != 3:
            _set_channels(module, channels)
        return module

    @property
    def preprocessing(self) -> Preprocessing:
        """That of the weights which were published with it, for RGB."""
        if self.library == "timm":
            from timm.data import resolve_data_config

            config = import_timm().get_pretrained_cfg(self.name)
            return Preprocessing.from_timm(resolve_data_config(config.to_dict() if config else {}))
        transforms = _torchvision().get_model_weights(self.name).DEFAULT.transforms()
        return Preprocessing.from_torchvision(transforms)


def architectures_named(name: str) -> list[Architecture]:
    """Those of this name, timm's first; "timm:" or "torchvision:" before it asks for one library.

    Raises ArchitectureError with the nearest names if there is none.
    """
    library, _, plain = name.rpartition(":")
    if library not in ("", "timm", "torchvision"):
        raise ArchitectureError(
            f"{name!r}: only timm:, torchvision: or hf-hub: can stand before a name"
        )
    found = []
    if library != "torchvision" and import_timm().is_model(plain):
        found.append(Architecture("timm", plain))
    if library != "timm" and plain in _torchvision_names():
        found.append(Architecture("torchvision", plain))
    if not found:
        near = difflib.get_close_matches(plain, [*_timm_names(), *_torchvision_names()], 5)
        hint = f"; the nearest names: {', '.join(dict.fromkeys(near))}" if near else ""
        raise ArchitectureError(f"there is no architecture {name!r} in timm or torchvision{hint}")
    return found


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
    named = "; ".join(differing[:NAMED])
    more = f"; and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
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


def _sizes(architecture: Architecture, given: _Shapes) -> _Sizes:
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


def _dimensions(first: _Shapes, second: _Shapes) -> dict[str, int]:
    """The first dimension in which the shapes of each tensor differ, for those that do."""
    return {
        name: next(n for n, (a, b) in enumerate(zip(shape, second[name], strict=True)) if a != b)
        for name, shape in first.items()
        if name in second and shape != second[name]
    }


def _differing(own: _Shapes, given: _Shapes, sizes: _Sizes) -> Iterator[str]:
    """What does not fit, in words, in the order of the network."""
    for name, shape in own.items():
        if name.endswith(_COUNTER):
            continue  # older files have none, and nobody needs it
        expected = list(shape)
        if sizes.outputs == 1 and name in sizes.of_classes:
            expected[sizes.of_classes[name]] = 1
        found = given.get(name)
        if found is None:
            yield f"{name} {_text(expected)} is missing"
        elif list(found) != expected:
            yield f"{name} is {_text(found)} in the file and {_text(expected)} in the network"
    for name, shape in given.items():
        if name not in own and not name.endswith(_COUNTER):
            yield f"{name} {_text(shape)} is not in the network"


def _text(shape: Iterable[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _hint(given: _Shapes) -> str:
    best, share = likeliest(given)
    if best is None:
        return "No architecture of timm or torchvision is much like it"
    whole = "all" if share == 1 else f"{share:.0%}"
    return f"The likeliest architecture is {best}: {whole} of its tensors fit"


def likeliest(given: _Shapes) -> tuple[Architecture | None, float]:
    """The architecture most of whose tensors, without those of classes and channels, have the same
    names and shapes as these, and the share of them; None if none is much like them.

    Only those are built that have about as many tensors and values.
    """
    count, values = size_of(given)
    sizes = json.loads(INDEX.read_text(encoding="utf-8"))

    def difference(of: tuple[Library, str]) -> float:
        other_count, other_values = sizes[of[0]][of[1]]
        return abs(math.log(count / other_count)) + abs(math.log(values / other_values))

    libraries: tuple[Library, ...] = ("timm", "torchvision")
    known = [(library, name) for library in libraries for name in sizes[library]]
    best: tuple[Architecture | None, float] = (None, 0.0)
    for library, name in sorted(known, key=difference)[:_BUILT]:
        architecture = Architecture(library, name)
        likeness = _likeness(architecture, given)
        if likeness > best[1]:
            best = architecture, likeness
        if likeness == 1:
            break
    return best if best[1] >= _LIKELY else (None, 0.0)


def size_of(shapes: _Shapes) -> tuple[int, int]:
    """How many tensors these are, and how many values they have; without counters of batches."""
    kept = [shape for name, shape in shapes.items() if not name.endswith(_COUNTER)]
    return max(1, len(kept)), max(1, sum(shape.numel() for shape in kept))


def all_architectures() -> list[Architecture]:
    """Of both libraries, those with short names first."""
    names: list[tuple[Library, tuple[str, ...]]] = [
        ("timm", _timm_names()),
        ("torchvision", _torchvision_names()),
    ]
    return [
        Architecture(library, name)
        for library, known in names
        for name in sorted(known, key=lambda name: (len(name), name))
    ]


def _likeness(architecture: Architecture, given: _Shapes) -> float:
    try:
        own = shapes_of(architecture, None, 3)
    except Exception:  # another version of the library
        return 0.0
    own = {name: shape for name, shape in own.items() if not name.endswith(_COUNTER)}
    same = sum(name in given and _alike(shape, given[name]) for name, shape in own.items())
    return same / max(len(own), sum(not name.endswith(_COUNTER) for name in given))


def _alike(first: torch.Size, second: torch.Size) -> bool:
    """All but one dimension, of a classifier or of the first layer, are the same."""
    if len(first) != len(second):
        return False
    return sum(a != b for a, b in zip(first, second, strict=True)) == 0 or (
        # The rest is large enough not to be the same by chance.
        len(first) in (1, 2, 4) and _is_edge(first, second)
    )


def _is_edge(first: torch.Size, second: torch.Size) -> bool:
    """Whether they differ only in the number of classes or of channels."""
    if len(first) == 4:
        return first[0] == second[0] and first[2:] == second[2:] and {first[1], second[1]} == {1, 3}
    return first[1:] == second[1:] and 1000 in (first[0], second[0])


def shapes_of(
    architecture: Architecture, classes: int | None, channels: int
) -> dict[str, torch.Size]:
    """Of all tensors, by name. See `Architecture.build`."""
    with torch.device("meta"):
        module = architecture.build(classes, channels)
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _set_channels(module: nn.Module, channels: int) -> None:
    """torchvision's networks have no argument for it; their first convolution is another then."""
    name, first = next((n, m) for n, m in module.named_modules() if isinstance(m, nn.Conv2d))
    weight = first.weight[:, :1].expand(-1, channels // first.groups, -1, -1)
    replaced = nn.Conv2d(
        channels,
        first.out_channels,
        (first.kernel_size[0], first.kernel_size[1]),
        (first.stride[0], first.stride[1]),
        first.padding if isinstance(first.padding, str) else (first.padding[0], first.padding[1]),
        (first.dilation[0], first.dilation[1]),
        first.groups,
        first.bias is not None,
        device=weight.device,
    )
    module.set_submodule(name, replaced)
    if hasattr(module, "transform_input"):
        setattr(module, "transform_input", False)  # noqa: B010  # of RGB, in GoogLeNet


def _torchvision() -> ModuleType:
    import torchvision.models

    return torchvision.models


@cache
def _timm_names() -> tuple[str, ...]:
    return tuple(import_timm().list_models())


@cache
def _torchvision_names() -> tuple[str, ...]:
    models = _torchvision()
    return tuple(models.list_models(module=models))
