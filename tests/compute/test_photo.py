"""A visitor's photo: where it may come from, decoded once, and made small for the page."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from demo.compute.photo import GONE, PREVIEW_MAX_SIDE_PX, PhotoStore
from gradcam_core.images.sandbox import read_picture_isolated


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def preview(store: PhotoStore, content: bytes) -> tuple[bytes, int, int]:
    return asyncio.run(store.from_bytes(content).preview())


@pytest.fixture
def store() -> Iterator[PhotoStore]:
    store = PhotoStore()
    yield store
    store.close()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What has been decoded, once for each time."""
    calls: list[bytes] = []

    def read(data: bytes, window: gc.Window | None) -> gc.Decoded:
        calls.append(data)
        return read_picture_isolated(data, window)

    monkeypatch.setattr("demo.compute.photo.read_picture_isolated", read)
    return calls


def test_a_photo_is_named_by_its_bytes(store: PhotoStore, cat_path: Path):
    photo = store.open(cat_path, cat_path.parent)
    assert photo.id == hashlib.sha256(cat_path.read_bytes()).hexdigest()
    assert photo.id != store.from_bytes(cat_path.read_bytes() + b"\0").id


def test_all_requests_for_a_photo_share_one_decoding(
    store: PhotoStore, cat: Image.Image, decoded: list[bytes]
):
    data = encoded(cat)
    photo = store.from_bytes(data)
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: photo.picture, range(8)))
    assert all(picture is pictures[0] for picture in pictures)
    assert store.from_bytes(data).picture is pictures[0]  # the same file, uploaded again
    assert decoded == [data]
    np.testing.assert_array_equal(np.asarray(pictures[0]), np.asarray(cat))


def test_a_photo_through_a_window_is_another_one_and_notices_outlive_it(
    cat_path: Path, decoded: list[bytes]
):
    store = PhotoStore(max_bytes=1)  # keeps no picture
    data = cat_path.read_bytes()
    plain = store.from_bytes(data)
    windows = (gc.Window(10, 90), gc.Window(10, 90), gc.Window(10, 91))
    seen = [store.open(cat_path, cat_path.parent, window) for window in windows]
    assert seen[0].id == seen[1].id
    assert len({one.id for one in (plain, *seen)}) == 3
    for photo, count in ((plain, 0), (seen[0], 1), (seen[2], 1)):
        assert len(asyncio.run(photo.notes()).notices) == count
    decodings = len(decoded)
    assert len(asyncio.run(seen[1].notes()).notices) == 1
    assert len(decoded) == decodings
    assert np.asarray(seen[0].picture).max() == 255
    store.close()


def test_no_more_decoded_bytes_are_kept_than_allowed(decoded: list[bytes]):
    store = PhotoStore(max_bytes=100 * 100 * 4 * 2)
    files = [encoded(Image.new("RGB", (100, 100), (n, 0, 0))) for n in range(3)]
    large = encoded(Image.new("RGB", (300, 300)))
    for n in (0, 1, 2):
        assert store.from_bytes(files[n]).picture.getpixel((0, 0)) == (n, 0, 0)
    assert store.from_bytes(large).picture.size == (300, 300)
    decoded.clear()
    for n in (1, 2):  # kept; what is larger than all that may be kept took nothing's place
        store.from_bytes(files[n]).picture  # noqa: B018
    assert decoded == []
    assert store.from_bytes(files[0]).picture.getpixel((0, 0)) == (0, 0, 0)
    assert decoded == [files[0]]
    store.close()


def test_the_preview_is_the_photo_as_a_jpeg(store: PhotoStore, cat: Image.Image):
    data, width, height = preview(store, encoded(cat))
    assert (width, height) == cat.size
    with Image.open(io.BytesIO(data)) as shown:
        assert (shown.format, shown.size, shown.mode) == ("JPEG", cat.size, "RGB")
        assert np.abs(np.asarray(shown, dtype=float) - np.asarray(cat)).mean() < 4


@pytest.mark.parametrize(
    ("size", "smaller"),
    [((2800, 2100), (1400, 1050)), ((2100, 2800), (1050, 1400)), ((9000, 3), (2250, 1))],
)
def test_the_preview_of_a_large_photo_is_smaller(
    store: PhotoStore, size: tuple[int, int], smaller: tuple[int, int]
):
    assert PREVIEW_MAX_SIDE_PX / 2 < max(smaller) <= PREVIEW_MAX_SIDE_PX
    data, *told = preview(store, encoded(Image.new("RGB", size, "red")))
    assert tuple(told) == smaller
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == smaller


def test_the_preview_of_a_photo_on_its_side_is_upright(store: PhotoStore, cat: Image.Image):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(cat.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert preview(store, turned)[1:] == cat.size


def test_what_is_no_picture_is_an_error_for_people(store: PhotoStore):
    photo = store.from_bytes(b"this is not a picture")
    for _ in range(2):
        with pytest.raises(gc.ImageError, match="not a picture"):
            photo.picture  # noqa: B018


def test_only_files_in_the_folder_can_be_opened(store: PhotoStore, cat_path: Path, tmp_path: Path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "cat.png").write_bytes(cat_path.read_bytes())
    (tmp_path / "secret.png").write_bytes(cat_path.read_bytes())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert store.open(folder / "cat.png", folder).picture.size == (451, 300)
    for path in (
        tmp_path / "secret.png",
        folder / ".." / "secret.png",
        folder / "link.png",
        folder / "missing.png",
        folder / "nul\0.png",
        folder,
        Path("abc/cat.png"),
        Path("/etc/passwd"),
        Path(""),
    ):
        with pytest.raises(gc.ImageError) as error:
            store.open(path, folder)
        assert str(error.value) == GONE
