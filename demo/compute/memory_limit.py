"""How much memory a request may take: what would take more is refused before it begins."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from gradcam_core import Model
from gradcam_core.errors import MemoryLimitError
from gradcam_core.images.geometry import View

SETTING = "GRADCAM_MEMORY"
"""The environment variable that sets the megabytes that one forward pass may take."""

_SERVER = 2 * 2**30  # bytes that the server itself needs, with three networks and its caches
_LEAST = 512 * 2**20  # enough for every published input

_PER_PIXEL = 500  # bytes of a pass for each pixel of its input, measured: Xception takes most
_WEIGHTS_AGAIN = 1.4  # VGG19 unfolds its dense layers for inputs that are not of its own size


@cache
def budget() -> int:
    """Bytes that one forward pass may take here. Passes run one after the other."""
    setting = os.environ.get(SETTING, "")
    if setting:
        return int(float(setting) * 2**20)
    return max(_LEAST, (_machine() - _SERVER) // 2)


def check(model: Model, geometry: View, copies: int = 0) -> None:
    """Raises MemoryLimitError if a network's pass over this view, with so many copies of its
    weights, would not fit in the budget."""
    needed = needed_bytes(model, geometry) + copies * _weights(model)
    if needed > budget():
        raise MemoryLimitError(
            f"This takes {_megabytes(needed)} of memory, more than the {_megabytes(budget())} that "
            "this server has for it. Choose less detail or the centre crop."
        )


def needed_bytes(model: Model, geometry: View) -> int:
    """Bytes that a pass takes at most, beside what the server holds anyway."""
    width, height = geometry.size
    needed = _PER_PIXEL * width * height
    if geometry.size != (model.preprocessing.size, model.preprocessing.size):
        needed += int(_WEIGHTS_AGAIN * _weights(model))
    return needed


def _weights(model: Model) -> int:
    return sum(tensor.nbytes for tensor in model.module.parameters())


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.0f} MB"


def _machine() -> int:
    """Bytes of memory of this machine, or of the container that it is."""
    sizes = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    return min(sizes, default=_SERVER)
