"""Simulates a full or read-only disk in every Python process that has this folder on its path.

For machines on which no file system can be mounted: opening a file for writing, or making a folder,
below DISK_FOLDER fails with DISK_FAULT, which is ENOSPC or EROFS.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Any


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("open", "os.mkdir", "os.rename", "os.remove"):
        return
    fault, folder = os.environ.get("DISK_FAULT"), os.environ.get("DISK_FOLDER")
    path = arguments[0]
    if not fault or not isinstance(path, str) or not path.startswith(str(folder)):
        return
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    if fault == "ENOSPC" and event != "open":
        return
    number = getattr(errno, fault)
    raise OSError(number, os.strerror(number), path)


sys.addaudithook(_refuse)
