"""The whole way: right predictions, and the heat where the evidence is, in the photo's pixels."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.explanation.request import requests_for
from gradcam_core.explanation.text import NOT_NUMBERS, NOTHING, SAME_EVERYWHERE
from gradcam_core.images.geometry import VIEWS
from gradcam_core.images.preprocessing import InputSize, Preprocessing
from gradcam_core.models.registry import ModelInfo

CELLS = 7

ANY_NETWORK = [  # of the slow methods, those that need neither attention nor larger maps before
    name
    for name, method in METHODS.items()
    if method.is_slow and method.needs not in ("attention", "earlier maps")
]


class Brightness(nn.Module):
    """A classifier whose map is known: one channel that copies brightness, one linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 1, 32, stride=32, bias=False)
        self.head = nn.Linear(1, 1000, bias=False)
        nn.init.constant_(self.features.weight, 1 / (3 * 32 * 32))
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.weight[0], 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def brightness() -> gc.Model:
    return gc.Model(
        ModelInfo("brightness", "Brightness", "none", layer="features"),
        Brightness().eval(),
        Preprocessing(
            InputSize.of(32 * CELLS), 0.875, Image.Resampling.BILINEAR, (0, 0, 0), (1, 1, 1)
        ),
        gc.Weights("made by the test", Path(__file__)),
    )


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [(300, 451), (1280, 320), (60, 40)])
def test_the_peak_is_on_a_bright_square_anywhere_in_the_box(brightness, size, view):
    plain = gc.examine(Image.new("RGB", size), brightness, view)
    left, top, right, bottom = plain.geometry.box
    x0, y0, x1, y1 = plain.geometry.region
    columns, rows = plain.geometry.size
    cell = (x1 - x0) * 32 / columns, (y1 - y0) * 32 / rows
    for across in (0.0, 0.3, 1.0):
        for down in (0.0, 0.5, 1.0):
            # The square has the side of a cell and lies wholly inside the box.
            x = left + across * (right - left - cell[0])
            y = top + down * (bottom - top - cell[1])
            photo = Image.new("RGB", size)
            ImageDraw.Draw(photo).rectangle((x, y, x + cell[0], y + cell[1]), fill="white")
            e = gc.explain(photo, brightness, 0, view=view)
            assert e.heatmap.shape == (size[1], size[0])
            peak_y, peak_x = np.unravel_index(np.argmax(e.heatmap), e.heatmap.shape)
            assert abs(peak_x + 0.5 - (x + cell[0] / 2)) <= cell[0]
            assert abs(peak_y + 0.5 - (y + cell[1] / 2)) <= cell[1]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [(1, 1), (8, 600), (600, 8), (2, 3), (451, 300)])
def test_the_heatmap_has_the_photos_size_and_is_zero_outside_the_box(brightness, size, view):
    photo = Image.linear_gradient("L").resize(size).convert("RGB")
    e = gc.explain(photo, brightness, 0, view=view)
    assert e.heatmap.shape == (size[1], size[0])
    assert e.heatmap.dtype == np.float32
    assert e.heatmap.min() >= 0
    assert e.heatmap.max() == (size != (1, 1))
    left, top, right, bottom = e.box
    outside = e.heatmap.copy()
    outside[top:bottom, left:right] = 0
    assert not outside.any()
    if view == "whole":
        assert e.box == (0, 0, *size)


# Photo, input (height, width), how it is resized, view, box, and cells of the map.
SHAPES: dict[str, tuple[tuple[int, int], tuple[int, int], Any, Any, Any, tuple[int, int]]] = {
    "tall": ((400, 400), (128, 64), "cover", "crop", (100, 0, 300, 400), (4, 2)),
    "wide": ((400, 400), (64, 128), "cover", "crop", (0, 100, 400, 300), (2, 4)),
    "tall, of a tall photo": ((300, 800), (128, 96), "cover", "crop", (0, 200, 300, 600), (4, 3)),
    "tall, all of a photo": ((400, 400), (128, 64), "cover", "whole", (0, 0, 400, 400), (4, 4)),
    "wide, all of a tall photo": ((100, 600), (64, 96), "cover", "whole", (0, 0, 100, 600), (6, 3)),
    "stretched": ((800, 100), (128, 64), "stretch", "crop", (0, 0, 800, 100), (4, 2)),
    "stretched, all of it": ((200, 200), (64, 128), "stretch", "whole", (0, 0, 200, 200), (4, 4)),
    "short side": ((400, 200), (64, 128), "short side", "crop", (100, 50, 300, 150), (2, 4)),
}


