"""A visitor's photo: where it may come from, decoded once, and drawn for the page."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cachetools
import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from demo.compute import photo as photos
from demo.compute.photo import GONE, SHOWN, PhotoFile, open_photo, open_upload
from gradcam_core.images.sandbox import read_isolated


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> cachetools.LRUCache:
    kept: cachetools.LRUCache = cachetools.LRUCache(photos.KEPT_BYTES, getsizeof=photos._size)
    monkeypatch.setattr(photos, "_kept", kept)
    return kept


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been decoded, once for each time."""
    calls: list[bytes] = []

    def read(data: bytes) -> Image.Image:
        calls.append(data)
        return read_isolated(data)

    monkeypatch.setattr(photos, "read_isolated", read)
    return calls


def test_a_photo_is_named_by_its_bytes(cat_path: Path):
    photo = open_photo(cat_path, cat_path.parent)
    assert photo.id == hashlib.sha256(cat_path.read_bytes()).hexdigest()
    assert photo.id != PhotoFile(cat_path.read_bytes() + b"\0").id


def test_those_who_look_at_a_photo_share_one_decoding(cat: Image.Image, decoded: list[bytes]):
    data = encoded(cat)
    photo = PhotoFile(data)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: photo.picture, range(8)))
    assert all(picture is pictures[0] for picture in pictures)
    assert PhotoFile(data).picture is pictures[0]  # the same file, uploaded again
    assert decoded == [data]
    np.testing.assert_array_equal(np.asarray(pictures[0]), np.asarray(cat))


def test_no_more_decoded_bytes_are_kept_than_allowed(
    decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
):
    kept: cachetools.LRUCache = cachetools.LRUCache(100 * 100 * 4 * 2, getsizeof=photos._size)
    monkeypatch.setattr(photos, "_kept", kept)
    files = [PhotoFile(encoded(Image.new("RGB", (100, 100), (n, 0, 0)))) for n in range(3)]
    for file in files:
        file.picture  # noqa: B018
    assert set(kept) == {files[1].id, files[2].id}
    large = PhotoFile(encoded(Image.new("RGB", (300, 300))))
    assert large.picture.size == (300, 300)
    assert set(kept) == {files[1].id, files[2].id}
    assert files[0].picture.getpixel((0, 0)) == (0, 0, 0)  # decoded anew
    assert len(decoded) == 5


def test_the_photo_is_shown_as_a_jpeg_as_it_is(cat: Image.Image):
    data, width, height = PhotoFile(encoded(cat)).shown()
    assert (width, height) == cat.size
    with Image.open(io.BytesIO(data)) as shown:
        assert (shown.format, shown.size, shown.mode) == ("JPEG", cat.size, "RGB")
        assert np.abs(np.asarray(shown, dtype=float) - np.asarray(cat)).mean() < 4


@pytest.mark.parametrize(
    ("size", "shown"),
    [((4000, 3000), (2000, 1500)), ((3000, 4000), (1500, 2000)), ((9000, 3), (2250, 1))],
)
def test_a_large_photo_is_shown_smaller(size: tuple[int, int], shown: tuple[int, int]):
    assert SHOWN / 2 < max(shown) <= SHOWN
    data, *told = PhotoFile(encoded(Image.new("RGB", size, "red"))).shown()
    assert tuple(told) == shown
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == shown


def test_a_photo_on_its_side_is_shown_upright(cat: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(cat.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert PhotoFile(turned).shown()[1:] == cat.size


def test_what_is_no_picture_is_an_error_for_people():
    photo = PhotoFile(b"this is not a picture")
    for _ in range(2):
        with pytest.raises(gc.ImageError, match="not a picture"):
            photo.picture  # noqa: B018


def test_only_files_in_the_folder_can_be_opened(cat_path: Path, tmp_path: Path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "cat.png").write_bytes(cat_path.read_bytes())
    (tmp_path / "secret.png").write_bytes(cat_path.read_bytes())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert open_photo(folder / "cat.png", folder).picture.size == (451, 300)
    for path in (
        tmp_path / "secret.png",
        folder / ".." / "secret.png",
        folder / "link.png",
        folder / "missing.png",
        folder / "nul\0.png",
        folder,
        Path("/etc/passwd"),
        Path(""),
    ):
        with pytest.raises(gc.ImageError) as error:
            open_photo(path, folder)
        assert str(error.value) == GONE


def test_an_upload_is_found_where_the_server_puts_it(
    cat_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads" / "abc").mkdir(parents=True)
    path = tmp_path / "uploads" / "abc" / "cat.png"
    path.write_bytes(cat_path.read_bytes())
    assert open_upload(str(path)).picture.size == (451, 300)
    for wrong in (str(cat_path), "", "abc/cat.png", f"{path}/../../../secret.png"):
        with pytest.raises(gc.ImageError, match="no longer on the server"):
            open_upload(wrong)
