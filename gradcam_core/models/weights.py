"""Where weights come from: a file in a cache, a download that cannot hang, or a package."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import huggingface_hub
import requests
from filelock import FileLock, Timeout
from huggingface_hub import constants as hub
from huggingface_hub.file_download import repo_folder_name

from gradcam_core.errors import WeightsError
from gradcam_core.models.download import ARRIVING, hash_in_name, hash_of_blob, sha256

log = logging.getLogger(__name__)

ANSWER_WITHIN = 2.5
"""Seconds in which a server must answer at all, before its client with its retries is started."""

STALL_AFTER = 30.0
"""Seconds in which a download must move on. A visitor waits so long for one that does not."""

SLOWEST = 50_000.0
"""Bytes a second, on average over the same time, below which a download is given up, too: all of
VGG19 would take longer than three hours."""

OnProgress = Callable[[float], None]


class Source(Protocol):
    """A place that one file of weights comes from."""

    @property
    def url(self) -> str: ...

    def cached(self) -> Path | None:
        """The whole file, if it is already on this machine. Asks no network."""

    def sha256_begins(self, path: Path) -> str:
        """What the SHA-256 of the whole file begins with; "" if that is not known."""

    def download_arguments(self, force: bool) -> list[str]:
        """The arguments of `download.py` that bring the file into its usual cache."""

    def discard(self) -> None:
        """Remove a file from the cache that turned out not to hold weights."""

    def tidy(self) -> None:
        """Remove the parts that downloads left behind which were ended, by any process."""


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

    def sha256_begins(self, path: Path) -> str:
        return hash_of_blob(path)

    @property
    def _locks(self) -> Path:
        return Path(hub.HF_HUB_CACHE, ".locks", self._folder)

    @property
    def _folder(self) -> str:
        return repo_folder_name(repo_id=self.repo, repo_type="model")

    def download_arguments(self, force: bool) -> list[str]:
        lock = self._locks / f"{self.filename}.lock"
        forced = ["--force"] if force else []
        return ["--repo", self.repo, "--file", self.filename, "--lock", str(lock), *forced]

    def discard(self) -> None:
        if file := self.cached():
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)

    def tidy(self) -> None:
        # Newer clients never take up a part again: its name ends in letters drawn by lot.
        for part in Path(hub.HF_HUB_CACHE, self._folder, "blobs").glob("*.*.incomplete"):
            # The lock that the Hub's client holds as long as it downloads.
            _remove_unless_locked([part], self._locks / f"{part.name.split('.')[0]}.lock")


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

    def sha256_begins(self, path: Path) -> str:
        return hash_in_name(path)

    @property
    def _lock(self) -> Path:
        return self._path.with_name(f"{self._path.name}.lock")

    def download_arguments(self, force: bool) -> list[str]:
        destination = ["--destination", str(self._path)]
        return ["--url", self.url, *destination, "--lock", str(self._lock)]

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)

    def tidy(self) -> None:
        parts = self._path.parent.glob(f"{self._path.name}{ARRIVING}*")
        _remove_unless_locked(parts, self._lock)


def _remove_unless_locked(parts: Iterable[Path], lock_file: Path) -> None:
    try:
        for part in parts:
            with FileLock(lock_file, timeout=0):
                part.unlink(missing_ok=True)
    except Timeout:
        pass  # another process is at work on them
    except (OSError, NotImplementedError) as error:
        log.warning("parts of downloads stay where they are: %s", error)


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

    def sha256_begins(self, path: Path) -> str:
        return hash_in_name(path)

    def download_arguments(self, force: bool) -> list[str]:
        wanted = "has to be installed again" if force else "is not installed"
        raise WeightsError(f"the package {self.package.replace('_', '-')} {wanted}")

    def discard(self) -> None:
        """A package's files are pip's to remove."""

    def tidy(self) -> None:
        """Nothing is downloaded."""


@dataclass(frozen=True)
class LocalFile:
    """A person's own file, where it lies. Others are told its name, not its folder."""

    path: Path

    @property
    def url(self) -> str:
        return f"file:{self.path.name}"

    def cached(self) -> Path | None:
        return self.path if self.path.is_file() else None

    def sha256_begins(self, path: Path) -> str:
        return ""

    def download_arguments(self, force: bool) -> list[str]:
        if self.cached() is None:
            raise WeightsError(f"the file {self.path.name} is not there any more")
        raise WeightsError("register the network again")

    def discard(self) -> None:
        """It is not ours."""

    def tidy(self) -> None:
        """Nothing is downloaded."""


