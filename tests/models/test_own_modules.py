"""A module that a person has built, as one of the networks."""

from __future__ import annotations

import asyncio
import copy
import io
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

import gradcam_core as gc
from demo.compute.local import LocalBackend
from demo.compute.service import ComputeService
from gradcam_core.cli.batch import main
from gradcam_core.explanation.examination import answer_together, run_passes
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.geometry import view_of
from gradcam_core.images.prepare import prepare
from gradcam_core.models.custom import registered
from tests.support.batch_results import rows_of

LABELS = ["cat", "dog", "bird"]


class Small(nn.Module):
    def __init__(self, *head: nn.Module, channels: int = 3, outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 5, 2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Flatten(1), nn.Linear(16, outputs), *head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def small(*head: nn.Module, **given: Any) -> nn.Module:
    return Small(*head, **given).eval()


def batch_of(photo: Image.Image, name: str) -> Tensor:
    preprocessing = gc.load_model(name).preprocessing
    return view_of(photo.size, preprocessing, "crop").batch(photo, preprocessing)


def test_a_module_is_explained_as_it_is(cat: Image.Image):
    module = small()
    before = copy.deepcopy(module.state_dict())
    needs = [p.requires_grad for p in module.parameters()]
    info = gc.register("Mine", module=module, labels=LABELS, size=64, mean=0.5, std=0.25)
    model = gc.load_model("mine")
    assert model.module is module
    assert (info.architecture, info.notice) == ("Small", "")
    e = gc.explain(cat, "mine", "dog")
    batch = batch_of(cat, "mine")
    with torch.no_grad():
        expected = module(batch).softmax(1)[0]
    assert {p.name: p.probability for p in e.top} == pytest.approx(
        dict(zip(LABELS, expected.tolist(), strict=True)), abs=1e-6
    )
    np.testing.assert_allclose(e.feature_map, gc.forward(module, batch).cam(1)[0], rtol=1e-4)
    record: Any = e.record()
    assert record["weights"]["source"] == "module:Small"
    assert len(record["weights"]["sha256"]) == 64
    assert all(torch.equal(t, before[n]) for n, t in module.state_dict().items())
    assert [p.requires_grad for p in module.parameters()] == needs
    assert not any(part._forward_hooks for part in module.modules())
    with_map = next(e for name in LABELS if not (e := gc.explain(cat, "mine", name)).degenerate)
    assert gc.check(cat, with_map).verdict in ("holds", "unclear", "fails")


def test_a_module_says_what_was_not_given(cat: Image.Image):
    info = gc.register("Mine", module=small())
    assert info.notice == "Mine: mean and std are ImageNet's, because none were given."
    assert [label.name for label in info.labels] == ["class 0", "class 1", "class 2"]
    of_timm = timm.create_model("test_vit", num_classes=3).eval()
    gc.register("Timm", module=of_timm)
    found = gc.load_model("timm").preprocessing
    assert found.size == (160, 160)
    assert found.mean == tuple(of_timm.pretrained_cfg["mean"])
    assert gc.explain(cat, "timm").feature_map.shape == (10, 10)
    gc.register("Grey", module=small(channels=1), size=64, mean=0.5, std=0.5)
    assert gc.load_model("grey").preprocessing.channels == 1
    assert gc.explain(cat, "grey").heatmap.shape == cat.size[::-1]


def test_names_that_a_module_holds_are_those_of_its_classes():
    register = partial(gc.register, "Mine", size=64)
    module: Any = small()
    module.config = SimpleNamespace(id2label=dict(enumerate(LABELS)))
    assert [label.name for label in register(module=module).labels] == LABELS
    module.config = {"id2label": {0: "cat", 1: " ", 2: "owl"}}
    module.names = ["conv", "pool", "fc"]  # of its parts
    module.class_names = LABELS
    assert [label.name for label in register(module=module).labels] == LABELS
    info = register(module=module, labels=["a", "b", "c"])
    assert [label.name for label in info.labels] == ["a", "b", "c"]
    del module.class_names
    with pytest.MonkeyPatch.context() as patch:  # whose properties cannot say yet
        for key in ("config", "classes"):
            patch.setattr(Small, key, property(lambda _: 1 // 0), raising=False)
        info = register(module=small())
    assert info.labels[0].name == register(module=module).labels[0].name == "class 0"
    module.names = dict(enumerate(LABELS))  # Ultralytics'
    assert [label.name for label in register(module=module).labels] == LABELS
    wrapped = nn.Sequential(nn.Identity(), module).eval()
    assert [label.name for label in register(module=wrapped).labels] == LABELS
    behind = nn.Sequential(module, nn.ReLU(), nn.Linear(3, 3)).eval()
    assert register(module=behind).labels[0].name == "class 0"  # of another head
    for holder, key in (("hparams", "class_names"), ("dataset_meta", "classes")):
        module = small()
        setattr(module, holder, {key: LABELS})
        assert [label.name for label in register(module=module).labels] == LABELS


class Scaled(Small):
    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift
        self.factor = nn.Parameter(torch.ones(1))  # of its own, not of a layer

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.scale + self.shift) * self.factor


@pytest.mark.parametrize(
    ("scale", "shift"), [(1 / 0.225, -0.45), (255, -128), (2, -1), (1 / 255, 0)]
)
def test_a_module_that_normalises_its_pictures_needs_a_mean(scale: float, shift: float):
    module = Scaled(scale, shift).eval()
    with pytest.raises(gc.NetworkError, match=r"scales its pictures .* mean=0 and std=1"):
        gc.register("Mine", module=module, size=64)
    gc.register("Mine", module=module, size=64, mean=0, std=1)


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (0.458, -0.03), (1, 0.5)])
def test_a_module_that_takes_imagenets_normalisation_may_change_it(scale: float, shift: float):
    gc.register("Mine", module=Scaled(scale, shift).eval(), size=64)


