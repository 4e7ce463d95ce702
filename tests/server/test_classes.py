"""What the page lists for a text that somebody types into a class field."""

from __future__ import annotations

import pytest

import gradcam_core as gc
from demo.server.classes import all_classes


@pytest.mark.parametrize(
    ("text", "note", "first"),
    [
        ("tabby", "", "tabby"),
        ("Persons", "“Persons” is not one of the 1000 classes. Kinds of person:", "ballplayer"),
        ("saucer", "“saucer” is not one of the 1000 classes. The nearest in meaning:", None),
        ("espreso", "“espreso” is not one of the 1000 classes. The nearest names:", "espresso"),
        ("zzzzzz", "“zzzzzz” is not one of the 1000 classes.", None),
    ],
)
def test_a_text_that_is_no_class_gets_a_note_and_what_is_nearest(text, note, first):
    found = all_classes().search(text)
    assert found["note"] == note
    assert bool(found["classes"]) == (text != "zzzzzz")
    if first is not None:
        assert found["classes"][0] == gc.find_label(first).index