@dataclass(frozen=True)
class Weights:
    """Which weights a network has: the address they come from and the file they were read from."""

    source: str
    path: Path

    @cached_property
    def sha256(self) -> str:
        """Of the file, as 64 hexadecimal digits. Read when first asked for: VGG19 takes 0.5 s."""
        return sha256(self.path)


def fetch(
    source: Source,
    on_progress: OnProgress = lambda share: None,
    *,
    force: bool = False,
    answer_within: float = ANSWER_WITHIN,
    stall_after: float = STALL_AFTER,
    slowest: float = SLOWEST,
) -> Path:
    """Download a source's file into its usual cache with its own client, and give its path.

    on_progress gets the share that has arrived, in [0, 1]. force downloads again what is cached.
    Raises WeightsError: at once if `HF_HUB_OFFLINE` is set, after `answer_within` seconds if the
    server does not answer, after `stall_after` seconds if the download stops or brings less than
    `slowest` bytes a second, and if what arrives is not whole. The cache then holds no part that
    could be taken for the file.
    """
    arguments = source.download_arguments(force)
    if hub.HF_HUB_OFFLINE:
        raise WeightsError("HF_HUB_OFFLINE is set, so nothing is downloaded")
    _ask(source.url, answer_within)
    log.info("downloading %s", source.url)
    source.tidy()
    try:
        _run_download(arguments, on_progress, _Pace(stall_after, slowest), _host(source.url))
    except WeightsError:
        source.tidy()
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


class _Pace:
    """Whether a download moves on: within `stall_after` seconds, by `slowest` bytes a second."""

    def __init__(self, stall_after: float, slowest: float) -> None:
        self.stall_after = stall_after
        self._slowest = slowest
        self._total: int | None = None
        self._lock = threading.Lock()
        self._seen: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        """Nothing is expected of the time before."""
        with self._lock:
            self._seen.clear()
            self._seen.append((time.monotonic(), 0))

    def note(self, done: int, total: int | None) -> None:
        """How many bytes have arrived."""
        with self._lock:
            self._total = total
            self._seen.append((time.monotonic(), done))

    def fault(self) -> str:
        """What is wrong with it, after the name of the server; "" as long as nothing is."""
        with self._lock:
            if not self._seen:
                return ""
            begin = time.monotonic() - self.stall_after
            while len(self._seen) > 1 and self._seen[1][0] <= begin:
                self._seen.popleft()
            (first, before), (_, done) = self._seen[0], self._seen[-1]
        # What has all come is being checked, which takes as long as the disk does.
        if (
            first > begin
            or done - before >= self._slowest * self.stall_after
            or done == self._total
        ):
            return ""
        if done <= before:
            return "stopped sending"
        return f"sends too slowly, less than {self._slowest / 1000:.0f} KB/s"


def _run_download(arguments: list[str], on_progress: OnProgress, pace: _Pace, host: str) -> None:
    script = str(Path(__file__).with_name("download.py"))
    # -P: the folder of this package is not put on the import path, where `images` would be found.
    command = [sys.executable, "-P", script, *arguments, "--timeout", str(pace.stall_after)]
    settings = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Files come from the one host that was asked, by the one way that is followed and tested.
        "HF_HUB_DISABLE_XET": "1",
    }
    error, faults = None, list[str]()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # its end tells the child that this process is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | settings,
    ) as process:
        watch = threading.Thread(target=_watch, args=(process, pace, faults), daemon=True)
        watch.start()
        assert process.stdout is not None
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue  # a library's own word on standard output
            if not isinstance(said, dict):
                continue
            error = said.get("error", error)
            if "started" in said or "waiting" in said:
                pace.restart()
            if "done" in said:
                pace.note(said["done"], said["total"])
                if said["total"]:
                    on_progress(min(1.0, said["done"] / said["total"]))
        code = process.wait()
        watch.join()
    if error:
        raise WeightsError(error if host in error else f"{host}: {error}")
    if faults:
        raise WeightsError(f"{host} {faults[0]}")
    if code < 0:
        raise WeightsError(f"{host}: the download was ended from outside")
    if code:
        raise WeightsError(f"{host}: the download ended with {code}")


def _watch(process: subprocess.Popen[str], pace: _Pace, faults: list[str]) -> None:
    """End a download that does not move on, and note why."""
    while process.poll() is None:
        if fault := pace.fault():
            faults.append(fault)
            process.kill()
            return
        time.sleep(min(1.0, pace.stall_after / 4))
