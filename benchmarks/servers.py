"""The servers that the load benchmarks measure, in their own processes."""

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
    """Starts the app; gives its address and process id. weights: the folder of `make_weights`; None
    for the real weights."""
    command = [sys.executable, "app.py"]
    if weights is not None:
        command = [sys.executable, "-c", "from benchmarks.page import serve; serve()"]
        settings[FOLDER] = str(weights)
    with started_app(folder, command=command, **settings) as started:
        yield started.url, started.process.pid


@contextmanager
def cluster(weights: Path) -> Iterator[tuple[dict[str, str], int]]:
    """Starts two replicas with random weights and one thread each; gives the settings of a page
    that uses them, and their process id."""
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
