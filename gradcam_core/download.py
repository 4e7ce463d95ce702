"""Download one weights file with its library's own client: the child process of `weights.fetch`.

A process of its own, because torch.hub reads from its socket without a time limit and neither
client can be stopped from outside. It runs as a script, so that it need not import the package.
Prints one JSON object a line: {"done": bytes, "total": bytes or null} on the way, {"error": reason}
at the end if it failed.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import socket
import sys
import urllib.error
from pathlib import Path

from tqdm import tqdm


class ReportingTqdm(tqdm):
    """A progress bar whose every refresh is a line for the parent process."""

    def __init__(self, *args, **kwargs) -> None:
        # The Hub's client passes its own settings and a name for its group of bars.
        kwargs.pop("name", None)
        kwargs.update(disable=False, file=sys.stderr, mininterval=0.2)
        super().__init__(*args, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        say(done=self.n, total=self.total)


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def download_from_hub(repo: str, filename: str, force: bool) -> None:
    """Into the Hub's cache. The client checks the size; the SHA-256 that the Hub gives as the
    ETag of a large file is checked here, and a file that differs does not stay in the cache."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    file = Path(hf_hub_download(repo, filename, force_download=force, tqdm_class=ReportingTqdm))
    expected = get_hf_file_metadata(hf_hub_url(repo, filename)).etag or ""
    if len(expected) == 64 and sha256(file) != expected:
        file.resolve().unlink()
        file.unlink(missing_ok=True)
        raise RuntimeError("invalid hash value")


def download_release(url: str, destination: Path) -> None:
    """Into torch.hub's cache, checked against the hash in the file's name."""
    import torch.hub

    destination.parent.mkdir(parents=True, exist_ok=True)
    # torch.hub offers no other way to follow a download than its own progress bar.
    vars(torch.hub)["tqdm"] = ReportingTqdm
    match = torch.hub.HASH_REGEX.search(destination.name)
    torch.hub.download_url_to_file(url, str(destination), match.group(1) if match else None)


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def reason(error: BaseException) -> str:
    """What went wrong, in words for a person who only wants the picture explained."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "code", None)
    if status:
        return f"the server answered with HTTP {status}"
    if getattr(error, "errno", None) == errno.ENOSPC:
        return "the disk is full"
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return "the folder for downloads cannot be written to"
    if "hash value" in str(error) or "Consistency check failed" in str(error):
        return "the file that arrived is damaged"
    broken = (TimeoutError, ConnectionError, urllib.error.URLError, EOFError)
    # The Hub's client uses httpx or httpx2, by its version; their errors share the name.
    names = {kind.__name__ for kind in type(error).__mro__}
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
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args()
    socket.setdefaulttimeout(options.timeout)
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(int(options.timeout)))
    try:
        if options.url:
            download_release(options.url, options.destination)
        else:
            download_from_hub(options.repo, options.file, options.force)
    except BrokenPipeError:
        return 1  # nobody listens any more
    except Exception as error:
        print(repr(error), file=sys.stderr)
        say(error=reason(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
