"""What a person gives in Python and cannot be used is said in a sentence of ours: what came, what
was expected. Never a bare error of NumPy or PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradcam_core as gc
from gradcam_core.analysis.trust.check import MOST_SEED
from tests.support.networks import registered_small_network, with_heat
from tests.support.photos import EXAMPLES

CAT = EXAMPLES / "1_cat.jpg"
LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def e() -> gc.Explanation:
    return gc.explain(CAT, LITE0)


@pytest.mark.parametrize("seed", [-1, "a", 1.5, None, 2**70, True, [1], MOST_SEED + 1])
def test_a_seed_is_a_whole_number(e: gc.Explanation, seed: Any):
    with pytest.raises(gc.ChoiceError, match="seed must be a whole number from 0 to") as caught:
        gc.check(CAT, e, seed=seed)
    assert repr(seed) in str(caught.value)


def test_any_whole_number_is_a_seed(tmp_path: Path):
    with registered_small_network(tmp_path) as small:
        e = with_heat(CAT, small)
        seed: Any = np.int64(MOST_SEED)
        assert gc.check(CAT, e, seed=seed).seed == MOST_SEED


GIVEN: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": 3}, "no model 3. Choose from: xception"),
    "no model": ({"model": None}, "no model None"),
    "models": ({"model": ["resnet50"]}, "no model"),
    "method": ({"method": []}, r"no method \[\]. Choose one of: gradcam"),
    "detail": ({"detail": "2"}, "no detail '2'. Choose one of: 1, 2, 3"),
    "no detail": ({"detail": None}, "no detail None"),
    "view": ({"view": []}, r"no view \[\]"),
    "contrast": ({"contrast": 1.5}, "class or several, True or False, not 1.5"),
    "no contrast": ({"contrast": None}, "class or several, True or False, not None"),
    "preset": ({"preset": []}, r"no preset \[\]"),
    "layer": ({"layer": {}}, r"no layer {}. Give a number from 0"),
    "target": ({"target": {}}, "no class"),
}


@pytest.mark.parametrize("name", GIVEN)
def test_arguments_of_explain(name: str):
    options, words = GIVEN[name]
    with pytest.raises(gc.GradcamError, match=words):
        gc.explain(CAT, **{"model": LITE0, **options})


@pytest.mark.parametrize("image", [None, 3, [], torch.zeros(3, 4, 4), object()])
def test_what_is_no_picture(image: Any):
    with pytest.raises(gc.ImageError, match=r"is not a picture\. Give a path"):
        gc.explain(image, LITE0)


def test_one_network_may_be_compared_and_none_may_not():
    assert [e.model for e in gc.compare(CAT, LITE0)] == [LITE0]
    for models in (3, [], [None]):
        with pytest.raises(gc.ChoiceError):
            gc.compare(CAT, models)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [3, "e", None, [1]])
def test_only_an_explanation_can_be_checked(given: Any):
    with pytest.raises(gc.CamError, match="cannot be checked"):
        gc.check(CAT, given)


OF_AN_EXPLANATION: dict[str, Callable[[gc.Explanation], object]] = {
    "no colormap 'x'. Choose one of: inferno": lambda e: e.overlay(CAT, colormap="x"),
    "no colormap None": lambda e: e.overlay(CAT, colormap=None),  # type: ignore[arg-type]
    "from 0 to 1, not 2": lambda e: e.overlay(CAT, opacity=2),
    "from 0 to 1, not nan": lambda e: e.overlay(CAT, opacity=float("nan")),
    "from 0 to 1, not 'a'": lambda e: e.overlay(CAT, opacity="a"),  # type: ignore[arg-type]
    "None is not a picture": lambda e: e.overlay(None),  # type: ignore[arg-type]
    "whole pixels from 1 on, not None": lambda e: e.heatmap_at(None),  # type: ignore[arg-type]
    r"whole pixels from 1 on, not \(0, 5\)": lambda e: e.heatmap_at((0, 5)),
    r"whole pixels from 1 on, not \(5.5, 3\)": lambda e: e.heatmap_at((5.5, 3)),  # type: ignore[arg-type]
    "are too many": lambda e: e.heatmap_at((10**9, 10**9)),
    "no theme": lambda e: gc.Explanations([e]).figure(theme=None),  # type: ignore[arg-type]
    "no colormap 3": lambda e: gc.Explanations([e]).figure(colormap=3),  # type: ignore[arg-type]
    "from 0 to 1, not -1": lambda e: gc.Explanations([e]).figure(opacity=-1),
}


@pytest.mark.parametrize("words", OF_AN_EXPLANATION)
def test_arguments_of_what_an_explanation_does(e: gc.Explanation, words: str):
    with pytest.raises(gc.GradcamError, match=words):
        OF_AN_EXPLANATION[words](e)


def test_the_photo_of_an_overlay_may_be_given_as_any_photo(e: gc.Explanation):
    expected = np.asarray(e.overlay(gc.read_image(CAT)))
    np.testing.assert_array_equal(e.overlay(CAT), expected)
    np.testing.assert_array_equal(e.overlay(np.asarray(gc.read_image(CAT))), expected)
    assert "1_cat.jpg" in e.caption(CAT.name)
    assert "Photo" not in e.metadata(None)  # type: ignore[arg-type]
