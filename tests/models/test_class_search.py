"""What a person who types a word is offered."""

from __future__ import annotations

import pytest

from gradcam_core import imagenet_labels
from gradcam_core.models.class_search import search


@pytest.mark.parametrize(
    ("text", "by", "name"),
    [
        ("tabb", "name", "tabby"),
        ("catamount", "name", "lynx"),
        ("espressos", "name", "espresso"),
        ("dog", "name", "Maltese dog"),
        ("dogs", "kind", "Chihuahua"),
        ("birds", "kind", "cock"),
        ("saucer", "meaning", "soup bowl"),
        ("giraffe", "meaning", "ibex"),
        ("smartphone", "meaning", "cellular telephone"),
        ("cats", "name", "tabby"),
        ("cats", None, "catamaran"),
        ("espreso", "spelling", "espresso"),
        ("zzzzzz", None, None),
    ],
)
def test_classes_are_found_by_name_kind_meaning_and_spelling(text, by, name):
    found = {match.label.name: match.by for match in search(imagenet_labels(), text)}
    assert found.get(name) == by
    assert bool(found) == (text != "zzzzzz")


def test_names_that_start_with_the_text_come_first_and_kinds_after_names():
    found = search(imagenet_labels(), "dog")
    assert found[0].label.name.casefold().startswith("dog")
    order = [match.by for match in found]
    assert order == sorted(order, key=["name", "kind"].index)
    assert len(search(imagenet_labels(), "")) == 1000


FIRST = {
    "281": "tabby",
    "n02123045": "tabby",
    "0": "tench",
    "tiger_cat": "tiger cat",
    "egyptian  cat": "Egyptian cat",
    "  Tiger Cat ": "tiger cat",
    "bee": "bee",
    "ox": "ox",
    "ant": "ant",
}


@pytest.mark.parametrize("text", FIRST)
def test_numbers_spaces_and_whole_words_are_found_first(text: str):
    assert search(imagenet_labels(), text)[0].label.name == FIRST[text]
