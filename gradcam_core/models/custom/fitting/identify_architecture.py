"""Identifies the architecture of a file of weights, if nobody has named it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from gradcam_core.errors import ArchitectureError
from gradcam_core.images.preprocessing import InputSize
from gradcam_core.models.custom.architectures import (
    Architecture,
    Shapes,
    architectures_named,
    built_for,
    built_with,
    shapes_of,
)
from gradcam_core.models.custom.fitting.fit import Fit, fit
from gradcam_core.models.custom.fitting.likeness import (
    alike,
    likeliest,
    nearest,
    of_the_same_shapes,
)
from gradcam_core.models.custom.fitting.misfits import AS_MODULE, altered, under_other_names
from gradcam_core.models.custom.fitting.placement import (
    is_beside,
    is_within,
    names_by_order,
    names_in_sequence,
)
from gradcam_core.models.custom.fitting.shapes import varying_dimensions
from gradcam_core.models.optimise.build import network_as_built

_KEYS = ("architecture", "arch", "model_name", "timm_model", "backbone", "encoder_name", "model")
"""Keys under which training scripts store the name of an architecture."""

_OF_THE_CALL = ("num_classes", "in_chans", "model_name", "name", "weights", "progress",
                "checkpoint_path", "cache_dir", "scriptable", "exportable", "no_jit")  # fmt: skip
"""Arguments that are no part of a network, or that its tensors show. With some of them a library
would download weights or open a file; so would those that begin with "pretrained"."""

_VARIANT = re.compile("aa|blur")
"""In timm's names of ResNets that downsample in another way, with the same tensors."""

_ANOTHER = 0.2  # of a network's layers; if more are left over, the file holds another network

_ROUNDING = 0.02  # of the difference between two pictures; a variant differs by more

_NAMED = 6  # architectures that an error names

_SMALL_PX = 128
"""Side of the noise that tells variants apart. It stays even at each resolution of a network,
because variants may differ only in how they pad even sizes."""


def identified(
    given: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    prefix: str | None = None,
    is_normalisation_known: bool = False,
    size: InputSize | None = None,
) -> tuple[list[Architecture], str]:
    """The architecture that a file names, else the one that its tensors fit, and the notice about
    it, or "". given, metadata: see `Checkpoint`. size: of the network's input, if that is known.

    Raises ArchitectureError if there is none, or if several with the same tensors compute different
    outputs, or expect different normalisations and `is_normalisation_known` is false.
    """
    arguments = arguments_in(metadata)
    for key in _KEYS:
        name = metadata.get(key)
        if isinstance(name, str) and name.strip():
            try:
                named = built_with(arguments, architectures_named(name.strip()))
                return [fit(built_for(size, named), given, prefix).architecture], ""
            except ArchitectureError:
                continue
    is_whole = prefix is None or not prefix.strip(".")
    shapes = {
        name: tensor.shape
        for name, tensor in given.items()
        if is_whole or is_within(prefix or "", name)
    }
    likely = likeliest(shapes)
    best = likely.architecture if likely else _of_parts(shapes)
    if best is None:
        if found := altered(shapes):
            raise ArchitectureError(f"the weights are {found}")
        _check_names(shapes)
        if found := under_other_names(shapes):
            raise ArchitectureError(found)
        raise ArchitectureError(
            "no architecture of timm or torchvision resembles what the file holds "
            f"({_first(given)}): name it, or build the network and give it as gc.register(…, "
            "module=…)"
        )
    fits: list[Fit] = []
    refused: ArchitectureError | None = None
    others = [one for one in alike(best) if one != best]
    for architecture in [best, *others]:
        try:
            variants = built_for(size, [_as_published(architecture)])
            fits.append(fit(variants, given, prefix, is_renamed=False))
        except ArchitectureError as error:
            refused = refused or error
    if not fits:
        _check_names(shapes)
        raise refused or ArchitectureError("no architecture fits")
    if prefix is None:
        _check_alone(fits[0], given)
    return _chosen(fits, given, is_normalisation_known)


