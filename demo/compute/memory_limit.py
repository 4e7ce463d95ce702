"""Limits for the memory and time of a forward pass; a larger pass is refused before it begins."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from gradcam_core import Model
from gradcam_core.cam.methods.registry import method_named
from gradcam_core.errors import MemoryLimitError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.geometry import View, crop_title

_MB = 2**20
_SERVER_BYTES = 2 * 2**30  # for the server itself, with three networks and its caches
_LEAST_BYTES = 512 * _MB  # enough for every published input

_BYTES_PER_PIXEL = 500  # of a pass per pixel of its input, measured: Xception needs the most
_WEIGHTS_AGAIN = 1.4  # VGG19 unfolds its dense layers for inputs of another size than its own


def default_limit_bytes(shared_by: int = 1) -> int:
    """The default memory limit of a forward pass, in bytes: half of what the server leaves, as a
    process runs one pass at a time. shared_by: processes that share the machine's memory."""
    return max(_LEAST_BYTES, (_machine_bytes() - _SERVER_BYTES) // 2 // shared_by)


def check_memory(model: Model, geometry: View, limit_bytes: int, copies: int = 0) -> None:
    """Raises MemoryLimitError if a network's pass over this view would take more than the limit.
    copies: additional copies of the network's weights that the pass needs."""
    needed = pass_bytes(model, geometry) + copies * _weight_bytes(model)
    if needed > limit_bytes:
        crop = crop_title(model.preprocessing)
        raise MemoryLimitError(
            f"This takes {needed / _MB:.0f} MB of memory, more than the {limit_bytes / _MB:.0f} "
            f"MB that this server allows. Choose less detail or the {crop}."
        )


def pass_bytes(model: Model, geometry: View) -> int:
    """The most memory that a pass takes, in bytes, in addition to what the server always holds."""
    width, height = geometry.size
    needed = _BYTES_PER_PIXEL * width * height
    if geometry.size != model.preprocessing.size.width_height:
        needed += int(_WEIGHTS_AGAIN * _weight_bytes(model))
    return needed


def affordable(request: ExplanationRequest) -> ExplanationRequest:
    """The request at a detail that the server can afford: Score-CAM at detail 3 would keep all
    others waiting for an hour."""
    is_dear = method_named(request.method).needs == "scores of images"
    return replace(request, detail=1) if is_dear else request


def _weight_bytes(model: Model) -> int:
    return sum(tensor.nbytes for tensor in model.module.parameters())


def _machine_bytes() -> int:
    """Memory of this machine, or of the container in which this process runs."""
    sizes = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # there is none, or it says "max"
            continue
    return min(sizes, default=_SERVER_BYTES)
