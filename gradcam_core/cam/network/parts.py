"""The parts of a network, walked as fast as is possible, because each pass of ours does it."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def parts_of(module: nn.Module) -> list[nn.Module]:
    """All modules in a network, itself first, each once. As `module.modules()`, but in the order of
    their depth and without a generator for each, which takes a tenth of the time."""
    found = [module]
    seen = {module}
    for part in found:  # it grows meanwhile
        for child in part._modules.values():
            if child is not None and child not in seen:
                seen.add(child)
                found.append(child)
    return found


def parameters_of(parts: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Their own parameters; one that several parts have comes as often."""
    return [
        one
        for part in parts
        if part._parameters
        for one in part._parameters.values()
        if one is not None
    ]
