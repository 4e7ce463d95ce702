"""Download one file of weights into its library's own cache: the child process of `fetch`.

It is a separate process because the Hub's client cannot be stopped from outside. It ends when its
standard input does, that is, when the process that started it is gone.
Prints one JSON object a line: {"started": true} before the first request, {"waiting": true} every
second while another process downloads the same file, {"done": bytes, "total": bytes or null} as
data arrives, and {"error": reason} at the end if the download failed.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tqdm import tqdm

from gradcam_core.models.downloads.hashes import hash_in_name, hash_of_blob, is_intact
from gradcam_core.system.files import atomic_write
from gradcam_core.upstream import set_hub_chunk

ARRIVING = ".arriving"
"""Suffix of a release file's name until the file is complete."""

CHUNK_BYTES = 4 * 1024
"""Progress is reported after each chunk, so small chunks keep a slow download from looking
stalled."""


class ReportingTqdm(tqdm):
    """A progress bar that prints a line for the parent process at each refresh."""

    def __init__(self, *args, **kwargs) -> None:
        # The Hub's client passes its own settings and a name for its group of bars.
        kwargs.pop("name", None)
        # miniters: tqdm would otherwise refresh ever more rarely while a download slows down.
        kwargs.update(disable=False, file=sys.stderr, mininterval=0.2, miniters=1)
        super().__init__(*args, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        report(done=self.n, total=self.total)


def report(**line: object) -> None:
    print(json.dumps(line), flush=True)


class _OtherAnswerError(RuntimeError):
    """The server sent something other than a file of weights."""


def download_from_hub(repo: str, filename: str, lock: Path, force: bool) -> None:
    """Downloads into the Hub's cache. The Hub's client checks only the size, so the SHA-256, which
    the Hub gives as the ETag of a large file, is checked here. A file that fails is removed from
    the cache and raises RuntimeError. force: downloads a cached file again."""
    from huggingface_hub import hf_hub_download

    set_hub_chunk(CHUNK_BYTES)
    report(started=True)
    with sole_download(lock):
        file = Path(hf_hub_download(repo, filename, force_download=force, tqdm_class=ReportingTqdm))
        if not is_intact(file, hash_of_blob(file)):
            file.resolve().unlink()
            file.unlink(missing_ok=True)
            raise RuntimeError("invalid hash value")


def download_release(url: str, destination: Path, lock: Path) -> None:
    """Downloads into torch.hub's cache. Raises RuntimeError if the file does not match the hash in
    its name."""
    expected = hash_in_name(destination)
    report(started=True)
    with sole_download(lock):
        if expected and destination.is_file() and is_intact(destination, expected):
            return  # another process has downloaded it meanwhile
        arriving = destination.with_name(f"{destination.name}{ARRIVING}-{os.getpid()}")
        with atomic_write(destination, partial=arriving) as file:
            _copy(url, file)
            file.flush()
            if not is_intact(arriving, expected):
                raise RuntimeError("invalid hash value")


def _copy(url: str, stream: IO[bytes]) -> None:
    with urllib.request.urlopen(url) as answer:
        if answer.headers.get_content_type() == "text/html":
            raise _OtherAnswerError
        size = answer.headers["Content-Length"]
        total = int(size) if size else None
        with ReportingTqdm(total=total) as bar:
            while data := answer.read(CHUNK_BYTES):
                stream.write(data)
                bar.update(len(data))
        if total is not None and bar.n != total:
            raise ConnectionError


@contextmanager
def sole_download(lock_file: Path) -> Iterator[None]:
    """Holds the lock for a download, so that no other process on this machine downloads the same
    file. The lock is released when its process ends, even if it is killed."""
    from filelock import Timeout

    from gradcam_core.system.locks import lock_for

    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = lock_for(lock_file)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=1)
        except Timeout:
            report(waiting=True)
    try:
        yield
    finally:
        lock.release()


def end_with_parent() -> None:
    # A thread that waits in sys.stdin holds its lock, and the process could then not exit.
    os.read(0, 1)
    os._exit(1)


def reason(error: BaseException) -> str:
    """What went wrong, in words for a person who only wants the picture explained."""
    # The Hub's client wraps the error that says what happened.
    if error.__cause__ is not None and type(error).__name__ in (
        "LocalEntryNotFoundError",
        "ValueError",
    ):
        return reason(error.__cause__)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "code", None)
    if status:
        return f"the server answered with HTTP {status}"
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    unwritable = (PermissionError, NotADirectoryError, FileExistsError)
    if isinstance(error, unwritable) or number == errno.EROFS:
        return "the folder for downloads cannot be written to"
    if "hash value" in str(error) or "Consistency check failed" in str(error):
        return "the file that arrived is damaged"
    # The Hub's client uses httpx or httpx2, depending on its version; both name it TransportError.
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, _OtherAnswerError) or "FileMetadataError" in names:
        return "something other than the weights arrived, perhaps a login page"
    broken = (TimeoutError, ConnectionError, urllib.error.URLError, EOFError)
    if isinstance(error, broken) or "TransportError" in names:
        return "the connection broke off"
    if "LocalEntryNotFoundError" in names:
        return "the Hub cannot be reached"
    return f"the download failed ({type(error).__name__})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo")
    parser.add_argument("--file")
    parser.add_argument("--url")
    parser.add_argument("--destination", type=Path)
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args()
    threading.Thread(target=end_with_parent, daemon=True).start()
    from gradcam_core.system.locks import detect_missing_locks

    detect_missing_locks()
    socket.setdefaulttimeout(options.timeout)
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(int(options.timeout)))
    try:
        if options.url:
            download_release(options.url, options.destination, options.lock)
        else:
            download_from_hub(options.repo, options.file, options.lock, options.force)
    except BrokenPipeError:
        return 1  # the parent process is gone
    except Exception as error:
        print(repr(error), file=sys.stderr)
        report(error=reason(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
