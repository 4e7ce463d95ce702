"""The real app in its own process, without network access and with only the embedded weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]

NO_NETWORKS = """
from demo.compute.worker import Worker
Worker.preload = lambda *_: None
"""
"""The first lines of a program whose app loads no network before it is requested. For tests that
request none, this halves the start-up time."""


@contextmanager
def running_app(
    folder: Path,
    host: str = "127.0.0.1",
    command: Sequence[str] = (sys.executable, "app.py"),
    cwd: str = str(ROOT),
    **environment: str,
) -> Iterator[str]:
    """Starts the app with `python app.py` or another command; gives its address. folder: for its
    caches and its log. cwd: the folder in which the command runs."""
    with started_app(folder, host, command, cwd, **environment) as started:
        yield started.url


@dataclass(frozen=True)
class Started:
    """A running app: its address, its process, and its log file."""

    url: str
    process: subprocess.Popen
    log: Path


@contextmanager
def started_app(
    folder: Path,
    host: str = "127.0.0.1",
    command: Sequence[str] = (sys.executable, "app.py"),
    cwd: str = str(ROOT),
    **environment: str,
) -> Iterator[Started]:
    """Like `running_app`, for tests that need the process or its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hf"),
        "TORCH_HOME": str(folder / "torch"),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    log = folder / "app.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://{host}:{settings['GRADIO_SERVER_PORT']}/"
    try:
        _wait_until_it_answers(url, process, log)
        yield Started(url, process, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_it_answers(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            requests.get(url, timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(0.2)
    raise RuntimeError(f"the app did not start:\n{log.read_text()}")
