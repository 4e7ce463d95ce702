"""Writes down how many tensors and values every architecture of timm and torchvision has, so that
the likeliest one for a weights file is found without building more than a thousand networks.

Run `python -m scripts.architectures` after a new version of either library. Takes minutes.
"""

from __future__ import annotations

import json

from tqdm import tqdm

from gradcam_core.models.custom.architectures import Architecture, all_architectures, shapes_of
from gradcam_core.models.custom.fitting.likeness import INDEX, size_of


def main() -> None:
    found: dict[str, dict[str, tuple[int, int]]] = {"timm": {}, "torchvision": {}}
    for architecture in tqdm(all_architectures()):
        size = _size(architecture)
        if size is not None:
            found[architecture.library][architecture.name] = size
    lines = (
        f'  "{library}": {{\n'
        + ",\n".join(f"    {json.dumps(name)}: {json.dumps(size)}" for name, size in sizes.items())
        + "\n  }"
        for library, sizes in found.items()
    )
    INDEX.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _size(architecture: Architecture) -> tuple[int, int] | None:
    try:
        return size_of(shapes_of(architecture, None, 3))
    except Exception:  # the architecture needs arguments, another package or values
        return None


if __name__ == "__main__":
    main()
