"""A request that exists is a valid one; what a person gave is checked where it is made."""

from __future__ import annotations

import pytest

import gradcam_core as gc
from gradcam_core.explanation.request import ExplanationRequest, requests_for

LITE0, LITE1 = "efficientnet_lite0", "efficientnet_lite1"


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ({"method": "x"}, "no method 'x'. Choose one of: gradcam"),
        ({"view": "half"}, "no view 'half'. Choose one of: crop, whole"),
        ({"detail": 4}, "no detail 4. Choose one of: 1, 2, 3"),
        ({"layer": 1.5}, "no layer 1.5. Give a number from 0"),
        ({"layer": float("nan")}, "no layer nan"),
    ],
)
def test_there_is_no_request_for_an_unknown_choice(mistake: dict, words: str):
    with pytest.raises(gc.ChoiceError, match=words):
        ExplanationRequest(LITE0, **mistake)


def test_a_class_is_not_explained_rather_than_itself():
    with pytest.raises(gc.LabelError, match="against itself"):
        ExplanationRequest(LITE0, target=281, contrast=(282, 281))


def test_classes_are_found_in_all_networks():
    one, other = requests_for([LITE0, LITE1], target="tabby", contrast=["lynx", 282], detail=2)
    assert (one.model, one.target, one.contrast, one.detail) == (LITE0, 281, (287, 282), 2)
    assert other == ExplanationRequest(LITE1, target=281, contrast=(287, 282), detail=2)
    assert requests_for([LITE0], contrast="lynx") == [ExplanationRequest(LITE0, contrast=(287,))]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"models": ["resnet5"]}, gc.ChoiceError, "no model 'resnet5'. Choose from: .*resnet50"),
        ({"target": "catt"}, gc.LabelError, "catt"),
        ({"contrast": [5000]}, gc.LabelError, "0 to 999"),
        ({"target": "tabby", "contrast": ["281"]}, gc.LabelError, "against itself"),
    ],
)
def test_a_mistake_is_told_before_any_work(given: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        requests_for(**{"models": [LITE0], **given})


def test_the_contrast_is_the_classes_named_or_those_that_the_network_chooses():
    assert ExplanationRequest(LITE0).usable_contrast is False
    assert ExplanationRequest(LITE0, contrast=()).usable_contrast is False
    assert ExplanationRequest(LITE0, contrast=True).usable_contrast is True
    assert ExplanationRequest(LITE0, contrast=(7,)).usable_contrast == (7,)
    assert ExplanationRequest(LITE0, contrast=True, method="eigencam").usable_contrast is False


def test_a_layer_is_a_stage_of_the_network_by_number_or_any_by_name(lite0: gc.Model):
    first, *_, last = lite0.stages
    assert lite0.layer_named(0) == first.layer
    assert lite0.layer_named(0.99) is None
    assert lite0.layer_named(1) is lite0.layer_named(None) is None
    assert last.layer == lite0.info.layer
    assert lite0.layer_named("blocks.3") == "blocks.3"
    with pytest.raises(gc.ChoiceError, match="no layer -1"):
        lite0.layer_named(-1)
