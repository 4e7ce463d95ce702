"""The app's own folder for uploads and results, from which it removes old files and, beyond a total
size, the oldest.

Gradio removes only files of the running process; those of a killed process would stay. All apps of
one user on this machine share the folder, so the next app to start removes them.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gradcam_core.errors import SettingsError
from gradcam_core.system.cache_folders import user_name

log = logging.getLogger(__name__)

SETTING = "GRADIO_TEMP_DIR"
"""The environment variable that tells Gradio the folder."""

NAME = "gradcam-side-by-side"
"""Prefix of the names of the app's folders."""

MARKER = ".made-by-gradcam-side-by-side"
"""The file that marks a folder as the app's. Nothing outside a marked folder is ever deleted."""

NO_FOLDER = "There is no writable folder for temporary files. Set one with GRADIO_TEMP_DIR."
NO_FOLDER_IN = (
    "Uploads and results cannot be kept in {}: {}. Set a writable folder with GRADIO_TEMP_DIR."
)

KEPT_S = 3600
"""Seconds for which an uploaded photo, or a file made of it, is kept."""

KEPT_BYTES = 2 * 2**30
"""Size of all files together, beyond which the oldest are removed."""

SWEEP_INTERVAL_S = 60.0


def use_own_folder(place: Path | None = None) -> Path:
    """Makes or finds the app's own folder, in which Gradio keeps files from now on. Must be called
    before Gradio is imported, because parts of Gradio read the variable only then.

    The folder lies in `place`, or among the system's temporary files. Other users cannot read it.
    Raises SettingsError if it cannot be made or written.
    """
    try:
        system = Path(tempfile.gettempdir())
    except OSError:  # none of the system's temporary folders is writable
        if place is None:
            raise SettingsError(NO_FOLDER) from None
        system = None
    place = (place or system or Path()).absolute()
    try:
        folder = place if is_own(place) else _own_folder_in(place)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingsError(NO_FOLDER_IN.format(place, error.strerror or error)) from None
    os.environ[SETTING] = str(folder)
    if system is None:  # for other temporary files of this process and its children
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    return folder


def is_own(folder: Path) -> bool:
    """Whether the app made this folder, for this user."""
    if folder.is_symlink() or not (folder / MARKER).is_file():
        return False
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()


def _own_folder_in(place: Path) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for folder in _own_folders_in(place):
        return folder
    folder = place / _name()
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # it belongs to somebody else
        folder = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=place))
    (folder / MARKER).touch()
    return folder


def _own_folders_in(place: Path) -> Iterator[Path]:
    """The app's folders in `place`: usually one, more if the usual name was once taken."""
    for folder in sorted(place.glob(f"{_name()}*")):
        with suppress(PermissionError):  # another user's folder
            if is_own(folder):
                yield folder


def _name() -> str:
    return f"{NAME}-{user_name()}"


def start_sweeping(folder: Path) -> None:
    """Sweeps the app's folder, and its other folders beside it, in the background: now and once a
    minute."""

    def run() -> None:
        while True:
            for own in _own_folders_in(folder.parent):
                try:
                    sweep(own)
                except OSError:
                    log.exception("sweeping failed")
            time.sleep(SWEEP_INTERVAL_S)

    threading.Thread(target=run, daemon=True, name="sweep").start()


def sweep(folder: Path) -> None:
    """Removes files older than `KEPT_S`, the oldest files beyond `KEPT_BYTES`, and empty folders.

    Links are removed, not followed. Raises ValueError if the folder is not the app's own.
    """
    if not is_own(folder):
        raise ValueError(f"{folder} was not made by this app")
    files = sorted(_files(folder))
    left = sum(size for _, size, _ in files)
    oldest = time.time() - KEPT_S
    for changed, size, path in files:
        if changed >= oldest and left <= KEPT_BYTES:
            break
        path.unlink(missing_ok=True)
        if path.parent != folder:
            with suppress(OSError):  # the folder still contains files
                path.parent.rmdir()
        left -= size
    for parent, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # it is not empty, or in use
            if Path(parent) != folder and os.stat(parent).st_mtime < oldest:
                os.rmdir(parent)


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Yields each file and link: the time of its last change, its bytes, and its path."""
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in names + links:
            path = Path(parent, name)
            if path != folder / MARKER:
                with suppress(FileNotFoundError):  # another process has removed it
                    status = path.lstat()
                    yield status.st_mtime, status.st_size, path
