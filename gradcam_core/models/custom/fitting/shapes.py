"""The shapes of a network's tensors: which depend on its classes and channels, and where those in a
file differ from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gradcam_core.models.custom.architectures import Architecture, Shapes, shapes_of
from gradcam_core.models.custom.fitting.likeness import COUNTER


def varying_dimensions(
    architecture: Architecture, usual: Shapes
) -> tuple[dict[str, int], dict[str, int]]:
    """The tensors whose shape depends on the number of classes, and on that of channels, with the
    dimension that does. usual: shapes of the architecture for 2 classes and 3 channels."""
    of_classes = _dimensions(usual, shapes_of(architecture, 3, 3))
    try:
        of_channels = _dimensions(usual, shapes_of(architecture, 2, 1))
    except (RuntimeError, ValueError, AssertionError, TypeError):
        of_channels = {}  # some cannot be built for one channel
    return of_classes, of_channels


def size_in(dimensions: Mapping[str, int], usual: Shapes, given: Shapes, otherwise: int) -> int:
    """The number of classes, or of channels, by the given shapes; `otherwise` if they lack it."""
    found = [
        given[name][dimension]
        for name, dimension in dimensions.items()
        if len(given.get(name, ())) == len(usual[name])
    ]
    return found[0] if found else otherwise


def _dimensions(first: Shapes, second: Shapes) -> dict[str, int]:
    """The first dimension in which the shapes of each tensor differ, for those that do."""
    return {
        name: next(n for n, (a, b) in enumerate(zip(shape, second[name], strict=True)) if a != b)
        for name, shape in first.items()
        if name in second and shape != second[name]
    }


def differences(
    own: Shapes, given: Shapes, outputs: int, of_classes: Mapping[str, int]
) -> Iterator[str]:
    """Yields what does not fit, in words, in the network's order. own: the network's shapes. given:
    the file's, by the network's names. outputs: how many the file has."""
    for name, shape in own.items():
        if name.endswith(COUNTER):
            continue
        expected = list(shape)
        if outputs == 1 and name in of_classes:
            expected[of_classes[name]] = 1
        found = given.get(name)
        if found is None:
            yield f"{name} {shape_text(expected)} is missing"
        elif list(found) != expected:
            here, there = shape_text(found), shape_text(expected)
            yield f"{name} is {here} in the file and {there} in the network"


def shape_text(shape: Iterable[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"
