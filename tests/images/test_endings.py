"""Files that end too early: shown if all pixels are there, told if not."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from gradcam_core import ImageError, read_picture
from tests.support.handmade_pictures import png

INCOMPLETE = r"^The picture is incomplete: its file ends before the last of its pixels\."
JPEG_END = b"\xff\xd9"


def saved(picture: Image.Image, encoding: str, **options: object) -> bytes:
    file = io.BytesIO()
    if encoding == "HEIC":
        pillow_heif.from_pillow(picture).save(file)
    else:
        picture.save(file, encoding, **options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(read_picture(data).image)


JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_blocks": 8},
    "grey": {"mode": "L"},
}
WHOLE_TAILS = {
    "no end": b"",
    "half of the end": b"\xff",
    "zeros": bytes(700),
    "a text": b"\r\n--boundary--" * 9,
    "end and junk": JPEG_END + b"junk" * 99,
}


@pytest.mark.parametrize("tail", WHOLE_TAILS)
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_of_which_all_pixels_are_there_is_shown(cat: Image.Image, kind: str, tail: str):
    options = dict(JPEGS[kind])
    data = saved(cat.convert(str(options.pop("mode", "RGB"))), "JPEG", **options)
    assert np.array_equal(pixels(data[:-2] + WHOLE_TAILS[tail]), pixels(data))


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_whose_last_pixels_are_missing_is_told_whatever_follows(cat: Image.Image, kind: str):
    options = dict(JPEGS[kind])
    data = saved(cat.convert(str(options.pop("mode", "RGB"))), "JPEG", **options)
    for kept in (len(data) - 3, len(data) - 40, len(data) * 7 // 10):
        is_much = kept < len(data) - 40 and kind != "progressive"  # which has all blocks early
        for tail in (b"", bytes(700), *((JPEG_END,) if is_much else ())):
            with pytest.raises(ImageError, match=INCOMPLETE):
                read_picture(data[:kept].rstrip(b"\xff") + tail)


def test_a_progressive_jpeg_that_is_cut_in_the_header_of_a_scan_is_told(cat: Image.Image):
    data = saved(cat.convert("CMYK"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    for kept in range(last + 2, last + 9):
        with pytest.raises(ImageError, match="incomplete"):
            read_picture(data[:kept])


def test_a_photo_on_white_is_not_taken_for_incomplete(cat: Image.Image):
    photo = Image.new("RGB", (cat.width + 64, cat.height + 64), "white")
    photo.paste(cat, (32, 32))
    for options in ({}, {"progressive": True}, {"optimize": True}):
        decoded = read_picture(saved(photo, "JPEG", **options))
        assert np.abs(np.asarray(decoded.image, int) - np.asarray(photo, int)).mean() < 4


@pytest.mark.parametrize("wrong", [0, 2, 1000, 2**32 - 1])
@pytest.mark.parametrize("is_lossless", [True, False])
def test_a_webp_that_says_a_wrong_length_is_shown(cat: Image.Image, is_lossless: bool, wrong: int):
    data = saved(cat, "WEBP", lossless=is_lossless)
    relabelled = data[:4] + struct.pack("<I", wrong) + data[8:]
    assert np.array_equal(pixels(relabelled), pixels(data))


@pytest.mark.parametrize("encoding", ["WEBP", "HEIC", "AVIF", "GIF", "PNG", "TIFF"])
def test_a_download_that_was_not_finished_is_told(cat: Image.Image, encoding: str):
    options = {"compression": "tiff_lzw"} if encoding == "TIFF" else {}
    data = saved(cat, encoding, **options)
    half = len(data) // 2
    for rest in (b"", bytes(len(data) - half)):
        with pytest.raises(ImageError, match="incomplete"):
            read_picture(data[:half] + rest)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_a_tiff_whose_tags_are_cut_off_is_no_other_picture(cat: Image.Image, compression: str):
    data = saved(cat, "TIFF", compression=compression)  # its tags are at its end
    for count in (1, 4, 9):
        with pytest.raises(ImageError, match="damaged or incomplete"):
            read_picture(data[:-count])


def test_padding_behind_the_last_pixels_may_be_missing(cat: Image.Image):
    odd = cat.crop((0, 0, 161, 120))  # rows of BMP are padded to four bytes
    data = saved(odd, "BMP")
    assert np.array_equal(pixels(data[:-1]), np.asarray(odd))
    with pytest.raises(ImageError, match=INCOMPLETE):
        read_picture(data[:-5])
    data = saved(cat.convert("P"), "GIF")
    assert np.array_equal(pixels(data[:-3]), pixels(data))


@pytest.mark.parametrize("depth", [1, 8, 16])
@pytest.mark.parametrize("is_interlaced", [False, True])
def test_a_png_without_its_last_rows_is_told(depth: int, is_interlaced: bool):
    def packed(bytes_: bytes) -> bytes:
        head = struct.pack(">IIBBBBB", 9, 24, depth, 0, 0, 0, is_interlaced)
        return png.file(png.chunk(b"IHDR", head), png.chunk(b"IDAT", zlib.compress(bytes_)))

    steps = [(9, 24)]
    if is_interlaced:  # the passes of Adam7, counted by hand
        steps = [(2, 3), (1, 3), (3, 3), (2, 6), (5, 6), (4, 12), (9, 12)]
    rows = b"".join((1 + -(-columns * depth // 8)) * b"\0" * rows for columns, rows in steps)
    assert read_picture(packed(rows)).image.size == (9, 24)
    for count in (1, 1 + -(-9 * depth // 8), len(rows) // 2):
        with pytest.raises(ImageError, match="incomplete"):
            read_picture(packed(rows[:-count]))
