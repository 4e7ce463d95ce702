"""Pictures written some rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from gradcam_core.images.rendering.png import write_png


def in_bands(pixels: np.ndarray, rows: int) -> Iterator[np.ndarray]:
    return (pixels[top : top + rows] for top in range(0, len(pixels), rows))


def read_back(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()  # checks every chunk, and that nothing is missing
        return np.asarray(picture)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_photo_is_read_back_as_it_was(cat, rows: int):
    pixels, file = np.asarray(cat), io.BytesIO()
    write_png(file, cat.width, cat.height, in_bands(pixels, rows))
    np.testing.assert_array_equal(read_back(file.getvalue()), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (33, 65), (64, 2)])
@pytest.mark.parametrize("channels", [3, None])
def test_noise_of_any_size_is_read_back_as_it_was(shape: tuple[int, int], channels: int | None):
    rng = np.random.default_rng(0)
    if channels:
        pixels = rng.integers(0, 2**8, (*shape, channels)).astype(np.uint8)
    else:
        pixels = rng.integers(0, 2**16, shape).astype(np.uint16)
    file = io.BytesIO()
    write_png(file, shape[1], shape[0], in_bands(pixels, 10))
    np.testing.assert_array_equal(read_back(file.getvalue()), pixels)


def test_what_is_not_contiguous_is_read_back_as_it_was(cat):
    pixels, file = np.asarray(cat)[::-1, ::-2], io.BytesIO()
    write_png(file, pixels.shape[1], pixels.shape[0], [pixels])
    np.testing.assert_array_equal(read_back(file.getvalue()), pixels)


def test_a_photo_is_about_as_small_as_pillow_makes_it(cat):
    ours, pillows = io.BytesIO(), io.BytesIO()
    write_png(ours, cat.width, cat.height, [np.asarray(cat)])
    cat.save(pillows, "PNG")
    assert len(ours.getvalue()) < 1.15 * len(pillows.getvalue())


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_another_number_of_rows_than_said_is_refused(rows: int):
    bands = [np.zeros((rows, 5, 3), np.uint8)] if rows else []
    with pytest.raises(ValueError, match=f"3 rows has got {rows}"):
        write_png(io.BytesIO(), 5, 3, bands)
