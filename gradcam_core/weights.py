"""Where weights come from: a file in a cache, a download that cannot hang, or a package."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import huggingface_hub
import requests
from huggingface_hub import constants as hub

log = logging.getLogger(__name__)

ANSWER_WITHIN = 2.5
"""Seconds in which a server must answer at all, before its client with its retries is started."""

STALL_AFTER = 60.0
"""Seconds without a byte after which a download is given up. The Hub's client reports every 10 MB,
so this is a lower bound on the speed, too: 170 KB/s."""

OnProgress = Callable[[float], None]


class WeightsError(RuntimeError):
    """Weights cannot be had. The message is the plain reason: "no connection to github.com"."""


class Source(Protocol):
    """A place that one file of weights comes from."""

    @property
    def url(self) -> str: ...

    def cached(self) -> Path | None:
        """The whole file, if it is already on this machine. Asks no network."""

    def download_arguments(self, force: bool) -> list[str]:
        """The arguments of `download.py` that bring the file into its usual cache."""

    def discard(self) -> None:
        """Remove a file from the cache that turned out not to hold weights."""

    def tidy(self, unused_for: float) -> None:
        """Remove parts of a download that was ended, not written to for this many seconds."""


@dataclass(frozen=True)
class HubFile:
    """A file in a model repository of the Hugging Face Hub, in the Hub's own cache."""

    repo: str
    filename: str = "model.safetensors"

    @property
    def url(self) -> str:
        return huggingface_hub.hf_hub_url(self.repo, self.filename)

    def cached(self) -> Path | None:
        found = huggingface_hub.try_to_load_from_cache(
            self.repo, self.filename, cache_dir=hub.HF_HUB_CACHE
        )
        return Path(found) if isinstance(found, str) else None

    def download_arguments(self, force: bool) -> list[str]:
        forced = ["--force"] if force else []
        return ["--repo", self.repo, "--file", self.filename, *forced]

    def discard(self) -> None:
        if file := self.cached():
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)

    def tidy(self, unused_for: float) -> None:
        """The client takes up its own parts again."""


@dataclass(frozen=True)
class ReleaseFile:
    """A file at an address, its SHA-256 begun in its name, in the cache of torch.hub."""

    url: str

    @property
    def _path(self) -> Path:
        import torch.hub

        return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(self.url).path).name)

    def cached(self) -> Path | None:
        return self._path if self._path.is_file() else None

    def download_arguments(self, force: bool) -> list[str]:
        return ["--url", self.url, "--destination", str(self._path)]

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)

    def tidy(self, unused_for: float) -> None:
        # torch.hub removes its part itself, unless its process is ended. Another process may be
        # at work on the same file: its part is younger.
        for part in self._path.parent.glob(f"{self._path.name}.*.partial"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - part.stat().st_mtime >= unused_for:
                    part.unlink()


@dataclass(frozen=True)
class PackagedFile:
    """The one .pth file that an installed Python package carries."""

    package: str

    @property
    def url(self) -> str:
        return f"pkg:pypi/{self.package.replace('_', '-')}"

    def cached(self) -> Path | None:
        spec = importlib.util.find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        files = [file for folder in folders or () for file in Path(folder).rglob("*.pth")]
        return files[0] if files else None

    def download_arguments(self, force: bool) -> list[str]:
        raise WeightsError(f"the package {self.package.replace('_', '-')} is not installed")

    def discard(self) -> None:
        """A package's files are pip's to remove."""

    def tidy(self, unused_for: float) -> None:
        """Nothing is downloaded."""


@dataclass(frozen=True)
class Weights:
    """Which weights a network has: the address they come from and the file they were read from."""

    source: str
    path: Path

    @cached_property
    def sha256(self) -> str:
        """Of the file, as 64 hexadecimal digits. Read when first asked for: VGG19 takes 0.5 s."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    source: Source,
    on_progress: OnProgress = lambda share: None,
    *,
    force: bool = False,
    answer_within: float = ANSWER_WITHIN,
    stall_after: float = STALL_AFTER,
) -> Path:
    """Download a source's file into its usual cache with its own client, and give its path.

    on_progress gets the share that has arrived, in [0, 1]. force downloads again what is cached.
    Raises WeightsError: at once if `HF_HUB_OFFLINE` is set, after `answer_within` seconds if the
    server does not answer, after `stall_after` seconds if the download stops, and if what arrives
    is not whole. The cache then holds no part that could be taken for the file.
    """
    arguments = source.download_arguments(force)
    if hub.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing is downloaded")
    _ask(source.url, answer_within)
    log.info("downloading %s", source.url)
    try:
        _run_download(arguments, on_progress, stall_after, _host(source.url))
    except WeightsError:
        source.tidy(unused_for=stall_after)
        raise
    path = source.cached()
    if path is None:
        raise WeightsError("the download left no file")
    return path


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _ask(url: str, answer_within: float) -> None:
    """Whether the server answers at all. In a thread, as looking up a name has no time limit."""
    host = _host(url)
    answer: Future[int] = Future()

    def ask() -> None:
        try:
            response = requests.head(url, timeout=answer_within, allow_redirects=False)
            answer.set_result(response.status_code)
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True, name=f"ask {host}").start()
    try:
        status = answer.result(timeout=answer_within)
    except (TimeoutError, requests.Timeout):
        raise WeightsError(f"{host} does not answer") from None
    except requests.RequestException as error:
        log.debug("%s: %s", url, error)
        raise WeightsError(f"there is no connection to {host}") from None
    if status >= 400 and status not in (405, 501):  # a server may not know HEAD
        raise WeightsError(f"{host} answered with HTTP {status}")


def _run_download(
    arguments: list[str], on_progress: OnProgress, stall_after: float, host: str
) -> None:
    script = str(Path(__file__).with_name("download.py"))
    # -P: the folder of this package is not put on the import path, where `images` would be found.
    command = [sys.executable, "-P", script, *arguments, "--timeout", str(stall_after)]
    error, arrived = None, threading.Event()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1"},
    ) as process:
        watch = threading.Thread(target=_watch, args=(process, arrived, stall_after), daemon=True)
        watch.start()
        assert process.stdout is not None
        most = -1
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # a library's own word on standard output
            if not isinstance(said, dict):
                continue
            error = said.get("error", error)
            if said.get("total"):
                on_progress(min(1.0, said["done"] / said["total"]))
            if said.get("done", -1) > most:
                most = said["done"]
                arrived.set()
        code = process.wait()
    if error:
        raise WeightsError(error if host in error else f"{host}: {error}")
    if code:
        stopped = code < 0
        why = "stopped sending in the middle" if stopped else f"the download ended with {code}"
        raise WeightsError(f"{host}: {why}" if not stopped else f"{host} {why}")


def _watch(process: subprocess.Popen[str], arrived: threading.Event, stall_after: float) -> None:
    """End the download if nothing arrives for `stall_after` seconds."""
    last = time.monotonic()
    while process.poll() is None:
        if arrived.wait(timeout=min(1.0, stall_after / 4)):
            arrived.clear()
            last = time.monotonic()
        elif time.monotonic() - last > stall_after:
            process.kill()
            return