def test_a_filter_that_takes_even_pictures_away_does_not_scale_them():
    class Edges(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(255 * (x - gaussian_blur(x, [7, 7])))

    gc.register("Mine", module=Edges().eval(), size=64)


class WithPlaces(Small):
    """CoordConv: two more channels say where each pixel is."""

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.linspace(-1, 1, x.shape[2]).view(1, 1, -1, 1).expand(len(x), 1, *x.shape[2:])
        columns = torch.linspace(-1, 1, x.shape[3]).expand_as(rows)
        return super().forward(torch.cat([x, rows, columns], dim=1))


def test_a_first_layer_may_take_more_than_the_picture_has(cat: Image.Image):
    module = WithPlaces(channels=5).eval()
    gc.register("Mine", module=module, size=64)
    run = gc.forward(module, batch_of(cat, "mine"))
    e = gc.explain(cat, "mine", target=1)
    cam = run.cam(1)[0].numpy()
    np.testing.assert_allclose(e.feature_map / e.feature_map.max(), cam / cam.max(), atol=1e-4)
    with pytest.raises(gc.NetworkError, match="first layer takes 5 channels, but pictures have"):
        gc.register("Mine", module=small(channels=5), size=64)


def test_a_transformer_has_the_grid_of_its_input(cat: Image.Image):
    module = timm.create_model(
        "vit_tiny_patch16_224", num_classes=3, img_size=(96, 48), depth=2
    ).eval()
    with pytest.raises(gc.NetworkError, match=r"does not accept a batch \[2, 3, 224, 224\].*size="):
        gc.register("Tall", module=module)
    gc.register("Tall", module=module, size=(96, 48))
    e = gc.explain(cat, "tall")
    assert e.feature_map.shape == (6, 3)
    left, top, right, bottom = e.box
    assert (right - left) / (bottom - top) == pytest.approx(0.5, abs=0.01)
    assert e.geometry.size == (48, 96)


def test_another_module_of_the_same_name_takes_its_place(cat: Image.Image):
    first, second = small(), biased(by=9)
    gc.register("Mine", module=first, labels=LABELS)
    digest = gc.load_model("mine").weights.sha256
    gc.register("Mine", module=second, labels=LABELS)
    assert gc.load_model("mine").module is second
    assert gc.load_model("mine").weights.sha256 != digest
    assert gc.explain(cat, "mine").target.name == "cat"


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self.net(x)
        return {"a": found, "b": found[:, :2]}


def test_the_output_may_be_a_function_of_what_the_module_gives(cat: Image.Image):
    module = Wrapped().eval()
    with pytest.raises(gc.NetworkError, match="it is unclear which part holds the logits"):
        gc.register("Mine", module=module)
    gc.register("Mine", module=module, output=lambda given: given["b"], labels=["x", "y"], size=64)
    e = gc.explain(cat, "mine", "y")
    with torch.no_grad():
        expected = float(module(batch_of(cat, "mine"))["b"].softmax(1)[0, 1])
    assert e.target.probability == pytest.approx(expected, abs=1e-6)
    assert gc.check(cat, e).verdict in ("holds", "unclear", "fails")


def test_one_output_is_a_probability_of_a_class_and_of_its_opposite(cat: Image.Image):
    module = small(outputs=1)
    gc.register("Ill", module=module, labels=["ill"], size=64, mean=0.5, std=0.5)
    held = gc.examine(cat, "ill")
    batch = batch_of(cat, "ill")
    with torch.no_grad():
        probability = float(module(batch).sigmoid())
    assert {p.name: p.probability for p in held.top} == pytest.approx(
        {"ill": probability, "not ill": 1 - probability}, abs=1e-6
    )
    expected = gc.forward(module, batch).cam(0)[0].numpy()
    np.testing.assert_allclose(held.explain("ill").feature_map, expected / 2, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_sigmoid_in_the_module_gives_the_probabilities(cat: Image.Image, outputs: int):
    module = small(nn.Sigmoid(), outputs=outputs)
    labels = LABELS if outputs == 3 else ["ill"]
    info = gc.register("Mine", module=module, labels=labels, size=64, mean=0.5, std=0.5)
    assert info.independent == (outputs == 3)
    held = gc.examine(cat, "mine")
    with torch.no_grad():
        expected = module(batch_of(cat, "mine"))[0]
    np.testing.assert_allclose(held.probabilities[-outputs:], expected, atol=1e-6)
    assert held.explain(labels[-1]).feature_map.max() >= 0


class Functional(Small):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(dim=1)


@pytest.mark.parametrize("how", ["module", "function"])
def test_a_softmax_in_the_module_is_not_applied_again(cat: Image.Image, how: str):
    module = small(nn.Softmax(dim=1)) if how == "module" else Functional().eval()
    info = gc.register("Mine", module=module, labels=LABELS, size=64, mean=0.5, std=0.5)
    assert "those of a softmax or the like" in info.notice
    held = gc.examine(cat, "mine")
    with torch.no_grad():
        expected = module(batch_of(cat, "mine"))[0]
    np.testing.assert_allclose(held.probabilities, expected, atol=1e-6)
    assert held.explain("dog").target.probability == pytest.approx(float(expected[1]), abs=1e-6)


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.Sigmoid(), nn.LogSoftmax(dim=1)])
@pytest.mark.parametrize("by", [9, 30])
def test_a_sure_module_has_the_map_of_exact_numbers(cat: Image.Image, last: nn.Module, by: float):
    module = biased(last, by=by)
    gc.register("Mine", module=module, labels=LABELS, size=64, mean=0.5, std=0.5)
    held = gc.examine(cat, "mine")
    assert held.top[0].probability == pytest.approx(1, abs=1e-2)
    found = held.explain("cat").feature_map
    double = copy.deepcopy(module).double()
    expected = gc.forward(double, batch_of(cat, "mine").double()).cam(0)[0].numpy()
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), atol=1e-4)


