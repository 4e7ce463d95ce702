"""Raw photos are shown by a preview of full size, or are told."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.errors import ImageError
from gradcam_core.images.formats import reduced
from gradcam_core.images.pixels.orientation import upright
from gradcam_core.images.sandbox import Reader
from tests.support.handmade_pictures import heif
from tests.support.handmade_pictures.raw import dng

NOTICE = "This is a raw photo; its full-size preview, as the camera has developed it, is shown."


@pytest.fixture(scope="module")
def photo(cat: Image.Image) -> Image.Image:
    return cat.resize((480, 320))


def difference(got: Image.Image, photo: Image.Image) -> float:
    return float(np.abs(np.asarray(got, float) - np.asarray(photo.resize(got.size), float)).mean())


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("is_jpeg", [True, False])
def test_a_preview_of_full_size_is_shown_upright(
    photo: Image.Image, orientation: int, is_jpeg: bool
):
    data = dng(photo, photo.size, orientation=orientation, is_jpeg=is_jpeg)
    decoded = gc.read_picture(data)
    assert decoded.image.size == (photo.size if orientation in (1, 3) else photo.size[::-1])
    assert difference(decoded.image, upright(photo, orientation)) < 3
    assert decoded.notices == (NOTICE,)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_little_of_the_raw_picture_may_be_cut_off(photo: Image.Image, byte_order: str):
    decoded = gc.read_picture(dng(photo, (440, 294), byte_order=byte_order))
    assert decoded.image.size == (440, 294)
    assert difference(decoded.image, photo) < 4


@pytest.mark.parametrize(
    ("preview", "size"), [((424, 320), "424 x 320"), ((240, 160), "240 x 160"), (None, "60 x 40")]
)
def test_a_smaller_preview_is_told(photo: Image.Image, preview: tuple[int, int] | None, size: str):
    with pytest.raises(ImageError) as error:
        gc.read_picture(dng(photo, preview))
    assert str(error.value) == (
        f"This is a raw photo of 480 x 320 pixels with only a small preview in it ({size}), and "
        "raw photos are not developed here. Export it as JPEG from your camera or photo program, "
        "and use that."
    )


def test_a_preview_may_be_larger_than_what_is_kept(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(reduced, "MAX_PIXELS", 100_000)
    decoded = gc.read_picture(dng(photo, photo.size))
    assert decoded.image.size == (240, 160)
    said = "The picture of 480 x 320 pixels was read at half its size."
    assert decoded.notices == (NOTICE, said)


@pytest.mark.parametrize("is_jpeg", [True, False])
@pytest.mark.parametrize("missing", [1, 500, 5000])
def test_the_rest_of_a_preview_is_not_taken_from_another_photo(
    photo: Image.Image, is_jpeg: bool, missing: int
):
    data = dng(photo, photo.size, is_jpeg=is_jpeg)
    for _ in range(5):  # whose memory is free again
        gc.read_picture(data)
        with pytest.raises(ImageError, match="damaged or incomplete"):
            gc.read_picture(data[:-missing])


def test_a_raw_photo_is_read_by_any_name_and_in_the_sandbox(photo: Image.Image, tmp_path: Path):
    data = dng(photo, photo.size, orientation=6)
    path = tmp_path / "Köter & \udcff \n.jpg"
    path.write_bytes(data)
    expected = np.asarray(gc.read_picture(data).image)
    reader = Reader()
    for given in (data, path):
        np.testing.assert_array_equal(np.asarray(reader.read_picture(given).image), expected)
    reader.stop()


FORMATS = {
    "Canon CR2": struct.pack("<2sHL4sL", b"II", 42, 16, b"CR\2\0", 0) + bytes(500),
    "Canon CR3": heif.box(b"ftyp", b"crx \0\0\0\1crx isom") + heif.box(b"moov", bytes(500)),
    "Canon CRW": b"II\x1a\0\0\0HEAPCCDR\2\0\1\0" + bytes(500),
    "Fujifilm RAF": b"FUJIFILMCCD-RAW 0201FF159502X100" + bytes(500),
    "Olympus ORF": b"IIRO\x08\0\0\0" + bytes(500),
    "Panasonic RW2": b"IIU\0\x18\0\0\0" + bytes(500),
    "Minolta MRW": b"\0MRM\0\0\1\0\0PRD" + bytes(500),
    "Sigma X3F": b"FOVb\2\0\2\0" + bytes(500),
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_begins_like_a_raw_photo_and_is_none_is_told(name: str):
    with pytest.raises(ImageError, match=r"raw photo|damaged"):
        gc.read_picture(FORMATS[name])


def test_a_tiff_is_no_raw_photo(photo: Image.Image):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[271], exif[272] = "NIKON CORPORATION", "NIKON Z 7"  # as a photo program exports it
    photo.save(file, "TIFF", exif=exif)
    decoded = gc.read_picture(file.getvalue())
    np.testing.assert_array_equal(np.asarray(decoded.image), np.asarray(photo))
    assert decoded.notices == ()


def test_directories_that_lead_in_a_circle(photo: Image.Image, tmp_path: Path):
    data = bytearray(dng(photo, photo.size))
    (first,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<L", data, first + 2 + 12 * count, first)
    assert gc.read_picture(bytes(data)).notices == (NOTICE,)
