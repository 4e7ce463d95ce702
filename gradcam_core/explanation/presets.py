"""Presets: named combinations of a method and its best settings."""

from __future__ import annotations

from dataclasses import dataclass

from gradcam_core.errors import ChoiceError


@dataclass(frozen=True)
class Preset:
    """A method with its best settings. title: for display."""

    title: str
    method: str
    detail: int


PRESETS = {"sharp": Preset("Sharp", method="competitive", detail=2)}
"""The settings that localise best on one half of the photographs in `benchmarks/`."""


def preset_named(name: str) -> Preset:
    """The preset of this name. Raises ChoiceError, which lists the names, for an unknown one."""
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    raise ChoiceError(f"There is no preset {name!r}. Choose one of: {', '.join(PRESETS)}.")