def test_what_a_softmax_has_rounded_to_0_is_told(cat: Image.Image):
    module = biased(nn.Softmax(dim=1), by=90)
    gc.register("Mine", module=module, labels=LABELS, size=64, mean=0.5, std=0.5)
    with pytest.raises(gc.CamError, match=r"Nothing in the layer .* a saturated softmax"):
        gc.examine(cat, "mine").explain("cat")


def in_training() -> nn.Module:
    return small().train()


def with_batch_norm_of_one() -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def without_places() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3)).eval()


def of_maps() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).eval()


def for_another_size() -> nn.Module:
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 900, 2)
    return nn.Sequential(*layers).eval()


def biased(*head: nn.Module, by: float) -> nn.Module:
    module: Any = small(*head)
    with torch.no_grad():
        module.head[1].bias[0] += by
    return module


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "training": (in_training, {}, "in training mode: call its eval"),
    "channels": (with_batch_norm_of_one, {}, "takes 4 channels, but pictures have 1 or 3"),
    "a state dict": (lambda: small().state_dict(), {}, "module= is a OrderedDict and must be"),
    "a class": (lambda: Small, {}, "module= is a type and must be"),
    "an architecture, too": (
        small,
        {"architecture": "resnet18"},
        "architecture= cannot be combined with",
    ),
    "weights, too": (small, {"weights": "a.pth"}, "weights= cannot be combined with"),
    "labels": (small, {"labels": ["a"]}, "1 label is given for 3 classes"),
    "classes": (small, {"classes": 4}, "classes is 4, but the module gives 3"),
    "layer": (small, {"layer": "nix"}, "no layer 'nix'"),
    "no map": (without_places, {"size": 32}, "cannot be explained"),
    "a size": (for_another_size, {}, "does not accept a batch .* give the size= and channels="),
    "a map": (of_maps, {}, "one number for each class is expected"),
    "no values": (lambda: small().to("meta"), {}, "has no values"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_registered_is_said_in_one_sentence(wrong: str):
    make, given, reason = WRONG[wrong]
    with pytest.raises(gc.NetworkError, match=reason) as refused:
        gc.register("Mine", module=make(), **given)
    assert "\n" not in str(refused.value)
    assert all(info.title != "Mine" for info in gc.list_models())


def test_output_needs_a_module():
    with pytest.raises(gc.NetworkError, match="output= belongs to module="):
        gc.register("Mine", "resnet18", output=lambda given: given)


def test_a_module_is_not_sent_to_other_processes(tmp_path: Path):
    gc.register("Mine", module=small())
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), tmp_path / "a.pth")
    gc.register("File", "test_resnet", weights=tmp_path / "a.pth")
    with pytest.raises(gc.NetworkError, match="'Mine' is a module of this process"):
        registered()
    assert [one.title for one in registered(["file"])] == ["File"]
    gc.register("Mine", "test_resnet", weights=tmp_path / "a.pth")
    assert len(registered()) == 2


