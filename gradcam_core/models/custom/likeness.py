"""The architecture that a file of weights resembles most, for the message that it does not fit the
named one."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch

from gradcam_core.models.custom.architectures import Architecture, Library, Shapes, shapes_of

INDEX = Path(__file__).with_name("architectures.json")
"""The numbers of tensors and values of every architecture; see `scripts/architectures.py`."""

COUNTER = "num_batches_tracked"
"""Suffix of the names of counters. Older files have none, and nobody needs them."""

_BUILT = 12  # architectures that a file of weights is compared with
_LIKELY = 0.5  # share of the tensors that must fit an architecture for it to be offered


def likeliest(given: Shapes) -> tuple[Architecture | None, float]:
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


def size_of(shapes: Shapes) -> tuple[int, int]:
    """How many tensors these are, and how many values they have; without counters of batches."""
    kept = [shape for name, shape in shapes.items() if not name.endswith(COUNTER)]
    return max(1, len(kept)), max(1, sum(shape.numel() for shape in kept))


def _likeness(architecture: Architecture, given: Shapes) -> float:
    try:
        own = shapes_of(architecture, None, 3)
    except Exception:  # another version of the library
        return 0.0
    own = {name: shape for name, shape in own.items() if not name.endswith(COUNTER)}
    same = sum(name in given and _alike(shape, given[name]) for name, shape in own.items())
    return same / max(len(own), sum(not name.endswith(COUNTER) for name in given))


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
