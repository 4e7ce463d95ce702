"""Checks whether weights fit an architecture, and with how many classes and channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gradcam_core.errors import ArchitectureError, HeadlessError
from gradcam_core.models.custom.architectures import Architecture, Shapes, shapes_of
from gradcam_core.models.custom.fitting.head import replaced_head
from gradcam_core.models.custom.fitting.likeness import COUNTER
from gradcam_core.models.custom.fitting.misfits import AS_MODULE, altered, hint
from gradcam_core.models.custom.fitting.placement import (
    UnusedTensors,
    is_averaged,
    is_computed,
    is_within,
    names_below,
    names_by_order,
    names_in_sequence,
    preferred_prefix,
    prefixes,
    unused_tensors,
)
from gradcam_core.models.custom.fitting.shapes import (
    differences,
    shape_text,
    size_in,
    varying_dimensions,
)

_NAMED_MISFITS = 3  # tensors that a message names
_PLACES = 6  # in a file, at which a network is tried


@dataclass(frozen=True)
class Fit:
    """How a network has to be built for a file's tensors. outputs: their number in the file.
    classes: how many the network is built with; 2 for a single output. split: tensors whose one row
    becomes two, and in which dimension. names: of the tensors in the file, by the network's names.
    notes: notices about what was interpreted. apart: names in the file that belong neither to the
    network nor to a copy of it."""

    architecture: Architecture
    outputs: int
    classes: int
    channels: int
    split: Mapping[str, int]
    names: Mapping[str, str]
    notes: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    def of_values(self) -> Fit:
        """The same for outputs that are values, of which a single one stays single."""
        return replace(self, classes=self.outputs, split={})

    def tensors(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that the network loads, by its own names. A single output z, whose sigmoid is
        a probability, becomes the two -z/2 and z/2, whose softmax gives the same probability."""
        return {
            own: torch.cat([-given[name] / 2, given[name] / 2], self.split[own])
            if own in self.split
            else given[name]
            for own, name in self.names.items()
        }


@dataclass(frozen=True)
class _Attempt:
    """An architecture at one place in the file. differing: what does not fit, in words.
    is_headless: whether only the head is missing."""

    fit: Fit
    prefix: str
    differing: list[str]
    is_headless: bool = False


def fit(
    architectures: Iterable[Architecture],
    given: Mapping[str, Tensor],
    prefix: str | None = None,
    is_renamed: bool = True,
) -> Fit:
    """The first of these architectures that the tensors fit, with their numbers of classes and
    channels. prefix: what the network's names begin with in the file; None finds it. is_renamed:
    whether names may differ if order and shapes are right.

    Raises HeadlessError if only the head is missing, and else ArchitectureError, which names the
    first tensors that do not fit, with both shapes, and the likeliest architecture.
    """
    shapes = {name: tensor.shape for name, tensor in given.items()}
    failed: list[_Attempt] = []
    for architecture in architectures:
        try:
            attempts = list(_attempts(architecture, shapes, prefix))
        except ArchitectureError as error:
            if found := altered(shapes):
                raise ArchitectureError(f"the weights are {found}") from error
            raise
        good = [one for one in attempts if not one.differing]
        if good:
            own = good[0].fit.names
            place = preferred_prefix([one.prefix for one in good], given, own)
            chosen = next(one for one in good if one.prefix == place)
            others = [one.prefix for one in good if one is not chosen]
            result, surplus = _complete(chosen, others, shapes, given, prefix is not None)
            if not surplus:
                return result
            chosen.differing.extend(surplus)
        failed += attempts
    if is_renamed and not (prefix or "").strip("."):
        for architecture in {one.fit.architecture: None for one in failed}:
            if renamed := _renamed(architecture, shapes, given):
                return renamed
    worst = min(failed, key=lambda one: len(one.differing))
    architecture = worst.fit.architecture
    head = [f"{worst.prefix}{one.partition('.weight ')[0]}." for one in worst.differing]
    of_head = {name: shape for name, shape in shapes.items() if name.startswith(tuple(head))}
    if worst.is_headless and not altered(of_head):
        used = set(worst.fit.names.values())
        others = [name for name, shape in shapes.items() if name not in used and len(shape) > 1]
        what = "give the file of the whole network, or "
        if others:
            more = " …" if len(others) > _NAMED_MISFITS else ""
            what = f"if {', '.join(others[:_NAMED_MISFITS])}{more} belong to another head, "
        raise HeadlessError(
            f"the file has all tensors of {architecture} but those of its head "
            f"({', '.join(one.partition(' is missing')[0] for one in worst.differing)}), without "
            f"which there are no classes: {what}{AS_MODULE}"
        )
    named = "; ".join(worst.differing[:_NAMED_MISFITS])
    count = len(worst.differing) - _NAMED_MISFITS
    more = f"; and {count} more" if count > 0 else ""
    raise ArchitectureError(
        f"the weights do not fit {architecture}: {named}{more}. {hint(shapes, architecture)}"
    )