def test_a_module_is_used_by_many_threads_at_once(cat: Image.Image):
    gc.register("Mine", module=small(), labels=LABELS, size=64, mean=0.5, std=0.5)
    found: list[gc.Explanation] = []
    threads = [
        threading.Thread(target=lambda: found.append(gc.explain(cat, "mine", "bird")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({e.feature_map.tobytes() for e in found}) == 1


def test_a_batch_uses_a_module_on_this_machine(tmp_path: Path, cat: Image.Image, capsys):
    gc.register("Mine", module=small(), labels=LABELS, size=(96, 64), mean=0.5, std=0.5)
    (tmp_path / "photos").mkdir()
    cat.save(tmp_path / "photos" / "cat.png")
    out = tmp_path / "out"
    main([str(tmp_path / "photos"), "--out", str(out), "--models", "mine"])
    (row,) = rows_of(out).values()
    digest = gc.load_model("mine").weights.sha256
    assert row["weights"] == {"source": "module:Small", "sha256": digest}
    with pytest.raises(SystemExit):
        main([str(tmp_path / "photos"), "--out", str(tmp_path / "ray"), "--engine", "ray"])
    assert "'Mine' is a module of this process" in capsys.readouterr().err


def test_the_page_computes_with_a_module(cat: Image.Image):
    gc.register("Mine", module=small(), labels=LABELS, size=(96, 64), mean=0.5, std=0.5)
    encoded = io.BytesIO()
    cat.save(encoded, "PNG")

    async def visit() -> gc.Explanation:
        service = ComputeService(LocalBackend())
        try:
            photo = service.photos.from_bytes(encoded.getvalue())
            (e,) = await service.explain_all(photo, [ExplanationRequest("mine", target=1)])
            return e
        finally:
            service.close()

    e = asyncio.run(visit())
    assert e.target.name == "dog"
    assert np.array_equal(e.feature_map, gc.explain(cat, "mine", "dog").feature_map)


class EarlyExit(nn.Module):
    """Leaves after its first layer where a picture is bright."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 8, 3, 2)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x).relu()
        if x.mean() < 0.5:
            y = self.two(y).relu()
        return self.fc(y.mean((2, 3)))


def test_each_photo_has_the_layer_of_the_way_that_it_goes():
    made = gc.register(
        "Early exit", module=EarlyExit().eval(), labels=LABELS, size=64, mean=0, std=1
    )
    noise = np.random.default_rng(0).integers(0, 100, (64, 64, 3), dtype=np.uint8)
    dark, bright = Image.fromarray(noise), Image.fromarray(noise + 150)
    layers = [gc.explain(photo, made.name, 0).layer for photo in (dark, bright, dark)]
    assert layers == ["two", "one", "two"]
    named = gc.register(
        "Named", module=EarlyExit().eval(), labels=LABELS, size=64, mean=0, std=1, layer="one"
    )
    assert [gc.explain(photo, named.name, 0).layer for photo in (dark, bright)] == ["one"] * 2


def test_photos_that_go_different_ways_are_run_one_after_the_other():
    made = gc.register("Mixed", module=EarlyExit().eval(), labels=LABELS, size=64, mean=0, std=1)
    model = gc.load_model(made.name)
    noise = np.random.default_rng(0).integers(0, 100, (64, 64, 3), dtype=np.uint8)
    photos = [Image.fromarray(noise + 150), Image.fromarray(noise)]  # dark on average
    inputs = [prepare(photo, model.preprocessing, "crop", 1) for photo in photos]
    together = run_passes(model, inputs)
    alone = [run_passes(model, [one])[0] for one in inputs]
    assert [one.run.layer for one in together] == ["one", "two"]
    for got, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(got.run.cam(0), expected.run.cam(0))
        np.testing.assert_allclose(got.probabilities, expected.probabilities)
    request = ExplanationRequest(made.name, target=0)
    answers = answer_together(together, request)
    assert [e.layer for e in answers] == ["one", "two"]
