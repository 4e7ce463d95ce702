"""How far a map can be trusted: real networks and photos, and cases whose answer is known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.analysis.randomisation import HEAD
from gradcam_core.analysis.trust import NOISES, trust
from gradcam_core.analysis.verdict import CHECKS, SURVIVES, Trust
from gradcam_core.cam.methods import METHODS


@pytest.fixture(scope="module")
def found(coffee: Image.Image, lite0: gc.Model) -> Trust:
    return trust(coffee, lite0, gc.explain(coffee, lite0))


def test_grad_cam_of_a_cup_holds(found: Trust):
    assert found.verdict == "holds"
    assert [reason.check for reason in found.reasons] == list(CHECKS)
    assert all(reason.passed for reason in found.reasons)
    assert found.sentence.startswith(
        "This map holds: its hottest places matter more for “espresso” than"
    )
    assert found.deletion.area < found.random_deletion.area
    assert found.insertion.area > found.random_insertion.area


def test_its_numbers_are_those_of_the_network(coffee: Image.Image, lite0: gc.Model, found: Trust):
    e = found.explanation
    assert found.probability == pytest.approx(e.target.probability, abs=1e-4)
    for curve in (found.deletion, found.random_deletion):
        assert curve.probabilities[0] == found.probability
        assert curve.probabilities[-1] == found.deletion.probabilities[-1]
    for curve in (found.insertion, found.random_insertion):
        assert curve.probabilities[-1] == found.probability
    drop = 1 - found.shown_alone / found.probability
    assert found.average_drop == pytest.approx(max(0, drop))
    assert found.has_increased == (found.shown_alone > found.probability)
    parts = [HEAD, *(stage.layer for stage in reversed(lite0.stages))]
    assert [one.part for one in found.sanity] == parts
    assert len(found.noises) == NOISES
    for correlation in (*found.shifts, *found.noises):
        assert correlation is not None
        assert 0.8 < correlation <= 1


def test_the_same_seed_finds_the_same(coffee: Image.Image, lite0: gc.Model, found: Trust):
    assert trust(coffee, lite0, found.explanation).record() == found.record()


def test_the_network_is_left_as_it_was(coffee: Image.Image, lite0: gc.Model, found: Trust):
    before = {name: tensor.clone() for name, tensor in lite0.module.state_dict().items()}
    trust(coffee, lite0, found.explanation)
    for name, tensor in lite0.module.state_dict().items():
        assert torch.equal(tensor, before[name])
    again = gc.explain(coffee, lite0)
    np.testing.assert_array_equal(again.feature_map, found.explanation.feature_map)


def test_a_record_is_what_json_has(found: Trust):
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert record["sentence"] == found.sentence
    assert record["verdict"] == found.verdict
    assert record["reasons"] == [asdict(reason) for reason in found.reasons]
    assert record["sanity"][0]["part"] == HEAD
    assert record["deletion"]["area"] == found.deletion.area


def test_a_map_turned_upside_down_is_found_out(coffee: Image.Image, lite0: gc.Model, found: Trust):
    e = found.explanation
    wrong = replace(e, feature_map=e.feature_map.max() - e.feature_map)
    of_wrong = trust(coffee, lite0, wrong)
    assert of_wrong.verdict == "fails"
    failed = next(reason for reason in of_wrong.reasons if not reason.passed)
    assert failed.check == "deletion_insertion"
    assert failed.text.startswith("its hottest places matter no more for “espresso” than")
    assert of_wrong.sentence.startswith(f"Be careful with this map: {failed.text}")


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
    return replace(model, info=replace(model.info, layer=layer), module=module)


def test_a_map_that_survives_random_weights_is_said_to_say_nothing(
    cat: Image.Image, lite0: gc.Model
):
    module = Brightness().eval().requires_grad_(False)
    module.head.weight.data[:] = torch.tensor([[4.0], [-4.0]])
    # Drawn anew, its weights are all the same again: they have no deviation.
    model = with_module(lite0, module, "conv")
    e = gc.explain(cat, model, method="eigencam")
    found = trust(cat, model, e)
    assert found.sanity[-1].correlation is not None
    assert found.sanity[-1].correlation >= SURVIVES
    assert found.survives
    assert "so it says nothing of the network" in found.sentence


def test_a_map_without_heat_is_refused(cat: Image.Image, lite0: gc.Model):
    e = gc.explain(cat, lite0)
    nothing = replace(e, feature_map=np.zeros_like(e.feature_map))
    with pytest.raises(gc.CamError, match=r"There is no map to check\. Nothing here speaks"):
        trust(cat, lite0, nothing)


def test_progress_ends_at_one_and_what_it_raises_ends_the_work(
    coffee: Image.Image, lite0: gc.Model, found: Trust
):
    shares: list[float] = []
    trust(coffee, lite0, found.explanation, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)

    class StopError(Exception):
        pass

    def stop(share: float) -> None:
        if share > 0.2:
            raise StopError

    with pytest.raises(StopError):
        trust(coffee, lite0, found.explanation, stop)
    assert not any(part._forward_hooks for part in lite0.module.modules())


@pytest.mark.parametrize("view", ["crop", "whole"])
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.is_slow])
def test_every_quick_method_and_view_can_be_checked(
    cat: Image.Image, lite0: gc.Model, method: str, view
):
    e = gc.explain(cat, lite0, method=method, view=view)
    found = trust(cat, lite0, e)
    assert len(found.sanity) == len(lite0.stages) + 1
    assert found.sentence


def test_a_slow_method_is_only_checked_for_what_its_map_shows(
    coffee: Image.Image, lite0: gc.Model, found: Trust
):
    slow = replace(found.explanation, method="scorecam")
    of_slow = trust(coffee, lite0, slow)
    assert (of_slow.sanity, of_slow.shifts, of_slow.noises) == ((), (), ())
    assert of_slow.deletion == found.deletion
    assert of_slow.sentence.startswith("This map holds: its hottest places matter more for “")


def test_a_map_at_another_detail_and_against_a_class_is_checked_as_it_was_made(
    cat: Image.Image, lite0: gc.Model
):
    e = gc.explain(cat, lite0, "tabby", detail=2, contrast="lynx")
    found = trust(cat, lite0, e)
    assert found.probability == pytest.approx(e.target.probability, abs=1e-4)
    # The same method, detail and rival: of the photo alone another map would be far from it.
    alone = replace(e, contrast=())
    assert min(one or 0 for one in found.noises) > max(
        one or 0 for one in trust(cat, lite0, alone).noises
    )
