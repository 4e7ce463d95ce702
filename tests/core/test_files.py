"""A file is whole or not there at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcam_core.system.files import atomic_write


@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_file_appears_when_it_is_whole(tmp_path: Path, is_flushed: bool):
    path = tmp_path / "result.bin"
    path.write_bytes(b"before")
    with atomic_write(path, is_flushed) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_nothing_has_changed(tmp_path: Path):
    path = tmp_path / "result.bin"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"half of", "what is no bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path):
    path = tmp_path / "result.bin"
    with atomic_write(path) as first:
        first.write(b"first")
        with atomic_write(path, partial=tmp_path / ".mine") as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
