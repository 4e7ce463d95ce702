"""The SHA-256 of a file of weights, and the one that its name says it must have. Downloads are
verified in `download_process.py`, and files at each load in `loading.py`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_of_blob(file: Path) -> str:
    """The SHA-256 that a file in the Hub's cache must have, "" if that is not known: it links to
    one that is named after its ETag."""
    name = file.resolve().name
    return name if re.fullmatch("[0-9a-f]{64}", name) else ""


def hash_in_name(file: Path) -> str:
    """What the SHA-256 of a file like xception-43020ad28.pth begins with; "" if it does not say."""
    match = re.search(r"-([0-9a-f]{8,64})\.", file.name)
    return match[1] if match else ""


def is_intact(file: Path, expected: str) -> bool:
    return not expected or sha256(file).startswith(expected)
