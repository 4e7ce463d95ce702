"""Networks that give values instead of classes: what is explained is a rise of the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

import gradcam_core as gc
from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.cli.batch import main as batch
from gradcam_core.cli.photo import main
from gradcam_core.images.geometry import view_of
from gradcam_core.models.custom import register_all


def made(outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    module: Any = timm.create_model("test_resnet", num_classes=outputs).eval()
    with torch.no_grad():
        module.fc.weight.mul_(20)
        module.fc.bias.copy_(torch.linspace(41, 44, outputs))
    return module


@pytest.fixture
def age(tmp_path: Path) -> tuple[nn.Module, Path]:
    module = made()
    torch.save(module.state_dict(), tmp_path / "age.pth")
    return module, tmp_path / "age.pth"


@pytest.mark.parametrize("as_module", [True, False])
def test_a_value_is_explained_as_its_rise(
    age: tuple[nn.Module, Path], cat: Image.Image, as_module: bool
):
    module, path = age
    given: dict[str, Any] = (
        {"module": module} if as_module else {"architecture": "test_resnet", "weights": path}
    )
    gc.register("Age", labels=["age"], regression=True, unit="years", **given)
    e = gc.explain(cat, "age")
    preprocessing = gc.load_model("age").preprocessing
    photo = view_of(cat.size, preprocessing, "crop").batch(cat, preprocessing)
    with torch.no_grad():
        expected = float(module(photo)[0, 0])
    assert e.value == pytest.approx(expected, rel=1e-4)
    assert (e.unit, e.target.name, len(e.top)) == ("years", "age", 1)
    run = gc.forward(module, photo)
    np.testing.assert_allclose(e.feature_map, run.cam(0)[0], rtol=1e-3, atol=1e-5)
    said = f"{expected:.4g} years"
    assert f"“age” is {said}." in e.caption()
    assert "%" not in e.caption()
    assert e.metadata()["Value"] == said
    assert "Probability" not in e.metadata()
    record: Any = e.record()
    assert record["target"]["probability"] is None
    assert record["target"]["value"] == pytest.approx(expected, rel=1e-4)
    assert record["target"]["unit"] == "years"
    with pytest.raises(gc.CamError, match="predicts a value"):
        gc.check(cat, e)


def test_sentences_speak_of_the_value(age: tuple[nn.Module, Path], cat: Image.Image):
    gc.register("Age", module=age[0], labels=["age"], regression=True, unit="years")
    e = gc.explain(cat, "age")
    sentences = summary([e])
    assert sentences[0] == f"Age says that age is {e.score(e.target)}."
    assert not any("%" in sentence or "guess" in sentence for sentence in sentences)
    assert gc.compare(cat, ["age"]) is not None


def test_several_values_keep_their_order(cat: Image.Image):
    gc.register("Box", module=made(3), labels=["x", "y", "z"], regression=True)
    held = gc.examine(cat, "box")
    assert [one.name for one in held.top] == ["x", "y", "z"]
    assert held.explain().target.name == "x"
    assert held.explain("z").value == pytest.approx(held.probabilities[2])
    assert held.explain("z").unit == ""


@pytest.mark.usefixtures("no_figure")
def test_the_command_line_prints_the_value(
    age: tuple[nn.Module, Path], tmp_path: Path, cat: Image.Image, capsys
):
    cat.save(tmp_path / "cat.png")
    spec = f"Age=test_resnet,weights={age[1]},regression=true,unit=years"
    out = str(tmp_path / "out")
    assert main([str(tmp_path / "cat.png"), "--network", spec, "--out", out, "--trust"]) == 0
    printed = capsys.readouterr().out
    assert " years; explains the rise of value" in printed
    assert "%" not in printed.split("\n")[0]
    given = [str(tmp_path / "cat.png"), "--network", spec, "--out", out, "--method", "eigencam"]
    assert main(given) == 0
    assert "; Eigen-CAM ignores the rise of value" in capsys.readouterr().out


def test_where_there_is_no_place_for_values_it_is_said(
    age: tuple[nn.Module, Path], tmp_path: Path, cat: Image.Image, capsys
):
    spec = f"Age=test_resnet,weights={age[1]},regression=true"
    with pytest.raises(
        gc.NetworkError, match="page shows classes, but this network predicts values"
    ):
        register_all([spec], classes_only=True)
    (tmp_path / "photos").mkdir()
    cat.save(tmp_path / "photos" / "cat.png")
    with pytest.raises(SystemExit):
        batch([str(tmp_path / "photos"), "--network", spec, "--out", str(tmp_path / "out")])
    assert "predicts values, but batches need classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"unit": "years"}, "add regression = true"),
        ({"regression": True, "sigmoid": True}, "leave out sigmoid"),
        ({"regression": True, "labels": ["a", "b"]}, "2 labels are given for 1 value"),
        ({"regression": True, "weights": None}, "published weights predict classes"),
    ],
)
def test_what_does_not_go_together_is_said(
    age: tuple[nn.Module, Path], given: dict[str, Any], reason: str
):
    with pytest.raises(gc.NetworkError, match=reason):
        gc.register("Age", "test_resnet", **({"weights": age[1]} | given))


def test_a_value_that_is_no_number_has_no_map(cat: Image.Image):
    module: Any = made()
    with torch.no_grad():
        module.fc.bias.fill_(float("nan"))
    gc.register("Age", module=module, regression=True)
    e = gc.explain(cat, "age")
    assert e.degenerate == "The network's scores for this picture are not numbers."
    assert e.heatmap.max() == 0
