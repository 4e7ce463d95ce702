"""Photographs: those of scikit-image, and new ones that no cache can contain."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from tests.support.app_server import ROOT

PHOTOS = Path(skimage.__path__[0], "data")
EXAMPLES = ROOT / "assets" / "examples"


def fresh_photo(seed: int, size: tuple[int, int] = (320, 260)) -> bytes:
    """A new photo of a cat or of coffee as a PNG file, another one for each seed."""
    return _noisy(sorted(EXAMPLES.glob("*.jpg"))[seed % 2], seed, size, "PNG", noise=9)


def large_photo(seed: int, size: tuple[int, int] = (1600, 1200)) -> bytes:
    """A new photo as a JPEG file, another one for each seed."""
    names = sorted(EXAMPLES.glob("*.jpg"))
    return _noisy(names[seed % len(names)], seed, size, "JPEG", noise=4)


def _noisy(path: Path, seed: int, size: tuple[int, int], kind: str, noise: int) -> bytes:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB").resize(size), np.int16)
    added = np.random.default_rng(seed).integers(-noise, noise + 1, pixels.shape, dtype=np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(pixels + added, 0, 255).astype(np.uint8)).save(file, kind)
    return file.getvalue()
