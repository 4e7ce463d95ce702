"""Compressed pixels of DICOM files, and files that other programs wrote."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG4HP41,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

import gradcam_core as gc
from gradcam_core.errors import ImageError
from tests.support.handmade_pictures.dicom import dataset, encoded

ROWS, COLUMNS = np.mgrid[:60, :80]
PHOTO = (ROWS * 37 + COLUMNS * 11 + (ROWS * COLUMNS) % 17) % 4096


def levels(data: bytes | Path) -> np.ndarray:
    return np.asarray(gc.read_picture(data).image, int)


def lj92(values: np.ndarray, bits: int) -> bytes:
    """Lossless JPEG by another encoder than the one whose decoder reads it."""
    return bytes(imagecodecs.ljpeg_encode(values.astype(np.uint16), bitspersample=bits))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGLosslessSV1, lj92),
        (JPEGLossless, lambda v, bits: imagecodecs.jpeg8_encode(
            v, lossless=True, predictor=6, bitspersample=bits)),
        (JPEGLSLossless, lambda v, bits: imagecodecs.jpegls_encode(v)),
        (JPEG2000Lossless, lambda v, bits: imagecodecs.jpeg2k_encode(
            v, codecformat="j2k", level=0, reversible=True, bitspersample=bits)),
    ],
)  # fmt: skip
def test_lossless_compression_changes_nothing(bits: int, is_signed: bool, syntax: str, encode):
    dtype = np.uint8 if bits == 8 else np.uint16
    raw = (PHOTO * 2 ** max(0, bits - 12) % 2**bits).astype(dtype)
    signed = raw.view("i1" if bits == 8 else "i2") if is_signed else raw
    made = dataset(signed, BitsStored=bits, HighBit=bits - 1)
    plain = levels(encoded(made))
    assert len(np.unique(plain)) > 100
    got = levels(encoded(made, syntax, frames=[bytes(encode(raw, bits))]))
    np.testing.assert_array_equal(got, plain)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2"])
def test_run_lengths(dtype: str, cat: Image.Image):
    made = dataset(PHOTO.astype(dtype))
    plain = levels(encoded(made))
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    made.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    np.testing.assert_array_equal(levels(encoded(made, RLELossless)), plain)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_lossless_colours(syntax: str, cat: Image.Image):
    colours = np.asarray(cat.resize((90, 60)))
    encode = {
        JPEGLosslessSV1: lambda v: imagecodecs.jpeg8_encode(v, lossless=True),
        JPEGLSLossless: imagecodecs.jpegls_encode,
        JPEG2000Lossless: lambda v: imagecodecs.jpeg2k_encode(
            v, codecformat="j2k", level=0, reversible=True, mct=True
        ),
    }[syntax]
    made = dataset(colours)
    if syntax == JPEG2000Lossless:
        made.PhotometricInterpretation = "YBR_RCT"
    np.testing.assert_array_equal(
        levels(encoded(made, syntax, frames=[bytes(encode(colours))])), colours
    )


def test_lossy_jpeg_of_8_and_of_12_bits(cat: Image.Image):
    file = io.BytesIO()
    cat.save(file, "JPEG", quality=95, subsampling=0)
    made = dataset(np.asarray(cat), PhotometricInterpretation="YBR_FULL_422")
    got = levels(encoded(made, JPEGBaseline8Bit, frames=[file.getvalue()]))
    assert np.abs(got - np.asarray(cat)).mean() < 2
    smooth = (ROWS * 40 + COLUMNS * 20).astype(np.uint16)
    made = dataset(smooth, BitsStored=12, HighBit=11)
    frame = imagecodecs.jpeg8_encode(smooth, level=95, bitspersample=12)
    got = levels(encoded(made, JPEGExtended12Bit, frames=[bytes(frame)]))[:, :, 0]
    assert np.abs(got - smooth * (255 / 3940)).max() <= 3


@pytest.mark.parametrize("syntax", [JPEG2000, HTJ2K, HTJ2KLossless])
def test_jpeg_2000_and_its_faster_kind(syntax: str):
    values = PHOTO.astype(np.uint16)
    if syntax == JPEG2000:
        frame = imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=80)
    else:
        frame = imagecodecs.htj2k_encode(values)
    made = dataset(values, BitsStored=16, HighBit=15)
    got = levels(encoded(made, syntax, frames=[bytes(frame)]))
    assert np.abs(got - levels(encoded(dataset(values)))).mean() < 3


def test_of_several_compressed_frames_the_middle_one_is_read():
    frames = [np.roll(PHOTO, 9 * n, 1).astype(np.uint16) for n in range(5)]
    made = dataset(np.stack(frames), NumberOfFrames=5)
    got = levels(encoded(made, JPEGLosslessSV1, frames=[lj92(frame, 16) for frame in frames]))
    np.testing.assert_array_equal(got, levels(encoded(dataset(frames[2]))))


def test_video_gets_a_sentence_with_its_name():
    made = dataset(PHOTO.astype(np.uint16))
    with pytest.raises(ImageError, match=r"with an unsupported method \(MPEG-4 AVC/H.264"):
        gc.read_picture(encoded(made, MPEG4HP41, frames=[b"\0\0\0\1video"]))


# What pydicom brings with it: by GDCM, DCMTK, dcmjpeg, and machines of several makers.
FILES = [
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "examples_overlay.dcm",
    "MR_small_padded.dcm",
]


@pytest.mark.parametrize("name", FILES)
def test_real_files_with_a_window_are_shown_as_pydicom_shows_them(name: str):
    path = Path(str(get_testdata_file(name)))
    found = pydicom.dcmread(path)
    right = pydicom.pixels.apply_voi_lut(
        pydicom.pixels.apply_modality_lut(found.pixel_array, found), found
    )
    low, high = 0, 2**found.BitsStored - 1
    if found.PixelRepresentation:
        low, high = -(2 ** (found.BitsStored - 1)), 2 ** (found.BitsStored - 1) - 1
    got = levels(path)[:, :, 0]
    assert np.abs(got - (right - low) / (high - low) * 255).max() <= 1


@pytest.mark.parametrize(
    ("compressed", "plain"),
    [
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_jls_lossy_line.dcm", "SC_rgb_rle.dcm"),
        ("SC_ybr_full_422_uncompressed.dcm", "SC_rgb_rle.dcm"),
        ("SC_rgb_rle_16bit.dcm", "SC_rgb_rle.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
    ],
)
def test_real_files_of_one_picture_agree(compressed: str, plain: str):
    one, other = (
        levels(Path(str(get_testdata_file(name)))).astype(float) for name in (compressed, plain)
    )
    assert np.abs(one - other).mean() < 3
    assert other.std() > 20


def outcome(path: Path) -> str:
    try:
        gc.read_picture(path)
    except ImageError as error:
        return str(error)
    return "shown"


def test_every_file_of_pydicom_is_read_or_told():
    folder = Path(str(get_testdata_file("MR_small.dcm"))).parent
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in (".dcm", "")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcomes = {path.name: outcome(path) for path in files}
    assert [name for name in outcomes if outcomes[name].startswith("The picture is damaged")] == [
        "JPEG2000-embedded-sequence-delimiter.dcm",  # which pydicom has damaged to see what happens
        "MR_truncated.dcm",
    ]
    assert sum(said == "shown" for said in outcomes.values()) >= 85
