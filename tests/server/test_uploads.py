"""Nothing that visitors bring stays: not for long, not without bound, not after a process that was
killed."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from pathlib import Path

import pytest

from demo.server import uploads
from tests.support.app_server import started_app
from tests.support.uploads import upload


def file(folder: Path, name: str, age: float = 0, size: int = 10) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    for changed in (path, path.parent):
        os.utime(changed, (time.time() - age,) * 2)
    return path


def test_what_is_old_goes_with_its_folder_and_nothing_else(tmp_path: Path):
    folder = tmp_path / "uploads"
    old = file(folder, "a/holiday.jpg", age=uploads.KEPT_SECONDS + 5)
    partial = file(folder, "partial", age=uploads.KEPT_SECONDS + 5)
    young = file(folder, "b/cat.jpg", age=uploads.KEPT_SECONDS - 60)
    outside = file(tmp_path, "outside/keep.jpg", age=uploads.KEPT_SECONDS + 5)
    (folder / "link").symlink_to(outside)
    (folder / "folders").symlink_to(outside.parent)
    for link in (folder / "link", folder / "folders"):
        os.utime(link, (0, 0), follow_symlinks=False)
    (folder / "new").mkdir()  # a file is about to be put into it
    uploads.sweep(folder)
    assert not old.parent.exists()
    assert not partial.exists()
    assert sorted(path.name for path in folder.rglob("*")) == ["b", "cat.jpg", "new"]
    assert young.exists()
    assert outside.exists()


def test_of_too_much_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "KEPT_BYTES", 250)
    files = [file(tmp_path, f"{n}/photo.jpg", age=100 - n, size=100) for n in range(4)]
    uploads.sweep(tmp_path)
    assert [path.exists() for path in files] == [False, False, True, True]


def test_the_folder_is_the_app_s_own_and_nobody_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv(uploads.FOLDER, raising=False)
    folder = uploads.use_own_folder()
    assert folder.parent == tmp_path
    assert os.environ[uploads.FOLDER] == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.delenv(uploads.FOLDER)
    assert uploads.use_own_folder() == folder
    # Somebody has put a link to a folder of theirs there.
    folder.rmdir()
    (tmp_path / "theirs").mkdir()
    folder.symlink_to(tmp_path / "theirs")
    monkeypatch.delenv(uploads.FOLDER)
    other = uploads.use_own_folder()
    assert other.resolve() != (tmp_path / "theirs").resolve()
    monkeypatch.setenv(uploads.FOLDER, "/somewhere/else")
    assert uploads.use_own_folder() == Path("/somewhere/else")


SWEEPS = "from demo import uploads; uploads.SWEEP = 0.2; import app; app.main()"


def test_a_server_removes_what_is_old_also_what_a_killed_one_left(tmp_path: Path, cat_path: Path):
    left = file(tmp_path / "gradio", "a/left_by_a_killed_server.jpg", age=uploads.KEPT_SECONDS + 5)
    with started_app(tmp_path, command=[sys.executable, "-c", SWEEPS]) as running:
        assert not left.exists()
        path = Path(upload(running.url, cat_path))
        assert path.exists()
        os.utime(path, (time.time() - uploads.KEPT_SECONDS - 5,) * 2)
        deadline = time.monotonic() + 30
        while path.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not path.exists()
