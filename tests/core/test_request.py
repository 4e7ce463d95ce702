"""A request that exists is a valid one; what a person gave is checked where it is made."""

from __future__ import annotations

import pytest

import gradcam_core as gc
from gradcam_core.request import ExplanationRequest, requests_for

LITE0, LITE1 = "efficientnet_lite0", "efficientnet_lite1"


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ({"method": "x"}, "no method 'x'. Choose one of: gradcam"),
        ({"view": "half"}, "no view 'half'. Choose one of: crop, whole"),
        ({"detail": 4}, "no detail 4. Choose one of: 1, 2, 3"),
        ({"depth": 1.5}, "no depth 1.5. Choose a number from 0 to 1"),
        ({"depth": float("nan")}, "no depth nan"),
    ],
)
def test_there_is_no_request_for_an_unknown_choice(mistake: dict, words: str):
    with pytest.raises(gc.ChoiceError, match=words):
        ExplanationRequest(LITE0, **mistake)


def test_a_class_is_not_explained_against_itself():
    with pytest.raises(gc.LabelError, match="against itself"):
        ExplanationRequest(LITE0, target=281, against=(282, 281))


def test_classes_are_found_in_all_networks():
    one, other = requests_for([LITE0, LITE1], target="tabby", against=["lynx", 282], detail=2)
    assert (one.model, one.target, one.against, one.detail) == (LITE0, 281, (287, 282), 2)
    assert other == ExplanationRequest(LITE1, target=281, against=(287, 282), detail=2)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"models": ["resnet5"]}, gc.ChoiceError, "no model 'resnet5'. Choose from: .*resnet50"),
        ({"target": "catt"}, gc.LabelError, "catt"),
        ({"against": [5000]}, gc.LabelError, "0 to 999"),
        ({"target": "tabby", "against": ["281"]}, gc.LabelError, "against itself"),
    ],
)
def test_a_mistake_is_told_before_any_work(given: dict, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        requests_for(**{"models": [LITE0], **given})


def test_the_contrast_is_the_classes_named_or_those_that_the_network_chooses():
    assert ExplanationRequest(LITE0).contrast is False
    assert ExplanationRequest(LITE0, rivals=True).contrast is True
    assert ExplanationRequest(LITE0, rivals=True, against=(7,)).contrast == (7,)
    assert ExplanationRequest(LITE0, rivals=True, method="eigencam").contrast is False


def test_a_depth_is_a_stage_of_the_network(lite0: gc.Model):
    first, *_, last = lite0.stages
    assert ExplanationRequest(LITE0, depth=0).layer_of(lite0) == first.layer
    assert ExplanationRequest(LITE0, depth=0.99).layer_of(lite0) is None
    assert ExplanationRequest(LITE0).layer_of(lite0) is None
    assert last.layer == lite0.info.layer
    assert ExplanationRequest(LITE0, depth=0, layer="blocks.3").layer_of(lite0) == "blocks.3"