def arguments_in(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with which timm's training script built the network and that its tensors do not
    show."""
    given = metadata.get("model_kwargs")
    found = dict(given) if isinstance(given, Mapping) else {}
    pooling = metadata.get("gp") or metadata.get("global_pool")
    if isinstance(pooling, str) and pooling.endswith("max"):
        found.setdefault("global_pool", pooling)
    if isinstance(metadata.get("bn_eps"), float):
        found.setdefault("bn_eps", metadata["bn_eps"])
    return {
        key: value
        for key, value in found.items()
        if key not in _OF_THE_CALL and not str(key).startswith("pretrained")
    }


def _of_parts(given: Shapes) -> Architecture | None:
    """The architecture whose parts the file has in a Sequential, as in fastai; None if none."""
    for _, architecture in nearest(given):
        own = shapes_of(architecture, None, 3)
        stem = next(reversed(own)).rpartition(".")[0]
        if names_by_order(own, given, [name for name in own if name.startswith(f"{stem}.")]):
            return architecture
    return None


def _check_names(given: Shapes) -> None:
    """Raises ArchitectureError if these are the tensors of a known network in the same order but
    under other names: only a person can tell whether it is that network."""
    found = of_the_same_shapes({n: shape for n, shape in given.items() if not is_beside(n)})
    if found is None:
        return
    own = shapes_of(found.architecture, 2, 3)
    of_classes, of_channels = varying_dimensions(found.architecture, own)
    names = names_in_sequence(own, given, {**of_channels, **of_classes})
    other_names = [pair for pair in names.items() if not pair[1].endswith(pair[0])]
    if other_names:
        lacking, other = other_names[0]
        raise ArchitectureError(
            f"{found.architecture} has tensors of these shapes in the same order under other names "
            f"({lacking}; in the file there is {other}), which does not show that the network "
            f"computes the same: give architecture={found.architecture.name} if it does, or "
            f"{AS_MODULE}"
        )


def _check_alone(found: Fit, given: Mapping[str, Tensor]) -> None:
    """Raises ArchitectureError if the file holds another network, too."""

    def layers(names: Iterable[str]) -> int:
        return sum(given[name].ndim > 1 for name in names)

    if layers(found.apart) > _ANOTHER * layers(found.names.values()):
        first = next(iter(found.names.values())).partition(".")[0]
        others = dict.fromkeys(name.partition(".")[0] for name in found.apart)
        tops = ", ".join(dict.fromkeys([first, *others]))
        raise ArchitectureError(
            f"the file holds several networks, one of which is {found.architecture}: give "
            f"architecture= or prefix= for the one that is meant; the first names in it are: {tops}"
        )


def _chosen(
    fits: list[Fit], given: Mapping[str, Tensor], is_normalisation_known: bool
) -> tuple[list[Architecture], str]:
    groups: list[tuple[Tensor | None, list[Architecture]]] = []
    for one, output in zip(fits, _outputs(fits, given), strict=True):
        for known, members in groups:
            if _same(known, output):
                members.append(one.architecture)
                break
        else:
            groups.append((output, [one.architecture]))
    found = [sorted(members, key=_rank) for _, members in groups]
    chosen = _plain(found)
    names = [str(members[0]) for members in found]
    if chosen is None:
        raise ArchitectureError(
            f"the file has the tensors of {', '.join(names[:_NAMED])}, which compute something "
            "else with them: give architecture= one of them"
        )
    wanted = {(one.preprocessing.mean, one.preprocessing.std) for one in chosen}
    if len(wanted) > 1 and not is_normalisation_known:
        raise ArchitectureError(
            f"the file has the tensors of {', '.join(map(str, chosen[:_NAMED]))}, which are "
            "published with different normalisations: give architecture= one of them, or mean "
            "and std"
        )
    others = [name for name in names if name != str(chosen[0])]
    if others:
        named = ", ".join(others[:_NAMED])
        hint = f"other architectures with the same tensors: {named}"
        return chosen[:1], f"its tensors identify {chosen[0]} ({hint})"
    return chosen[:1], f"its tensors identify {chosen[0]}"


def _plain(groups: list[list[Architecture]]) -> list[Architecture] | None:
    """The group that the others are variants of: torchvision has it, too, or the names of the
    others begin with its name. None if there is none."""
    if len(groups) == 1:
        return groups[0]
    of_both = [one for one in groups if len({member.library for member in one}) == 2]
    if len(of_both) == 1:
        return of_both[0]
    shortest = min(groups, key=lambda group: len(group[0].name))
    name = shortest[0].name
    is_plain = all(
        group[0].name.startswith(name) or _VARIANT.sub("", group[0].name) == name
        for group in groups
    )
    return shortest if is_plain else None


def _rank(architecture: Architecture) -> tuple[bool, int, str]:
    return architecture.library == "torchvision", len(architecture.name), architecture.name


def _as_published(architecture: Architecture) -> Architecture:
    return architecture.transforming(True) if architecture.may_transform else architecture


def _outputs(fits: list[Fit], given: Mapping[str, Tensor]) -> list[Tensor | None]:
    """The output of each architecture for noise with these weights; None if it cannot run, or has
    none to be compared with."""
    if len(fits) == 1:
        return [None]
    small: list[Tensor | None] = []
    for one in fits:
        small.append(_output(one, given, _SMALL_PX))
        if small[-1] is None:  # such as a transformer, which is built for one size
            return [_output(one, given) for one in fits]
    return small


def _output(one: Fit, given: Mapping[str, Tensor], most_px: int | None = None) -> Tensor | None:
    """The output for noise; None if the network cannot run. most_px: longest side of the noise;
    None is the size that the architecture was published for."""
    size = [min(side, most_px or side) for side in one.architecture.preprocessing.size]
    batch = torch.rand(2, one.channels, *size, generator=torch.Generator().manual_seed(0))
    try:
        module = network_as_built(
            lambda: one.architecture.build(one.classes, one.channels), one.tensors(given)
        )
        with torch.no_grad():
            return module(batch)
    except (RuntimeError, ValueError, AssertionError, TypeError):
        return None


def _same(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None or first.shape != second.shape:
        return first is second
    # Relative to the difference between two pictures, which may be small beside the outputs.
    scale = float((second[0] - second[1]).abs().max())
    return float((first - second).abs().max()) <= _ROUNDING * scale


def _first(given: Mapping[str, Tensor]) -> str:
    named = [f"{name} {list(tensor.shape)}" for name, tensor in list(given.items())[:3]]
    return ", ".join(named) + (", …" if len(given) > len(named) else "")
