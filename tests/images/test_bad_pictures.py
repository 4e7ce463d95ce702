"""Every picture of the corpus ends in a right picture or in one sentence of the reader.

`tests/server/test_bad_pictures.py` sends one per kind and outcome by the page, the API and the
command line, which all read with the same reader. `make fuzz` sends all of them to a server, also
those that take seconds.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

import gradcam_core as gc
from gradcam_core.errors import ImageError
from gradcam_core.images import sandbox
from gradcam_core.images.sandbox import Reader, read_isolated
from tests.support.bad_pictures.bad_picture import BadPicture
from tests.support.bad_pictures.corpus import corpus
from tests.support.bad_pictures.encodings import cat
from tests.support.picture_outcomes import (
    assert_is_a_sentence,
    assert_looks_right,
    assert_may_be_shown,
)

pytestmark = pytest.mark.timeout(120)

CORPUS = {picture.name: picture for picture in corpus()}
KINDS = list(dict.fromkeys(one.kind for one in CORPUS.values()))


ELSEWHERE = {
    *("JPEG", "TIFF, deflate"),  # larger or turned: `test_large.py`, `test_sandbox.py`
    *("TIFF, LZW", "arithmetic JPEG"),  # kept in memory as those two are
    "GIF, a large screen and a tiny frame",  # as the GIF is
    "BMP, run lengths",  # as the PNG is
    "progressive JPEG, 20 scans",  # a larger one: `test_large.py`
    *("PNG, just above the limit", "JPEG, just above the limit"),  # the same
    "TIFF, 32-bit floats",  # refused as the PNG of 16 bits is
    "DICOM, 48 megapixels",  # `tests/server/test_bad_pictures.py`
}
"""Large pictures, just below the limit, that need not be read here. Those of phones are read in
`test_large.py`, all of them by `make fuzz`."""


def test_the_corpus_is_large_and_the_same_every_time():
    again = list(corpus())
    assert len(again) == len(CORPUS) >= 150
    for picture in again[::60]:
        if not picture.is_large:
            assert picture.data == CORPUS[picture.name].data, picture.name


def is_shown(picture: BadPicture, read: Callable[[bytes], Image.Image]) -> bool:
    """Fails unless it is a right picture, or gets a sentence that it may get."""
    try:
        image = read(picture.data)
    except ImageError as error:
        assert_is_a_sentence(str(error), picture)
        return False
    assert image.mode == "RGB"
    shown = assert_may_be_shown(picture, image.size)
    assert_looks_right(image, shown)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_the_reader_gives_a_right_picture_or_a_sentence(kind: str):
    wrong = {}
    for picture in CORPUS.values():
        if picture.kind == kind and not picture.is_large and not picture.is_costly:
            try:
                is_shown(picture, read_isolated)
            except AssertionError as error:
                wrong[picture.name] = str(error)
    assert not wrong


def test_an_array_and_a_picture_in_memory_are_bounded_too():
    for size in ((20_000, 20_000), (1, 70_000)):
        with pytest.raises(ImageError, match="too large"):
            gc.read_image(Image.new("1", size))
    file = io.BytesIO()
    cat().save(file, "PNG")
    assert gc.read_image(file.getvalue()).size == cat().size


def test_large_pictures_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    """What one picture took is given back before the next one needs it."""
    monkeypatch.setattr(sandbox, "DECODE_TIMEOUT_S", 120.0)  # of memory, not of time
    large = {
        one.name.removesuffix(", just below the limit"): one
        for one in CORPUS.values()
        if one.is_large and not one.is_costly and one.kind != "phones"
    }
    assert large.keys() > ELSEWHERE
    reader = Reader()
    shown = {name for name in large.keys() - ELSEWHERE if is_shown(large[name], reader.read)}
    reader.stop()
    assert {"PNG", "GIF"} <= shown
