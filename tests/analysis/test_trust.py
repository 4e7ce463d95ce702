"""How far a map can be trusted: real networks and photos, and cases whose answer is known."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.analysis.trust.limits import (
    DELETED_SHARES,
    IMPROBABLE,
    INSERTED_SHARES,
    NOISES,
    PLACEMENTS,
    RANDOM_NETWORKS,
    SURVIVES,
)
from gradcam_core.analysis.trust.randomisation import HEAD
from gradcam_core.analysis.trust.result import Trust
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.analysis.trust.verdict import CHECKS
from gradcam_core.images.geometry import view_of
from gradcam_core.images.preprocessing import InputSize
from tests.support.networks import scattered, with_heat
from tests.support.photos import EXAMPLES
from tests.support.trust_checker import check_trust


@pytest.fixture(scope="module")
def found(coffee: Image.Image, lite0: gc.Model) -> Trust:
    return run_checks(coffee, lite0, gc.explain(coffee, lite0))


@dataclass(frozen=True)
class Again:
    """The same checks once more: what came of them, the shares done that they told, and the
    network's tensors before."""

    found: Trust
    shares: list[float]
    before: dict[str, Tensor]


@pytest.fixture(scope="module")
def small(lite0: gc.Model) -> gc.Model:
    torch.manual_seed(0)
    module = scattered(timm.create_model("test_resnet")).eval().requires_grad_(False)
    module.get_parameter("fc.weight").mul_(30)  # so that one class is probable enough
    return with_module(lite0, module, "layer4")


@pytest.fixture(scope="module")
def found_small(coffee: Image.Image, small: gc.Model) -> Trust:
    return run_checks(coffee, small, with_heat(coffee, small))


@pytest.fixture(scope="module")
def again(coffee: Image.Image, small: gc.Model, found_small: Trust) -> Again:
    before = {name: tensor.clone() for name, tensor in small.module.state_dict().items()}
    shares: list[float] = []
    found = run_checks(coffee, small, found_small.explanation, shares.append)
    return Again(found, shares, before)


def test_grad_cam_of_a_cup_holds(found: Trust):
    assert found.verdict == "holds"
    check_trust(json.loads(json.dumps(found.record())), "espresso")
    assert [reason.check for reason in found.reasons] == list(CHECKS)
    assert [reason.outcome for reason in found.reasons] == ["holds"] * len(CHECKS)
    assert all(reason.passed for reason in found.reasons)
    assert found.sentence.startswith(
        "This map holds: its hottest places matter more for “espresso” than"
    )
    assert found.lead is not None
    assert found.lead.value > 0
    deletions, insertions = zip(*found.elsewhere, strict=True)
    assert found.deletion.area < min(curve.area for curve in deletions)
    assert found.insertion.area > np.mean([curve.area for curve in insertions])


def test_its_numbers_are_those_of_the_network(coffee: Image.Image, lite0: gc.Model, found: Trust):
    e = found.explanation
    assert found.probability == pytest.approx(e.target.probability, abs=1e-4)
    for deletion, insertion in ((found.deletion, found.insertion), *found.elsewhere):
        assert deletion.probabilities[0] == insertion.probabilities[-1] == found.probability
        assert deletion.probabilities[-1] == found.deletion.probabilities[-1]
        assert insertion.probabilities[0] == found.insertion.probabilities[0]
    drop = 1 - found.shown_alone / found.probability
    assert found.average_drop == pytest.approx(max(0, drop))
    assert found.has_increased == (found.shown_alone > found.probability)
    parts = [HEAD, *(stage.layer for stage in reversed(lite0.stages))]
    assert [one.part for one in found.sanity] == parts
    assert len(found.noises) == NOISES
    assert len(found.random_weights) == RANDOM_NETWORKS
    assert found.random_weights[0] == found.sanity[-1].correlation
    for correlation in (*found.shifts, *found.noises):
        assert correlation is not None
        assert 0.8 < correlation <= 1


def test_road_and_arcc_are_told_and_have_no_part_in_the_verdict(
    coffee: Image.Image, lite0: gc.Model, found: Trust
):
    road, arcc = found.measures
    assert found.record()["measures"] == [
        {"name": "ROAD", "value": found.road.value, "text": road.text},
        {"name": "ARCC", "value": arcc.value, "text": arcc.text},
    ]
    assert road.sentence == f"ROAD {road.value:.2f}: {road.text}."
    assert 0 < found.road.value <= 0.5
    assert found.road.least > found.road.most
    assert found.arcc is not None
    left, top, right, bottom = map(round, found.explanation.box)
    shown = found.explanation.heatmap[top:bottom, left:right]
    assert found.arcc.complexity == pytest.approx(shown.mean(), abs=0.02)
    assert found.arcc.coherency > 0.7
    assert 0 < found.arcc.value < 1
    worse = replace(found, road=replace(found.road, most=1.0, least=0.0), arcc=None)
    assert worse.verdict == found.verdict
    assert worse.reasons == found.reasons
    assert [measure.name for measure in worse.measures] == ["ROAD"]


