"""The allowed outcomes of a bad picture: the right picture, or a sentence for people."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
from PIL import Image

from tests.support.bad_pictures.bad_picture import BadPicture, Shown
from tests.support.bad_pictures.encodings import cat

CATS = {"tabby", "tiger cat", "Egyptian cat", "lynx", "Persian cat", "Siamese cat"}

NO_SENTENCE = re.compile(
    r"Traceback|Error\b|Exception|\bNone\b|errno|\.py\b|0x[0-9a-f]{4}|object at"
)


def assert_is_a_sentence(text: str, picture: BadPicture) -> None:
    """Fails unless the text is a sentence for people that is allowed for this picture."""
    assert 10 <= len(text) <= 300
    assert text == text.strip()
    assert text.isprintable()
    assert text.endswith(".")
    assert not NO_SENTENCE.search(text)
    assert picture.refused, f"it is refused, but it is a good picture: {text}"
    assert re.search(picture.refused, text)


@cache
def of_the_cat(size: tuple[int, int]) -> np.ndarray:
    return coarse(cat().resize(size))


def coarse(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L").resize((45, 30), Image.Resampling.BOX), float).ravel()


def assert_looks_right(image: Image.Image, shown: Shown) -> None:
    if shown.look == "cat":
        expected = of_the_cat(image.size)
        assert np.corrcoef(coarse(image), expected)[0, 1] > 0.97
        assert np.abs(coarse(image) - expected).mean() < 12
    elif shown.look is not None:
        mean = np.asarray(image.resize((1, 1), Image.Resampling.BOX), int).ravel()
        assert np.abs(mean - np.asarray(shown.look)).max() <= 6


def assert_may_be_shown(picture: BadPicture, size: tuple[int, int]) -> Shown:
    assert picture.shown, "it is shown, but it is no picture that may be"
    assert picture.shown.size in (None, size)
    return picture.shown
