"""Networks of a person's own: any architecture, weights of any origin, and what does not fit."""

from __future__ import annotations

import argparse
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision.models
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import gradcam_core as gc
from gradcam_core.images.geometry import view_of
from gradcam_core.images.preprocessing import InputSize
from gradcam_core.models.custom import register_all
from gradcam_core.models.custom.description import described_in, described_in_file
from gradcam_core.models.registry import default_models, remove_model
from tests.support.narrow_vgg import NARROW_VGG
from tests.support.networks import scattered
from tests.support.weights_server import serving

LABELS = ["no finding", "effusion", "nodule"]
SMALL = "test_efficientnet"  # timm's own, for tests: 0.4 million parameters


def made(architecture: str = SMALL, classes: int = 3, channels: int = 3) -> nn.Module:
    torch.manual_seed(classes)
    return timm.create_model(architecture, num_classes=classes, in_chans=channels).eval()


def save(module: nn.Module, path: Path) -> Path:
    save_file(module.state_dict(), path)
    return path


def logits_of(name: str, batch: Tensor) -> Tensor:
    with torch.no_grad():
        return gc.load_model(name).module(batch)


# What fits.


def test_a_network_stands_beside_the_others_and_computes_what_it_was_trained_to(
    tmp_path: Path, cat: Image.Image
):
    module = made()
    info = gc.register(
        "Chest X-ray", SMALL, weights=save(module, tmp_path / "xray.safetensors"), labels=LABELS
    )
    assert info.name == "chest_x_ray"
    assert info in gc.list_models()
    assert gc.list_models()[0] is info
    batch = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(logits_of(info.name, batch), module(batch), atol=1e-5, rtol=1e-4)
    e = gc.explain(cat, info.name, "effusion")
    record: Any = e.record()
    assert (e.title, e.target.name, e.target.index) == ("Chest X-ray", "effusion", 1)
    assert {p.name for p in e.top} == set(LABELS)
    assert sum(p.probability for p in e.top) == pytest.approx(1)
    assert record["weights"]["source"] == "file:xray.safetensors"  # and no folder of mine
    with pytest.raises(gc.LabelError, match="no class 'tabby'"):
        gc.explain(cat, info.name, "tabby")


ARCHITECTURES = (
    "test_efficientnet",
    "test_convnext",
    NARROW_VGG,
    "torchvision:resnet18",
)


@pytest.mark.parametrize(
    ("architecture", "channels"),
    [*((name, 3) for name in ARCHITECTURES), ("test_resnet", 1), ("torchvision:squeezenet1_0", 1)],
)
def test_classes_and_channels_are_read_from_the_weights(
    tmp_path: Path, architecture: str, channels: int
):
    (known,) = own_networks_named(architecture)
    module = known.build(7, channels)
    path = save(module, tmp_path / "weights.safetensors")
    info = gc.register("Mine", architecture, weights=path)
    assert len(info.labels) == 7
    model = gc.load_model("mine")
    assert model.preprocessing.channels == channels
    batch = torch.rand(1, channels, 128, 128)
    with torch.no_grad():
        expected = module(batch)
    scale = float(expected.abs().max())
    torch.testing.assert_close(logits_of("mine", batch), expected, atol=1e-4 * scale, rtol=1e-4)


def own_networks_named(architecture: str) -> list[Any]:
    from gradcam_core.models.custom.architectures import architectures_named

    return architectures_named(architecture)[:1]


