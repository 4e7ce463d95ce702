"""A DICOM file is shown as it says it is to be (PS3.3, C.11), by formulas written out here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

import gradcam_core as gc
from gradcam_core import read_picture
from gradcam_core.errors import ImageError
from gradcam_core.images.decoded import Brightness
from gradcam_core.images.read import BLANK
from tests.support.handmade_pictures import dicom
from tests.support.handmade_pictures.dicom import dataset, encoded, item

RAMP = np.arange(-2000, 2096, dtype=np.int16).reshape(64, 64)
UNSIGNED = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def grey(data: bytes, **options: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Levels [H, W], and the notices."""
    decoded = gc.read_picture(data, **options)
    levels = np.asarray(decoded.image)
    assert (levels == levels[:, :, :1]).all()
    return levels[:, :, 0].astype(int), decoded.notices


def expected(values: np.ndarray, level) -> np.ndarray:
    """level: of one value, in [0, 1]."""
    flat = [round(255 * level(float(value))) for value in values.ravel()]
    return np.asarray(flat).reshape(values.shape)


def assert_shows(got: np.ndarray, values: np.ndarray, level) -> None:
    assert np.abs(got - expected(values, level)).max() <= 1
    assert got.max() > got.min()


def linear(c: float, w: float):
    """C.11.2.1.2.1, as it is printed there."""

    def level(x: float) -> float:
        if x <= c - 0.5 - (w - 1) / 2:
            return 0
        if x > c - 0.5 + (w - 1) / 2:
            return 1
        return (x - (c - 0.5)) / (w - 1) + 0.5

    return level


def linear_exact(c: float, w: float):
    return lambda x: 0 if x <= c - w / 2 else 1 if x > c + w / 2 else (x - c) / w + 0.5


def sigmoid(c: float, w: float):
    return lambda x: 1 / (1 + math.exp(-4 * (x - c) / w))


def between(low: float, high: float):
    return lambda x: min(1, max(0, (x - low) / (high - low)))


@pytest.mark.parametrize(
    ("function", "level"),
    [
        (None, linear(40, 400)),
        ("LINEAR", linear(40, 400)),
        ("LINEAR_EXACT", linear_exact(40, 400)),
        ("SIGMOID", sigmoid(40, 400)),
    ],
)
def test_the_window_of_the_file_is_shown(function: str | None, level):
    made = dataset(RAMP, WindowCenter=40, WindowWidth=400)
    if function:
        made.VOILUTFunction = function
    got, notices = grey(encoded(made))
    assert_shows(got, RAMP, level)
    assert len(notices) == 1
    assert "the window of the file, with centre 40 and width 400" in notices[0]
    assert ("sigmoid" in notices[0]) == (function == "SIGMOID")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_window_one_value_wide_has_two_levels_and_says_where_they_part(photometric: str):
    made = dataset(RAMP, WindowCenter=40, WindowWidth=1, PhotometricInterpretation=photometric)
    got, notices = grey(encoded(made))
    assert np.array_equal(got == (0 if photometric == "MONOCHROME1" else 255), RAMP > 39.5)
    above, others = ("black", "white") if photometric == "MONOCHROME1" else ("white", "black")
    assert notices == (
        f"Values above 39.5 are shown {above}, all others {others}: the window of the file, with "
        "centre 40 and width 1.",
    )


def test_pixels_that_are_no_squares_are_said():
    said = "A pixel of the file is 2 times as high as wide, and is shown as a square."
    for elements, has_notice in (
        ({"PixelSpacing": ["1.4", "0.7"]}, True),
        ({"ImagerPixelSpacing": ["1.4", "0.7"]}, True),
        ({"PixelAspectRatio": ["2", "1"]}, True),
        ({"PixelSpacing": ["0.7", "0.7"], "PixelAspectRatio": ["2", "1"]}, False),
        ({"PixelSpacing": ["0", "0.7"]}, False),
        ({"PixelAspectRatio": ["7"]}, False),
    ):
        _, notices = grey(encoded(dataset(UNSIGNED, **elements)))
        assert (said in notices) == has_notice, elements


def test_of_a_blank_picture_no_range_is_named():
    assert read_picture(encoded(dataset(np.full((9, 9), 7, np.uint16)))).notices == (BLANK,)


def test_of_several_windows_the_first_is_shown():
    made = dataset(RAMP, WindowCenter=[-600, 40], WindowWidth=[1500, 400])
    got, notices = grey(encoded(made))
    assert_shows(got, RAMP, linear(-600, 1500))
    assert notices == (
        "The value −1350 is shown black and 149 white: the first of 2 windows of the file, with "
        "centre −600 and width 1500.",
    )