def test_the_same_seed_finds_the_same_and_another_lays_the_map_elsewhere(
    coffee: Image.Image, small: gc.Model, found_small: Trust, again: Again
):
    assert again.found.record() == found_small.record()
    other = run_checks(coffee, small, found_small.explanation, seed=1)
    assert (found_small.seed, other.seed) == (0, 1)
    assert other.deletion == found_small.deletion
    assert other.elsewhere[0] != found_small.elsewhere[0]
    assert other.random_weights != found_small.random_weights
    assert other.verdict == found_small.verdict


def test_what_the_network_says_of_parts_of_the_photo(
    coffee: Image.Image, lite0: gc.Model, found: Trust
):
    whole = np.asarray(
        view_of(coffee.size, lite0.preprocessing, "crop").picture(coffee, lite0.preprocessing)
    )
    for part, share in ((found.without, DELETED_SHARES[0]), (found.alone, INSERTED_SHARES[-1])):
        assert part.share == share
        is_kept = (np.abs(np.asarray(part.picture, int) - whole) <= 1).all(axis=2)
        kept = share if part is found.alone else 1 - share
        assert is_kept.mean() == pytest.approx(kept, abs=0.02)
        seen = gc.examine(part.picture, lite0, view="whole")
        assert part.top[0].index == seen.top[0].index
        assert part.top[0].probability == pytest.approx(seen.top[0].probability, abs=0.1)
        assert part.probability == pytest.approx(float(seen.probabilities[967]), abs=0.1)
    assert found.without.probability == found.deletion.probabilities[1]
    assert found.alone.probability == found.insertion.probabilities[-2]


def test_the_network_is_left_as_it_was(
    coffee: Image.Image, small: gc.Model, found_small: Trust, again: Again
):
    for name, tensor in small.module.state_dict().items():
        assert torch.equal(tensor, again.before[name])
    e = found_small.explanation
    afterwards = gc.explain(coffee, small, e.target.index)
    np.testing.assert_array_equal(afterwards.feature_map, e.feature_map)


def test_a_record_is_what_json_has(found: Trust):
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["sentence"] == found.sentence
    assert record["verdict"] == found.verdict
    for reason, written in zip(found.reasons, record["reasons"], strict=True):
        assert written == {
            "check": reason.check,
            "outcome": reason.outcome,
            "text": reason.text,
            "passed": reason.outcome == "holds",
        }
    assert set(record["without"]) == set(record["alone"]) == {"share", "probability", "top"}
    band = record["random_deletion"]
    for lowest, mean, highest in zip(
        band["lowest"], band["probabilities"], band["highest"], strict=True
    ):
        assert lowest <= mean + 1e-9
        assert mean <= highest + 1e-9
    assert record["lead"]["count"] == len(found.elsewhere)
    assert record["seed"] == 0
    assert record["sanity"][0]["part"] == HEAD
    assert record["deletion"]["area"] == found.deletion.area


def test_a_map_turned_upside_down_is_found_out(lite0: gc.Model):
    rocket = gc.read_image(EXAMPLES / "5_rocket.jpg")
    e = gc.explain(rocket, lite0)
    # Of a slow method, of which only what its hottest places do is checked.
    wrong = replace(e, feature_map=e.feature_map.max() - e.feature_map, method="scorecam")
    of_wrong = run_checks(rocket, lite0, wrong)
    assert of_wrong.verdict == "fails"
    failed = next(reason for reason in of_wrong.reasons if reason.outcome == "fails")
    assert failed.check == "deletion_insertion"
    assert failed.text.startswith("its hottest places matter less for “missile” than")
    assert of_wrong.sentence.startswith(f"This map fails: {failed.text}")
    assert of_wrong.lead is not None
    assert of_wrong.lead.value < 0


def test_a_class_that_is_too_improbable_is_not_clear(coffee: Image.Image, small: gc.Model):
    held = gc.examine(coffee, small)
    improbable = np.flatnonzero(held.probabilities < IMPROBABLE / 2).tolist()
    maps = (held.explain(one) for one in improbable)
    shares: list[float] = []
    explained = next(one for one in maps if not one.degenerate)
    found = run_checks(coffee, small, explained, shares.append)
    assert shares[-1] == pytest.approx(1)  # though the map is laid nowhere else
    assert found.probability < IMPROBABLE
    assert (found.elsewhere, found.lead) == ((), None)
    reason = found.reasons[0]
    assert (reason.check, reason.outcome) == ("deletion_insertion", "unclear")
    name = re.escape(found.explanation.target.name)
    assert re.fullmatch(f"“{name}” has .*0.1.% here, too little to find out .*", reason.text)
    assert found.verdict != "holds"
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["lead"] is record["random_deletion"] is record["random_insertion"] is None


