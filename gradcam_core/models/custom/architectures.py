"""Finds architectures of timm and torchvision by name, and builds them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from gradcam_core.errors import ArchitectureError
from gradcam_core.images.preprocessing import InputSize, Preprocessing
from gradcam_core.models.optimise.meta_device import without_values
from gradcam_core.upstream import import_timm

Library: TypeAlias = Literal["timm", "torchvision"]

TRANSFORMING = ("googlenet", "inception_v3")
"""torchvision's networks that may normalise their input once more (`transform_input`). The
published ones do, and so do networks that were trained from them."""

_KEPT = 64
"""Number of networks whose shapes are cached: twice as many as one file is compared with, some
20 KB each."""

Shapes: TypeAlias = Mapping[str, torch.Size]
"""Shapes of all tensors of a network or file, by name."""


@dataclass(frozen=True)
class Architecture:
    """A classifier that a library builds by this name. arguments: for the library's builder."""

    library: Library
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.library}'s {self.name}"

    def build(self, classes: int | None = None, channels: int = 3) -> nn.Module:
        """The network in eval mode, with random values, on torch's default device. classes: None is
        the number that it was published with."""
        if self.library == "timm":
            arguments = dict(self.arguments)
            if classes is not None:
                arguments["num_classes"] = classes
            name = self.name
            return import_timm().create_model(name, in_chans=channels, **arguments).eval()
        arguments = dict(self.arguments)
        if classes is not None:
            arguments["num_classes"] = classes
        if self.name in TRANSFORMING:
            arguments["init_weights"] = False  # it would take a minute
            arguments["aux_logits"] = False  # heads that only training uses
        module = _torchvision().get_model(self.name, weights=None, **arguments).eval()
        if channels != 3:
            _set_channels(module, channels)
        return module

    def transforming(self, is_on: bool) -> Architecture:
        """The same, with or without a normalisation of its own; see `TRANSFORMING`."""
        return replace(self, arguments={**self.arguments, "transform_input": is_on})

    def averaging(self) -> Architecture:
        """The same, with the mean of all tokens instead of a class token."""
        return replace(self, arguments={**self.arguments, "global_pool": "avg"})

    def sized(self, size: InputSize) -> Architecture:
        """The same for inputs of this size. timm builds transformers for one size; others take any
        size, and are returned as they are."""
        config = import_timm().get_pretrained_cfg(self.name) if self.library == "timm" else None
        if config is None or not config.fixed_input_size or config.input_size[1:] == size:
            return self
        if not {"img_size", "dynamic_img_size"}.isdisjoint(self.arguments):
            return self
        return replace(self, arguments={**self.arguments, "img_size": tuple(size)})

    @property
    def builder(self) -> Callable[..., nn.Module]:
        """The library's function that builds it. People may give timm another one of this name."""
        if self.library == "timm":
            return import_timm().model_entrypoint(self.name)
        return _torchvision().get_model_builder(self.name)

    @property
    def may_transform(self) -> bool:
        return self.library == "torchvision" and self.name in TRANSFORMING

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of the weights that were published with it, for RGB."""
        if self.library == "timm":
            config = import_timm().get_pretrained_cfg(self.name)
            from timm.data import resolve_data_config

            found = Preprocessing.from_timm(resolve_data_config(config.to_dict() if config else {}))
            size = self.arguments.get("img_size")
            return replace(found, size=InputSize.of(size)) if size else found
        transforms = _torchvision().get_model_weights(self.name).DEFAULT.transforms()
        return Preprocessing.from_torchvision(transforms)


def architectures_named(name: str) -> list[Architecture]:
    """Architectures of this name, timm's first. name: may begin with "timm:" or "torchvision:".

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
        other = Architecture("torchvision", plain)
        found.append(other.transforming(True) if other.may_transform else other)
    if not found:
        near = difflib.get_close_matches(plain, [*_timm_names(), *_torchvision_names()], 5)
        hint = f"; the nearest names: {', '.join(dict.fromkeys(near))}" if near else ""
        if Path(plain).is_file():
            hint = ": it is a file; pass it as weights="
        raise ArchitectureError(f"there is no architecture {name!r} in timm or torchvision{hint}")
    return found


def built_for(size: InputSize | None, architectures: Iterable[Architecture]) -> list[Architecture]:
    """Each architecture built for inputs of this size, and then, if that differs, as published."""
    found: list[Architecture] = []
    for one in architectures:
        sized = one if size is None else one.sized(size)
        found += [one] if sized is one else [sized, one]
    return found


def built_with(
    arguments: Mapping[str, Any], architectures: Sequence[Architecture]
) -> Sequence[Architecture]:
    """The architectures that can be built with these arguments of a training script, with the
    arguments; without those that the first architecture does not know, except pooling. Raises
    ArchitectureError if none can be built, as tensors do not show what the arguments change."""
    found: list[Architecture] = []
    unknown = None
    for one in architectures if arguments else ():
        made = replace(one, arguments={**arguments, **one.arguments})
        try:
            shapes_of(made, 2, 3)
            found.append(made)
        except (TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
            if one is architectures[0]:
                unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if arguments and not found:
        if unknown and unknown[1] != "global_pool" and unknown[1] in arguments:
            others = {key: value for key, value in arguments.items() if key != unknown[1]}
            return built_with(others, architectures)
        said = ", ".join(f"{k}={getattr(v, 'name', repr(v))}" for k, v in arguments.items())
        raise ArchitectureError(
            f"the file says that its network was built with {said}, and {architectures[0]} cannot "
            "be: build the network, load the file, and give it as gc.register(…, module=…)"
        )
    return found or architectures


def all_architectures() -> list[Architecture]:
    """All architectures, timm's first; within a library, short names first."""
    names: list[tuple[Library, tuple[str, ...]]] = [
        ("timm", _timm_names()),
        ("torchvision", _torchvision_names()),
    ]
    return [
        Architecture(library, name)
        for library, known in names
        for name in sorted(known, key=lambda name: (len(name), name))
    ]


def shapes_of(
    architecture: Architecture, classes: int | None, channels: int
) -> dict[str, torch.Size]:
    """Shapes of all tensors, by name. classes, channels: see `Architecture.build`."""
    arguments = repr(sorted(architecture.arguments.items()))
    return dict(_shapes_of(architecture.builder, architecture, arguments, classes, channels))


@lru_cache(_KEPT)
def _shapes_of(
    builder: Callable[..., nn.Module],
    architecture: Architecture,
    arguments: str,
    classes: int | None,
    channels: int,
) -> Shapes:
    """Cached, because a file is compared with the same few networks many times. builder, arguments:
    part of the key, so that a cached result is of what the library builds by this name now."""
    module = without_values(lambda: architecture.build(classes, channels))
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _set_channels(module: nn.Module, channels: int) -> None:
    """Replaces the first convolution, as torchvision's networks have no argument for channels."""
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
        setattr(module, "transform_input", False)  # noqa: B010  # it is for RGB


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
