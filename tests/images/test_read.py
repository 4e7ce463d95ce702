"""Any picture a person may have becomes upright 8-bit RGB, or a sentence that says why not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from gradcam_core import read_image
from gradcam_core.errors import ImageError
from gradcam_core.images import limits as images
from tests.support.handmade_pictures import png


def encoded(image: Image.Image, format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(cat: Image.Image, orientation: int):
    # What a viewer must show is the cat; what is stored is the cat turned the other way.
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = cat if inverse is None else cat.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = read_image(encoded(stored, "PNG", exif=exif))
    assert upright.size == cat.size
    assert np.array_equal(np.asarray(upright), np.asarray(cat))


def test_transparency_is_composited_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert read_image(clear).getpixel((1, 1)) == (255, 255, 255)
    assert read_image(encoded(half, "PNG")).getpixel((1, 1)) == (127, 127, 127)
    grey = Image.new("LA", (4, 4), (0, 0))
    assert read_image(encoded(grey, "PNG")).getpixel((1, 1)) == (255, 255, 255)


def test_transparent_colour_of_a_palette_is_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    picture = read_image(encoded(palette, "PNG", transparency=0))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


def test_sixteen_bits_keep_their_upper_eight():
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    picture = read_image(encoded(Image.fromarray(values), "PNG"))
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (100,) * 3, (255,) * 3]


def test_a_dark_sixteen_bit_picture_stays_dark():
    values = np.full((3, 3), 20_000, dtype=np.uint16)
    assert read_image(encoded(Image.fromarray(values), "TIFF")).getpixel((1, 1)) == (78, 78, 78)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "F", "I"])
def test_every_mode_shows_the_same_picture(cat: Image.Image, mode: str):
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        other = ImageCms.profileToProfile(cat, *profiles, outputMode="LAB")
        assert other
    else:
        other = cat.quantize() if mode == "P" else cat.convert(mode)
    assert read_image(other).size == cat.size
    # Halftones and palettes agree on average, not pixel by pixel.
    got, expected = (
        np.asarray(p.convert("L").reduce(10)).ravel() for p in (read_image(other), cat)
    )
    assert np.corrcoef(got, expected)[0, 1] > 0.97


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP"])
def test_common_formats_are_read_from_path_and_bytes(cat: Image.Image, format: str, tmp_path: Path):
    data = encoded(cat, format)
    path = tmp_path / "photo"
    path.write_bytes(data)
    assert read_image(data).size == read_image(path).size == cat.size
    assert read_image(data).mode == "RGB"


def test_cmyk_jpeg_is_not_inverted(cat: Image.Image):
    got = np.asarray(read_image(encoded(cat.convert("CMYK"), "JPEG", quality=95)), dtype=float)
    assert np.abs(got - np.asarray(cat, dtype=float)).mean() < 6


def test_an_animation_gives_its_first_frame(cat: Image.Image):
    frames = [ImageOps.invert(cat), cat]
    data = encoded(cat, "GIF", save_all=True, append_images=frames)
    got = np.asarray(read_image(data).convert("L"), dtype=float)
    assert np.corrcoef(got.ravel(), np.asarray(cat.convert("L")).ravel())[0, 1] > 0.95


def test_an_array_is_taken_as_it_is():
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(read_image(rgb)), rgb)
    assert read_image(rgb[:, :, 0]).size == (7, 5)
    assert read_image(np.dstack([rgb, np.full((5, 7), 255, np.uint8)])).mode == "RGB"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"", "^The file is empty"),
        ("", "^The name of the picture is empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not supported"),
        (b"%PDF-1.7 ...", "not supported"),
        ("no/such/file.jpg", "no file"),
        (".", "folder"),
        ("a\0b.jpg", "No file can have the name"),
        ("\ud800.jpg", r"No file can have the name \\ud800\.jpg"),
        (
            "https://a.example/b.jpg",
            r"^https://a\.example/b\.jpg is an address, but nothing is fetched",
        ),
        ("file:///b.jpg", r"^file:///b\.jpg is an address"),
        (f"data:image/png;base64,{'A' * 999}", r"^data:image/png;.{1,80} is an address"),
        ("x" * 300 + ".jpg", "cannot be read"),
        (np.zeros((1, 70_000), dtype=np.uint8), "too large"),
        (np.zeros((4, 4, 3), complex), "real numbers"),
        (np.zeros((4, 4, 2), dtype=np.uint8), "shape"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "empty"),
    ],
)
def test_what_is_no_picture_gets_a_sentence(bad, words: str):
    with pytest.raises(ImageError, match=words):
        read_image(bad)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_gets_a_sentence(cat: Image.Image, format: str, share: float):
    data = encoded(cat, format)
    with pytest.raises(ImageError):
        read_image(data[: int(share * len(data))])


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch):
    data = png.file(png.ihdr(20_000, 20_000), png.chunk(b"IDAT", b"x"))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match=r"too large: up to 48\.8 million pixels"):
        read_image(data)
    assert images.MAX_PIXELS >= 8000 * 6000
