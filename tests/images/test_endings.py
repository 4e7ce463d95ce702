"""Files that end too early: shown if all pixels are there, told if not."""

from __future__ import annotations

import io
import re
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from gradcam_core import ImageError, read_picture
from gradcam_core.images.formats.completeness.jpeg_data import DAMAGED_INSIDE
from tests.support.handmade_pictures import bmp, png
from tests.support.photos import PHOTOS

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


COARSE = "The file lacks the last part of a progressive JPEG"


def test_a_progressive_jpeg_that_was_cut_and_ended_is_coarse_and_said(cat: Image.Image):
    data = saved(cat, "JPEG", progressive=True)
    assert read_picture(data).notices == ()
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    early = scans[0] + (scans[1] - scans[0]) // 2  # in the scan that has all blocks
    with pytest.raises(ImageError, match=INCOMPLETE):
        read_picture(data[:early].rstrip(b"\xff") + JPEG_END)
    whole = np.asarray(cat, int)
    for kept in (*scans[1:], scans[4] + 99, len(data) // 2, len(data) - 40):
        decoded = read_picture(data[:kept].rstrip(b"\xff") + JPEG_END)
        (notice,) = decoded.notices
        assert notice.startswith(COARSE)
        assert np.abs(np.asarray(decoded.image, int) - whole).mean() < 30


def test_a_jpeg_that_lacks_the_scans_of_its_colours_is_told(cat: Image.Image):
    data = saved(cat, "JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    grey = data[: first + 4] + b"\1\1\0" + data[first + 11 :]  # of one component alone
    for at in (data.index(b"\xff\xda", first + 2), len(data)):
        with pytest.raises(ImageError, match="incomplete"):
            read_picture(grey[: at - 4] + JPEG_END)


@pytest.mark.parametrize(
    "kind", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}]
)
def test_a_jpeg_that_is_damaged_in_its_middle_says_so(cat: Image.Image, kind: dict[str, Any]):
    whole = saved(cat, "JPEG", **kind)
    remark = whole[:20] + bytes(5) + whole[20:]  # between two headers
    first = whole.index(b"\xff\xda") + 2
    padded = whole[:first] + re.sub(rb"(?=\xff[\xd0-\xd9\xc4])", bytes(8), whole[first:])
    assert [read_picture(one).notices for one in (whole, remark, padded)] == [()] * 3
    assert np.array_equal(pixels(padded), pixels(whole))
    place, count = len(whole) // 3, 512
    told = set()
    for instead in (bytes(count), b"\xff" * count, whole[2000 : 2000 + count]):
        with suppress(ImageError):  # if so much is missing that it is not shown
            told.add(read_picture(whole[:place] + instead + whole[place + count :]).notices)
    assert told == {(DAMAGED_INSIDE,)}


def zero_filled(data: bytes, share: float) -> bytes:
    kept = int(len(data) * share)
    return data[:kept] + bytes(len(data) - kept)


@pytest.mark.parametrize("share", [0.31, 0.553])
@pytest.mark.parametrize(
    ("encoding", "mode"), [("BMP", "RGB"), ("BMP", "L"), ("PPM", "RGB"), ("TIFF", "RGB")]
)
def test_rows_that_end_in_their_middle_get_a_notice(
    cat: Image.Image, encoding: str, mode: str, share: float
):
    file = io.BytesIO()
    if encoding == "TIFF":  # which Pillow writes with its tags at the end
        tifffile.imwrite(file, np.asarray(cat), photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    else:
        cat.convert(mode).save(file, encoding)
    assert read_picture(file.getvalue()).notices == ()
    (notice,) = read_picture(zero_filled(file.getvalue(), share)).notices
    assert notice.startswith("From the middle of a row on the picture has one colour")


@pytest.mark.parametrize(
    ("name", "share"), [("chelsea", 0.2), ("chelsea", 0.22), ("astronaut", 0.85)]
)
def test_the_first_colour_of_a_palette_may_also_stand_before_and_above_the_cut(
    name: str, share: float
):
    photo = Image.open(PHOTOS / f"{name}.png")
    data = saved(photo.convert("P", palette=Image.Palette.ADAPTIVE), "TIFF")
    assert read_picture(data).notices == ()
    (notice,) = read_picture(zero_filled(data, share)).notices
    assert notice.startswith("From the middle of a row on the picture has one colour")


def test_a_black_border_or_background_is_no_cut(cat: Image.Image):
    down, across = np.mgrid[: cat.height, : cat.width]
    round_ = (down - 150) ** 2 + (across - 200) ** 2 > 120**2
    for black in (down >= 200, (down >= 200) | (across < 40) | (across >= 380), round_):
        photo = np.asarray(cat).copy()
        photo[black] = 0
        assert read_picture(saved(Image.fromarray(photo), "PPM")).notices == ()


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("colours", [[0, 0, 90], [0, 0, 255], [255, 0, 0], [7, 9, 0]])
def test_a_bmp_with_a_palette_lacks_no_pixel_in_silence(bits: int, colours: list[int]):
    """Whatever the decoder puts in its place may have its colour."""
    indices = np.random.default_rng(3).integers(0, min(3, 2**bits), (9, 40), np.uint8)
    stride = -(-40 * bits // 32) * 4
    samples = np.zeros((9, stride * 8 // bits), np.uint8)
    samples[:, :40] = indices[::-1]
    places = np.arange(8 // bits)[::-1] * bits
    packed = (samples.reshape(9, stride, -1) << places).sum(2).astype(np.uint8)
    palette = b"".join(bytes([grey] * 3 + [0]) for grey in colours[: 2**bits])
    data = bmp.file(40, 9, packed.tobytes(), bits=bits, palette=palette)
    expected = np.array(colours)[indices]
    padding = stride - 40 * bits // 8
    for kept in range(len(data) - 30, len(data) + 1):
        missing = len(data) - kept
        try:
            got = pixels(data[:kept])[:, :, 0]
        except ImageError:
            assert missing > padding
        else:
            assert np.array_equal(got, expected)


def test_a_photo_on_white_is_not_taken_for_incomplete(cat: Image.Image):
    photo = Image.new("RGB", (cat.width + 64, cat.height + 64), "white")
    photo.paste(cat, (32, 32))
    for options in ({}, {"progressive": True}, {"optimize": True}):
        decoded = read_picture(saved(photo, "JPEG", **options))
        assert np.abs(np.asarray(decoded.image, int) - np.asarray(photo, int)).mean() < 4


def test_a_webp_that_says_a_wrong_length_is_shown(cat: Image.Image):
    data = saved(cat, "WEBP")
    expected = pixels(data)
    for wrong in (0, 2, 1000, 2**32 - 1):
        relabelled = data[:4] + struct.pack("<I", wrong) + data[8:]
        assert np.array_equal(pixels(relabelled), expected)


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
