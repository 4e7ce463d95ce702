"""Numbers of more than 8 bits that are no TIFF: PNG, Netpbm, PFM, arrays, Pillow's own modes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gradcam_core import ImageError, Window, read_picture
from tests.support.handmade_pictures import png

WIDTH = 64


def ramp(low: float, high: float, dtype: str = "uint16") -> np.ndarray:
    """[4, 64], from `low` on the left to `high` on the right."""
    values = np.tile(np.linspace(low, high, WIDTH), (4, 1))
    return (np.rint(values) if np.dtype(dtype).kind in "ui" else values).astype(dtype)


LEVELS = np.linspace(0, 255, WIDTH)


def row(photo: object, window: Window | None = None) -> tuple[np.ndarray, str]:
    """The second row, in grey, and what is said."""
    decoded = read_picture(photo, window)  # type: ignore[arg-type]
    values = np.asarray(decoded.image, float)[1]
    assert np.ptp(values, axis=1).max() == 0
    return values[:, 0], " ".join(decoded.notices)


def assert_is(got: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(got - expected).max() <= 1


COLOUR_TYPES = {"grey": 0, "RGB": 2, "grey with alpha": 4, "RGB with alpha": 6}


def png16(values: np.ndarray, kind: str = "grey", *chunks: bytes) -> bytes:
    """A 16-bit PNG, written out by its specification; opaque."""
    channels = {"grey": 1, "RGB": 3, "grey with alpha": 2, "RGB with alpha": 4}[kind]
    samples = np.repeat(values[:, :, None], channels, axis=2).astype(">u2")
    if channels in (2, 4):
        samples[:, :, -1] = 65535
    lines = b"".join(b"\0" + line.tobytes() for line in samples)
    height, width = values.shape
    head = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[kind], 0, 0, 0)
    return png.file(png.chunk(b"IHDR", head), *chunks, png.chunk(b"IDAT", zlib.compress(lines)))


def test_a_png_of_16_bits_is_put_on_white_before_it_has_8():
    levels = np.stack(np.meshgrid(ramp(0, 65535)[0], ramp(0, 65535)[0]), axis=2)  # grey, alpha
    head = struct.pack(">IIBBBBB", WIDTH, WIDTH, 16, COLOUR_TYPES["grey with alpha"], 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in levels.astype(">u2"))
    file = png.file(png.chunk(b"IHDR", head), png.chunk(b"IDAT", zlib.compress(lines)))
    grey, alpha = np.moveaxis(levels / 65535, 2, 0)
    shown = np.asarray(read_picture(file).image.convert("L"), float)
    assert np.abs(shown - 255 * (grey * alpha + 1 - alpha)).max() < 1.01


@pytest.mark.parametrize("kind", COLOUR_TYPES)
def test_a_png_of_the_full_range_is_as_ever(kind: str):
    got, notice = row(png16(ramp(0, 65535), kind))
    assert_is(got, LEVELS)
    assert notice == ""
    got, notice = row(png16(ramp(9000, 30000), kind))  # a dark photo stays dark
    assert_is(got, ramp(9000, 30000, "float64")[0] / 257)
    assert notice == ""


@pytest.mark.parametrize("kind", COLOUR_TYPES)
@pytest.mark.parametrize("highest", [1023, 4095, 16000])
def test_a_png_that_would_be_nearly_black_shows_its_range(kind: str, highest: int):
    got, notice = row(png16(ramp(0, highest), kind))
    assert_is(got, LEVELS)
    assert f"value 0 is shown black and {highest} white" in notice


@pytest.mark.parametrize("kind", COLOUR_TYPES)
def test_a_png_that_would_be_of_one_grey_shows_its_range(kind: str):
    got, notice = row(png16(ramp(29_000, 31_000), kind))
    assert_is(got, LEVELS)
    assert "value 29000 is shown black and 31000 white" in notice


@pytest.mark.parametrize("kind", COLOUR_TYPES)
def test_a_png_says_how_many_bits_are_used(kind: str):
    bits = png.chunk(
        b"sBIT", bytes([12]) * {"grey": 1, "RGB": 3}.get(kind, 2 if "grey" in kind else 4)
    )
    got, notice = row(png16(ramp(0, 3000), kind, bits))
    assert_is(got, LEVELS * 3000 / 4095)
    assert "4095 white: as the file says" in notice
    # As the specification has it, they are the upper ones.
    got, notice = row(png16(ramp(0, 4095) << 4, kind, bits))
    assert_is(got, LEVELS)
    assert notice == ""
    # Also where most of the picture is dark.
    values = ramp(0, 4095) << 4
    values[:, : WIDTH - 8] >>= 5
    got, notice = row(png16(values, kind, bits))
    assert_is(got, values[1] / 257)
    assert notice == ""


@pytest.mark.parametrize("kind", COLOUR_TYPES)
def test_a_window_sees_all_bits_of_a_png(kind: str):
    values = ramp(20_000, 21_000)
    got, notice = row(png16(values, kind), Window(20_000, 21_000))
    assert_is(got, LEVELS)
    assert "as requested" in notice


@pytest.mark.parametrize("length", range(8, 34, 5))
def test_a_png_cut_in_its_head_is_damaged(length: int):
    with pytest.raises(ImageError, match="damaged"):
        read_picture(png16(ramp(0, 4095))[:length])


def test_the_orientation_of_a_dark_png_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 3
    data = png16(ramp(0, 4095)[:, ::-1], "RGB", png.chunk(b"eXIf", exif.tobytes()[6:]))
    assert_is(row(data)[0], LEVELS)


PNM = {
    "P5": lambda values: values.astype(">u2").tobytes(),
    "P6": lambda values: np.repeat(values, 3).astype(">u2").tobytes(),
    "P2": lambda values: " ".join(map(str, values.ravel())).encode(),
    "P3": lambda values: "\n# a note\n".join(map(str, np.repeat(values, 3))).encode(),
}


def pnm(kind: str, values: np.ndarray, most: int) -> bytes:
    height, width = values.shape
    return f"{kind}\n# made by hand\n{width} {height}\n{most}\n".encode() + PNM[kind](values)


@pytest.mark.parametrize("kind", PNM)
def test_netpbm_says_its_highest_value(kind: str):
    for most in (1023, 4095, 65535):
        got, notice = row(pnm(kind, ramp(0, most), most))
        assert_is(got, LEVELS)
        assert notice == ""
    got, _ = row(pnm(kind, ramp(0, 2000), 4095))
    assert_is(got, LEVELS * 2000 / 4095)
    got, notice = row(pnm(kind, ramp(0, 4095), 65535))
    assert_is(got, LEVELS)
    assert "4095 white" in notice
    got, _ = row(pnm(kind, ramp(0, 4095), 65535), Window(0, 8190))
    assert_is(got, LEVELS / 2)


@pytest.mark.parametrize("kind", PNM)
def test_netpbm_of_8_bits_is_as_ever(kind: str):
    values = ramp(0, 255)
    content = PNM[kind](values)
    if kind in ("P5", "P6"):
        content = content[1::2]
    got, notice = row(f"{kind} {WIDTH} 4 255\n".encode() + content)
    assert_is(got, LEVELS)
    assert notice == ""


@pytest.mark.parametrize(("most", "stored"), [(4095, ">u2"), (255, "u1"), (1, "u1")])
def test_pam_has_transparency(most: int, stored: str):
    values = np.zeros((1, 2, 4), stored)
    values[0, :, 0], values[0, :, 3] = most, (most, 0)
    head = f"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL {most}\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    decoded = read_picture(head.encode() + values.tobytes())
    assert [decoded.image.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    assert decoded.notices == ()


def test_the_clear_colour_of_a_16_bit_png_is_compared_with_all_its_bits():
    values = np.array([[(1000, 2000, 3000), (1000, 2000, 3001), (60000, 0, 232)]], ">u2")
    pixels = zlib.compress(b"\0" + values.tobytes())
    clear = png.chunk(b"tRNS", struct.pack(">HHH", 1000, 2000, 3000))
    data = png.file(png.ihdr(3, 1, 16, 2), clear, png.chunk(b"IDAT", pixels))
    got = np.asarray(read_picture(data).image, int)[0]
    assert_is(got, np.array([(255, 255, 255), (4, 8, 12), (233, 0, 1)]))


@pytest.mark.parametrize("said", ["DEPTH 5", "DEPTH 4\nTUPLTYPE CMYK"])
def test_a_pam_of_other_channels_is_told_what_it_is(said: str):
    head = f"P7\nWIDTH 2\nHEIGHT 1\n{said}\nMAXVAL 255\nENDHDR\n"
    with pytest.raises(ImageError, match="This PAM picture is not grey or RGB"):
        read_picture(head.encode() + bytes(10))


@pytest.mark.parametrize("most", [255, 65535])
def test_of_several_pictures_in_a_netpbm_file_the_first_is_shown_and_said(most: int):
    one = (
        f"P5\n{WIDTH} 4\n{most}\n".encode()
        + ramp(0, most).astype("u1" if most == 255 else ">u2").tobytes()
    )
    got, notice = row(one + one)
    assert_is(got, LEVELS)
    assert notice == "The file has several pictures; the first one is shown."


@pytest.mark.parametrize("scale", ["-1.0", "1.0", "-0.5"])
@pytest.mark.parametrize("colour", [False, True])
def test_pfm_stands_on_its_head(scale: str, colour: bool):
    values = ramp(-2, 30, "float32")
    values[0] = -2
    rows = values[::-1]
    rows = np.repeat(rows[:, :, None], 3, axis=2) if colour else rows
    kind = "PF" if colour else "Pf"
    stored = rows.astype("<f4" if scale.startswith("-") else ">f4")
    data = f"{kind}\n{WIDTH} 4\n{scale}\n".encode() + stored.tobytes()
    got, notice = row(data)
    assert_is(got, LEVELS)
    assert read_picture(data).image.getpixel((60, 0)) == (0, 0, 0)
    assert "value −2 is shown black and 30 white" in notice


@pytest.mark.parametrize("kind", PNM)
def test_netpbm_that_is_cut_off_is_damaged(kind: str):
    data = pnm(kind, ramp(0, 4095), 4095)
    with pytest.raises(ImageError, match="damaged"):
        read_picture(data[: len(data) - 90])


ARRAYS = [
    ("uint16", 5, 4095),
    ("int16", -1000, 3000),
    ("uint32", 0, 4e9),
    ("int64", -5, 5),
    ("float16", 0, 1.5),
    ("float32", -0.5, 2),
    ("float64", 0.2, 0.4),
    ("longdouble", 0, 7),
    (">u2", 5, 4095),
    (">f4", -3, 3),
]


@pytest.mark.parametrize(("dtype", "low", "high"), ARRAYS)
def test_an_array_shows_its_full_range(dtype: str, low: float, high: float):
    values = ramp(low, high, dtype)
    for array in (values, values[:, :, None], np.stack([values] * 3, axis=2)):
        got, notice = row(array)
        assert np.abs(got - LEVELS).max() <= 26 if dtype == "int64" else 1
        assert "is shown black and" in notice


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_what_is_masked_in_an_array_has_no_value(dtype: str):
    values = np.tile(np.arange(100, 200), (50, 1)).astype(dtype)
    masked = np.ma.MaskedArray(values, mask=values >= 150)
    decoded = read_picture(masked)
    shown = np.asarray(decoded.image)[0, :, 0]
    assert list(shown[:50]) == list(np.rint(np.linspace(0, 255, 50)))
    assert not shown[50:].any()
    assert "value 100 is shown black and 149 white" in decoded.notices[0]
    assert "2,500 are missing" in decoded.notices[1]
    nothing_masked = np.ma.MaskedArray(values)
    assert read_picture(nothing_masked).notices == read_picture(values).notices


def test_an_array_of_truths_is_black_and_white():
    got, notice = row(np.tile(np.arange(WIDTH) % 2 == 1, (4, 1)))
    assert list(got[:4]) == [0, 255, 0, 255]
    assert notice == ""


def test_an_array_with_alpha_is_laid_on_white():
    for dtype, top in (("uint16", 65535), ("float32", 1)):
        values = np.zeros((2, 2, 4), dtype)
        values[0, :, :3], values[0, 0, 3] = top, top
        values[1, 0, 3] = top
        picture = read_picture(values).image
        assert picture.getpixel((0, 1)) == (0, 0, 0)
        assert picture.getpixel((1, 1)) == (255, 255, 255)


def test_an_array_in_memory_is_not_changed():
    values = ramp(-3, 5, "float32")
    values[0, 0] = np.nan
    before = values.copy()
    read_picture(values)
    assert np.array_equal(values, before, equal_nan=True)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_a_picture_of_pillow_shows_its_full_range(mode: str):
    values = ramp(100, 3000, {"I;16": "uint16", "I": "int32", "F": "float32"}[mode])
    image = Image.fromarray(values)
    assert image.mode == mode
    got, notice = row(image)
    assert_is(got, LEVELS)
    assert "value 100 is shown black and 3000 white" in notice


@pytest.mark.parametrize("low", [0, 300])
def test_a_file_that_pillow_opened_is_as_the_file(low: int):
    for data in (png16(ramp(low, 65535)), png16(ramp(low, 4095))):
        with Image.open(io.BytesIO(data)) as opened:
            got, notice = row(opened)
        expected, expected_notice = row(data)
        assert_is(got, expected)
        assert notice == expected_notice


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("window", "expected"),
    [((0, 1e-320), [0, 255, 255]), ((1, 1 + 1e-15), [0, 0, 255]), ((-1e308, 1.7e308), [94] * 3)],
)
def test_a_window_may_be_as_narrow_or_wide_as_numbers_are(
    dtype: type, window: tuple[float, float], expected: list[int]
):
    shown, _ = row(np.tile(np.array([0, 1, 2], dtype), (2, 1)), Window(*window))
    assert shown.tolist() == expected
