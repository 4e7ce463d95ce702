"""Pictures of more pixels than are kept are read at half their size, a quarter or an eighth."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.errors import ImageError
from gradcam_core.images.formats import pillow, reduced
from gradcam_core.images.limits import MAX_PIXELS
from gradcam_core.images.pixels.orientation import upright
from gradcam_core.images.sandbox import Reader
from tests.support.handmade_pictures import jpeg, png

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory")


def encoded(image: Image.Image, encoding: str, **options) -> bytes:
    file = io.BytesIO()
    if encoding == "HEIC":
        pillow_heif.from_pillow(image).save(file, quality=90)
    else:
        image.save(file, encoding, **options)
    return file.getvalue()


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    """As if the largest picture had so many pixels: the cat has 135,300."""
    limit = 100_000
    monkeypatch.setattr(reduced, "MAX_PIXELS", limit)
    monkeypatch.setattr(pillow, "MAX_PIXELS", limit)
    return limit


def difference(got: Image.Image, expected: Image.Image) -> float:
    return float(np.abs(np.asarray(got, float) - np.asarray(expected, float)).mean())


ENCODINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("JPEG", {"quality": 95}),
    "progressive JPEG": ("JPEG", {"quality": 95, "progressive": True}),
    "grey JPEG": ("JPEG", {"quality": 95}),
    "CMYK JPEG": ("JPEG", {"quality": 95}),
    "PNG": ("PNG", {}),
    "PNG, clear": ("PNG", {}),
    "PNG, palette": ("PNG", {}),
    "PNG, grey": ("PNG", {}),
    "WebP": ("WEBP", {"quality": 95}),
    "WebP, clear": ("WEBP", {"lossless": True, "quality": 0, "method": 0}),
    "HEIC": ("HEIC", {}),
    "AVIF": ("AVIF", {"quality": 90, "speed": 10}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
}


def changed(cat: Image.Image, name: str) -> Image.Image:
    """As it is encoded."""
    if "clear" in name:
        clear = cat.convert("RGBA")
        clear.putalpha(Image.linear_gradient("L").resize(cat.size))
        return clear
    if "palette" in name or name == "GIF":
        return cat.quantize()
    if "grey" in name:
        return cat.convert("L")
    return cat.convert("CMYK") if "CMYK" in name else cat


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.usefixtures("small_limit")
def test_each_format_is_read_at_half_its_size(cat: Image.Image, name: str):
    encoding, options = ENCODINGS[name]
    image = changed(cat, name)
    decoded = gc.read_picture(encoded(image, encoding, **options))
    on_white = Image.new("RGBA", cat.size, "white")
    on_white.alpha_composite(image.convert("RGBA"))
    expected = on_white.convert("RGB").reduce(2)
    assert decoded.image.size == expected.size == (226, 150)
    assert difference(decoded.image, expected) < 3
    assert decoded.notices == ("The picture of 451 x 300 pixels was read at half its size.",)


@pytest.mark.parametrize(("limit", "scale", "words"), [
    (135_300, 1, ""), (135_299, 2, "half"), (30_000, 4, "a quarter of"), (5_000, 8, "an eighth of"),
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["JPEG", "PNG"])
def test_no_smaller_than_it_must_be(
    cat: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    limit: int,
    scale: int,
    words: str,
):
    monkeypatch.setattr(reduced, "MAX_PIXELS", limit)
    decoded = gc.read_picture(encoded(cat, encoding))
    expected = cat.reduce(scale)
    assert decoded.image.size == expected.size
    assert difference(decoded.image, expected) < 6
    said = (f"The picture of 451 x 300 pixels was read at {words} its size.",) if words else ()
    assert decoded.notices == said


@pytest.mark.parametrize(
    ("encoding", "orientation"),
    [*(("JPEG", n) for n in range(1, 9)), *product(("PNG", "WEBP", "AVIF"), (3, 6))],
)
@pytest.mark.usefixtures("small_limit")
def test_it_is_turned_upright(cat: Image.Image, encoding: str, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quick = {"AVIF": {"speed": 10}, "WEBP": {"method": 0}}.get(encoding, {})
    decoded = gc.read_picture(encoded(cat, encoding, exif=exif, quality=95, **quick))
    expected = upright(cat, orientation)
    assert difference(decoded.image, expected.reduce(2)) < 6
    width, height = expected.size
    said = f"The picture of {width} x {height} pixels was read at half its size."
    assert decoded.notices == (said,)


@pytest.mark.usefixtures("small_limit")
def test_the_first_of_several_pictures_in_a_jpeg(cat: Image.Image):
    other = Image.new("RGB", cat.size, "blue")
    data = encoded(cat, "MPO", save_all=True, append_images=[other], quality=95)
    decoded = gc.read_picture(data)
    assert difference(decoded.image, cat.reduce(2)) < 3
    assert any("half its size" in notice for notice in decoded.notices)


@pytest.mark.usefixtures("small_limit")
def test_a_window_is_applied_at_the_smaller_size(cat: Image.Image):
    for encoding in ("JPEG", "PNG"):
        data = encoded(cat, encoding)
        whole = np.asarray(gc.read_picture(data).image, float)
        seen = np.asarray(gc.read_picture(data, window=(50, 150)).image, float)
        assert np.abs(seen - np.clip((whole - 50) * 2.55, 0, 255)).max() <= 1


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
def test_a_large_picture_that_is_cut_off_is_told(cat: Image.Image, encoding: str):
    data = encoded(cat, encoding)
    with pytest.raises(ImageError, match=r"incomplete"):
        gc.read_picture(data[: len(data) // 2])


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.stop()


PHONE = 9248, 6936  # 64 megapixels


@linux
def test_photos_of_phones_are_read_within_the_limits_of_memory(reader: Reader):
    size = 16_320, 12_240
    exif = Image.Exif()
    exif[0x0112] = 6
    left_red = Image.new("L", size)
    left_red.paste(255, (0, 0, size[0] // 2, size[1]))
    decoded = reader.read_picture(encoded(left_red, "JPEG", exif=exif))
    assert decoded.image.size == (size[1] // 4, size[0] // 4)
    top, bottom = (decoded.image.getpixel((9, y)) for y in (9, decoded.image.height - 9))
    assert (top, bottom) == ((255, 255, 255), (0, 0, 0))  # its left is now above


@linux
def test_other_formats_of_64_megapixels_too(reader: Reader):
    decoded = reader.read_picture(png.flat(*PHONE, 8, 2))
    assert decoded.image.size == (PHONE[0] // 2, PHONE[1] // 2)


@linux
def test_a_lossless_webp_of_64_megapixels_is_read_at_half_its_size(reader: Reader):
    picture = Image.new("RGB", PHONE, "red")
    picture.paste("blue", (0, 0, PHONE[0] // 2, PHONE[1]))
    got = reader.read(encoded(picture, "WEBP", lossless=True, quality=0, method=0))
    assert got.size == (PHONE[0] // 2, PHONE[1] // 2)
    assert [got.getpixel((x, 99)) for x in (0, got.width - 1)] == [(0, 0, 255), (255, 0, 0)]


@pytest.mark.parametrize("is_lossless", [False, True])
@pytest.mark.usefixtures("small_limit")
def test_a_webp_is_read_the_same_without_libwebp_s_own_scaling(
    cat: Image.Image, monkeypatch: pytest.MonkeyPatch, is_lossless: bool
):
    data = encoded(cat, "WEBP", lossless=is_lossless)
    scaled = gc.read_picture(data)
    monkeypatch.setattr(pillow, "is_available", lambda: False)
    averaged = gc.read_picture(data)
    assert averaged.notices == scaled.notices
    assert difference(averaged.image, scaled.image) < 3


@linux
def test_a_progressive_jpeg_is_read_as_large_as_memory_allows(reader: Reader):
    side = int(MAX_PIXELS**0.5) // 16 * 16
    data = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True, subsampling=0)
    assert reader.read_picture(data).image.size == (side // 2, side // 2)


def test_a_progressive_jpeg_that_takes_too_much_memory_is_told_how_to_save_it():
    with pytest.raises(ImageError) as error:
        gc.read_picture(jpeg.many_scans(12_000, 9_000, 2, 3))
    assert str(error.value) == (
        "The picture is a progressive JPEG of 12000 x 9000 pixels, which takes too much memory to "
        "decode. Save it as an ordinary (baseline) JPEG, or make it smaller."
    )


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_too_large_for_its_format_is_told(bits: int):
    first_rows = png.deflated([bytes(12_000 * 3 * bits // 8)] * 9)
    data = png.file(png.ihdr(12_000, 9_000, bits, 2), png.chunk(b"IDAT", first_rows))
    with pytest.raises(ImageError, match=r"250 million of a JPEG, at a smaller size"):
        gc.read_picture(data)
