"""Nothing that visitors bring stays: not for long, not without bound, not after a process that was
killed. And nothing goes that the app has not made."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path

import pytest

from demo.server import upload_folder
from gradcam_core.errors import SettingsError

TOO_OLD_S = upload_folder.KEPT_S + 5


def file(folder: Path, name: str, age_s: float = 0, size: int = 10) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    for changed in (path, path.parent):
        os.utime(changed, (time.time() - age_s,) * 2)
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's own folder, in a folder that was named for it."""
    monkeypatch.setenv(upload_folder.SETTING, "")  # so that it is as before at the end
    return upload_folder.use_own_folder(tmp_path / "given")


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name != upload_folder.MARKER)


def test_what_is_old_goes_with_its_folder_and_nothing_else(own: Path, tmp_path: Path):
    old = file(own, "a/holiday.jpg", TOO_OLD_S)
    partial = file(own, "partial", TOO_OLD_S)
    young = file(own, "b/cat.jpg", upload_folder.KEPT_S - 60)
    outside = file(tmp_path, "outside/keep.jpg", TOO_OLD_S)
    (own / "link").symlink_to(outside)
    (own / "folders").symlink_to(outside.parent)
    for link in (own / "link", own / "folders"):
        os.utime(link, (0, 0), follow_symlinks=False)
    (own / "new").mkdir()  # a file is about to be put into it
    (own / "empty" / "inner").mkdir(parents=True)
    for folder in (own / "empty" / "inner", own / "empty", own / upload_folder.MARKER, own):
        os.utime(folder, (0, 0))
    upload_folder.sweep(own)
    assert not old.parent.exists()
    assert not partial.exists()
    assert visible(own) == ["b", "cat.jpg", "empty", "new"]  # emptied just now
    assert young.exists()
    assert outside.exists()
    assert upload_folder.is_own(own)


def test_of_too_much_the_oldest_goes(own: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upload_folder, "KEPT_BYTES", 250)
    files = [file(own, f"{n}/photo.jpg", 100 - n, size=100) for n in range(4)]
    upload_folder.sweep(own)
    assert [path.exists() for path in files] == [False, False, True, True]


def test_a_folder_that_is_named_keeps_all_that_the_app_has_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    photos = [
        file(tmp_path, name, 100 * TOO_OLD_S)
        for name in ("holiday.jpg", "2019/beach.jpg", f"{upload_folder.NAME}-photos/me.jpg")
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    os.utime(empty, (0, 0))
    monkeypatch.setenv(upload_folder.SETTING, "")
    folder = upload_folder.use_own_folder(tmp_path)
    assert folder.parent == tmp_path
    old = file(folder, "a/upload.jpg", TOO_OLD_S)
    upload_folder.sweep(folder)
    assert not old.exists()
    for other in (tmp_path, photos[-1].parent):
        with pytest.raises(ValueError, match="not made by this app"):
            upload_folder.sweep(other)
    assert all(photo.exists() for photo in photos)
    assert empty.exists()


def test_the_folder_is_the_app_s_own_and_nobody_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv(upload_folder.SETTING, "")
    folder = upload_folder.use_own_folder()
    assert folder.parent == tmp_path
    assert os.environ[upload_folder.SETTING] == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # A second app of the same user shares it, whichever way it is told.
    assert upload_folder.use_own_folder(folder) == folder
    assert upload_folder.use_own_folder() == folder


@pytest.mark.parametrize("is_link", [True, False], ids=["a link", "a folder of photos"])
def test_a_name_that_is_taken_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_link: bool
):
    monkeypatch.setenv(upload_folder.SETTING, "")
    name = upload_folder.use_own_folder(tmp_path).name
    (tmp_path / name / upload_folder.MARKER).unlink()
    (tmp_path / name).rmdir()
    theirs = file(tmp_path, f"{'theirs' if is_link else name}/photo.jpg", TOO_OLD_S)
    if is_link:
        # Even to a folder of the app: nobody knows who reads it.
        (theirs.parent / upload_folder.MARKER).touch()
        (tmp_path / name).symlink_to(theirs.parent)
    own = upload_folder.use_own_folder(tmp_path)
    assert own.name not in (name, "theirs")
    assert upload_folder.use_own_folder(tmp_path) == own  # so that its files do not stay for ever
    assert theirs.exists()


def no_temporary_folder() -> str:
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")


def test_without_any_temporary_folder_the_owner_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "gettempdir", no_temporary_folder)
    with pytest.raises(SettingsError, match=r"Set one with GRADIO_TEMP_DIR\."):
        upload_folder.use_own_folder()


def test_a_named_folder_then_serves_all_that_need_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in (upload_folder.SETTING, "TMPDIR"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", no_temporary_folder)
    folder = upload_folder.use_own_folder(tmp_path)
    assert tempfile.tempdir == os.environ["TMPDIR"] == str(folder)


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null", "a file"])
def test_a_folder_that_cannot_be_made_is_told_with_the_reason(place: str, tmp_path: Path):
    file = tmp_path / "a file"
    file.touch()
    given = tmp_path / place  # which is the place itself if that begins with a slash
    with pytest.raises(SettingsError, match=f"cannot be kept in {given}: .*GRADIO_TEMP_DIR"):
        upload_folder.use_own_folder(given)
