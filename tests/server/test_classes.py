"""What the page lists for a text that somebody types into a class field."""

from __future__ import annotations

from typing import Any

import pytest
import timm
from pydantic import ValidationError

import gradcam_core as gc
from demo.api import arguments
from demo.server.classes import all_classes
from demo.server.requests import MapRequest
from demo.ui import page_data
from gradcam_core.models.registry import remove_model


@pytest.mark.parametrize(
    ("text", "note", "first"),
    [
        ("tabby", "", "tabby"),
        ("Persons", "“Persons” is not one of the 1000 classes. Kinds of person:", "ballplayer"),
        ("saucer", "“saucer” is not one of the 1000 classes. Related classes:", "cup"),
        ("giraffe", "“giraffe” is not one of the 1000 classes. The nearest in meaning:", None),
        (
            "espreso",
            "“espreso” is not one of the 1000 classes. The nearest in spelling:",
            "espresso",
        ),
        (
            "zzzzzz",
            "“zzzzzz” is not one of the 1000 classes. None near it was found; ImageNet's names "
            "are English. The classes are animals (398), vehicles (67), musical instruments "
            "(26), fruits (16), clothes, food, furniture, tools and more.",
            None,
        ),
    ],
)
def test_a_text_that_is_no_class_gets_a_note_and_what_is_nearest(text, note, first):
    found = all_classes().search(text)
    assert found["note"] == note
    assert bool(found["classes"]) == (text != "zzzzzz")
    if first is not None:
        assert found["classes"][0] == gc.find_label(first).index


def test_a_network_that_comes_later_has_its_classes_and_takes_no_other_place():
    def register(title: str, *labels: str, **given: Any) -> None:
        module = timm.create_model("test_resnet", num_classes=len(labels)).eval()
        gc.register(title, module=module, labels=labels, **given)

    try:
        register("First", "ours", "tabby")
        ours = all_classes().place("first", 0)
        register("Second", "theirs", "ours")
        assert all_classes().place("second", 1) == all_classes().place("first", 0) == ours
        theirs = all_classes().place("second", 0)
        assert all_classes().labels[theirs].name == "theirs"
        register("First", "new", "ours")
        assert all_classes().index("first", ours) == 1
        assert all_classes().place("second", 0) == theirs
        register("Age", "years of age", regression=True)
        assert "years of age" not in {label.name for label in all_classes().labels}
    finally:
        for name in ("first", "second", "age"):
            remove_model(name)
    assert len(all_classes().labels) == 1000


def test_a_network_that_gives_values_is_not_on_the_page():
    module = timm.create_model("test_resnet", num_classes=1).eval()
    gc.register("Age", module=module, regression=True, unit="years")
    try:
        assert "age" not in page_data.default_choices()["models"]
        with pytest.raises(ValidationError, match="choose one of"):
            MapRequest.model_validate({"id": "a", "model": "age"})
        with pytest.raises(arguments.InvalidArgumentError, match="Age predicts values"):
            arguments.models(["age"])
    finally:
        remove_model("age")
