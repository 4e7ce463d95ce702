"""Locks on file systems that have them, and on those that have not."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from filelock import Timeout

from gradcam_core.system.locks import detect_missing_locks, lock_for


def refusing(number: int):
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


NUMBERS = [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL]


@pytest.mark.parametrize("number", [None, *NUMBERS])
def test_one_at_a_time_holds_a_lock(
    number: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if number:
        monkeypatch.setattr(fcntl, "flock", refusing(number))
    path = tmp_path / ".lock"
    with lock_for(path).acquire(timeout=0), pytest.raises(Timeout):
        lock_for(path).acquire(timeout=0)
    with lock_for(path).acquire(timeout=0):
        pass


def test_other_faults_are_not_taken_for_missing_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        lock_for(tmp_path / ".lock").acquire(timeout=0)
    with pytest.raises(FileNotFoundError):
        lock_for(tmp_path / "none" / ".lock")


@pytest.mark.parametrize("number", NUMBERS)
def test_filelock_hears_of_missing_locks_by_the_one_name_it_knows(
    number: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fcntl, "flock", refusing(number))
    detect_missing_locks()
    with pytest.raises(OSError, match=rf"\[Errno {errno.ENOSYS}\]"):
        fcntl.flock(0, fcntl.LOCK_EX)