def _renamed(architecture: Architecture, shapes: Shapes, given: Mapping[str, Tensor]) -> Fit | None:
    """The fit of tensors with other names but the same order and shapes; None if they differ."""
    usual = shapes_of(architecture, 2, 3)
    of_classes, of_channels = varying_dimensions(architecture, usual)
    names = names_in_sequence(usual, shapes, {**of_channels, **of_classes})
    if not names:
        return None
    found = _attempt(architecture, usual, of_classes, of_channels, shapes, names, "", False)
    result, surplus = _complete(found, (), shapes, given, False)
    if found.differing or surplus:
        return None
    others = (pair for pair in names.items() if not pair[1].endswith(pair[0]))
    own, name = next(others, next(iter(names.items())))
    note = (
        f"its tensors have other names than those of {architecture}, but the same shapes in the "
        f"same order ({name} is used as {own}): if it computes something else with them, "
        f"{AS_MODULE}"
    )
    return replace(result, notes=(*result.notes, note))


def _attempts(architecture: Architecture, shapes: Shapes, wanted: str | None) -> Iterator[_Attempt]:
    usual = shapes_of(architecture, 2, 3)
    of_classes, of_channels = varying_dimensions(architecture, usual)
    places = prefixes(usual, shapes)
    if wanted is not None:
        if wanted.strip("."):
            places = [place for place in places if is_within(wanted, place)]
        else:
            places = [place for place in places if not place]
        if not places:
            tops = ", ".join(dict.fromkeys(name.partition(".")[0] for name in shapes))
            raise ArchitectureError(
                f"no tensors of {architecture} have the prefix={wanted}; the first names in the "
                f"file are: {tops}"
            )
    for place in places[:_PLACES]:
        names = names_below(place, shapes)
        yield _attempt(
            architecture, usual, of_classes, of_channels, shapes, names, place, wanted is not None
        )
    parts = names_by_order(usual, shapes, of_classes) if wanted is None else {}
    if parts and _is_chain(architecture):
        found = _attempt(architecture, usual, of_classes, of_channels, shapes, parts, "", False)
        notes = (*found.fit.notes, "its parts are known by their order in a Sequential")
        yield replace(found, fit=replace(found.fit, notes=notes))


def _attempt(
    architecture: Architecture,
    usual: Shapes,
    of_classes: Mapping[str, int],
    of_channels: Mapping[str, int],
    shapes: Shapes,
    names: Mapping[str, str],
    prefix: str,
    is_prefix_given: bool,
) -> _Attempt:
    missing = [name for name in usual if name not in names and not name.endswith(COUNTER)]
    taken = {name for own, name in names.items() if own in usual}
    replaced = replaced_head(missing, usual, of_classes, shapes, prefix, taken, is_prefix_given)
    notes = (replaced.note,) if replaced else ()
    names = {**names, **(replaced.names if replaced else {})}
    given = {own: shapes[name] for own, name in names.items()}
    if replaced and not replaced.names:
        given |= {one: given[f"{one.rpartition('.')[0]}.weight"][:1] for one in missing}
    outputs = size_in(of_classes, usual, given, 2)
    channels = size_in(of_channels, usual, given, 3)
    # A network with a single output is built with two; see `Fit.tensors`.
    classes = max(outputs, 2)
    own = shapes_of(architecture, classes, channels if channels in (1, 3) else 3)
    differing = list(differences(own, given, outputs, of_classes))
    if channels not in (1, 3) and len(differing) <= len(of_channels):
        raise ArchitectureError(
            f"the weights are for pictures of {channels} channels; only 1 and 3 are supported"
        )
    single = outputs == 1
    split = {n: d for n, d in of_classes.items() if n in names} if single else {}
    used = {name: names[name] for name in own if name in names}
    lacking = {name for name in own if name not in given and not name.endswith(COUNTER)}
    is_headless = 0 < len(differing) == len(lacking) and lacking <= set(of_classes)
    if is_headless:  # nothing says how many classes there are
        differing = [one.replace(f"[{classes}", "[classes", 1) for one in differing]
    elif differing:
        surplus = (name for name in given if name not in own and not name.endswith(COUNTER))
        differing += [f"{name} {shape_text(given[name])} is not in the network" for name in surplus]
    found = Fit(architecture, outputs, classes, channels, split, used, notes)
    return _Attempt(found, prefix, differing, is_headless)


