"""What holds of any picture whatever, tried on pictures that nobody has thought of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from gradcam_core import read_image
from gradcam_core.errors import ImageError
from gradcam_core.images.limits import MAX_PIXELS, MAX_SIDE_PX
from tests.support.bad_pictures.encodings import ENCODINGS, as_file, encoded

bounded = settings(
    deadline=None,  # a busy machine takes its time
    max_examples=40,  # `make fuzz` reads 200,000
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

LOSSLESS: dict[str, dict[str, object]] = {
    "PNG": {},
    "WEBP": {"lossless": True, "exact": True},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "PPM": {},
}

sides = st.integers(1, 40)


@st.composite
def pictures(draw: st.DrawFn, mode: str = "RGB") -> Image.Image:
    """Small, of any pixels."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (draw(sides), draw(sides), channels)
    values = draw(arrays.arrays(np.uint8, shape))
    return Image.fromarray(values[:, :, 0] if channels == 1 else values, mode)


def assert_is_a_sentence(text: str) -> None:
    assert 10 <= len(text) <= 300
    assert text.isprintable()
    assert text.endswith(".")


def assert_is_a_picture_or_a_sentence(data: bytes) -> None:
    try:
        picture = read_image(data)
    except ImageError as error:
        assert_is_a_sentence(str(error))
        return
    assert picture.mode == "RGB"
    width, height = picture.size
    assert 0 < width <= MAX_SIDE_PX
    assert 0 < height <= MAX_SIDE_PX
    assert width * height <= MAX_PIXELS
    # The same bytes are the same picture.
    assert np.array_equal(np.asarray(read_image(data)), np.asarray(picture))


@bounded
@given(st.binary(max_size=2000))
@example(b"")
def test_any_bytes_are_a_picture_or_get_a_sentence(data: bytes):
    assert_is_a_picture_or_a_sentence(data)


HEADS = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08",
         b"BM", b"RIFF\x99\0\0\0WEBPVP8 ", b"RIFF\x99\0\0\0WEBPVP8L", b"P6 9 9 255\n", b"P4 9 9\n",
         b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"]  # fmt: skip


@bounded
@given(st.sampled_from(HEADS), st.binary(max_size=500))
def test_any_bytes_after_a_right_beginning_are_too(head: bytes, data: bytes):
    assert_is_a_picture_or_a_sentence(head + data)


@bounded
@given(st.sampled_from(list(ENCODINGS)), st.data())
def test_a_file_with_any_part_replaced_is_too(encoding: str, data: st.DataObject):
    file = as_file(encoding)
    start = data.draw(st.integers(0, len(file) - 1) | st.integers(0, 200))
    end = start + data.draw(st.integers(0, 40))
    assert_is_a_picture_or_a_sentence(file[:start] + data.draw(st.binary(max_size=40)) + file[end:])


@bounded
@given(st.sampled_from(list(LOSSLESS)), pictures())
def test_a_file_without_loss_gives_back_every_pixel(format: str, picture: Image.Image):
    read = read_image(encoded(picture, format, **LOSSLESS[format]))
    assert np.array_equal(np.asarray(read), np.asarray(picture))


@bounded
@given(pictures(), st.integers(1, 8), st.sampled_from(["PNG", "TIFF", "WEBP"]))
def test_any_orientation_is_undone(picture: Image.Image, orientation: int, format: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    read = read_image(encoded(picture, format, exif=exif, **options))
    # What is stored, turned by hand: rows and columns as the standard of EXIF names them.
    stored = np.asarray(picture)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    assert np.array_equal(np.asarray(read), upright)


@bounded
@given(pictures("RGBA"))
def test_opacity_is_laid_on_white(picture: Image.Image):
    read = np.asarray(read_image(encoded(picture, "PNG")), float)
    values = np.asarray(picture, float)
    share = values[:, :, 3:] / 255
    assert np.abs(read - (values[:, :, :3] * share + 255 * (1 - share))).max() <= 1.01


@bounded
@given(arrays.arrays(np.uint16, st.tuples(sides, sides)))
def test_sixteen_bits_keep_their_order(values: np.ndarray):
    read = np.asarray(read_image(encoded(Image.fromarray(values), "PNG")), int)[:, :, 0]
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(read.ravel()[order]) >= 0).all()


@bounded
@given(
    arrays.arrays(np.float32, st.tuples(sides, sides), elements=st.floats(width=32)),
)
def test_any_numbers_of_a_float_picture_are_levels(values: np.ndarray):
    data = encoded(Image.fromarray(values), "TIFF")
    assert_is_a_picture_or_a_sentence(data)
    if not np.isfinite(values).any():
        with pytest.raises(ImageError, match="No pixel of the picture has a finite value"):
            read_image(data)
        return
    read = read_image(data)
    assert read.size == (values.shape[1], values.shape[0])


MODES = [
    "1",
    "L",
    "LA",
    "P",
    "PA",
    "RGBA",
    "RGBa",
    "La",
    "RGBX",
    "CMYK",
    "YCbCr",
    "HSV",
    "I",
    "F",
    "I;16",
]


@bounded
@given(pictures(), st.sampled_from(MODES))
def test_a_picture_of_any_mode_in_memory_becomes_rgb_of_its_size(picture: Image.Image, mode: str):
    other = picture.convert({"RGBa": "RGBA", "La": "LA"}.get(mode, mode)).convert(mode)
    before = other.tobytes()
    read = read_image(other)
    assert (read.mode, read.size) == ("RGB", picture.size)
    assert other.tobytes() == before  # what belongs to somebody else is not changed


@bounded
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int8, np.float64, np.bool_]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6),
    )
)
def test_an_array_of_any_shape_is_a_picture_or_gets_a_sentence(values: np.ndarray):
    try:
        read = read_image(values)
    except ImageError as error:
        assert_is_a_sentence(str(error))
        return
    assert values.dtype in (np.uint8, np.int8, np.float64, np.bool_)
    assert read.size == (values.shape[1], values.shape[0])


@bounded
@given(pictures())
def test_turning_a_picture_in_memory_leaves_it_as_it_was(picture: Image.Image):
    picture.getexif()[0x0112] = 6
    before = np.asarray(picture).copy()
    read = read_image(picture)
    assert np.array_equal(np.asarray(picture), before)
    assert np.array_equal(np.asarray(read), np.asarray(ImageOps.exif_transpose(picture)))


@pytest.mark.parametrize("side", ["width", "height"])
def test_the_limits_are_those_that_are_said(side: str):
    size = (MAX_SIDE_PX, 1) if side == "width" else (1, MAX_SIDE_PX)
    assert read_image(Image.new("L", size)).size == size
    with pytest.raises(ImageError, match="too large"):
        read_image(Image.new("L", (size[0] + (size[0] > 1), size[1] + (size[1] > 1))))
