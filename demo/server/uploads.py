"""The folder of visitors' files: the app's own, and freed of what is old or too much.

Gradio removes only what the running process was given; after a process that was killed its files
would stay.
"""

from __future__ import annotations

import getpass
import logging
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = "GRADIO_TEMP_DIR"
"""The environment variable that names another folder, in which all files are then temporary."""

KEPT_SECONDS = 3600
"""That an uploaded photo, or a file made of it, is kept."""

KEPT_BYTES = 2 * 2**30
"""Of all of them; beyond that the oldest go first."""

SWEEP = 60.0
"""Seconds between two looks for what has to go."""


def use_own_folder() -> Path:
    """Have Gradio keep files where no other program does, and no other user of this machine
    reads."""
    if FOLDER not in os.environ:
        folder = Path(tempfile.gettempdir(), f"gradcam-side-by-side-{getpass.getuser()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            folder = Path(tempfile.mkdtemp(prefix=folder.name))  # that one is somebody else's
        os.environ[FOLDER] = str(folder)
    return Path(os.environ[FOLDER])


def keep_swept(folder: Path) -> None:
    """Sweep it now and again and again, in the background."""

    def run() -> None:
        while True:
            try:
                sweep(folder)
            except OSError:
                log.exception("sweeping failed")
            time.sleep(SWEEP)

    threading.Thread(target=run, daemon=True, name="sweep").start()


def sweep(folder: Path) -> None:
    """Remove the files that are older than `KEPT_SECONDS`, the oldest of more than `KEPT_BYTES`,
    and folders in it that are empty."""
    files = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # somebody else has removed it
            if not path.is_dir() or path.is_symlink():
                status = path.lstat()
                files.append((status.st_mtime, status.st_size, path))
    left = sum(size for _, size, _ in files)
    oldest = time.time() - KEPT_SECONDS
    for changed, size, path in sorted(files, key=lambda file: file[0]):
        if changed >= oldest and left <= KEPT_BYTES:
            break
        with suppress(FileNotFoundError):
            path.unlink()
        if path.parent != folder:
            with suppress(OSError):  # there are more files in it
                path.parent.rmdir()
        left -= size
    for path in sorted(folder.rglob("*"), reverse=True):  # inner folders before outer ones
        with suppress(OSError):  # it is not empty, or in use
            if path.is_dir() and path.stat().st_mtime < oldest:
                path.rmdir()