def _complete(
    chosen: _Attempt,
    others: Sequence[str],
    shapes: Shapes,
    given: Mapping[str, Tensor],
    is_prefix_given: bool,
) -> tuple[Fit, list[str]]:
    """The fit, with notices about what it leaves out, and what it must not leave out, in words.
    Raises ArchitectureError."""
    found, place = chosen.fit, chosen.prefix
    left = unused_tensors(set(found.names.values()), found.names, shapes, given, place, others)
    notes = [*found.notes]
    if others and is_averaged(place, others):
        raw = next(one for one in others if not is_averaged(one)).rstrip(".")
        notes.insert(0, f"its averaged weights (EMA) are used, not {raw or 'the others'}")
    apart = [*left.apart, *(left.part if is_prefix_given else ())]
    copies = tuple(filter(None, others))
    apart = [name for name in apart if not name.startswith(copies)] if copies else apart
    if apart:
        notes.append(f"left out beside the network: {_counted(apart, place)}")
    for name in found.names.values():
        if (
            shapes[name].numel() > 1
            and not given[name].is_floating_point()
            and not is_computed(name)
        ):
            kind = str(given[name].dtype).removeprefix("torch.")
            if given[name].is_complex():
                raise ArchitectureError(f"{name} is of {kind}, and only real numbers are supported")
            raise ArchitectureError(
                f"{name} is of {kind}, as quantised weights are: save those of the network before "
                "that"
            )
    result = replace(found, notes=tuple(notes), apart=tuple(apart))
    return result, _surplus(left, shapes, found, place, is_prefix_given)


def _surplus(
    left: UnusedTensors, shapes: Shapes, found: Fit, place: str, is_prefix_given: bool
) -> list[str]:
    """What must not be left out, in words. Raises ArchitectureError if that is unclear."""
    if left.inside:
        return [
            f"{name.removeprefix(place)} {shape_text(shapes[name])} is not in the network"
            for name in left.inside
        ]
    if left.part and not is_prefix_given:
        what = f"if it is not, give prefix={place.rstrip('.') or '.'}; else {AS_MODULE}"
        if not all(name.startswith(place) for name in found.names.values()):
            what = AS_MODULE  # the head is not behind that prefix
        raise ArchitectureError(
            f"all tensors of {found.architecture} are in the file, but "
            f"{_counted(left.part, place)} may be part of it, too: {what}"
        )
    return []


def _counted(names: Sequence[str], place: str) -> str:
    """For people: the modules that these tensors belong to, without those around the network."""

    def module_of(name: str, end: int | None) -> str:
        """The first `end` parts of a name without its last; the whole name if these are also those
        of a module around the network."""
        parts = name.split(".")
        module = ".".join(parts[:-1][:end]) or name
        return name if place.startswith(f"{module}.") else module

    short = [name.removeprefix(place) for name in names]
    modules = list(dict.fromkeys(module_of(name, None) for name in short))
    tops = list(dict.fromkeys(module_of(name, 1) for name in short))
    shown = modules if len(modules) <= _NAMED_MISFITS else tops
    more = len(shown) - _NAMED_MISFITS
    return ", ".join(shown[:_NAMED_MISFITS]) + (f" and {more} more" if more > 0 else "")


def _is_chain(architecture: Architecture) -> bool:
    """Whether the network before its head only runs its parts one after the other, so that a
    Sequential of them computes the same."""
    module = architecture.build(2)
    children = list(module.children())
    seen: list[Tensor] = []
    children[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    batch = torch.rand(1, 3, 96, 96)
    try:
        with torch.no_grad():
            module(batch)
            found = nn.Sequential(*children[:-1])(batch)
    except (RuntimeError, ValueError, AssertionError, TypeError):
        return False
    if len(seen) != 1 or found.numel() != seen[0].numel():
        return False
    return torch.allclose(found.flatten(1), seen[0].flatten(1), rtol=1e-3)
