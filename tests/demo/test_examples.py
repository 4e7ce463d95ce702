"""What the captions of the examples say is true of what the networks say."""

from __future__ import annotations

import gradcam_core as gc
from demo.examples import EXAMPLES, example_path
from gradcam_core.models.registry import model_info
from tests.support.browser import STAND_INS

CATS = {"tabby", "tiger cat", "Egyptian cat"}
CUPS = {"espresso", "cup", "coffee mug"}


def explained(name: str, target: str | None = None, **choices: str) -> list[gc.Explanation]:
    assert name in {example.name for example in EXAMPLES}
    path = example_path(name)
    return [gc.explain(path, model, target, **choices) for model in STAND_INS.values()]  # type: ignore[arg-type]


def names(e: gc.Explanation) -> list[str]:
    return [prediction.name for prediction in e.top]


def seen(e: gc.Explanation) -> float:
    """The share of the heat in the left third of what the network saw."""
    left, top, right, bottom = e.box
    heat = e.heatmap[top:bottom, left:right]
    return float(heat[:, : heat.shape[1] // 3].sum() / heat.sum())


def test_every_caption_is_true_of_the_networks_that_are_here():
    for e in explained("1_cat"):
        assert set(names(e)[:3]) == CATS
    two = explained("3_cat_and_coffee")
    for e in two:
        assert CATS & set(names(e))
        assert CUPS & set(names(e))
    assert len({e.target.name for e in two}) == 2
    rocket = explained("5_rocket")
    assert len({e.target.name for e in rocket}) == 3
    assert all(e.target.probability < 0.5 for e in rocket)
    for crop, whole in zip(explained("7_house"), explained("7_house", view="whole"), strict=True):
        assert crop.box[2] < 0.75 * 1024  # the house goes on to 990
        assert crop.target.name == whole.target.name == "barn"
        assert whole.target.probability < 0.5 * crop.target.probability
    for e in explained("8_boats", "dock"):
        assert e.rank <= 3
        assert seen(e) < 0.3  # where the jetty is
    assert not any("raccoon" in label.full_name for label in model_info("resnet50").labels)
    assert all(e.target.probability < 0.5 for e in explained("9_raccoon"))
