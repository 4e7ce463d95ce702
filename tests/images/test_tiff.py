"""TIFF as instruments write it: the right picture, and what was chosen for it is said."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gradcam_core import ImageError, Window, read_picture

WIDTH, HEIGHT = 64, 48


def ramp(low: float, high: float, dtype: str) -> np.ndarray:
    """From `low` on the left to `high` on the right, the upper half only."""
    row = np.linspace(low, high, WIDTH)
    values = np.tile(row, (HEIGHT, 1))
    values[HEIGHT // 2 :] = (low + high) / 2
    return (np.rint(values) if np.dtype(dtype).kind in "ui" else values).astype(dtype)


def levels_of(low: float, high: float) -> np.ndarray:
    """What a ramp must look like: black on the left, white on the right."""
    levels = np.tile(np.linspace(0, 255, WIDTH), (HEIGHT, 1))
    levels[HEIGHT // 2 :] = 127.5
    return levels


LEVELS = levels_of(0, 1)


def written(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    options.setdefault("photometric", "minisblack")
    options.setdefault("metadata", None)
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def grey(data: bytes, window: Window | None = None) -> tuple[np.ndarray, str]:
    decoded = read_picture(data, window)
    red, green, blue = np.asarray(decoded.image, float).transpose(2, 0, 1)
    assert np.array_equal(red, green)
    assert np.array_equal(red, blue)
    return red, " ".join(decoded.notices)


NUMBERS = [
    ("float16", -3, 1000, "−3", "1000"),
    ("float32", 0, 3.5, "0", "3.5"),
    ("float32", -1000, 3000, "−1000", "3000"),
    ("float64", -1e300, 1e300, "−1 × 10", "1 × 10"),
    ("float64", 1e-9, 3e-9, "1 × 10", "3 × 10"),
    ("float64", -1.2e308, 0.5e308, "−1.2 × 10", "5 × 10"),
    ("uint16", 0, 1023, "0", "1023"),
    ("uint16", 200, 4095, "200", "4095"),
    ("uint16", 0, 16383, "0", "16383"),
    ("uint16", 9000, 60000, "9000", "60000"),
    ("int16", -1024, 3071, "−1024", "3071"),
    ("int8", -100, 100, "−100", "100"),
    ("uint32", 0, 4_000_000_000, "0", "4000000000"),
    ("uint32", 3_000_000_000, 3_000_000_500, "3000000000", "3000000500"),
    ("int32", -2_000_000_000, 2_000_000_000, "−2000000000", "2000000000"),
    ("uint64", 0, 2**60, "0", "1.153 × 10"),
    ("int64", -(2**40), 2**40, "−1.1 × 10", "1.1 × 10"),
]

LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 16)},
    "big-endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "big-endian BigTIFF in tiles, LZW": {
        "byteorder": ">",
        "bigtiff": True,
        "tile": (32, 16),
        "compression": "lzw",
    },
    "deflate with predictor": {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
    "zstd": {"compression": "zstd"},
}


@pytest.mark.parametrize(("dtype", "low", "high", "first", "last"), NUMBERS)
def test_the_full_range_is_shown_and_named(
    dtype: str, low: float, high: float, first: str, last: str
):
    got, notice = grey(written(ramp(low, high, dtype)))
    assert np.abs(got - LEVELS).max() <= 2
    assert f"value {first}" in notice
    assert f" {last}" in notice
    assert "shown black" in notice


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint16", "float32", "int32"])
def test_every_layout_gives_the_same_picture(dtype: str, layout: str):
    got, _ = grey(written(ramp(100, 4095, dtype), **LAYOUTS[layout]))
    assert np.abs(got - LEVELS).max() <= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_white_is_zero_is_no_negative(layout: str):
    data = written(ramp(0, 65535, "uint16"), photometric="miniswhite", **LAYOUTS[layout])
    assert np.abs(grey(data)[0] - (255 - LEVELS)).max() <= 1
    data = written(ramp(-3, 5, "float32"), photometric="miniswhite", **LAYOUTS[layout])
    got, notice = grey(data)
    assert np.abs(got - (255 - LEVELS)).max() <= 1
    assert "value 5 is shown black and −3 white" in notice


def colours(dtype: str, high: float) -> np.ndarray:
    """[H, W, 3]: red, green and blue stripes of rising brightness."""
    values = np.zeros((HEIGHT, WIDTH, 3))
    rising = np.linspace(0, high, WIDTH)
    for channel in range(3):
        values[channel * 16 : channel * 16 + 16, :, channel] = rising
    return values.astype(dtype)


@pytest.mark.parametrize("planes", [False, True], ids=["pixel by pixel", "plane by plane"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("dtype", "high"), [("uint8", 255), ("uint16", 65535), ("uint16", 4095), ("float32", 7.5)]
)
def test_colours_stay_where_they_are(dtype: str, high: float, layout: str, planes: bool):
    values = colours(dtype, high)
    if planes:
        values = np.ascontiguousarray(values.transpose(2, 0, 1))
    data = written(
        values,
        photometric="rgb",
        planarconfig="separate" if planes else "contig",
        **LAYOUTS[layout],
    )
    decoded = read_picture(data)
    got = np.asarray(decoded.image, float)
    expected = colours("float64", 255)
    assert np.abs(got - expected).max() <= 1
    assert bool(decoded.notices) is (high not in (255, 65535))


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize(
    ("kind", "expected"), [("unassalpha", (255, 127.5, 127.5)), ("assocalpha", (255, 127.5, 127.5))]
)
def test_transparency_shows_white(dtype: str, kind: str, expected: tuple[float, ...]):
    top = 65535 if dtype == "uint16" else 1
    values = np.zeros((4, 4, 4))
    values[:, :, 0] = top  # red, half transparent
    values[:, :, 3] = top / 2
    if kind == "assocalpha":
        values[:, :, 0] = top / 2
    values[0, 0] = [0, 0, 0, top]
    values[3, 3] = [top, top, top, top]
    data = written(values.astype(dtype), photometric="rgb", extrasamples=[kind])
    picture = read_picture(data).image
    assert np.abs(np.asarray(picture, float)[1, 1] - expected).max() <= 1
    assert picture.getpixel((0, 0)) == (0, 0, 0)
    assert picture.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("window", [None, (0.25, 0.75)])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_the_range_is_of_the_colours_before_they_were_multiplied_with_alpha(
    dtype: str, window: tuple[float, float] | None
):
    top = 65535 if dtype == "uint16" else 1
    colours = np.linspace(0, 1, WIDTH)
    values = np.full((4, WIDTH, 4), top / 2)
    values[:, :, :3] = colours[None, :, None] * top / 2
    data = written(values.astype(dtype), photometric="rgb", extrasamples=["assocalpha"])
    low, high = window or (0, 1)
    got = read_picture(data, (low * top, high * top) if window else None).image
    expected = np.clip((colours - low) / (high - low), 0, 1) * 127.5 + 127.5
    assert np.abs(np.asarray(got, float)[1, :, 0] - expected).max() <= 1.5


def test_what_is_no_number_is_black_and_counted():
    values = ramp(-5, 5, "float32")
    values[0, :3] = np.nan, np.inf, -np.inf
    got, notice = grey(written(values))
    assert list(got[0, :3]) == [0, 0, 0]
    assert np.abs(got[1:] - LEVELS[1:]).max() <= 1
    assert "−5" in notice
    assert f"Of its {WIDTH * HEIGHT:,} values, 3 are missing or not finite" in notice
    with pytest.raises(ImageError, match="No pixel of the picture has a finite value"):
        read_picture(written(np.full((4, 4), np.nan, np.float32)))


def test_the_value_that_gdal_says_is_none_does_not_stretch_the_range():
    values = ramp(400, 900, "int16")
    values[:3, :3] = -9999
    got, notice = grey(written(values, extratags=[(42113, 2, 6, "-9999", True)]))
    assert np.abs(got[3:] - LEVELS[3:]).max() <= 1
    assert "value 400 is" in notice
    assert "9 are missing" in notice


@pytest.mark.parametrize(
    ("tags", "low", "high"),
    [
        ([(341, 3, 1, 4095, True)], 0, 4095),
        ([(340, 3, 1, 1000, True), (341, 3, 1, 3000, True)], 1000, 3000),
        ([(281, 3, 1, 4095, True)], 0, 4095),
    ],
)
def test_the_range_is_that_of_the_file_if_it_says_one(tags, low: float, high: float):
    values = ramp(500, 3500, "uint16")
    got, notice = grey(written(values, extratags=tags))
    expected = np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255
    assert np.abs(got - expected).max() <= 1
    assert f"value {low} is shown black and {high} white: as the file says" in notice


@pytest.mark.parametrize(
    ("bits", "words"), [(12, "4095 white: as the file"), (10, "highest value")]
)
def test_ome_says_how_many_bits_are_used(bits: int, words: str):
    metadata = {"axes": "YX", "SignificantBits": bits}
    values = ramp(500, 3500, "uint16")
    got, notice = grey(written(values, ome=True, metadata=metadata))
    assert words in notice
    assert np.abs(got - (values / 4095 * 255 if bits == 12 else LEVELS)).max() <= 1


@pytest.mark.parametrize("most", [3, 65535])
def test_a_range_that_cannot_be_true_is_not_believed(most: int):
    got, notice = grey(written(ramp(500, 3500, "uint16"), extratags=[(341, 3, 1, most, True)]))
    assert np.abs(got - LEVELS).max() <= 1
    assert "as the file says" not in notice


def test_imagej_says_its_range_and_which_picture_of_a_stack_is_shown():
    stack = np.stack([ramp(0, 100 * (n + 1), "uint16") for n in range(6)]).reshape(2, 3, HEIGHT, -1)
    file = io.BytesIO()
    tifffile.imwrite(
        file, stack[:, :, None], imagej=True, metadata={"axes": "TZCYX", "min": 0.0, "max": 400.0}
    )
    got, notice = grey(file.getvalue())
    assert np.abs(got - np.clip(stack[0, 1] / 400 * 255, 0, 255)).max() <= 1
    assert "400 white: as the file says" in notice
    assert "3 slices × 2 frames; slice 2, frame 1 is shown" in notice


def test_ome_says_which_picture_of_a_stack_is_shown():
    stack = np.zeros((2, 3, 5, HEIGHT, WIDTH), np.uint16)  # T, C, Z
    stack[0, 0, 2] = ramp(0, 4095, "uint16")
    file = io.BytesIO()
    tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata={"axes": "TCZYX"})
    got, notice = grey(file.getvalue())
    assert np.abs(got - LEVELS).max() <= 1
    assert "5 slices × 3 channels × 2 frames; slice 3, channel 1, frame 1 is shown" in notice


def test_a_stack_of_colours_shows_its_middle():
    stack = np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)
    stack[1] = colours("uint8", 255)
    for is_ome in (True, False):
        file = io.BytesIO()
        axes = {"axes": "ZYXS"}
        tifffile.imwrite(
            file, stack, photometric="rgb", metadata=axes, ome=is_ome, imagej=not is_ome
        )
        decoded = read_picture(file.getvalue())
        assert np.array_equal(np.asarray(decoded.image), stack[1])
        assert decoded.notices == ("The file has 3 slices; slice 2 is shown.",)


def test_a_stack_of_imagej_may_have_one_directory():
    stack = np.stack([ramp(0, 100, "uint16"), ramp(0, 4095, "uint16"), ramp(0, 9, "uint16")])
    first = written(stack[0], description="ImageJ=1.53t\nimages=3\nslices=3\n")
    with tifffile.TiffFile(io.BytesIO(first)) as opened:
        start = opened.pages.first.dataoffsets[0]
    got, notice = grey(first[:start] + stack.astype("<u2").tobytes())
    assert np.abs(got - LEVELS).max() <= 1
    assert "3 slices; slice 2 is shown" in notice


def test_a_volume_shows_its_middle():
    values = np.zeros((16, HEIGHT, WIDTH), np.uint16)
    values[7] = ramp(0, 4095, "uint16")
    data = written(values, volumetric=True, tile=(16, 16, 16))
    got, notice = grey(data)
    assert np.abs(got - LEVELS).max() <= 1
    assert "volume of 16 slices; slice 8 is shown" in notice


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_of_several_pages_the_first_is_shown(dtype: str):
    pages = np.stack([ramp(0, 255, dtype)] + 11 * [np.zeros((HEIGHT, WIDTH), dtype)])
    got, notice = grey(written(pages))
    assert np.abs(got - LEVELS).max() <= 1
    assert "The file has 12 pages; the first one is shown." in notice


def test_smaller_copies_of_a_page_are_no_pages():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(ramp(0, 255, "uint8"), metadata=None)
        tiff.write(ramp(0, 255, "uint8")[::2, ::2], metadata=None, subfiletype=1)
    assert read_picture(file.getvalue()).notices == ()
    assert read_picture(file.getvalue()).image.size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_channels_without_colours_show_the_first_and_say_so(dtype: str, planes: str, channels: int):
    values = np.stack([ramp(0, 255, dtype)] + (channels - 1) * [ramp(9, 90, dtype)])
    if planes == "contig":
        values = np.ascontiguousarray(values.transpose(1, 2, 0))
    data = written(values, planarconfig=planes, extrasamples=(channels - 1) * ["unspecified"])
    got, notice = grey(data)
    assert np.abs(got - LEVELS).max() <= 1
    assert f"{channels} channels; the first one is shown, in grey" in notice


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_channel_beside_red_green_and_blue_is_left_out_and_said(dtype: str):
    values = np.stack([ramp(0, 255, dtype)] * 3 + [ramp(9, 90, dtype)], axis=2)
    got, notice = grey(written(values, photometric="rgb", extrasamples=["unspecified"]))
    assert np.abs(got - LEVELS).max() <= 1
    assert "4 channels; the first three are shown" in notice


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_bits_are_as_many_as_the_file_says(bits: int, order: str):
    values = ramp(0, 2 ** (bits - 1), "uint16")
    if order == ">":  # tifffile packs swapped values, but packed bits know no order of bytes
        values = values.byteswap()
    got, notice = grey(written(values, bitspersample=bits, byteorder=order, rowsperstrip=HEIGHT))
    assert np.abs(got - LEVELS * 2 ** (bits - 1) / (2**bits - 1)).max() <= 1
    assert f"{2**bits - 1} white: as the file says" in notice


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(orientation: int):
    upright = ramp(0, 4000, "uint16")
    back = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    data = written(np.ascontiguousarray(back), extratags=[(274, 3, 1, orientation, True)])
    got, _ = grey(data)
    assert np.abs(got - LEVELS).max() <= 1


def test_palettes_of_16_bits_have_their_colours():
    table = np.zeros((3, 65536), np.uint16)
    table[0, 300], table[2, 40_000] = 65535, 32768
    values = np.array([[300, 40_000]], np.uint16)
    picture = read_picture(written(values, photometric="palette", colormap=table)).image
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (0, 0, 128)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_inks_are_no_colours_of_a_screen(dtype: str, planes: str):
    top = np.iinfo(dtype).max
    inks = np.array([[[top, 0, 0, 0], [0, top, top, 0], [0, 0, 0, top], [0, 0, 0, 0]]], dtype)
    if planes == "separate":
        inks = np.ascontiguousarray(inks.transpose(2, 0, 1))
    decoded = read_picture(written(inks, photometric="separated", planarconfig=planes))
    got = [decoded.image.getpixel((x, 0)) for x in range(4)]
    assert got == [(0, 255, 255), (255, 0, 0), (0, 0, 0), (255, 255, 255)]
    assert decoded.notices == ()


@pytest.mark.parametrize(
    ("photometric", "dtype", "zero", "one"),
    [
        ("cielab", "uint8", 0, 1),
        ("cielab", "uint16", 0, 256),
        ("icclab", "uint8", 128, 1),
        ("icclab", "uint16", 32768, 256),
    ],
)
def test_lab_has_its_colours(photometric: str, dtype: str, zero: int, one: int):
    whole = np.iinfo(dtype).max + 1
    light = [round(share * (whole - 1)) for share in (1, 0.5, 0.5)]
    # White, a grey, and a red: L* 50, a* 60, b* 40.
    values = np.array(
        [
            [
                [light[0], zero, zero],
                [light[1], zero, zero],
                [light[2], zero + 60 * one, zero + 40 * one],
            ]
        ]
    )
    data = written((values % whole).astype(dtype), photometric=photometric)
    white, half, red = np.asarray(read_picture(data).image, int)[0]
    assert white.min() >= 253
    assert np.ptp(half) <= 3
    assert 115 <= half[0] <= 122
    # CIE 1976 to sRGB by hand: about (214, 61, 56).
    assert np.abs(red - (214, 61, 56)).max() <= 4


@pytest.mark.parametrize(
    "compression", ["jpeg", "lzw", "zstd", "webp", "jpeg2000", "png", "jpegxl"]
)
@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 16}])
def test_ordinary_pictures_are_read_in_any_compression(compression: str, layout: dict):
    values = colours("uint8", 255)
    data = written(values, photometric="rgb", compression=compression, **layout)
    decoded = read_picture(data)
    assert np.abs(np.asarray(decoded.image, float) - values).mean() < 12
    assert decoded.notices == ()


def test_an_ordinary_tiff_is_as_pillow_has_it(cat: Image.Image):
    modes = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]
    for mode in modes:
        file = io.BytesIO()
        cat.convert(mode).save(file, "TIFF")
        with Image.open(file) as opened:
            expected = np.asarray(opened.convert("RGB"))
        decoded = read_picture(file.getvalue())
        assert np.array_equal(np.asarray(decoded.image), expected), mode
        assert decoded.notices == (), mode


def test_a_window_is_in_the_units_of_the_file():
    values = ramp(-1000, 3000, "int16")
    got, notice = grey(written(values), Window(-200, 400))
    expected = np.clip((values + 200.0) / 600 * 255, 0, 255)
    assert np.abs(got - expected).max() <= 1
    assert "value −200 is shown black and 400 white: as requested" in notice
    got, _ = grey(written(values, photometric="miniswhite"), Window(-200, 400))
    assert np.abs(got - (255 - expected)).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_blank_picture_is_told(dtype: str):
    _, notice = grey(written(np.full((9, 9), 7, dtype)))
    assert notice == "The picture is blank: it has only one colour."
    _, notice = grey(written(ramp(0, 100, "uint16")), Window(200, 300))
    assert "blank" in notice


REFUSED: dict[str, tuple[np.ndarray, dict[str, Any], str]] = {
    "complex numbers": (
        np.zeros((4, 4), np.complex64),
        {},
        "This kind of TIFF is not supported.*complex numbers",
    ),
    "a sensor": (np.zeros((4, 4), np.uint16), {"photometric": 32803}, "camera's raw photo"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_kind_that_is_not_read_is_named(case: str):
    values, options, words = REFUSED[case]
    with pytest.raises(ImageError, match=words):
        read_picture(written(values, **options))


def test_an_unknown_compression_is_named():
    data = written(np.zeros((4, 4), np.uint16), rowsperstrip=4)
    entry = struct.pack("<HHI", 259, 3, 1)
    at = data.index(entry) + len(entry)
    data = data[:at] + struct.pack("<H", 34661) + data[at + 2 :]
    with pytest.raises(ImageError, match="its compression is JBIG"):
        read_picture(data)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib", "rowsperstrip": 8}, {"compression": "jpeg", "rowsperstrip": 16}],
)
def test_a_file_that_is_cut_off_is_damaged(options: dict, share: float):
    is_jpeg = options.get("compression") == "jpeg"
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    data = written((noise >> 4).astype(np.uint8) if is_jpeg else noise, **options)
    with pytest.raises(ImageError, match="damaged"):
        read_picture(data[: int(len(data) * share)])