def test_the_window_is_in_rescaled_units():
    made = dataset(UNSIGNED, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=40)
    made.WindowWidth = 400
    got, notices = grey(encoded(made))
    assert_shows(got, UNSIGNED * 2.0 - 1024, linear(40, 400))
    assert "−160 HU is shown black and 239 HU white" in notices[0]


def test_a_window_that_is_asked_for_goes_before_that_of_the_file():
    made = dataset(UNSIGNED, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40)
    made.WindowWidth = 400
    got, notices = grey(encoded(made), window=(-1000, 1000))
    assert_shows(got, UNSIGNED - 1024.0, between(-1000, 1000))
    assert notices == ("The value −1000 HU is shown black and 1000 HU white: as requested.",)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 40},
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": 40, "WindowWidth": -5},
        {"WindowCenter": [], "WindowWidth": []},
    ],
)
def test_without_a_window_the_full_range_is_shown(elements: dict[str, Any]):
    values = RAMP[10:40, 5:50]
    got, notices = grey(encoded(dataset(np.ascontiguousarray(values), **elements)))
    low, high = int(values.min()), int(values.max())
    assert_shows(got, values, between(low, high))
    assert notices == (
        f"The value −{-low} is shown black and {high} white: the lowest and the highest value in "
        "the picture, as the file names no usable window.",
    )


