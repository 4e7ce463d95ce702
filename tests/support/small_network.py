"""A small network whose weights have to be downloaded, and its start in a process. PyTorch is
imported only when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import huggingface_hub.constants
import pytest

from gradcam_core.models.downloads.fetch import fetch
from gradcam_core.models.downloads.weights import HubFile, ReleaseFile, Source
from gradcam_core.models.loading import Loader
from gradcam_core.models.registry import ModelInfo

ARCHITECTURE = "test_efficientnet.r160_in1k"  # its weights are 1.4 MB
STAND_IN = "efficientnet_lite0"
HUB_FILE = HubFile("timm/small.test")
KINDS = ("hub", "release")


@dataclass(frozen=True)
class Start:
    """The outcome of a start: the network's title, the reason if it is a stand-in, and the SHA-256
    of its weights file."""

    title: str
    reason: str
    sha256: str


def small_network(source: Source) -> ModelInfo:
    return ModelInfo("small", "Small", ARCHITECTURE, "blocks", source, stand_in=STAND_IN)


def source_of(kind: str, url: str) -> Source:
    """The source of the weights. kind: of `KINDS`; url: of the release file."""
    return HUB_FILE if kind == "hub" else ReleaseFile(url)


def impatient(
    info: ModelInfo,
    *,
    answer_timeout_s: float = 1.5,
    stall_timeout_s: float = 6,
    retry_after_s: float = 60,
) -> Loader:
    """A loader with short time limits."""
    short = partial(fetch, answer_timeout_s=answer_timeout_s, stall_timeout_s=stall_timeout_s)
    return Loader(info, retry_after_s=retry_after_s, fetch=short)


def start(loader: Loader) -> Start:
    """The outcome for an app that starts the network now."""
    model = loader.request().result(120)
    return Start(model.info.title, model.reason, model.weights.sha256)


@contextmanager
def caches_in(folder: Path, endpoint: str) -> Iterator[None]:
    """Leaves this process and its children only the weights in packages and in this folder, and
    another Hub."""
    hub = huggingface_hub.constants
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_HOME", str(folder / "hf"))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        patch.setenv("HF_ENDPOINT", endpoint)
        # The Hub's client reads its environment once, when it is imported.
        patch.setattr(hub, "HF_HUB_CACHE", str(folder / "hf" / "hub"))
        patch.setattr(hub, "HF_HUB_OFFLINE", False)
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        patch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield


def weights_in(cache: Path) -> list[Path]:
    """Files in a cache that are weights or parts of them."""
    patterns = ("*.safetensors", "*.pth", "*.incomplete", "*.arriving*", "blobs/*")
    found = {path for pattern in patterns for path in cache.rglob(pattern)}
    return sorted(path for path in found if path.is_file())
