"""Uploading a picture to a server, as a browser does."""

from __future__ import annotations

from pathlib import Path

import requests

DECLARED = {"meta": {"_type": "gradio.FileData"}}
"""The marker that Gradio requires on a path that stands for a file."""


def upload(url: str, file: Path | bytes, name: str = "") -> str:
    """Uploads a file; returns the path that the server gives it."""
    if isinstance(file, bytes):
        name, data = name or "photo.png", file
    else:
        name, data = name or file.name, file.read_bytes()
    answer = requests.post(f"{url}gradio_api/upload", files={"files": (name, data)}, timeout=60)
    answer.raise_for_status()
    return answer.json()[0]