@pytest.mark.parametrize(
    ("elements", "padding"),
    [
        ({"PixelPaddingValue": -2000}, (-2000, -2000)),
        ({"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1500}, (-2000, -1500)),
        ({"PixelPaddingValue": -1500, "PixelPaddingRangeLimit": -2000}, (-2000, -1500)),
    ],
)
def test_padding_is_none_of_the_range(elements: dict[str, int], padding: tuple[int, int]):
    values = RAMP.copy()
    values[values < -1000] = -1000
    values[:5], values[5:9] = padding
    got, _ = grey(encoded(dataset(values, RescaleSlope=1, RescaleIntercept=7, **elements)))
    assert_shows(got, values + 7, between(-993, 2102))


def test_a_picture_of_padding_alone_is_shown():
    got, _ = grey(encoded(dataset(np.full((9, 9), -2000, np.int16), PixelPaddingValue=-2000)))
    assert (got == got[0, 0]).all()


def test_monochrome1_is_inverted():
    window = {"WindowCenter": 40, "WindowWidth": 400}
    got, notices = grey(encoded(dataset(RAMP, PhotometricInterpretation="MONOCHROME1", **window)))
    assert_shows(got, RAMP, lambda x: 1 - linear(40, 400)(x))
    assert "239 is shown black and −160 white" in notices[0]
    got, notices = grey(encoded(dataset(RAMP, PhotometricInterpretation="MONOCHROME1")))
    assert_shows(got, RAMP, lambda x: 1 - between(-2000, 2095)(x))
    assert "the highest and the lowest" in notices[0]
    got, _ = grey(
        encoded(dataset(RAMP, PhotometricInterpretation="MONOCHROME1", **window)), window=(0, 99)
    )
    assert_shows(got, RAMP, lambda x: 1 - between(0, 99)(x))


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("high", [11, 15])
def test_what_is_in_the_unused_bits_is_ignored(is_signed: bool, high: int):
    # Older files have an overlay there.
    values = (np.arange(-2048, 2048) if is_signed else np.arange(4096)).reshape(64, 64)
    raw = (values & 0xFFF) << (high - 11)
    noise = np.random.default_rng(0).integers(0, 16, values.shape)
    raw |= noise << 12 if high == 11 else noise
    made = dataset(raw.astype(np.uint16), BitsStored=12, HighBit=high)
    made.PixelRepresentation = int(is_signed)
    got, _ = grey(encoded(made))
    assert_shows(got, values, between(values.min(), values.max()))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_integers_of_all_sizes(dtype: str):
    limits = np.iinfo(dtype)
    values = np.linspace(limits.min // 2, limits.max // 2, 300).astype(dtype).reshape(15, 20)
    got, _ = grey(encoded(dataset(values)))
    assert_shows(got, values, between(float(values.min()), float(values.max())))


@pytest.mark.parametrize(
    ("dtype", "keyword"), [("f4", "FloatPixelData"), ("f8", "DoubleFloatPixelData")]
)
def test_floating_point_pixels(dtype: str, keyword: str):
    values = np.linspace(-0.25, 3e3, 300).astype(dtype).reshape(15, 20)
    made = dataset(values)
    del made.PixelData
    setattr(made, keyword, values.tobytes())
    for name in ("BitsStored", "HighBit", "PixelRepresentation"):
        delattr(made, name)
    got, _ = grey(encoded(made))
    assert_shows(got, values, between(-0.25, 3e3))


def table(levels: np.ndarray, first: int, bits: int) -> Any:
    made = item(LUTDescriptor=[len(levels) % 65536, first % 65536, bits])
    made["LUTDescriptor"].VR = "US"
    made.add_new("LUTData", "OW", levels.astype("<u2").tobytes())
    return made


def test_tables_of_the_modality_and_of_the_values_of_interest():
    measured = (np.sqrt(np.arange(3000)) * 18).astype(int)  # of the values from 500 on
    brightness = np.arange(1000)[::-1] ** 2 // 1000
    made = dataset(UNSIGNED, ModalityLUTSequence=[table(measured, 500, 12)])

    def of_machine(x: float) -> float:
        return measured[int(min(max(x - 500, 0), 2999))]

    got, _ = grey(encoded(made))
    assert_shows(got, UNSIGNED, lambda x: of_machine(x) / measured.max())
    made.VOILUTSequence = [table(brightness, 0, 10), table(brightness, 7, 10)]
    made.WindowCenter, made.WindowWidth = 40, 400
    got, notices = grey(encoded(made))

    def shown(x: float) -> float:
        return brightness[int(min(max(of_machine(x), 0), 999))] / 1023

    assert_shows(got, UNSIGNED, shown)
    assert notices == ("The picture is shown with the file's own table of brightness (VOI LUT).",)
    ends = [of_machine(int(x)) for x in (UNSIGNED.min(), UNSIGNED.max())]
    assert read_picture(encoded(made)).brightness == Brightness(None, None, *ends)
    del made.VOILUTSequence
    assert read_picture(encoded(made)).brightness == Brightness(-160, 239, *ends)


def test_a_table_of_eight_bits_with_more_than_256_entries():
    levels = np.arange(4096) // 16
    made = dataset(UNSIGNED, VOILUTSequence=[table(levels, 0, 8)])
    assert_shows(grey(encoded(made))[0], UNSIGNED, lambda x: (x // 16) / 255)


def test_a_table_that_begins_below_zero():
    levels = np.arange(1000)
    made = dataset(RAMP, VOILUTSequence=[table(levels, -500, 10)])
    assert_shows(grey(encoded(made))[0], RAMP, lambda x: min(999, max(0, x + 500)) / 1023)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("has_meta", [True, False])
def test_every_encoding_gives_the_same_picture(syntax: str, has_meta: bool):
    settings: dict[str, Any] = {"WindowCenter": 40, "WindowWidth": 400, "PixelPaddingValue": -2000}
    settings["VOILUTSequence"] = [table(np.arange(1000), -500, 10)]
    plain, _ = grey(encoded(dataset(RAMP, **settings)))
    made = dataset(RAMP, **settings)
    if syntax == ExplicitVRBigEndian:
        made.VOILUTSequence[0].LUTData = np.arange(1000).astype(">u2").tobytes()
    got, _ = grey(encoded(made, syntax, has_meta=has_meta))
    np.testing.assert_array_equal(got, plain)


def test_a_deflated_file():
    content = encoded(dataset(RAMP, WindowCenter=40, WindowWidth=400), has_meta=False)
    assert_shows(grey(dicom.deflated(content))[0], RAMP, linear(40, 400))


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_of_several_frames_the_middle_one_is_shown(count: int):
    frames = np.stack([np.roll(RAMP, n, 0) for n in range(count)])
    got, notices = grey(encoded(dataset(frames, NumberOfFrames=count)))
    middle = count // 2
    assert_shows(got, frames[middle], between(-2000, 2095))
    said = f"The file has {count} frames: the middle one, number {middle + 1}, was read."
    assert (notices[0] == said) == (count > 1)


def test_each_frame_may_have_its_own_window_and_rescaling():
    frames = np.stack([UNSIGNED] * 3)

    def group(n: int) -> Any:
        return item(
            FrameVOILUTSequence=[item(WindowCenter=100 * n, WindowWidth=300)],
            PixelValueTransformationSequence=[item(RescaleSlope=n, RescaleIntercept=-50)],
        )

    made = dataset(frames, NumberOfFrames=3, RescaleSlope=9, RescaleIntercept=9)
    made.PerFrameFunctionalGroupsSequence = [group(1), group(2), group(3)]
    assert_shows(grey(encoded(made))[0], UNSIGNED * 2.0 - 50, linear(200, 300))
    del made.PerFrameFunctionalGroupsSequence
    made.SharedFunctionalGroupsSequence = [group(3)]
    assert_shows(grey(encoded(made))[0], UNSIGNED * 3.0 - 50, linear(300, 300))


def test_tiles_of_a_slide_are_said_to_be_tiles(cat: Image.Image):
    tiles = np.asarray(cat.resize((80, 60)))[None].repeat(6, 0)
    made = dataset(tiles, NumberOfFrames=6, TotalPixelMatrixColumns=240, TotalPixelMatrixRows=120)
    assert gc.read_picture(encoded(made)).notices == (
        "The file is a slide of 240 x 120 pixels in 6 tiles: only the middle one, number 4, was "
        "read.",
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [0, 1])
def test_colours_in_either_order(cat: Image.Image, planar: int, bits: int):
    colours = np.asarray(cat.resize((90, 60)))
    stored = colours if bits == 8 else colours.astype(np.uint16) * 257
    data = stored if planar == 0 else np.moveaxis(stored, 2, 0)
    made = dataset(stored, PlanarConfiguration=planar)
    made.PixelData = data.tobytes()
    decoded = gc.read_picture(encoded(made))
    np.testing.assert_array_equal(np.asarray(decoded.image), colours)
    assert decoded.notices == ()


def test_colours_as_brightness_and_two_differences(cat: Image.Image):
    small = cat.resize((90, 60))
    ybr = np.asarray(small.convert("YCbCr"))
    made = dataset(ybr, PhotometricInterpretation="YBR_FULL")
    got = np.asarray(gc.read_picture(encoded(made)).image, int)
    assert np.abs(got - np.asarray(small)).max() <= 3
    # Of two pixels beside each other one pair of differences is stored: Y Y Cb Cr.
    pairs = ybr.reshape(60, 45, 2, 3)
    halved = np.stack(
        [pairs[:, :, 0, 0], pairs[:, :, 1, 0], pairs[:, :, 0, 1], pairs[:, :, 0, 2]], axis=-1
    )
    made = dataset(ybr, PhotometricInterpretation="YBR_FULL_422")
    made.PixelData = np.ascontiguousarray(halved).tobytes()
    got = np.asarray(gc.read_picture(encoded(made)).image, int)
    assert np.abs(got - np.asarray(small)).mean() < 3


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette(bits: int):
    random = np.random.default_rng(0)
    colours = random.integers(0, 2**bits, (200, 3))
    colours[0] = 2**bits - 1
    index = random.integers(0, 256, (30, 40)).astype(np.uint8)
    made = dataset(index, PhotometricInterpretation="PALETTE COLOR")
    for n, name in enumerate(("Red", "Green", "Blue")):
        made.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [200, 20, bits])
        entries = colours[:, n].astype("<u2" if bits == 16 else "u1").tobytes()
        made.add_new(f"{name}PaletteColorLookupTableData", "OW", entries)
    got = np.asarray(gc.read_picture(encoded(made)).image, int)
    right = colours[np.clip(index.astype(int) - 20, 0, 199)] * 255 / (2**bits - 1)
    assert np.abs(got - right).max() <= 1


def test_a_window_is_for_grey_alone(cat: Image.Image):
    made = dataset(np.asarray(cat))
    decoded = gc.read_picture(encoded(made), window=(0, 9))
    np.testing.assert_array_equal(np.asarray(decoded.image), np.asarray(cat))
    assert decoded.notices == ("The window was not used: this picture is in colour.",)


def test_a_drawing_beside_the_pixels_is_left_out():
    plain, _ = grey(encoded(dataset(RAMP)))
    made = dataset(RAMP)
    made.add_new(0x60000010, "US", 64)
    made.add_new(0x60000011, "US", 64)
    made.add_new(0x60003000, "OW", b"\xff" * 512)
    np.testing.assert_array_equal(grey(encoded(made))[0], plain)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("1.2.840.10008.5.1.4.1.1.104.1", "a document"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "a report"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "part of a radiotherapy plan"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "a waveform"),
        ("1.2.840.10008.5.1.4.1.1.999", "no picture in it. Choose"),
    ],
)
def test_an_object_without_pixels_gets_a_sentence(kind: str, what: str):
    made = dataset(RAMP, SOPClassUID=kind)
    del made.PixelData
    with pytest.raises(ImageError, match="no picture in it") as error:
        gc.read_picture(encoded(made))
    assert what in str(error.value)
