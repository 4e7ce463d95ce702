"""Locks between processes, also on file systems that have none of their own."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock

_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
"""What file systems answer that have no locks: some of those shared over a network or by hosts of
containers. filelock minds the first alone, and takes the others, by its version, for a lock that
somebody else holds."""


def lock_for(path: Path) -> BaseFileLock:
    """A lock, not yet acquired, that ends with its process, however that ends.

    Where the file system has no such locks, a file beside it is there for as long as the lock is
    held; one whose process has died on this machine is not minded. The folder must be there. Raises
    OSError where no file can be made in it.
    """
    return FileLock(path) if _has_locks(path) else SoftFileLock(f"{path}.held")


def detect_missing_locks() -> None:
    """For a process of its own, in which the Hub's client uses filelock: it then does as `lock_for`
    does on all file systems without locks."""
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
    except OSError as error:  # or somebody holds it
        return error.errno not in _NO_LOCKS
    finally:
        os.close(descriptor)
    return True
