"""The SHA-256 of a file of weights, and the expected one, read from its name. `download_process.py`
verifies each download, `loading.py` each file that is loaded."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_of_blob(file: Path) -> str:
    """The expected SHA-256 of a file in the Hub's cache, which is a link to a blob named after its
    ETag; "" if the ETag is no SHA-256."""
    name = file.resolve().name
    return name if re.fullmatch("[0-9a-f]{64}", name) else ""


def hash_in_name(file: Path) -> str:
    """The first digits of the expected SHA-256, from a name like xception-43020ad28.pth; "" if the
    name has none."""
    match = re.search(r"-([0-9a-f]{8,64})\.", file.name)
    return match[1] if match else ""


def is_intact(file: Path, expected: str) -> bool:
    return not expected or sha256(file).startswith(expected)