@pytest.mark.parametrize("detail", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_heat_lies_where_a_network_with_an_input_of_any_shape_has_seen_it(
    brightness: gc.Model, shape: str, detail: Literal[1, 2]
):
    size, input_size, resizing, view, box, (rows, columns) = SHAPES[shape]
    preprocessing = replace(
        brightness.preprocessing, size=InputSize(*input_size), crop_share=1.0, resizing=resizing
    )
    network = replace(brightness, preprocessing=preprocessing)
    left, top, right, bottom = gc.examine(Image.new("RGB", size), network, view).geometry.region
    across, down = (right - left) / columns, (bottom - top) / rows
    for row, column in np.ndindex(rows, columns):
        x, y = left + column * across, top + row * down
        photo = Image.new("RGB", size)
        # The whole cell, without the pixels that the neighbours see a little of.
        inside = (x + across / 8, y + down / 8, x + across * 7 / 8 - 1, y + down * 7 / 8 - 1)
        if inside[0] < 0 or inside[2] > size[0]:
            continue  # padding
        ImageDraw.Draw(photo).rectangle(inside, fill="white")
        e = gc.explain(photo, network, 0, view=view, detail=detail)
        assert e.box == box
        assert e.feature_map.shape == (rows * detail, columns * detail)
        cells = e.feature_map.reshape(rows, detail, columns, detail).sum(axis=(1, 3))
        assert cells[row, column] > 0.97 * cells.sum()
        y_peak, x_peak = np.unravel_index(np.argmax(e.heatmap), e.heatmap.shape)
        assert x <= x_peak + 0.5 <= x + across
        assert y <= y_peak + 0.5 <= y + down
        outside = e.heatmap.copy()
        outside[box[1] : box[3], box[0] : box[2]] = 0
        assert not outside.any()


@pytest.mark.parametrize("method", ANY_NETWORK)
def test_slow_methods_find_the_place_in_an_input_of_any_shape(brightness: gc.Model, method: str):
    tall = replace(brightness.preprocessing, size=InputSize(128, 64), crop_share=1.0)
    photo = Image.new("RGB", (400, 400))
    ImageDraw.Draw(photo).rectangle((212, 112, 287, 187), fill="white")  # in the second row
    e = gc.explain(photo, replace(brightness, preprocessing=tall), 0, method)
    assert e.feature_map.shape == (4, 2)
    assert np.argmax(e.feature_map) == 3


def with_network(brightness: gc.Model, module: nn.Module) -> gc.Model:
    return replace(brightness, module=module.eval())


class NotNumbers(Brightness):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.nan


def degenerate_cases(brightness: gc.Model) -> dict[str, gc.Explanation]:
    half = Image.new("RGB", (50, 40), "white")
    half.paste("black", (0, 0, 25, 40))
    return {
        NOTHING: gc.explain(half, brightness, 1),
        SAME_EVERYWHERE: gc.explain(Image.new("RGB", (50, 40), "white"), brightness, 0),
        NOT_NUMBERS: gc.explain(half, with_network(brightness, NotNumbers()), 0),
    }


def test_a_degenerate_map_gives_no_heat_and_says_why(brightness):
    for reason, e in degenerate_cases(brightness).items():
        assert e.degenerate == reason
        assert not e.heatmap.any()
        assert e.heatmap.shape == (40, 50)
        assert json.loads(json.dumps(e.record(), allow_nan=False))["degenerate"] == reason
    half = Image.new("RGB", (50, 40), "white")
    half.paste("black", (0, 0, 25, 40))
    e = gc.explain(half, brightness, 0)
    assert e.degenerate == ""
    assert e.record()["degenerate"] is None
    assert e.heatmap.max() == 1


@pytest.mark.parametrize(
    "method", [name for name, m in METHODS.items() if m.needs not in ("earlier maps", "attention")]
)
def test_no_method_stumbles_over_scores_that_are_not_numbers(brightness, method: str):
    photo = Image.linear_gradient("L").convert("RGB")
    e = gc.explain(photo, with_network(brightness, NotNumbers()), 0, method)
    if METHODS[method].knows_class:
        assert e.degenerate == NOT_NUMBERS
    assert np.isfinite(e.heatmap).all()
    assert gc.explain(photo, brightness, 0, method).degenerate in ("", NOTHING)


def test_noise_on_a_constant_map_is_not_stretched(brightness):
    e = gc.explain(Image.new("RGB", (50, 40), "white"), brightness, 0)
    noise = np.random.default_rng(0).normal(scale=1e-7, size=e.feature_map.shape)
    noisy = replace(e, feature_map=(e.feature_map + noise).astype(np.float32))
    assert noisy.degenerate == SAME_EVERYWHERE
    assert not noisy.heatmap.any()


@pytest.mark.parametrize(("detail", "view"), [(3, "crop"), (2, "whole")])
def test_detail_has_so_many_times_the_cells_from_the_same_view(cat, detail: int, view):
    plain = gc.examine(cat, "efficientnet_lite0", view)
    finer = gc.examine(cat, "efficientnet_lite0", view, detail)
    assert finer.geometry.region == plain.geometry.region
    assert finer.geometry.size == tuple(detail * side for side in plain.geometry.size)
    rows, columns = plain.run.activation.shape[2:]
    if view == "crop":
        assert finer.run.activation.shape[2:] == (detail * rows, detail * columns)
    assert finer.top == plain.top
    e = finer.explain("tabby")
    assert e.detail == detail
    assert (e.target, e.rank) == (plain.explain("tabby").target, plain.explain("tabby").rank)


def test_detail_keeps_the_heat_on_the_object(coffee: Image.Image):
    for options in ({"detail": 2}, {"preset": "sharp"}):
        e = gc.explain(coffee, "efficientnet_lite0", "espresso", **options)
        inside_the_rim = e.heatmap[20:215, 172:412]
        assert inside_the_rim.mean() > 2 * e.heatmap.mean()
        assert inside_the_rim.max() == e.heatmap.max()


def test_a_contrast_names_its_classes(cat: Image.Image):
    held = gc.examine(cat, "efficientnet_lite0")
    assert held.explain().contrast == ()
    chosen = held.explain(contrast=True)
    assert [other.name for other in chosen.contrast[:2]] == ["Egyptian cat", "tabby"]
    assert len(chosen.contrast) == 10
    assert chosen.question == "tiger cat rather than 10 others"
    assert chosen.how == "Grad-CAM, rather than Egyptian cat, tabby and 8 more"
    given = held.explain("tabby", contrast=("lynx", 282))
    assert [other.name for other in given.contrast] == ["lynx", "tiger cat"]
    assert given.question == "tabby rather than lynx and tiger cat"
    recorded = json.loads(json.dumps(given.record()))
    assert [other["name"] for other in recorded["contrast"]] == ["lynx", "tiger cat"]
    one = held.explain("tabby", contrast="lynx")
    assert not np.array_equal(one.feature_map, given.feature_map)
    assert [other.name for other in one.contrast] == ["lynx"]


def test_labels_say_what_is_not_as_published(cat: Image.Image, lite0: gc.Model):
    assert gc.explain(cat, lite0).unusual == ""
    layer = lite0.stages[0].layer
    e = gc.explain(cat, lite0, method="layercam", detail=2, layer=layer)
    assert e.unusual == f"LayerCAM, detail 2 ×, layer {layer}"


def test_the_names_of_version_1_0_work_with_a_warning(cat: Image.Image):
    held = gc.examine(cat, "efficientnet_lite0")
    e = held.explain("tabby", contrast="lynx")
    with pytest.warns(DeprecationWarning, match="rivals is now contrast"):
        assert e.rivals == e.contrast
    assert e.record()["rivals"] == e.record()["contrast"]
    with pytest.warns(DeprecationWarning, match="rivals"):
        old = held.run.cam(281, rivals=[287])
    np.testing.assert_array_equal(old[0], e.feature_map)
    with pytest.warns(DeprecationWarning, match="rivals"):
        new = held.run.cam(281, contrast=[287], rivals=[162])
    np.testing.assert_array_equal(new[0], e.feature_map)
    with pytest.warns(DeprecationWarning, match="rivals"):
        assert held.run.rivals(281, rivals=[287]) == held.run.contrast(281, contrast=[287])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "tabby", "contrast": "tabby"}, "other than the class"),
        ({"method": "eigencam", "contrast": True}, "is the same for every class"),
        ({"contrast": ()}, "one or more"),
        ({"contrast": "catt"}, "catt"),
        ({"preset": "blunt"}, "sharp"),
    ],
)
def test_a_contrast_or_preset_that_does_not_fit_says_why(cat, options, words):
    with pytest.raises(ValueError, match=words):
        gc.explain(cat, "efficientnet_lite0", **options)


