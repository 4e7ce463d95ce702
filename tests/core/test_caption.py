"""The caption of a map says all that a reader of another text has to know of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradcam_core.explanation.presets import PRESETS
from gradcam_core.explanation.text import NOT_NUMBERS, NOTHING
from tests.support.explanations import explained

MAP = np.eye(7)
SCALE = "it compares places within this picture, not pictures or networks."


def test_a_caption_says_everything_in_one_line():
    e = explained(MAP, title="Lite0", stands_in_for="ResNet50", target=(282, 0.00001), rank=37)
    contrast = replace(e.target, index=287, name="lynx")
    e = replace(e, contrast=(contrast,), method="layercam", detail=2, view="whole", layer="conv")
    assert e.caption("cat.jpg") == (
        "cat.jpg (400 × 400 pixels): LayerCAM at detail 2 × for “tiger cat” rather than “lynx”, "
        "by Lite0, which stands in for ResNet50. “tiger cat” has < 0.1 % (rank 37 of 1000 "
        "classes). Layer conv, whole photo. The heat goes from nothing for the class rather than "
        f"“lynx” to the most evidence in this map: {SCALE}"
    )


def test_what_is_usual_or_unknown_is_left_out():
    e = explained(MAP, classes=2, top=((0, 0.6), (1, 0.4)), names=("nothing found", "pneumonia"))
    assert e.caption() == (
        "A photo of 400 × 400 pixels: Grad-CAM for “nothing found”, by Net. “nothing found” has "
        "60.0 % (rank 1 of 2 classes). Layer features, centre crop. The heat goes from nothing for "
        f"the class to the most evidence in this map: {SCALE}"
    )


def test_of_many_classes_in_contrast_the_first_are_named():
    e = explained(MAP, method=PRESETS["sharp"].method)
    several = tuple(replace(e.target, name=name) for name in "abcd")
    said = replace(e, contrast=several).caption()
    assert "for “tabby” rather than “a”, “b” and 2 more, by Net." in said


def test_a_method_that_knows_no_class_says_so():
    said = explained(MAP, method="eigencam").caption()
    assert "Eigen-CAM, which ignores the class, by Net. “tabby” has 80.0 %" in said
    assert f"The heat goes from none to the most in this map: {SCALE}" in said
    cold = explained(0 * MAP, method="eigencam")
    assert cold.caption().endswith(" There is no map. Nothing here is hot.")


def test_what_raises_a_value_speaks_for_no_class():
    e = explained(MAP, top=((0, 41.3),), names=["age"], classes=1, unit="years")
    said = replace(e, signed_map=MAP.astype(np.float32)).caption()
    assert "“age” is 41.3 years." in said
    assert "Orange raises “age”, blue lowers it, on one scale for both: " in said
    scale = replace(e, signed_map=MAP.astype(np.float32)).metadata()["Scale"]
    assert scale.startswith("what raises the value orange, what lowers it blue, ")


def test_a_signed_map_with_nothing_for_the_class_is_still_a_map():
    e = replace(explained(0 * MAP), signed_map=-MAP.astype(np.float32))
    assert e.caption().endswith(f" {NOTHING} Blue speaks against it: {SCALE}")
    lynx = replace(e.target, name="lynx")
    # There may be evidence for the class, though less than for the other.
    reason = f"{NOTHING.removesuffix('.')} rather than “lynx”."
    assert f" {reason} Blue speaks for “lynx”: " in replace(e, contrast=(lynx,)).caption()
    assert replace(e, contrast=(lynx, lynx)).degenerate == reason.replace("“lynx”", "others")
    assert "Scale" in e.metadata()
    assert "Scale" not in explained(0 * MAP).metadata()


@pytest.mark.parametrize(("value", "top", "reason"), [
    (0.0, ((281, 0.8), (282, 0.1)), NOTHING),
    (np.nan, ((281, 0.0), (282, 0.0)), NOT_NUMBERS),
])  # fmt: skip
def test_without_a_map_the_reason_stands_in_place_of_the_scale(value, top, reason):
    said = explained(np.full((7, 7), value), top=top).caption()
    assert said.endswith(f" There is no map. {reason}")
    assert ("%" in said) is bool(top[0][1])


def test_a_photo_with_an_odd_name_is_named_in_the_same_line():
    for name in ("a\nNetwork: b.jpg", "a\r\tb.jpg", "a\u202eb.jpg", "a\udcffb.jpg", "x" * 5000):
        for said in (explained(MAP).caption(name), explained(MAP).metadata(name)["Photo"]):
            assert said.isprintable()
            assert len(said) < 400
