"""What is said beside a picture: of several frames the first, blank ones, and windows."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gradcam_core import ChoiceError, Decoded, ImageError, Window, read_picture
from gradcam_core.images.decoded import Brightness, window_of
from gradcam_core.images.sandbox import Reader
from tests.support.handmade_pictures import gif, png

NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def frames(format: str, count: int, **options) -> bytes:
    images = [Image.fromarray(np.roll(NOISE, n, axis=0)) for n in range(count)]
    file = io.BytesIO()
    if format == "HEIC":
        several = pillow_heif.from_pillow(images[0])
        for image in images[1:]:
            several.add_from_pillow(image)
        several.save(file)
    else:
        images[0].save(file, format, save_all=True, append_images=images[1:], **options)
    return file.getvalue()


ANIMATED = ["GIF", "WEBP", "PNG", "AVIF"]


@pytest.mark.parametrize("format", ANIMATED)
def test_an_animation_says_that_its_first_frame_is_shown(format: str):
    notices = read_picture(frames(format, 12)).notices
    assert notices == ("The file is an animation of 12 frames; the first one is shown.",)


@pytest.mark.parametrize("format", ["MPO", "HEIC"])
def test_a_file_of_several_pictures_says_that_the_first_is_shown(format: str):
    notices = read_picture(frames(format, 3)).notices
    assert notices == ("The file has 3 pictures; the first one is shown.",)


@pytest.mark.parametrize("format", [*ANIMATED, "MPO", "HEIC", "TIFF", "BMP", "JPEG", "PPM"])
def test_of_one_picture_nothing_is_said(format: str):
    if format in ("BMP", "JPEG", "PPM"):
        file = io.BytesIO()
        Image.fromarray(NOISE).save(file, format)
        data = file.getvalue()
    else:
        data = frames(format, 1)
    assert read_picture(data).notices == ()


def test_a_gif_of_very_many_frames_is_not_counted_to_its_end():
    data = gif.file(9, 9, gif.frame(9, 9) * 20_000)
    notice = read_picture(data).notices[0]
    assert "more than 10,000 frames" in notice


@pytest.mark.parametrize(
    "photo",
    [
        np.full((9, 9, 3), 255, np.uint8),
        np.full((9, 9), 7, np.uint16),
        np.full((9, 9), 0.5, np.float32),
        Image.new("1", (300, 200)),
        Image.new("RGBA", (300, 200)),
    ],
)
def test_a_blank_picture_is_told(photo):
    assert read_picture(photo).notices == ("The picture is blank: it has only one colour.",)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "TIFF", "TIFF of 16 bits"])
def test_pixels_that_are_no_squares_are_told(format: str):
    def notices(across: int, down: int) -> tuple[str, ...]:
        file, values = io.BytesIO(), np.arange(256).reshape(16, 16)
        picture = Image.fromarray(values.astype(np.uint8))
        if format == "TIFF of 16 bits":
            picture = Image.fromarray(values.astype(np.uint16) * 257)
        picture.save(file, format[:4].strip(), dpi=(across, down))
        return read_picture(file.getvalue()).notices

    assert notices(200, 100) == (
        "A pixel of the file is 2 times as high as wide, and is shown as a square.",
    )
    assert notices(90, 88) == ()  # by a screen, which nobody sees
    assert notices(100, 0) == ()


@pytest.mark.parametrize("values", [NOISE, NOISE[:, :, 0] * np.uint16(257)])
def test_a_tiff_with_a_resolution_in_one_direction_says_nothing_about_its_pixels(values):
    for tag in (282, 283):
        file = io.BytesIO()
        Image.fromarray(values).save(file, "TIFF", tiffinfo={tag: 2.0})
        assert read_picture(file.getvalue()).notices == ()


def test_ratios_without_a_unit_are_ignored_as_ffmpeg_writes_their_inverse():
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG")
    jpeg = file.getvalue().replace(b"\0\0\1\0\1\0\0", b"\0\0\x10\0\x0b\0\0", 1)
    assert Image.open(io.BytesIO(jpeg)).info["jfif_density"] == (16, 11)
    assert read_picture(jpeg).notices == ()
    ratio = PngInfo()
    ratio.add(b"pHYs", struct.pack(">IIB", 16, 11, 0))
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "PNG", pnginfo=ratio)
    assert read_picture(file.getvalue()).notices == ()


def test_one_pixel_of_another_colour_is_not_blank():
    picture = Image.new("RGB", (500, 400), "white")
    picture.putpixel((499, 399), (254, 255, 255))
    assert read_picture(picture).notices == ()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.stop()


def test_notices_and_window_go_through_the_pipe(tmp_path, reader: Reader):
    path = tmp_path / "picture"
    data = frames("GIF", 5)
    path.write_bytes(data)
    for photo in (data, path):
        here = read_picture(photo, Window(100, 200))
        there = reader.read_picture(photo, Window(100, 200))
        assert there.notices == here.notices
        assert len(there.notices) == 2
        assert there.image.tobytes() == here.image.tobytes()


def test_a_window_of_an_8_bit_picture_is_in_its_levels():
    values = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    decoded = read_picture(values, (50, 150))
    expected = np.clip((np.arange(256) - 50) / 100 * 255, 0, 255)
    assert np.abs(np.asarray(decoded.image, float)[0, :, 0] - expected).max() <= 0.51
    assert decoded.notices == ("The value 50 is shown black and 150 white: as requested.",)


def test_what_was_read_is_given_back():
    decoded = Decoded(Image.new("RGB", (3, 3)), ("a notice",))
    assert read_picture(decoded, (1, 2)) is decoded


GIVEN = [
    "-1000,400",
    "\u22121000,400",
    " -1000 , 4e2 ",
    (-1000, 400),
    [-1000.0, 400],
    Window(-1000, 400),
]


@pytest.mark.parametrize("given", GIVEN)
def test_a_window_is_two_numbers(given):
    assert window_of(given) == Window(-1000, 400)
    assert window_of(json.loads("[-1000, 400]")) == Window(-1000, 400)


@pytest.mark.parametrize("given", [None, "", " "])
def test_no_window_is_none(given):
    assert window_of(given) is None


@pytest.mark.parametrize(
    "given",
    [
        "400,-1000",
        "3,3",
        "nan,4",
        "0,inf",
        "dark",
        "1,2,3",
        "5",
        [1],
        [1, None],
        [1, "x"],
        7,
        {},
        [True, 5],
        [5, 5],
        [float("nan"), 1],
        "1;2",
        b"1,2",
        [10**400, 1],
        {"low": 1, "high": 2},
    ],
)
def test_nonsense_is_no_window(given):
    with pytest.raises(ChoiceError, match=r"^The window must be two numbers, such as -1000,400"):
        window_of(given)


LONG = b"x" * 3_000_000
TEXTS = {
    "zTXt": [png.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(LONG))],
    "iTXt": [png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LONG))],
    "iTXt as it is": [png.chunk(b"iTXt", b"Comment\0\0\0\0\0" + LONG)],
    "tEXt": [png.chunk(b"tEXt", b"Comment\0" + LONG)],
    "many": [png.chunk(b"tEXt", b"Comment\0" + b"x" * 400_000)] * 200,
    "many small": [png.chunk(b"zTXt", b"C\0\0" + zlib.compress(b"x" * 500_000))] * 200,
    "a profile": [png.chunk(b"iCCP", b"p\0\0" + zlib.compress(LONG))],
}


@pytest.mark.parametrize(
    ("kind", "place"),
    [*((kind, "before") for kind in TEXTS), ("zTXt", "behind"), ("many", "behind")],
)
def test_a_png_with_much_text_is_read(kind: str, place: str, reader: Reader):
    file = io.BytesIO()
    info = PngInfo()
    info.add_text("Title", "kept")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(NOISE).save(file, "PNG", pnginfo=info, exif=exif)
    data = file.getvalue()
    at = data.index(b"IDAT") - 4 if place == "before" else data.index(b"IEND") - 4
    data = data[:at] + b"".join(TEXTS[kind]) + data[at:]
    decoded = reader.read_picture(data)
    assert np.array_equal(np.asarray(decoded.image), NOISE[::-1, ::-1])
    assert decoded.notices == ()


def test_which_values_are_shown_is_known_of_a_picture_of_numbers_alone(reader: Reader):
    file = io.BytesIO()
    tifffile.imwrite(file, np.arange(-100, 668, dtype=np.int16).reshape(24, 32))
    data = file.getvalue()
    assert reader.read_picture(data).brightness == Brightness(-100, 667, -100, 667)
    window = Window(0, 400)
    assert reader.read_picture(data, window).brightness == Brightness(0, 400, -100, 667)
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "PNG")
    assert reader.read_picture(file.getvalue()).brightness is None
    assert reader.read_picture(file.getvalue(), window).brightness == Brightness(0, 400, 0, 255)
    dark = NOISE.astype(np.uint16)[:, :, 0] * 257
    assert read_picture(dark, (0, 9)).brightness == Brightness(0, 9, dark.min(), dark.max())


MALFORMED = {
    "iCCP without a name": (b"iCCP", b"bad"),
    "iCCP packed otherwise": (b"iCCP", b"x\0\1abc"),
    "zTXt packed otherwise": (b"zTXt", b"x\0\5abc"),
    "pHYs": (b"pHYs", b"\0\0"),
    "cHRM": (b"cHRM", b"\0\0\0"),
    "gAMA": (b"gAMA", b"\0"),
    "sRGB": (b"sRGB", b""),
    "acTL": (b"acTL", b"\0"),
    "fcTL": (b"fcTL", b"\0"),
}


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("name", [*MALFORMED, "a wrong checksum"])
def test_a_png_with_a_malformed_remark_is_whole(name: str, place: str):
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "PNG")
    data = file.getvalue()
    at = data.index(b"IDAT") - 4 if place == "before" else data.index(b"IEND") - 4
    remark = png.chunk(*MALFORMED.get(name, (b"tEXt", b"a\0b")))
    if name == "a wrong checksum":
        remark = remark[:-1] + bytes([remark[-1] ^ 1])
    decoded = read_picture(data[:at] + remark + data[at:])
    assert np.array_equal(np.asarray(decoded.image), NOISE)
    assert decoded.notices == ()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (
            imagecodecs.jpeg_encode(NOISE.astype(np.uint16) << 4, bitspersample=12),
            "JPEG of 12 bits",
        ),
        (imagecodecs.jpegls_encode(NOISE), "JPEG-LS"),
    ],
)
def test_a_kind_of_jpeg_that_is_not_read_is_named(data: bytes, kind: str):
    with pytest.raises(ImageError, match=f"^This is a {kind}.*, which is not supported. Save it"):
        read_picture(data)


def test_a_targa_picture_is_not_called_an_icon(cat: Image.Image):
    file = io.BytesIO()
    cat.save(file, "TGA")
    with pytest.raises(ImageError, match=r"not a picture in a format .* save it as PNG"):
        read_picture(file.getvalue())


def test_a_grey_heic_of_ten_bits_is_as_bright_as_one_of_eight(cat: Image.Image):
    grey = np.asarray(cat.convert("L"))
    file = io.BytesIO()
    values = (grey.astype(np.uint16) * 257).tobytes()
    pillow_heif.from_bytes("L;16", cat.size, values).save(file, quality=95)
    decoded = read_picture(file.getvalue())
    assert decoded.notices == ()
    assert np.abs(np.asarray(decoded.image)[:, :, 0].astype(int) - grey).mean() < 2


BEGINNINGS = {
    "a JPEG 2000 picture": [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0\x2f"],
    "a JPEG XL picture": [b"\xff\x0a\0\0", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "an OpenEXR picture": [b"\x76\x2f\x31\x01\2\0\0\0"],
    "a Radiance HDR picture": [b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n"],
    "a Photoshop document": [b"8BPS\0\1"],
    "a PDF document": [b"%PDF-1.7\n", b"\r\n%PDF-1.4\n"],
    "a Microsoft Office document or similar": [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"PK\3\4".ljust(30, b"\0") + b"[Content_Types].xml",
        b"PK\3\4".ljust(30, b"\0") + b"mimetypeapplication/vnd.oasis.opendocument.text",
    ],
    "an RTF document": [b"{\\rtf1 cat}"],
    "a Windows metafile": [b"\xd7\xcd\xc6\x9a", b"\1\0\0\0" + bytes(36) + b" EMF"],
    "an NRRD volume": [b"NRRD0004\ntype: short\n"],
    "a 7z archive": [b"7z\xbc\xaf\x27\x1c"],
    "an icon": [b"\0\0\1\0\1\0", b"\0\0\2\0\3\0"],
    r"a drawing \(SVG\)": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<svg:svg>",
        "<svg xmlns='http://www.w3.org/2000/svg'/>".encode("utf-16"),
    ],
    r"a web page \(HTML\)": [b"<!DOCTYPE html><title>cat</title><svg></svg>"],
    "a ZIP archive": [b"PK\3\4", b"PK00PK", b"PK\5\6"],
    "a part of a split ZIP archive": [b"PK\7\10PK\3\4"],
    "a video": [b"\0\0\0\x20ftypisom\0\0\2\0"],
    "a sound": [b"ID3\4", b"OggS", b"fLaC"],
    "a tar archive": [b"cat.jpg".ljust(257, b"\0") + b"ustar\0"],
    "a file of weights": [(99).to_bytes(8, "little") + b'{"layer.weight":'],
    "a Git LFS pointer instead of a file": [b"version https://git-lfs.github.com/spec/v1\noid"],
    "a helper file of macOS": [b"\0\5\x16\7\0\2\0\0Mac OS X"],
}
DO = {
    "archive": "Unpack it, and give a picture of it",
    "a video": "Give a picture of it, as PNG or JPEG",
    "document": "Give a picture of it, as PNG or JPEG",
    "HTML": "Save the picture itself, not the page that shows it",
    "Git LFS": "Fetch the file itself with git lfs pull",
    "macOS": "Give the file of the same name without ._ before it",
    "sound": "Give a picture instead",
    "weights": "Give a picture instead",
    "": "Save it as PNG, JPEG or TIFF",
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_format_that_is_not_read_is_named(name: str):
    for beginning in BEGINNINGS[name]:
        do = next(do for part, do in DO.items() if part in name.replace("Photoshop document", ""))
        with pytest.raises(ImageError, match=f"^This is {name}, which is not supported. {do}.$"):
            read_picture(beginning + bytes(2000))
    with pytest.raises(ImageError, match=r"^The file contains only zeros\."):
        read_picture(bytes(2000))
