"""The sources of weights: the Hugging Face Hub, a release, a package, or a person's own file."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import huggingface_hub
from filelock import Timeout
from huggingface_hub import constants

from gradcam_core.errors import WeightsError
from gradcam_core.models.downloads.download_process import ARRIVING
from gradcam_core.models.downloads.hashes import hash_in_name, hash_of_blob, sha256
from gradcam_core.system.locks import lock_for
from gradcam_core.upstream import hub_folder, hub_locks

log = logging.getLogger(__name__)


class Source(Protocol):
    """The source of one file of weights."""

    @property
    def url(self) -> str: ...

    def cached(self) -> Path | None:
        """The complete file, if it is already on this machine; else None. Uses no network."""

    def sha256_prefix(self, path: Path) -> str:
        """The first digits of the complete file's SHA-256; "" if none are known."""

    def download_arguments(self, force: bool) -> list[str]:
        """The arguments with which `download_process.py` downloads the file into its usual cache.
        Raises WeightsError if this source has nothing to download."""

    def discard(self) -> None:
        """Removes an unusable file from the cache. Does nothing if the file is not ours."""
        return

    def remove_partial(self) -> None:
        """Removes partial files of interrupted downloads, whoever started them. Does nothing for a
        source that is not downloaded."""
        return


@dataclass(frozen=True)
class HubFile:
    """A file in a model repository of the Hugging Face Hub, cached by the Hub's client."""

    repo: str
    filename: str = "model.safetensors"

    @property
    def url(self) -> str:
        return huggingface_hub.hf_hub_url(self.repo, self.filename)

    def cached(self) -> Path | None:
        found = huggingface_hub.try_to_load_from_cache(
            self.repo, self.filename, cache_dir=constants.HF_HUB_CACHE
        )
        return Path(found) if isinstance(found, str) else None

    def sha256_prefix(self, path: Path) -> str:
        return hash_of_blob(path)

    def download_arguments(self, force: bool) -> list[str]:
        lock = hub_locks(self.repo) / f"{self.filename}.lock"
        forced = ["--force"] if force else []
        return ["--repo", self.repo, "--file", self.filename, "--lock", str(lock), *forced]

    def discard(self) -> None:
        if file := self.cached():
            file.resolve().unlink(missing_ok=True)
            file.unlink(missing_ok=True)

    def remove_partial(self) -> None:
        # Newer clients never resume a partial file: its name ends in random letters.
        for part in (hub_folder(self.repo) / "blobs").glob("*.*.incomplete"):
            # The Hub's client holds this lock while it downloads.
            _remove_unless_locked([part], hub_locks(self.repo) / f"{part.name.split('.')[0]}.lock")


@dataclass(frozen=True)
class ReleaseFile:
    """A file at a URL, in torch.hub's cache. Its name holds the first digits of its SHA-256."""

    url: str

    @property
    def _path(self) -> Path:
        import torch.hub

        return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(self.url).path).name)

    def cached(self) -> Path | None:
        return self._path if self._path.is_file() else None

    def sha256_prefix(self, path: Path) -> str:
        return hash_in_name(path)

    @property
    def _lock(self) -> Path:
        return self._path.with_name(f"{self._path.name}.lock")

    def download_arguments(self, force: bool) -> list[str]:
        destination = ["--destination", str(self._path)]
        return ["--url", self.url, *destination, "--lock", str(self._lock)]

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)

    def remove_partial(self) -> None:
        parts = self._path.parent.glob(f"{self._path.name}{ARRIVING}*")
        _remove_unless_locked(parts, self._lock)


def _remove_unless_locked(parts: Iterable[Path], lock_file: Path) -> None:
    try:
        for part in parts:
            with lock_for(lock_file).acquire(timeout=0):
                part.unlink(missing_ok=True)
    except Timeout:
        pass  # another process is downloading them
    except OSError as error:
        log.warning("parts of downloads stay where they are: %s", error)


@dataclass(frozen=True)
class PackagedFile(Source):
    """The only .pth file of an installed Python package. Only pip removes it."""

    package: str

    @property
    def url(self) -> str:
        return f"pkg:pypi/{self.package.replace('_', '-')}"

    def cached(self) -> Path | None:
        spec = importlib.util.find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        files = [file for folder in folders or () for file in Path(folder).rglob("*.pth")]
        return files[0] if files else None

    def sha256_prefix(self, path: Path) -> str:
        return hash_in_name(path)

    def download_arguments(self, force: bool) -> list[str]:
        problem = "has to be installed again" if force else "is not installed"
        raise WeightsError(f"the package {self.package.replace('_', '-')} {problem}")


@dataclass(frozen=True)
class LocalFile(Source):
    """A person's own file, read in place. Its URL names the file, not its folder."""

    path: Path

    @property
    def url(self) -> str:
        return f"file:{self.path.name}"

    def cached(self) -> Path | None:
        return self.path if self.path.is_file() else None

    def sha256_prefix(self, path: Path) -> str:
        return ""

    def download_arguments(self, force: bool) -> list[str]:
        if self.cached() is None:
            raise WeightsError(f"the file {self.path.name} no longer exists")
        raise WeightsError("register the network again")


@dataclass(frozen=True)
class Weights:
    """The weights of a network: the URL they come from and the file they were read from."""

    source: str
    path: Path

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256 as 64 hexadecimal digits. Computed on first use: VGG19 takes 0.5 s."""
        return sha256(self.path)
