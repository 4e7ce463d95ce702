"""What pictures say of themselves, read back with Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from gradcam_core.images.rendering.metadata import jpeg_settings, lines, png_info
from gradcam_core.images.rendering.png import write_png

SAID = {
    "Photo": "kaffee ☕.png",
    "Class": "tabby (281)",
    "Stands in for": "VGG19",
    "Software": "x 1",
}


@pytest.mark.parametrize("shape", [(9, 5, 3), (9, 5)])
def test_a_png_written_in_bands_has_its_metadata(shape: tuple[int, ...]):
    pixels, file = np.zeros(shape, np.uint8 if len(shape) == 3 else np.uint16), io.BytesIO()
    write_png(file, 5, 9, [pixels[:4], pixels[4:]], png_info(SAID))
    with Image.open(file) as picture:
        assert isinstance(picture, PngImageFile)
        assert picture.text == SAID  # which reads to the end
        np.testing.assert_array_equal(np.asarray(picture), pixels)


def test_a_jpeg_has_its_metadata_as_comment_and_exif():
    file = io.BytesIO()
    Image.new("RGB", (9, 5)).save(file, "JPEG", **jpeg_settings(SAID))
    with Image.open(file) as picture:
        assert picture.info["comment"].decode() == lines(SAID)
        exif = picture.getexif()
        assert exif[0x010E].encode("latin-1").decode() == lines(SAID)
        assert exif[0x0131] == "x 1"


def test_a_picture_with_nothing_to_say_says_nothing():
    file = io.BytesIO()
    Image.new("RGB", (9, 5)).save(file, "JPEG", **jpeg_settings({}))
    with Image.open(file) as picture:
        assert "comment" not in picture.info
        assert not picture.getexif()
