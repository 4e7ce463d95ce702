"""A user without a home, or without a name."""

from __future__ import annotations

import getpass
import os
import stat
import tempfile
from pathlib import Path

import pytest

from gradcam_core.system.cache_folders import ensure_cache_folders, user_name

NAMES = ("HF_HOME", "TORCH_HOME", "MPLCONFIGDIR")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in (*NAMES, "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def no_name() -> str:
    raise KeyError("getpwuid(): uid not found: 54321")  # OSError from Python 3.13 on


def test_who_has_a_home_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ensure_cache_folders() == ""
    assert not [name for name in NAMES if name in os.environ]


@pytest.mark.parametrize("home", ["/nonexistent/home", "/proc", "not/absolute", "~"])
def test_who_has_none_is_told_where_downloads_are_kept(
    home: str, monkeypatch: pytest.MonkeyPatch, environment: Path
):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # who tests may be root
    monkeypatch.setattr(getpass, "getuser", no_name)
    monkeypatch.setenv("HOME", home)
    notice = ensure_cache_folders()
    (folder,) = environment.iterdir()
    assert str(os.getuid()) in folder.name
    assert str(folder) in notice
    assert "HF_HOME" in notice
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {Path(os.environ[name]).parent for name in NAMES} == {folder}


def test_a_home_that_depends_on_where_one_is_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)  # which can be written
    monkeypatch.setenv("HOME", "at/home")
    assert ensure_cache_folders()
    assert Path(os.environ["HF_HOME"]).is_absolute()
    assert not (tmp_path / "at").exists()


def test_a_cache_that_is_there_or_named_is_used_also_if_it_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".config" / "matplotlib").mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", "/opt/weights")
    assert ensure_cache_folders() == ""  # of fonts' names nobody needs to know
    assert "HF_HOME" not in os.environ
    assert os.environ["TORCH_HOME"] == "/opt/weights"
    assert "MPLCONFIGDIR" in os.environ


def test_a_folder_that_somebody_else_can_write_to_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, environment: Path
):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("HOME", "/nonexistent")
    theirs = environment / f"gradcam-caches-{user_name()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    ensure_cache_folders()
    assert Path(os.environ["HF_HOME"]).parent not in (theirs, environment)
