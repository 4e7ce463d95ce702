"""Writing files that are whole or not there at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from gradcam_core.errors import SettingsError


def check_working_folder() -> None:
    """Raises SettingsError where the folder that the program was started in is gone: no relative
    path means anything then, and libraries ask for it, too."""
    try:
        os.getcwd()
    except OSError as error:
        raise SettingsError(
            "The folder that this was started in is gone, or may not be read. Change to another "
            "one with cd."
        ) from error


def broken_link(path: Path) -> str:
    """ "photo.jpg is a broken link: it leads to old/photo.jpg, which is not there", of a path that
    leads nowhere or a folder in it; "" if no link is the reason."""
    for one in (path, *path.parents):
        if os.path.islink(one) and not os.path.exists(one):  # of which none raises an error
            return f"{one} is a broken link: it leads to {os.readlink(one)}, which is not there"
    return ""


@contextmanager
def atomic_write(
    path: Path, is_flushed: bool = False, partial: Path | None = None
) -> Iterator[IO[bytes]]:
    """A binary file to write to, which appears under its name once the block ends without an error.

    A file that is there already stays until then. is_flushed: the content also survives if the
    machine loses its power a moment later. partial: the name until then, in the same folder, for a
    process that has the folder to itself; otherwise each writer has one of its own.
    Raises OSError where it cannot be written.
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
