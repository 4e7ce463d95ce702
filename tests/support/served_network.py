"""A network whose weights come from a server on this machine, as from the Hub or a release page."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import safetensors.torch
import timm
import torch

from gradcam_core.models.downloads.weights import ReleaseFile, Source
from gradcam_core.models.registry import ModelInfo
from tests.support.networks import scattered
from tests.support.small_network import (
    ARCHITECTURE,
    HUB_FILE,
    Start,
    caches_in,
    impatient,
    small_network,
    start,
    weights_in,
)
from tests.support.weights_server import Weights, serving


@dataclass(frozen=True)
class ServedNetwork:
    """kind: of `KINDS`. folder: of the caches."""

    kind: str
    info: ModelInfo
    server: Weights
    folder: Path

    @property
    def source(self) -> Source:
        return self.info.weights_source

    @property
    def right_file(self) -> Path:
        """The weights file on the server."""
        return next(iter(self.server.files.values()))

    def start(self) -> Start:
        """Starts the network as the next start of the app would."""
        return start(impatient(self.info))

    def is_right(self, started: Start) -> bool:
        """Whether the network has exactly the weights that the server has."""
        right = hashlib.sha256(self.right_file.read_bytes()).hexdigest()
        return started == Start(self.info.title, "", right)

    def leftovers(self) -> list[Path]:
        """Files in the caches that are not the right weights, but could be taken for weights or
        stay there for ever."""
        right = self.right_file.read_bytes()
        found = weights_in(self.folder / "hf") + weights_in(self.folder / "torch")
        return [path for path in found if path.read_bytes() != right]


@cache
def state(seed: int) -> dict[str, torch.Tensor]:
    """Seeded random weights in timm's format: for numbers, never for a picture."""
    torch.manual_seed(seed)
    return scattered(timm.create_model(ARCHITECTURE, pretrained=False)).state_dict()


@cache
def _file(kind: str, seed: int) -> bytes:
    """The bytes of a weights file, which have the same size for every seed."""
    if kind == "hub":
        return safetensors.torch.save(state(seed))
    file = io.BytesIO()
    torch.save(state(seed), file)
    return file.getvalue()


@contextmanager
def served_network(kind: str, folder: Path) -> Iterator[ServedNetwork]:
    """Serves a network that has never been started here. kind: of `KINDS`."""
    served = folder / "served"
    served.mkdir(parents=True)
    with serving() as server, caches_in(folder, server.url):
        right, server.other = (served / name for name in ("right", "other"))
        for seed, file in enumerate((right, server.other)):
            file.write_bytes(_file(kind, seed))
        source: Source = HUB_FILE
        if kind == "hub":
            server.files[f"/{HUB_FILE.repo}/resolve/main/{HUB_FILE.filename}"] = right
        else:
            name = f"small-{hashlib.sha256(right.read_bytes()).hexdigest()[:8]}.pth"
            source = ReleaseFile(f"{server.url}/releases/{name}")
            server.files[f"/releases/{name}"] = right
        yield ServedNetwork(kind, small_network(source), server, folder)