def as_saved(module: nn.Module, form: str, path: Path) -> None:
    tensors: dict[str, Tensor] = module.state_dict()
    if form == "plain":
        torch.save(tensors, path)
    elif form == "before 2020":
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
    elif form == "half precision":
        torch.save({name: t.half() if t.is_floating_point() else t for name, t in tensors.items()},
                   path)  # fmt: skip
    elif form == "DataParallel":
        torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, path)
    elif form == "under state_dict":
        torch.save({"epoch": 3, "state_dict": tensors, "optimizer": {"lr": 0.1}}, path)
    elif form == "under model, compiled":
        inner = {f"_orig_mod.module.{name}": tensor for name, tensor in tensors.items()}
        torch.save({"model": inner, "args": argparse.Namespace(img_size=96)}, path)
    elif form == "without counters":
        kept = {n: t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
        torch.save(kept, path)


FORMS = (
    "plain",
    "before 2020",
    "half precision",
    "DataParallel",
    "under state_dict",
    "under model, compiled",
    "without counters",
)


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_read_however_they_were_saved(tmp_path: Path, form: str):
    module = made()
    as_saved(module, form, tmp_path / "weights.pth")
    gc.register("Mine", SMALL, weights=tmp_path / "weights.pth", labels=LABELS)
    batch = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        expected = module(batch)
    loose = 1e-2 if form == "half precision" else 1e-5
    torch.testing.assert_close(logits_of("mine", batch), expected, atol=loose, rtol=loose)
    size = gc.load_model("mine").preprocessing.size
    assert size == ((96, 96) if form == "under model, compiled" else (160, 160))


def test_a_single_output_is_a_probability_of_one_class_and_of_its_opposite(
    tmp_path: Path, cat: Image.Image
):
    module = torchvision.models.resnet18(num_classes=1).eval()
    torch.save(module.state_dict(), tmp_path / "ill.pth")
    gc.register("X-ray", "torchvision:resnet18", weights=tmp_path / "ill.pth", labels=["ill"])
    held = gc.examine(cat, "x_ray")
    batch = view_of(cat.size, held.model.preprocessing, "crop").batch(cat, held.model.preprocessing)
    with torch.no_grad():
        probability = float(module(batch).sigmoid())
    assert {p.name: p.probability for p in held.top} == pytest.approx(
        {"ill": probability, "not ill": 1 - probability}, abs=1e-6
    )
    # Its map is that of the output itself.
    run = gc.forward(module, batch, "layer4")
    expected = run.cam(0)[0].numpy()
    got = held.explain("ill").feature_map
    np.testing.assert_allclose(got, expected / 2, atol=1e-5 * expected.max())
    assert held.explain("not ill").feature_map.shape == got.shape


def test_classes_may_have_a_probability_each(tmp_path: Path, cat: Image.Image):
    path = save(made(), tmp_path / "findings.safetensors")
    gc.register("Findings", SMALL, weights=path, labels=LABELS, sigmoid=True)
    held = gc.examine(cat, "findings")
    expected = held.run.logits[0].sigmoid().numpy()
    np.testing.assert_allclose(held.probabilities, expected, atol=1e-6)
    from gradcam_core.analysis.trust.run_checks import run_checks

    e = held.explain("nodule")
    found = run_checks(cat, held.model, e)
    assert found.probability == pytest.approx(e.target.probability, abs=1e-3)


def test_a_network_for_grey_levels_is_shown_grey_levels(tmp_path: Path, cat: Image.Image):
    path = save(made(channels=1), tmp_path / "grey.safetensors")
    gc.register("Grey", SMALL, weights=path, size=64, mean=0.5, std=[0.25], crop=1, labels=LABELS)
    preprocessing = gc.load_model("grey").preprocessing
    batch = view_of(cat.size, preprocessing, "crop").batch(cat, preprocessing)
    grey = cat.resize((96, 64), Image.Resampling.BICUBIC).crop((16, 0, 80, 64)).convert("L")
    expected = (np.asarray(grey, np.float32) / 255 - 0.5) / 0.25
    assert batch.shape == (1, 1, 64, 64)
    assert np.abs(batch[0, 0].numpy() - expected).mean() < 0.05
    whole = view_of((300, 20), preprocessing, "whole").batch(cat.resize((300, 20)), preprocessing)
    assert whole.shape[1] == 1


def test_what_is_given_goes_before_what_is_known(tmp_path: Path):
    path = save(made("resnet18"), tmp_path / "a.safetensors")
    settings: dict[str, Any] = {
        "size": 160, "mean": 0.5, "std": (0.1, 0.2, 0.3), "crop": 1.0, "interpolation": "bilinear",
        "layer": "layer3", "name": "other",
    }  # fmt: skip
    info = gc.register("Mine", "resnet18", weights=path, labels=LABELS, **settings)
    assert (info.name, info.layer) == ("other", "layer3")
    found = gc.load_model("other").preprocessing
    assert (found.size, found.crop_share, found.resample) == (
        (160, 160),
        1,
        Image.Resampling.BILINEAR,
    )
    assert (found.mean, found.std) == ((0.5,) * 3, (0.1, 0.2, 0.3))
    assert gc.explain(Image.new("RGB", (90, 90)), "other").layer == "layer3"


def test_names_are_read_from_the_weights_if_they_say_them(tmp_path: Path):
    tensors = made().state_dict()
    said = {"state_dict": tensors, "class_to_idx": {"b": 1, "a": 0, "c": 2}}
    torch.save(said, tmp_path / "a.pth")
    save_file(tensors, tmp_path / "b.safetensors", {"label_names": json.dumps(LABELS)})
    one = gc.register("One", SMALL, weights=tmp_path / "a.pth")
    two = gc.register("Two", SMALL, weights=tmp_path / "b.safetensors")
    assert [label.name for label in one.labels] == ["a", "b", "c"]
    assert [label.name for label in two.labels] == LABELS
    torch.save({"meta": {"dataset_meta": {"classes": tuple(LABELS)}}, "x": tensors}, tmp_path / "c")
    three = gc.register("Three", SMALL, weights=tmp_path / "c")
    assert [label.name for label in three.labels] == LABELS
    mine = gc.register("One", SMALL, weights=tmp_path / "a.pth", labels=LABELS)
    assert [label.name for label in mine.labels] == LABELS
    for key, named in (
        ("classes", np.array(LABELS)),
        ("vocab", LABELS),
        ("label_map", dict(enumerate(LABELS))),
        ("class_to_idx", {name: np.int64(n) for n, name in enumerate(LABELS)}),
    ):
        torch.save({"state_dict": tensors, key: named}, tmp_path / "e.pth")
        info = gc.register("Five", SMALL, weights=tmp_path / "e.pth")
        assert [label.name for label in info.labels] == LABELS
    for first, reason in ((1, "the indices are 1 to 3"), (5, "class 0 has no name")):
        by_index = dict(enumerate(LABELS, first))
        torch.save({"state_dict": tensors, "id2label": by_index}, tmp_path / "f.pth")
        info = gc.register("Six", SMALL, weights=tmp_path / "f.pth")
        assert f"names (id2label) are ignored, because {reason}" in info.notice
        with pytest.raises(gc.NetworkError, match=f"labels: {reason}"):
            gc.register("Six", SMALL, labels=by_index)  # type: ignore[arg-type]
    for key, names in (("classes", ["a", "b"]), ("class_to_idx", {"a": 0, "b": 1})):
        torch.save({"state_dict": tensors, key: names}, tmp_path / "d.pth")
        info = gc.register("Four", SMALL, weights=tmp_path / "d.pth")
        assert f"has 3 classes, and the file names 2 ({key}), which are ignored" in info.notice
        assert not gc.register("Four", SMALL, weights=tmp_path / "d.pth", labels=LABELS).notice


def test_a_network_that_is_registered_again_is_loaded_again(tmp_path: Path):
    path = save(made(), tmp_path / "a.safetensors")
    gc.register("Mine", SMALL, weights=path, labels=LABELS)
    first = gc.load_model("mine")
    assert gc.load_model("mine") is first
    gc.register("Mine", SMALL, weights=path, labels=["a", "b", "c"])
    assert [label.name for label in gc.load_model("mine").info.labels] == ["a", "b", "c"]
    remove_model("mine")
    with pytest.raises(gc.ChoiceError, match="no model 'mine'"):
        gc.load_model("mine")


def test_published_weights_are_known_without_asking_a_network():
    assert gc.register("A", "resnet18").labels is gc.imagenet_labels()
    info = gc.register("B", "torchvision:resnet18")
    assert info.weights_source.url.endswith("resnet18-f37072fd.pth")
    assert info.recipe
    assert info.recipe.preprocessing.resample == Image.Resampling.BILINEAR
    larger = gc.register("C", "convnext_nano.in12k")
    assert len(larger.labels) == 11821


def test_published_transformers_are_built_for_the_size_of_their_input():
    info = gc.register("A", "test_vit", size="160x96")
    assert info.recipe
    assert info.recipe.preprocessing.size == (160, 96)
    gc.register("B", "crossvit_9_240", size=224)  # resizes by itself, and its weights are for 240


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [("test_vit", (10, 10)), ("test_mambaout", (5, 5))],
)
def test_a_transformer_of_ones_own_is_explained_on_its_grid(
    tmp_path: Path, cat: Image.Image, architecture: str, shape: tuple[int, int]
):
    torch.manual_seed(0)
    module = scattered(timm.create_model(architecture, num_classes=5)).eval()
    gc.register("Mine", architecture, weights=save(module, tmp_path / "mine.safetensors"))
    e = gc.explain(cat, "mine", target=3)
    assert e.feature_map.shape == shape
    assert e.is_of_last_layer
    assert e.tokens == (architecture == "test_vit")  # else channels are last
    assert ("tokens on a grid" in e.caption()) == e.tokens
    run = gc.forward(module, gc.examine(cat, "mine").run.open_pass.batch)
    np.testing.assert_allclose(run.cam(3)[0], e.feature_map, rtol=1e-3, atol=1e-7)


