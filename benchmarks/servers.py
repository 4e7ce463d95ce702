"""The servers that the benchmarks of load measure, in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.page import FOLDER
from tests.support.app_server import ROOT, started_app


@contextmanager
def server(folder: Path, weights: Path | None, **settings: str) -> Iterator[tuple[str, int]]:
    """The address and the number of the process of a server; with random weights, if there are."""
    command = [sys.executable, "app.py"]
    if weights is not None:
        command = [sys.executable, "-c", "from benchmarks.page import serve; serve()"]
        settings[FOLDER] = str(weights)
    with started_app(folder, command=command, **settings) as started:
        yield started.url, started.process.pid


@contextmanager
def cluster(weights: Path) -> Iterator[tuple[dict[str, str], int]]:
    """The settings of a page that uses it, and the number of its process: replicas with random
    weights, 2 of one thread each."""
    settings = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
        "GRADCAM_REPLICAS": "2",
        "GRADCAM_THREADS": "1",
        FOLDER: str(weights),
    }
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-uc", "from benchmarks.cluster import serve; serve()"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment | settings, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        told = iter(process.stdout)
        address = next(filter(None, (re.search(r"RAY_ADDRESS=(\S+)", line) for line in told)))[1]
        try:
            yield settings | {"GRADCAM_BACKEND": "ray", "RAY_ADDRESS": address}, process.pid
        finally:
            process.terminate()
