"""Locks between processes, also on file systems without file locks."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""Errors of file systems without locks, such as some network file systems and folders that
containers share with their host. filelock recognises only ENOSYS. Depending on its version, it
takes the others for a lock that another process holds."""


def lock_for(path: Path) -> BaseFileLock:
    """A lock, not yet acquired, that is released when its process ends, even if it is killed.

    On a file system without locks, a second file exists while the lock is held; it is ignored if
    its process has died on this machine. The folder must exist. Raises OSError if no file can be
    made in it.
    """
    return FileLock(path) if _has_locks(path) else SoftFileLock(f"{path}.held")


def detect_missing_locks() -> None:
    """Makes filelock, which the Hub's client uses, recognise every file system without locks, as
    `lock_for` does. It patches `fcntl.flock`, so call it only in a child process."""
    try:
        import fcntl
    except ImportError:  # Windows has other locks
        return
    flock = fcntl.flock

    def noticed(*args: Any) -> None:
        try:
            flock(*args)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise OSError(errno.ENOSYS, error.strerror) from error
            raise

    fcntl.flock = noticed


def _has_locks(path: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return True
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # other numbers mean that somebody holds the lock
        return error.errno not in _NO_LOCKS
    finally:
        os.close(descriptor)
    return True
