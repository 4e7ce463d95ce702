"""Faulty actors for batches on Ray. Nodes import this file, so it imports little."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from gradcam_core.batch.engines.ray_data import Explainer

DOOMED, BEGUN = ".doomed", ".begun"
"""Files in the pictures' folder: one contains the id of a node, the other says that this node has
begun a picture."""


class DoomedExplainer(Explainer):
    """On the doomed node, it begins and never ends; on others, it waits for that to begin."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._is_loaded = False

    def __call__(self, batch: pa.Table) -> pa.Table:
        folder = Path(batch["path"][0].as_py()).parent
        if (folder / DOOMED).read_text() == ray.get_runtime_context().get_node_id():
            (folder / BEGUN).touch()
            while True:
                time.sleep(1)
        while not (folder / BEGUN).exists():
            time.sleep(0.05)
        if not self._is_loaded:
            super().__init__(*self._arguments)
            self._is_loaded = True
        return super().__call__(batch)


class BrokenExplainer(Explainer):
    """Fails at its creation."""

    def __init__(self, *_: Any) -> None:
        raise RuntimeError("no weights on this node")