def test_the_sharp_preset_separates_two_objects_better():
    picture = Path(__file__).parents[2] / "assets" / "examples" / "3_cat_and_coffee.jpg"
    middle = gc.read_image(picture).width // 2
    for target, half in (("Egyptian cat", np.s_[:, :middle]), ("espresso", np.s_[:, middle:])):
        share = {}
        for preset in (None, "sharp"):
            heat = gc.explain(picture, "efficientnet_lite0", target, preset=preset).heatmap
            share[preset] = heat[half].sum() / heat.sum()
        assert share["sharp"] > max(share[None], 0.95)


def test_half_precision_goes_the_same_way(cat: Image.Image, monkeypatch):
    """As on a GPU, here on the processor."""
    exact = gc.examine(cat, "efficientnet_lite0")
    low = partial(torch.autocast, "cpu", dtype=torch.bfloat16)
    module = import_module("gradcam_core.models.forward_pass")
    monkeypatch.setattr(module, "precision", lambda device: low())
    half = gc.examine(cat, "efficientnet_lite0")
    assert not np.array_equal(half.probabilities, exact.probabilities)
    assert half.run.logits.dtype == half.run.activation.dtype == torch.float32
    for method in ("gradcam", "layercam", "competitive", "eigencam", "ablationcam"):
        one, other = (held.explain(282, method).heatmap for held in (exact, half))
        assert other.dtype == np.float32
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95, method


