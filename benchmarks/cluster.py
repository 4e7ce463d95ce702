"""Replicas with random weights, only for measuring speed: no visitor may ever see their maps."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.page import FOLDER, load
from demo.compute.cluster import deployment as serve_cluster
from demo.compute.cluster.replica import Replica
from gradcam_core.models import loading


class RandomReplica(Replica):
    """A replica with the weights of `make_weights`, from the folder in the variable `FOLDER`."""

    def __init__(
        self, replicas: int, threads: int, memory: int | None, names: Iterable[str], _: object
    ) -> None:
        folder = Path(os.environ[FOLDER])
        loading.Loader.load = (  # type: ignore[method-assign]
            lambda self: load(self.info.name, folder)
        )
        super().__init__(replicas, threads, memory, names)


def serve() -> None:
    """Runs `python -m demo.serve_cluster` with such replicas."""
    serve_cluster.run(RandomReplica)
