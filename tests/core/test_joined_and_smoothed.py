"""Maps of several layers, and means over versions of the picture, through the façade: they are
`Run.cam`'s, they lie on the photo, and everything that names them says what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

import gradcam_core as gc
from gradcam_core.explanation.request import ExplanationRequest, requests_for
from gradcam_core.images.prepare import prepare
from tests.support.networks import registered_small_network, with_heat

LAYERS = ["blocks.2", "bn2"]


def batch_of(photo: Image.Image, model: gc.Model) -> torch.Tensor:
    return prepare(photo, model.preprocessing, "crop", 1).batch


def test_several_layers_are_joined_as_layercams_paper_does(lite0: gc.Model, cat: Image.Image):
    e = gc.explain(cat, lite0, "tabby", "layercam", layer=LAYERS)
    each = [gc.explain(cat, lite0, "tabby", "layercam", layer=one).feature_map for one in LAYERS]
    shares = [torch.tanh(2 * torch.tensor(one) / float(one.max()))[None, None] for one in each]
    finest = functional.interpolate(shares[1], shares[0].shape[2:], mode="bilinear")
    expected = shares[0].maximum(finest)[0, 0].numpy()
    np.testing.assert_allclose(e.feature_map, expected, atol=1e-5)
    assert e.layer == "blocks.2+bn2"
    assert "layers blocks.2 and bn2 fused" in e.unusual
    assert "Layers blocks.2 and bn2 fused, centre crop." in e.caption()
    assert not e.is_of_last_layer
    assert e.heatmap.max() == pytest.approx(1)


@pytest.mark.parametrize("given", [[0.5, 1], "blocks.2+bn2", ("blocks.2", 1.0), [*LAYERS, "bn2"]])
def test_several_layers_are_named_or_given_as_places(lite0: gc.Model, given: object):
    assert lite0.layer_named(given) == "blocks.2+bn2"  # type: ignore[arg-type]


def test_one_layer_in_a_list_is_that_layer(lite0: gc.Model):
    assert lite0.layer_named([1]) is None
    assert lite0.layer_named(["blocks.2"]) == lite0.layer_named([0.5]) == "blocks.2"


@pytest.mark.parametrize("smooth", ["noise", "flips"])
def test_a_smoothed_map_is_that_of_the_run_and_says_so(
    lite0: gc.Model, cat: Image.Image, smooth: str
):
    held = gc.examine(cat, lite0)
    e = held.explain("tabby", smooth=smooth, signed=True)  # type: ignore[arg-type]
    run = gc.forward(lite0.module, batch_of(cat, lite0))
    expected = run.cam(281, smooth=smooth)[0].numpy()  # type: ignore[arg-type]
    np.testing.assert_allclose(e.feature_map, expected, atol=1e-5 * expected.max())
    signed = run.cam(281, smooth=smooth, signed=True)[0].numpy()  # type: ignore[arg-type]
    assert e.signed_map is not None
    np.testing.assert_allclose(e.signed_map, signed, atol=1e-5 * np.abs(signed).max())
    copies = {
        "noise": "mean over 8 noisy copies",
        "flips": "mean over 6 copies (as is, paler and stronger, each also mirrored)",
    }[smooth]
    for said in (e.how, e.unusual, e.caption(), e.metadata()["Mean"]):
        assert copies in said
    assert e.record()["smooth"] == smooth
    plain = held.explain("tabby")
    assert plain.record()["smooth"] is None
    assert "Mean" not in plain.metadata()
    assert "mean" not in plain.caption() + plain.how + plain.unusual


def test_a_smoothed_request_is_slow():
    (plain,) = requests_for(["resnet50"])
    (smooth,) = requests_for(["resnet50"], smooth="noise")
    assert smooth.is_slow
    assert not plain.is_slow


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"smooth": "blur"}, "There is no smooth='blur'. Choose 'noise' or 'flips'."),
        ({"smooth": "noise", "steps": True}, "leave out steps or smooth"),
        ({"smooth": "flips", "method": "scorecam"}, "leave out smooth"),
        ({"layer": (0.5, 1), "method": "sscam"}, "leave out all layers but one"),
        ({"layer": (0.5, 1), "signed": True}, "has no signed map: choose one layer"),
        ({"layer": "a+b", "steps": True}, "has no steps: choose one layer"),
        ({"layer": ()}, "No layer is named"),
        ({"layer": (0.5, 2)}, "There is no layer 2."),
    ],
)
def test_what_does_not_go_together_is_one_sentence(options: dict, said: str):
    with pytest.raises(gc.ChoiceError, match=said.replace("(", r"\(")):
        ExplanationRequest("resnet50", **options)


def test_a_name_that_no_layer_has_is_the_one_that_is_named(lite0: gc.Model):
    with pytest.raises(gc.ChoiceError, match="has no layer 'nothing'"):
        lite0.layer_named("blocks.2+nothing")


def test_such_a_map_can_be_checked(cat: Image.Image, tmp_path: Path):
    with registered_small_network(tmp_path) as small:
        layers = [stage.layer for stage in small.stages[-2:]]
        checked = gc.check(cat, with_heat(cat, small, layer=layers, smooth="flips"))
        assert checked.verdict in ("holds", "unclear", "fails")
        assert len(checked.sanity) > 1