def test_coffee_is_espresso_and_the_heat_lies_on_the_cup(coffee: Image.Image):
    e = gc.explain(coffee, "efficientnet_lite0")
    assert e.target.name == "espresso"
    assert e.target.probability == pytest.approx(0.95, abs=0.01)
    assert (e.rank, e.top[0]) == (1, e.target)
    inside_the_rim = e.heatmap[20:215, 172:412]
    assert inside_the_rim.sum() > 0.6 * e.heatmap.sum()
    assert inside_the_rim.max() == e.heatmap.max()


def test_chelsea_is_a_cat_and_the_heat_lies_on_the_face(cat: Image.Image):
    e = gc.explain(cat, "efficientnet_lite0")
    got = {p.name: round(p.probability, 2) for p in e.top[:3]}
    assert got == {"tiger cat": 0.39, "Egyptian cat": 0.36, "tabby": 0.17}
    face = e.heatmap[85:275, 130:365]
    assert face.max() == e.heatmap.max()
    assert face.sum() > 0.6 * e.heatmap.sum()


def test_two_objects_in_one_picture_have_their_own_heat():
    picture = Path(__file__).parents[2] / "assets" / "examples" / "3_cat_and_coffee.jpg"
    held = gc.examine(picture, "efficientnet_lite0")
    middle = gc.read_image(picture).width // 2
    for target, half in (("Egyptian cat", np.s_[:, :middle]), ("espresso", np.s_[:, middle:])):
        heat = held.explain(target).heatmap
        assert heat[half].sum() > 0.75 * heat.sum()


def test_only_the_whole_view_finds_what_lies_outside_the_crop():
    picture = Path(__file__).parents[2] / "assets" / "examples" / "7_wide_strip.jpg"
    width = gc.read_image(picture).width
    crop = gc.examine(picture, "efficientnet_lite0", "crop")
    whole = gc.examine(picture, "efficientnet_lite0", "whole")
    assert "espresso" not in [p.name for p in crop.top]
    assert "espresso" in [p.name for p in whole.top]
    heat = whole.explain("espresso").heatmap
    assert heat[:, int(width * 0.66) :].sum() > 0.9 * heat.sum()


