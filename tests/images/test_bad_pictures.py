"""Every picture of the corpus ends in a right picture or in one sentence of the reader.

`tests/server/test_bad_pictures.py` sends one a kind and outcome by the page, the API and the
command line, which all read with the same reader.
"""

from __future__ import annotations

import io

import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.errors import ImageError
from gradcam_core.images.sandbox import read_isolated
from tests.support.bad_pictures import BadPicture, cat, corpus
from tests.support.picture_outcomes import (
    assert_is_a_sentence,
    assert_looks_right,
    assert_may_be_shown,
)

pytestmark = pytest.mark.timeout(60)

CORPUS = {picture.name: picture for picture in corpus()}
every = pytest.mark.parametrize("picture", CORPUS.values(), ids=list(CORPUS))


def test_the_corpus_is_large_and_the_same_every_time():
    again = list(corpus())
    assert len(again) == len(CORPUS) >= 150
    for picture in again[::5]:
        if not picture.is_large:
            assert picture.data == CORPUS[picture.name].data, picture.name


@every
def test_the_reader_gives_a_right_picture_or_a_sentence(picture: BadPicture):
    try:
        image = read_isolated(picture.data)
    except ImageError as error:
        assert_is_a_sentence(str(error), picture)
        return
    assert image.mode == "RGB"
    shown = assert_may_be_shown(picture, image.size)
    assert_looks_right(image, shown)


def test_an_array_and_a_picture_in_memory_are_bounded_too():
    for size in ((20_000, 20_000), (1, 70_000)):
        with pytest.raises(ImageError, match="too large"):
            gc.read_image(Image.new("1", size))
    file = io.BytesIO()
    cat().save(file, "PNG")
    assert gc.read_image(file.getvalue()).size == cat().size


def test_a_large_picture_is_read_although_another_was_read_before():
    """What one picture took is given back before the next one needs it."""
    for name in ("PNG", "JPEG", "GIF", "TIFF, deflate"):
        picture = CORPUS[f"{name}, just below the limit"]
        assert picture.shown
        for _ in range(4):  # whichever of the readers it meets
            assert read_isolated(picture.data).size == picture.shown.size
