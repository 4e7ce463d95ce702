"""Writes files that are either complete or absent, and explains broken paths."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gradcam_core.errors import SettingsError


def check_working_folder() -> None:
    """Raises SettingsError if the current folder no longer exists: relative paths are then
    meaningless, and libraries fail, too."""
    try:
        os.getcwd()
    except OSError as error:
        raise SettingsError(
            "The folder that this was started in is gone, or may not be read. Change to another "
            "one with cd."
        ) from error


def broken_link(path: Path) -> str:
    """Says that a path, or a folder above it, is a broken link: "photo.jpg is a broken link: it
    leads to old/photo.jpg, which is not there". "" if none of them is."""
    for one in (path, *path.parents):
        if os.path.islink(one) and not os.path.exists(one):  # of which none raises an error
            return f"{one} is a broken link: it leads to {os.readlink(one)}, which is not there"
    return ""


@contextmanager
def atomic_write(
    path: Path, is_flushed: bool = False, partial: Path | None = None
) -> Iterator[IO[bytes]]:
    """Yields a binary file to write to, which gets its name when the block ends without an error.

    An existing file of that name stays until then. is_flushed: the content survives a power cut
    right after the block. partial: the temporary name, in the same folder, for a process that has
    the folder to itself; None gives each writer a name of its own. Raises OSError if the file
    cannot be written; the temporary file is then removed.
    """
    if partial is None:
        writer = f"{os.getpid()}-{threading.get_ident()}"
        partial = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        with partial.open("wb") as file:
            yield file
            if is_flushed:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
