"""TIFF of rarer kinds: palettes and inks with more in them, parts left out, stacks in one page."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Literal

import numpy as np
import pytest
import tifffile

from gradcam_core import ImageError, read_picture
from tests.support.handmade_pictures import tiff

WIDTH, HEIGHT = 64, 48
LEVELS = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
COLOURS = np.stack([LEVELS, 255 - LEVELS, np.roll(LEVELS, 9, axis=1)], axis=2)
PALETTE = np.stack([np.arange(256), 255 - np.arange(256), np.roll(np.arange(256), 9)])


def written(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"metadata": None, **options})
    return file.getvalue()


def of_palette(colours: np.ndarray) -> bytes:
    table = (tiff.SHORT, [int(value) for value in colours.ravel()])
    tags: dict[str, Any] = {"t320": table} if colours.size else {}
    return tiff.file(WIDTH, HEIGHT, LEVELS.tobytes(), photometric=3, **tags)


def test_a_palette_of_8_bits_where_16_belong_has_its_colours():
    decoded = read_picture(of_palette(PALETTE))
    assert np.array_equal(np.asarray(decoded.image), PALETTE.T[LEVELS])
    assert decoded.notices == ()


def test_a_palette_that_is_not_there_is_told():
    with pytest.raises(ImageError, match=r"^The picture is damaged or incomplete"):
        read_picture(of_palette(PALETTE[:, :0]))


def left_half_clear(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With a sample of transparency, and that sample, [H, W, 1]."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, : WIDTH // 2] = 0
    return np.concatenate([values, alpha], axis=2), alpha


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_transparency_of_inks_shows_white(planes: str):
    inks = np.concatenate([255 - COLOURS, np.zeros((HEIGHT, WIDTH, 1), np.uint8)], axis=2)
    values, alpha = left_half_clear(inks)
    if planes == "separate":
        values = np.ascontiguousarray(values.transpose(2, 0, 1))
    data = written(
        values, photometric="separated", extrasamples=["unassalpha"], planarconfig=planes
    )
    decoded = read_picture(data)
    assert np.array_equal(np.asarray(decoded.image), np.where(alpha == 0, 255, COLOURS))
    assert decoded.notices == ()


def test_further_inks_are_left_out_and_said():
    inks = np.concatenate([255 - COLOURS, np.zeros((HEIGHT, WIDTH, 2), np.uint8)], axis=2)
    data = written(inks, photometric="separated", extrasamples=["unspecified"])
    decoded = read_picture(data)
    assert np.array_equal(np.asarray(decoded.image), COLOURS)
    assert decoded.notices == ("The picture has 5 channels; the first four are shown.",)


def test_tiles_that_are_left_out_are_black():
    data = bytearray(written(LEVELS, photometric="minisblack", tile=(16, 16)))
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        tags = opened.pages.first.tags
        for tag in (tags[324], tags[325]):
            struct.pack_into("<H" if tag.dtype == tiff.SHORT else "<I", data, tag.valueoffset, 0)
    expected = LEVELS.copy()
    expected[:16, :16] = 0
    assert np.array_equal(np.asarray(read_picture(bytes(data)).image)[:, :, 0], expected)


@pytest.mark.parametrize(("across", "down"), [(2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (1, 2)])
@pytest.mark.parametrize("is_packed", [False, True])
def test_colours_at_a_lower_resolution_are_those_of_their_unit(
    across: int, down: int, is_packed: bool
):
    width, height = 21, 13  # no whole number of units
    wide, high = -(-width // across), -(-height // down)
    brightness = np.random.default_rng(5).integers(60, 190, (high * down, wide * across))
    colours = np.random.default_rng(6).integers(110, 146, (high, wide, 2))
    units, expected = bytearray(), np.empty((height, width, 3))
    for row in range(high):
        for column in range(wide):
            at = slice(row * down, (row + 1) * down), slice(column * across, (column + 1) * across)
            units += bytes(brightness[at].ravel().tolist()) + bytes(colours[row, column].tolist())
    for y in range(height):
        for x in range(width):
            blue, red = colours[y // down, x // across] - 128
            light = brightness[y, x]
            green = light - 0.344136 * blue - 0.714136 * red  # JFIF
            expected[y, x] = light + 1.402 * red, green, light + 1.772 * blue
    data = tiff.file(
        *(width, height, zlib.compress(units) if is_packed else bytes(units)),
        samples=3,
        photometric=6,
        compression=8 if is_packed else 1,
        t530=(tiff.SHORT, [across, down]),
    )
    got = np.asarray(read_picture(data).image, float)
    assert np.abs(got - expected).max() <= 1.5
    with pytest.raises(ImageError, match="incomplete"):
        read_picture(tiff.file(
            *(width, height, bytes(units)[:-1]),
            samples=3,
            photometric=6,
            t530=(tiff.SHORT, [across, down]),
        ))  # fmt: skip
    odd = tiff.file(
        *(width, height, bytes(units)), samples=3, photometric=6, t530=(tiff.SHORT, [across, 3])
    )
    with pytest.raises(ImageError, match="colours are stored at a lower resolution"):
        read_picture(odd)


STACK = np.stack([LEVELS, LEVELS[::-1, ::-1], LEVELS[:, ::-1]])


def of_metamorph() -> bytes:
    return tiff.file(
        *(WIDTH, HEIGHT, STACK.tobytes()),
        t279=(tiff.LONG, [WIDTH * HEIGHT]),
        t33629=(tiff.RATIONAL, bytes(8 * len(STACK))),
    )


@pytest.mark.parametrize(
    "data",
    [
        written(STACK, photometric="minisblack", metadata={"axes": "ZYX"}, truncate=True),
        of_metamorph(),
    ],
    ids=["tifffile", "MetaMorph"],
)
def test_a_stack_in_one_page_says_that_the_first_picture_is_shown(data: bytes):
    decoded = read_picture(data)
    assert np.array_equal(np.asarray(decoded.image)[:, :, 0], LEVELS)
    assert decoded.notices == ("The file has 3 pictures; the first one is shown.",)


def test_a_page_of_tifffile_with_colours_is_no_stack():
    for planes in ("contig", "separate"):
        values = COLOURS if planes == "contig" else np.ascontiguousarray(COLOURS.transpose(2, 0, 1))
        data = written(values, photometric="rgb", planarconfig=planes, metadata={})
        decoded = read_picture(data + bytes(len(data)))
        assert np.array_equal(np.asarray(decoded.image), COLOURS)
        assert decoded.notices == ()


@pytest.mark.parametrize("kind", [tiff.SHORT, tiff.LONG])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_smaller_copy_that_comes_first_is_no_page(order: Literal["<", ">"], kind: int):
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:
        writer.write(LEVELS[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
        writer.write(COLOURS, photometric="rgb", metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        place = opened.pages.first.tags[254].offset
    value = 1 if kind == tiff.LONG or order == "<" else 1 << 16  # two bytes, and two of nothing
    struct.pack_into(f"{order}HHII", data, place, 254, kind, 1, value)
    decoded = read_picture(bytes(data))
    assert np.array_equal(np.asarray(decoded.image), COLOURS)
    assert decoded.notices == ()


VIDEO = (16, 235, 128, 240, 128, 240)
HDTV = (0.2126, 0.7152, 0.0722)


def coded(colours: np.ndarray, luma: tuple[float, ...], reference: tuple[float, ...]) -> np.ndarray:
    """RGB as Y, Cb and Cr, by TIFF 6.0, sections 20 and 21, written out."""
    red, green, blue = np.moveaxis(colours.astype(float), 2, 0)
    y = luma[0] * red + luma[1] * green + luma[2] * blue
    differences = (blue - y) / (2 - 2 * luma[2]), (red - y) / (2 - 2 * luma[0])
    codes = [y / 255 * (reference[1] - reference[0]) + reference[0]]
    codes += [part / 127 * (240 - 128) + 128 for part in differences]
    return np.stack(codes, axis=2).round().astype(np.uint8)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("compression", [None, "lzw", "jpeg"])
def test_brightness_and_differences_are_as_the_tags_say(
    compression: str | None, tile: tuple[int, int] | None
):
    colours = np.stack([40 + LEVELS // 2, 200 - LEVELS // 2, 60 + LEVELS // 4], axis=2)
    tags = [
        (532, 5, 6, [part for value in VIDEO for part in (value, 1)]),
        (529, 5, 3, [part for value in HDTV for part in (round(value * 10000), 10000)]),
    ]
    exact = {"level": 100, "colorspace": "YCBCR", "outcolorspace": "YCBCR"}
    data = written(
        coded(colours, HDTV, VIDEO),
        photometric="ycbcr",
        tile=tile,
        extratags=[(*tag, True) for tag in tags],
        **({"compression": compression} if compression else {}),
        **({"compressionargs": exact, "subsampling": (1, 1)} if compression == "jpeg" else {}),
    )
    got = np.asarray(read_picture(data).image, int)
    assert np.abs(got - colours).max() <= 5
