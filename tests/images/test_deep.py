"""HEIC and AVIF of 10 and 12 bits: windows are in the file's own levels."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from gradcam_core import read_picture
from gradcam_core.images.formats import reduced

WIDTH, HEIGHT = 160, 120


def ramp(bits: int, is_grey: bool) -> np.ndarray:
    """Levels of so many bits, over nearly all of the range."""
    levels = np.tile(np.linspace(0, 2**bits - 1, WIDTH), (HEIGHT, 1)).astype(np.uint16)
    return levels if is_grey else np.stack([levels, levels[:, ::-1], levels // 2], axis=-1)


def encoded(levels: np.ndarray, encoding: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> bytes:
    if encoding == "AVIF":
        return bytes(imagecodecs.avif_encode(levels, level=100, speed=10, bitspersample=bits))
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
    exact = {} if levels.ndim == 2 else {"matrix_coefficients": 0}
    file = io.BytesIO()
    data = np.ascontiguousarray(levels << (16 - bits)).tobytes()
    picture = pillow_heif.from_bytes(
        "L;16" if levels.ndim == 2 else "RGB;16", (WIDTH, HEIGHT), data
    )
    picture.save(file, quality=-1, chroma=444, **exact)
    return file.getvalue()


@pytest.mark.parametrize("is_grey", [True, False])
@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("encoding", ["HEIC", "AVIF"])
def test_levels_are_the_files_own(
    encoding: str, bits: int, is_grey: bool, monkeypatch: pytest.MonkeyPatch
):
    levels = ramp(bits, is_grey)
    photo = encoded(levels, encoding, bits, monkeypatch)

    def is_shown(photo: bytes, levels: np.ndarray, low: float, high: float, *window: float) -> str:
        decoded = read_picture(photo, window or None)  # type: ignore[arg-type]
        expected = np.clip((levels - float(low)) / (high - low), 0, 1) * 255
        got = np.asarray(decoded.image, float)
        assert np.abs(got - (expected[..., None] if is_grey else expected)).max() <= 2
        return " ".join(decoded.notices)

    low, high = 0.3 * 2**bits, 0.4 * 2**bits
    assert "as requested" in is_shown(photo, levels, low, high, low, high)
    assert is_shown(photo, levels, 0, 2**bits - 1) == ""  # a photo is shown as it is

    dark = levels // 8
    notice = is_shown(encoded(dark, encoding, bits, monkeypatch), dark, 0, dark.max())
    assert f"and {dark.max():,} white" in notice

    white = encoded(np.full_like(levels, 2**bits - 1), encoding, bits, monkeypatch)
    assert np.asarray(read_picture(white).image).min() == 255


@pytest.mark.parametrize("bits", [10, 12])
def test_transparency_has_the_levels_of_the_file(bits: int):
    full = 2**bits - 1
    levels = np.dstack([ramp(bits, False) // 8, np.full((HEIGHT, WIDTH), full, np.uint16)])
    levels[:, : WIDTH // 2, 3] = 0
    decoded = read_picture(
        bytes(imagecodecs.avif_encode(levels, level=100, speed=10, bitspersample=bits))
    )
    shown = np.asarray(decoded.image, float)
    colours = levels[:, WIDTH // 2 :, :3].astype(float)
    highest = float(levels[:, :, :3].max())
    assert np.abs(shown[:, WIDTH // 2 :] - 255 * colours / highest).max() <= 2
    assert shown[:, : WIDTH // 2].min() == 255  # on white


def test_a_window_is_in_the_files_own_levels_where_it_is_read_smaller(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(reduced, "MAX_PIXELS", WIDTH * HEIGHT // 2)
    levels = ramp(10, is_grey=False)
    decoded = read_picture(encoded(levels, "HEIC", 10, monkeypatch), (300, 500))
    halved = np.asarray(Image.fromarray((levels >> 2).astype(np.uint8)).reduce(2), float) * 4 + 2
    expected = np.clip((halved - 300) / 200, 0, 1) * 255
    assert np.abs(np.asarray(decoded.image, float) - expected).max() <= 3
    assert decoded.brightness
    assert decoded.brightness.highest > 1000