def test_another_photo_than_the_one_explained_is_refused(cat: Image.Image, found: Trust):
    with pytest.raises(gc.CamError, match=r"explained photo has \d+ × \d+ pixels, but this"):
        gc.check(cat.resize((64, 64)), found.explanation)
    white = Image.new("RGB", found.explanation.geometry.photo_size, "white")
    with pytest.raises(gc.CamError, match=r"of another photo: “espresso” has 95.. % in it, and"):
        gc.check(white, found.explanation)


class Brightness(nn.Module):
    """Its map is how bright the photo is, whatever its weights are: they only change the score."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 32, stride=32, bias=False)
        self.conv.weight.data.fill_(1 / (3 * 32 * 32))
        self.head = nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).mean(dim=(2, 3)))


def with_module(model: gc.Model, module: nn.Module, layer: str) -> gc.Model:
    preprocessing = replace(model.preprocessing, size=InputSize(64, 96))
    return replace(
        model, info=replace(model.info, layer=layer), module=module, preprocessing=preprocessing
    )


def test_a_map_that_survives_random_weights_is_said_to_say_nothing(
    cat: Image.Image, lite0: gc.Model
):
    module = Brightness().eval().requires_grad_(False)
    module.head.weight.data[:] = torch.tensor([[4.0], [-4.0]])
    # Drawn anew, its weights are all the same again: they have no deviation.
    model = with_module(lite0, module, "conv")
    e = gc.explain(cat, model, method="eigencam")
    found = run_checks(cat, model, e)
    assert found.sanity[-1].correlation is not None
    assert found.sanity[-1].correlation >= SURVIVES
    assert found.record()["survives"]
    assert found.verdict == "fails"
    assert "so it says nothing about the network" in found.sentence


def test_other_places_are_tried_until_the_outcome_is_settled(
    cat: Image.Image, lite0: gc.Model, found: Trust
):
    assert len(found.elsewhere) == min(PLACEMENTS)
    # To this network all places are alike, however many are tried.
    module = Brightness().eval().requires_grad_(False)
    module.head.weight.data.zero_()
    module.head.bias.data.zero_()
    model = with_module(lite0, module, "conv")
    alike = run_checks(cat, model, gc.explain(cat, model, method="eigencam"))
    assert alike.lead is not None
    assert (alike.lead.value, alike.lead.count) == (pytest.approx(0), max(PLACEMENTS))
    assert alike.reasons[0].outcome == "unclear"


def test_a_map_without_heat_is_refused(cat: Image.Image, lite0: gc.Model):
    e = gc.explain(cat, lite0)
    nothing = replace(e, feature_map=np.zeros_like(e.feature_map))
    with pytest.raises(gc.CamError, match=r"There is no heat to check\. Nothing here is evidence"):
        run_checks(cat, lite0, nothing)


def test_progress_ends_at_one_and_what_it_raises_ends_the_work(
    coffee: Image.Image, small: gc.Model, again: Again
):
    assert len(again.shares) > 2
    assert again.shares == sorted(again.shares)
    assert again.shares[-1] == pytest.approx(1)

    class StopError(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.2:
            raise StopError

    with pytest.raises(StopError):
        run_checks(coffee, small, again.found.explanation, stop)
    assert not any(part._forward_hooks for part in small.module.modules())


@pytest.mark.parametrize(
    ("method", "view"),
    [("eigencam", "crop"), ("competitive", "whole")],
)
def test_a_quick_method_of_any_kind_can_be_checked_in_either_view(
    cat: Image.Image, small: gc.Model, method: str, view
):
    held = gc.examine(cat, small, view)
    classes = [*(one.index for one in held.top), *range(1000)]
    maps = (held.explain(c, method) for c in classes)
    e = next(one for one in maps if not one.degenerate)  # random weights have classes without heat
    found = run_checks(cat, small, e)
    assert len(found.sanity) == len(small.stages) + 1
    assert found.sentence
    assert found.without.picture.size == view_of(cat.size, small.preprocessing, view).size


def test_a_slow_method_is_only_checked_for_what_its_map_shows(
    coffee: Image.Image, small: gc.Model, found_small: Trust
):
    slow = replace(found_small.explanation, method="scorecam")
    of_slow = run_checks(coffee, small, slow)
    assert (of_slow.sanity, of_slow.shifts, of_slow.noises) == ((), (), ())
    assert of_slow.random_weights == ()
    assert of_slow.deletion == found_small.deletion
    first, *others = of_slow.reasons
    assert first == found_small.reasons[0]
    assert others == []
    assert first.text in of_slow.sentence


def test_a_map_at_another_detail_and_against_a_class_is_checked_as_it_was_made(
    cat: Image.Image, small: gc.Model
):
    e = gc.explain(cat, small, "tabby", detail=2, contrast="lynx")
    found = run_checks(cat, small, e)
    assert found.probability == pytest.approx(e.target.probability, abs=1e-4)
    # The same method, detail and rival: of the photo alone another map would be far from it.
    alone = replace(e, contrast=())
    assert min(one or 0 for one in found.noises) > max(
        one or 0 for one in run_checks(cat, small, alone).noises
    )