def test_the_picture_may_be_a_path_bytes_an_image_or_an_array(coffee_path: Path):
    forms: list = [str(coffee_path), coffee_path, coffee_path.read_bytes(), Image.open(coffee_path)]
    forms.append(np.asarray(Image.open(coffee_path)))
    first, *others = [gc.explain(form, "efficientnet_lite0") for form in forms]
    for other in others:
        assert other.top == first.top
        assert np.array_equal(other.heatmap, first.heatmap)


def test_an_explanation_tells_where_it_comes_from(cat: Image.Image):
    e = gc.explain(cat, "efficientnet_lite0", "tabby")
    assert (e.model, e.title, e.layer) == ("efficientnet_lite0", "EfficientNet-Lite0", "bn2")
    assert (e.method, e.detail, e.view) == ("gradcam", 1, "crop")
    assert (e.target.name, e.rank) == ("tabby", 3)
    assert e.weights.sha256.startswith("57934424")  # the package has it in the file's name
    assert e.notice == ""
    assert json.loads(json.dumps(e.record()))["weights"]["sha256"] == e.weights.sha256


def test_examining_once_and_explaining_twice_equals_explaining_afresh(cat: Image.Image):
    held = gc.examine(cat, "efficientnet_lite1")
    for target in ("tabby", 285, None):
        again = gc.explain(cat, "efficientnet_lite1", target)
        once = held.explain(target)
        assert once.target.index == again.target.index
        np.testing.assert_allclose(once.heatmap, again.heatmap, atol=1e-5)


@pytest.mark.parametrize(
    "mistake",
    [{"model": "resnet5"}, {"target": "catt"}, {"method": "x"}, {"detail": 7}, {"view": "half"}],
)
def test_an_unknown_choice_is_a_value_error_that_lists_the_known(cat: Image.Image, mistake: dict):
    with pytest.raises(ValueError, match=r"[Cc]hoose|nearest"):
        gc.explain(cat, **{"model": "efficientnet_lite0", **mistake})


def test_probabilities_are_the_published_models(cat: Image.Image, lite0: gc.Model):
    from timm.data import create_transform, resolve_data_config

    config = resolve_data_config(lite0.module.pretrained_cfg)
    with torch.no_grad():
        expected = lite0.module(create_transform(**config)(cat)[None]).softmax(1)[0]
    got = gc.examine(cat, lite0).probabilities
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-6)


def test_every_public_name_is_there():
    for name in gc.__all__:
        assert getattr(gc, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        gc.nonsense  # noqa: B018


def test_scores_that_are_not_numbers_have_no_probability_rank_or_map(
    cat: Image.Image, lite0: gc.Model
):
    module = deepcopy(lite0.module)
    module.get_parameter("classifier.bias").data[3] = torch.nan
    e = gc.explain(cat, replace(lite0, module=module))
    reason = "The network's scores for this picture are not numbers."
    assert e.degenerate == reason
    record = json.loads(json.dumps(e.record(), allow_nan=False))
    assert record["target"]["probability"] is record["rank"] is None
    assert record["top"] == []
    assert not {"Probability", "Rank"} & e.metadata().keys()
    assert not e.heatmap.any()
    with pytest.raises(gc.CamError, match=reason):
        gc.check(cat, e)


def test_the_word_auto_and_a_class_named_twice_are_what_they_mean(
    cat: Image.Image, lite0: gc.Model
):
    auto, true = (gc.explain(cat, lite0, "tabby", contrast=one) for one in ("auto", True))
    assert auto.contrast == true.contrast != ()
    for one in (["auto"], ("auto",)):  # as the command line has it
        assert gc.explain(cat, lite0, "tabby", contrast=one).contrast == true.contrast
        (request,) = requests_for(["efficientnet_lite0"], target="tabby", contrast=one)
        assert request.contrast is True
    with pytest.raises(ValueError, match="auto"):
        gc.explain(cat, lite0, "tabby", contrast=["auto", "lynx"])
    twice = gc.explain(cat, lite0, "tabby", contrast=["lynx", "lynx"])
    assert [other.name for other in twice.contrast] == ["lynx"]
