"""Ranks architectures by how many of a file's tensors fit them: to identify its architecture, and
for the message that it does not fit the one named."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from gradcam_core.models.custom.architectures import Architecture, Library, Shapes, shapes_of

INDEX = Path(__file__).with_name("architectures.json")
"""The numbers of tensors and values of every architecture; see `scripts/architectures.py`."""

COUNTER = "num_batches_tracked"
"""Suffix of the names of batch norms' counters, which older files lack and nothing needs."""

_BUILT = 24  # architectures that a file of weights is compared with
_LIKELY = 0.5  # share of the tensors that must fit an architecture for it to be offered
_OF_TRAINING = re.compile(r"(^|\.)aux", re.IGNORECASE)
"""In the names of auxiliary heads, without which networks are built here."""

_GOOD_PART = 0.2  # least share of all tensors that a network has
_DEEPEST = 6  # parts of a prefix
_OF_HEAD = 2  # tensors that may have another shape, as those of a head for other classes
_LEAST_NAMED = 12  # tensors of a network that is identified by shapes alone

LIBRARIES: tuple[Library, ...] = ("timm", "torchvision")


@dataclass(frozen=True)
class Likeness:
    """share: of the tensors that have the same names behind this prefix as in the architecture, and
    the same shapes but for the number of classes or channels."""

    architecture: Architecture
    share: float
    prefix: str


def likeliest(given: Shapes) -> Likeness | None:
    """The architecture that these tensors, or those behind one prefix, resemble most; None if they
    resemble none closely.

    Only architectures with about as many tensors and values are built.
    """
    best: Likeness | None = None
    given = {name: shape for name, shape in given.items() if not _OF_TRAINING.search(name)}
    for prefix, architecture in nearest(given):
        shapes = {
            name.removeprefix(prefix): shape
            for name, shape in given.items()
            if name.startswith(prefix)
        }
        found = Likeness(architecture, _likeness(architecture, shapes), prefix)
        if best is None or found.share > best.share:
            best = found
        if found.share == 1:
            break
    return best if best is not None and best.share >= _LIKELY else None


def of_the_same_shapes(given: Shapes) -> Likeness | None:
    """The architecture whose tensors have these shapes, whatever their names; None if there is
    none. Its `share` is that of the tensors whose shape is one of the architecture's."""
    for prefix, architecture in nearest(given):
        behind = [shape for n, shape in given.items() if n.startswith(prefix) and _counts(n)]
        try:
            own = [n for name, n in shapes_of(architecture, None, 3).items() if _counts(name)]
        except Exception:  # the installed library is of another version
            continue
        common, count = (Counter(behind) & Counter(own)).total(), max(len(behind), len(own))
        if count - common <= _OF_HEAD and len(own) >= _LEAST_NAMED:
            return Likeness(architecture, common / count, prefix)
    return None


def _counts(name: str) -> bool:
    return not name.endswith(COUNTER) and not _OF_TRAINING.search(name)


def alike(architecture: Architecture) -> list[Architecture]:
    """All architectures with as many tensors and values as this one, torchvision's last."""
    sizes = _sizes()
    size = sizes[architecture.library].get(architecture.name)
    found = [
        Architecture(library, name)
        for library in LIBRARIES
        for name, other in sizes[library].items()
        if other == size
    ]
    return found or [architecture]


@cache
def _sizes() -> dict[Library, dict[str, tuple[int, int]]]:
    return json.loads(INDEX.read_text(encoding="utf-8"))


def nearest(given: Shapes) -> list[tuple[str, Architecture]]:
    """Pairs of a prefix and an architecture about as large as what is behind it, nearest first."""
    measured: dict[tuple[int, int], str] = {}
    for prefix in _prefixes(given):
        size = size_of({n: shape for n, shape in given.items() if n.startswith(prefix)})
        if prefix.startswith(measured.get(size, prefix)):  # keeps the longest with these tensors
            measured[size] = prefix

    def difference(size: tuple[int, int], other: tuple[int, int]) -> float:
        # Unlike the number of tensors, that of values depends on the number of classes.
        return 4 * abs(math.log(size[0] / other[0])) + abs(math.log(size[1] / other[1]))

    ranked = sorted(
        (
            difference(size, other),
            len(prefix),
            LIBRARIES.index(library),
            order,
            prefix,
            library,
            name,
        )
        for size, prefix in measured.items()
        for library in LIBRARIES
        for order, (name, other) in enumerate(_sizes()[library].items())
    )
    return [(prefix, Architecture(library, name)) for *_, prefix, library, name in ranked[:_BUILT]]


def _prefixes(given: Shapes) -> list[str]:
    """Possible prefixes of a whole network: those with a good part of all tensors behind them."""
    count: Counter[str] = Counter()
    for name in given:
        parts = name.split(".")[:-1][:_DEEPEST]
        for at in range(len(parts) + 1):
            count["".join(f"{part}." for part in parts[:at])] += 1
    return [prefix for prefix, number in count.items() if number >= _GOOD_PART * len(given)]


def size_of(shapes: Shapes) -> tuple[int, int]:
    """(number of tensors, number of their values), without counters of batches."""
    kept = [shape for name, shape in shapes.items() if not name.endswith(COUNTER)]
    return max(1, len(kept)), max(1, sum(shape.numel() for shape in kept))


def _likeness(architecture: Architecture, given: Shapes) -> float:
    try:
        own = shapes_of(architecture, None, 3)
    except Exception:  # the installed library is of another version
        return 0.0
    own = {name: shape for name, shape in own.items() if not name.endswith(COUNTER)}
    same = sum(name in given and _alike(shape, given[name]) for name, shape in own.items())
    return same / max(len(own), sum(not name.endswith(COUNTER) for name in given))


def _alike(first: torch.Size, second: torch.Size) -> bool:
    """Whether two shapes are the same, but for the number of classes in a classifier or of channels
    in a first layer."""
    if len(first) != len(second):
        return False
    return sum(a != b for a, b in zip(first, second, strict=True)) == 0 or (
        # The other dimensions are large enough not to be the same by chance.
        len(first) in (1, 2, 4) and _is_edge(first, second)
    )


def _is_edge(first: torch.Size, second: torch.Size) -> bool:
    """Whether they differ only in the number of classes or of channels."""
    if len(first) == 4 and {first[1], second[1]} == {1, 3}:
        return first[0] == second[0] and first[2:] == second[2:]
    return first[1:] == second[1:] and 1000 in (first[0], second[0])