def test_a_network_of_the_hub_is_registered_by_its_name(empty_caches: Path, monkeypatch):
    module = made()
    folder = empty_caches / "served"
    folder.mkdir()
    save(module, folder / "model.safetensors")
    config = {
        "architecture": SMALL,
        "num_classes": 3,
        "label_names": LABELS,
        "pretrained_cfg": {
            "input_size": [3, 96, 96], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
            "crop_pct": 1.0, "interpolation": "bilinear",
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    with serving() as server:
        for name in ("config.json", "model.safetensors"):
            server.files[f"/me/mine/resolve/main/{name}"] = folder / name
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            server.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        info = gc.register("Mine", "hf-hub:me/mine")
        assert [label.name for label in info.labels] == LABELS
        model = gc.load_model("mine", stand_in=False)
        assert model.preprocessing.size == (96, 96)
        batch = torch.rand(1, 3, 96, 96)
        with torch.no_grad():
            expected = module(batch)
        torch.testing.assert_close(logits_of("mine", batch), expected, atol=1e-5, rtol=1e-4)
        with pytest.raises(gc.NetworkError, match="HTTP 404"):
            gc.register("Other", "hf-hub:me/other")


# What does not.


def test_a_misfit_names_the_first_tensors_that_differ_and_the_likeliest_architecture(
    tmp_path: Path,
):
    path = save(made("resnet18", 5), tmp_path / "a.safetensors")
    with pytest.raises(gc.NetworkError) as refused:
        gc.register("Mine", "resnet34", weights=path)
    text = str(refused.value)
    assert text.startswith("network 'Mine': the weights do not fit timm's resnet34: ")
    assert "layer1.2.conv1.weight [64, 64, 3, 3] is missing" in text
    assert "The likeliest architecture is timm's resnet18: all of its tensors fit" in text
    with pytest.raises(gc.NetworkError) as refused:
        gc.register("Mine", "resnet26", weights=path)
    assert (
        "layer1.0.conv1.weight is [64, 64, 3, 3] in the file and [64, 64, 1, 1] in the network"
        in str(refused.value)
    )
    assert all(info.title != "Mine" for info in gc.list_models())


class Code:
    def __reduce__(self) -> Any:
        return (eval, ("print('run')",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, capsys):
    torch.save({"state_dict": made().state_dict(), "x": Code()}, tmp_path / "a.pth")
    with pytest.raises(gc.NetworkError, match="could run code: save model"):
        gc.register("Mine", SMALL, weights=tmp_path / "a.pth")
    assert capsys.readouterr().out == ""


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown architecture": (
        {"architecture": "resnet_18"},
        "there is no architecture 'resnet_18' in timm or torchvision; the nearest names: resnet18",
    ),
    "an unknown library": ({"architecture": "keras:resnet18"}, "only timm:, torchvision: or hf"),
    "a network of several maps side by side": (
        {"architecture": "efficientvim_m1", "weights": None, "labels": None},
        "efficientvim_m1 cannot be explained: .* of 'norm.3' and on a path that bypasses it",
    ),
    "no such file": ({"weights": "nix.pth"}, "nix.pth: No such file"),
    "no such home": ({"weights": "~nobody-here/nix.pth"}, "nix.pth: No such file"),
    "no weights": ({"weights": "a.txt"}, "a.txt is not a file of weights"),
    "an empty file": ({"weights": "empty.pth"}, "empty.pth is empty"),
    "half a file": ({"weights": "half.safetensors"}, "half.safetensors is damaged"),
    "too few labels": ({"labels": ["a", "b"]}, "2 labels are given for 3 classes"),
    "other classes": ({"classes": 4}, "classes is 4, but the weights have 3"),
    "other channels": ({"channels": 1}, "channels is 1, but the weights have 3"),
    "two means": ({"mean": [0.1, 0.2]}, "mean = .* must be one number or three"),
    "a mean of bytes": ({"mean": 123.7}, "mean = 123.7 is not valid"),
    "no layer": ({"layer": "layer9"}, "no layer 'layer9'; the last feature maps of each resolut"),
    "a wrong word": ({"interpolation": "cubic"}, "one of nearest, "),
    "an unknown key": ({"weigths": "a"}, "no key 'weigths'; choose from: architecture, weights"),
    "one of our names": ({"name": "vgg19"}, "'vgg19' is the name of another network"),
    **{
        f"size {size!r}": ({"size": size}, f"size = {re.escape(repr(size))} is not valid; it must")
        for size in ("large", "256x", "0x128", "axb", "256x128x3", -64, (4096, 64), "", (64, 0.5))
    },
    "a size that the network is not built for": (
        {"architecture": "deit_tiny_patch16_224", "size": "224x96"},
        r"not accept pictures of 224x96 \(Input width \(96\) doesn't match.*\): give the size=",
    ),
    "what a size is": ({"size": "256x"}, "two, the height and then the width, such as 256x128"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, monkeypatch, wrong: str):
    monkeypatch.chdir(tmp_path)
    path = save(made(), tmp_path / "a.safetensors")
    Path("half.safetensors").write_bytes(path.read_bytes()[:100_000])
    Path("a.txt").write_text("this is text")
    Path("empty.pth").touch()
    settings, reason = WRONG[wrong]
    given: dict[str, Any] = {"title": "Mine", "architecture": SMALL, "weights": path} | settings
    if given["architecture"].startswith("deit"):
        save(timm.create_model(given["architecture"], num_classes=3), path)
    with pytest.raises(gc.NetworkError, match=reason) as refused:
        gc.register(**given)
    assert "\n" not in str(refused.value)
    assert "Mine" in str(refused.value)


def test_weights_that_are_exchanged_after_registering_are_noticed(tmp_path: Path):
    path = save(made(), tmp_path / "a.safetensors")
    gc.register("Mine", SMALL, weights=path, labels=LABELS)
    save(made(classes=4), tmp_path / "b.safetensors").replace(path)
    with pytest.raises(gc.WeightsError, match="has changed since it was registered"):
        gc.load_model("mine")
    assert path.exists()


# How they are described.


def test_a_text_describes_a_network():
    one = described_in(
        "Chest X-ray=resnet18, weights=x.pth,labels=l.txt,mean=0.5/0.4/0.3,size=96,sigmoid=true"
    )
    assert (one.title, one.architecture) == ("Chest X-ray", "resnet18")
    assert (one.weights, one.labels) == (Path("x.pth"), Path("l.txt"))
    assert (one.mean, one.size, one.sigmoid) == ((0.5, 0.4, 0.3), (96, 96), True)
    for given in ("size=256x128", "size=256×128", "size=256/128"):
        assert described_in(f"Tall=resnet18,{given}").size == InputSize(height=256, width=128)


@pytest.mark.parametrize("spec", ["resnet18", "=resnet18", "A=", "A=resnet18,weights", "A=b,size="])
def test_a_text_of_another_form_is_refused(spec: str):
    with pytest.raises(gc.NetworkError, match="is not of the form"):
        described_in(spec)


def test_a_file_describes_networks_with_the_same_keys(tmp_path: Path, monkeypatch):
    folder = tmp_path / "networks"
    folder.mkdir()
    save(made(), folder / "a.safetensors")
    (folder / "labels.txt").write_text("\n".join(LABELS))
    file = folder / "networks.toml"
    file.write_text(
        f'["Chest X-ray"]\narchitecture = "{SMALL}"\nweights = "a.safetensors"\n'
        f'labels = "labels.txt"\nmean = [0.5, 0.5, 0.5]\n\n["Other"]\narchitecture = "{SMALL}"\n'
        'size = "96x64"\n'
    )
    assert [one.title for one in described_in_file(file)] == ["Chest X-ray", "Other"]
    infos = register_all([f"Third={SMALL}"], file)
    assert [info.name for info in infos] == ["chest_x_ray", "other", "third"]
    assert [label.name for label in infos[0].labels] == LABELS
    assert infos[1].recipe
    assert infos[1].recipe.preprocessing.size == (96, 64)
    assert default_models() == ("chest_x_ray", "other", "third")
    monkeypatch.chdir(folder)  # where it is found without being named
    assert [info.title for info in register_all([])] == ["Chest X-ray", "Other"]
    file.write_text('architecture = "resnet18"\n')
    with pytest.raises(gc.NetworkError, match="is outside a table"):
        register_all([])
    file.write_text("[a\n")
    with pytest.raises(gc.NetworkError, match="is not TOML"):
        register_all([])


def test_two_of_the_same_name_are_refused():
    with pytest.raises(gc.NetworkError, match="another network is already called 'a'"):
        register_all([f"A={SMALL}", f"a={SMALL}"])


def test_own_networks_are_explained_by_many_threads_at_once(tmp_path: Path, cat: Image.Image):
    path = save(made(), tmp_path / "a.safetensors")
    gc.register("Mine", SMALL, weights=path, labels=LABELS)
    found: list[gc.Explanation] = []
    threads = [
        threading.Thread(target=lambda: found.append(gc.explain(cat, "mine", "nodule")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({e.feature_map.tobytes() for e in found}) == 1
