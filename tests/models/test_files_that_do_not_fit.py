"""Files of weights that cannot be taken are said to be what they are, with what to do."""

from __future__ import annotations

import gzip
import pickle
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

import gradcam_core as gc
from gradcam_core.models.custom.recipes import ArchitectureRecipe
from tests.support.networks import quickly_made, scattered

State = dict[str, Tensor]


def small() -> nn.Module:
    torch.manual_seed(0)
    return quickly_made(partial(timm.create_model, "test_resnet", num_classes=3))


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def assert_same(module: nn.Module, size: int = 64) -> None:
    batch = torch.rand(2, 3, size, size)
    with torch.no_grad():
        expected, got = module(batch), gc.load_model("mine").module(batch)
    torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


def test_the_content_says_what_a_file_is_and_not_its_name(tmp_path: Path):
    module = small()
    gc.register(
        "Mine", "test_resnet", weights=saved(tmp_path / "a.safetensors", module.state_dict())
    )
    assert_same(module)
    save_file(module.state_dict(), tmp_path / "b.pth")
    gc.register("Mine", "test_resnet", weights=tmp_path / "b.pth")
    assert_same(module)


def zipped(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")

    return write


OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a.pth": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "LFS"),
    "a.safetensors": (lambda path: path.write_text("<!DOCTYPE html><p>Quota"), "it is a web page"),
    "a.pth.gz": (lambda path: path.write_bytes(gzip.compress(bytes(99))), "compressed: unpack it"),
    "a.zip": (zipped("best/model.pth"), "a ZIP with files in it: unpack it"),
    "a.npz": (lambda path: np.savez(path, a=np.zeros(3)), "NumPy's arrays"),
    "a.npy": (lambda path: np.save(path, np.zeros(3)), "a NumPy array"),
    "a.keras": (zipped("model.weights.h5"), "a Keras file"),
    "__0_0.distcp": (zipped("data.pkl"), "a distributed checkpoint: give its folder"),
    "a.pth.zst": (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(64)), "compressed"),
    "a.pt2": (zipped("a/models/model.json"), "torch.export's"),
    "a.tflite": (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64)), "Lite's"),
    "a.index.json": (lambda path: path.write_text('{"weight_map": {}}'), "is one of several files"),
    "a.xml": (lambda path: path.write_text("<?xml version='1.0'?><net/>"), "is OpenVINO's"),
    "b.pth": (lambda path: path.write_text("hello"), "neither safetensors nor what torch.save"),
    "a.pkl": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "torch.save did not write"),
    "model-00001-of-00002.bin": (lambda path: saved(path, {}), "one of several files: load each"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str):
    write, reason = OTHERS[name]
    write(tmp_path / name)
    for architecture in ("test_resnet", None):
        with pytest.raises(gc.NetworkError, match=reason):
            gc.register("Mine", architecture, weights=tmp_path / name)


def with_spectral_norm() -> State:
    module = small()
    spectral_norm(module.get_submodule("layer1.0.conv1"))
    return module.state_dict()


def of_peft(state: State) -> State:
    found = {f"base_model.model.{n}": t for n, t in state.items() if not n.startswith("fc.")}
    for copy in ("modules_to_save.default", "original_module"):
        found |= {f"base_model.model.fc.{copy}.{n}": state[f"fc.{n}"] for n in ("weight", "bias")}
    return found


ALTERED: dict[str, tuple[Callable[[State], State], str]] = {
    "spectral_norm": (lambda _: with_spectral_norm(), "remove_spectral_norm before they are saved"),
    "PEFT": (of_peft, r"merge_and_unload\(\) before they are saved"),
    "adapters alone": (
        lambda _: {"base_model.model.fc.lora_A.default.weight": torch.rand(8, 96)},
        r"merge_and_unload\(\) before they are saved",
    ),
    "training for quantisation": (
        lambda state: state | {"conv1.0.weight_fake_quant.scale": torch.ones(1)},
        "prepared for quantisation",
    ),
    "parameters alone": (
        lambda state: {n: t for n, t in state.items() if "running_" not in n},
        r"statistics of its batch norms are missing: save its whole state_dict\(\)",
    ),
    "int8": (
        lambda state: {n: t.to(torch.int8) if t.ndim > 1 else t for n, t in state.items()},
        r"conv1.0.weight is of int8, as quantised weights are",
    ),
}


def test_a_transformer_of_another_size_is_told_so(tmp_path: Path):
    module = timm.create_model("test_vit", num_classes=3, img_size=96)
    path = saved(tmp_path / "a.pth", module.state_dict())
    for architecture in ("test_vit", None):
        with pytest.raises(gc.NetworkError, match=r"Its pictures have another size: give size="):
            gc.register("Mine", architecture, weights=path)
    gc.register("Mine", "test_vit", weights=path, size=96)
    state = timm.create_model("test_vit", num_classes=3).state_dict()
    places = state.pop("pos_embed")
    for others, reason in (
        ({}, "It is another form of it"),
        ({"pos_embed": places[:, 1:]}, "It is another form of it"),
        ({"pos_embedding": places}, "in the file there is pos_embedding"),
    ):
        with pytest.raises(gc.NetworkError, match=reason):
            gc.register("Mine", "test_vit", weights=saved(path, state | others))


@pytest.mark.parametrize("how", ALTERED)
def test_altered_weights_are_refused_with_what_to_do(tmp_path: Path, how: str):
    alter, reason = ALTERED[how]
    path = saved(tmp_path / "a.pth", alter(small().state_dict()))
    for architecture in ("test_resnet", None):
        with pytest.raises(gc.NetworkError, match=reason):
            gc.register("Mine", architecture, weights=path)


@pytest.mark.parametrize("beside", ["opt_state", "grads"])
def test_what_training_keeps_by_the_names_of_weights_is_no_network(tmp_path: Path, beside: str):
    module = small()
    state = module.state_dict()
    others = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    gc.register("Mine", weights=saved(tmp_path / "a.pth", {"net": state, beside: others}))
    assert_same(module)


def of_monai(name: str) -> str:
    name = re.sub(r"(denselayer\d+\.)", r"\1layers.", name)
    return name.replace("classifier.", "class_layers.out.")


def of_old_torchvision(name: str) -> str:
    name = re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name)
    return "module.densenet121." + name.replace("classifier.", "classifier.0.")


def test_densenets_may_have_the_names_of_monai_or_of_old_torchvision(tmp_path: Path):
    torch.manual_seed(0)
    module = scattered(quickly_made(partial(torchvision.models.densenet121, num_classes=2)))
    for names in (of_monai, of_old_torchvision):
        state = {names(name): tensor for name, tensor in module.state_dict().items()}
        gc.register("Mine", "torchvision:densenet121", weights=saved(tmp_path / "a.pth", state))
        assert_same(module)


def of_fastai(*head: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    whole = scattered(quickly_made(torchvision.models.resnet18))
    body = nn.Sequential(*list(whole.children())[:-2])
    return nn.Sequential(body, nn.Sequential(*head)).eval()


def test_a_body_in_a_sequential_names_its_architecture(tmp_path: Path):
    module = of_fastai(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 3))
    info = gc.register("Mine", weights=saved(tmp_path / "a.pth", module.state_dict()))
    assert info.architecture == "resnet18"
    assert_same(module)


def test_a_head_of_another_form_is_named(tmp_path: Path):
    module = of_fastai(
        nn.Linear(1024, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Linear(512, 3, False)
    )
    path = saved(tmp_path / "a.pth", module.state_dict())
    for architecture in ("resnet18", None):
        with pytest.raises(gc.NetworkError, match=r"if 1.0.weight, 1.3.weight belong to another h"):
            gc.register("Mine", architecture, weights=path)


def test_a_prefix_is_not_offered_if_it_would_lose_the_head(tmp_path: Path):
    state = small().state_dict()
    body = {f"encoder.{name}": tensor for name, tensor in state.items() if name[:3] != "fc."}
    head = {f"classification_head.3.{name}": state[f"fc.{name}"] for name in ("weight", "bias")}
    path = saved(tmp_path / "a.pth", body | {"decoder.0.weight": torch.rand(4, 64, 3, 3)} | head)
    with pytest.raises(gc.NetworkError, match=r"decoder.0 may be part of it, too: build the"):
        gc.register("Mine", "test_resnet", weights=path)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"image_size": 96}, 96),
        ({"input_size": [["a"], [1]]}, 160),
        ({"input_size": [None, 96, 96]}, 96),
        ({"input_size": [None, 96.5, 96]}, 160),
        ({"classes": ["a", "", "c"]}, 160),
    ],
)
def test_what_a_file_says_is_taken_if_it_can_be_meant(
    tmp_path: Path, said: dict[str, Any], size: int
):
    path = saved(tmp_path / "a.pth", {"state_dict": small().state_dict(), **said})
    info = gc.register("Mine", "test_resnet", weights=path)
    assert isinstance(info.recipe, ArchitectureRecipe)
    assert info.recipe.preprocessing.size == (size, size)
    assert info.labels[1].name == "class 1"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"weights": "https://example.org/a.pth"}, "must be the path of a file on this machine"),
        ({"architecture": __file__}, "it is a file; pass it as weights="),
    ],
)
def test_a_file_in_the_wrong_place_is_said(given: dict[str, Any], reason: str):
    with pytest.raises(gc.NetworkError, match=reason):
        gc.register("Mine", **given)


def with_first(state: State, change: Callable[[Tensor], Tensor]) -> State:
    """With another first matrix."""
    name = next(name for name, tensor in state.items() if tensor.ndim > 1)
    return {**state, name: change(state[name])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.to(torch.complex64), "of complex64, and only real numbers are supported"),
        (lambda one: one.to_sparse(), "is a sparse tensor: save what to_dense() makes of it"),
        (lambda one: one.flatten(1).to_sparse_csr(), "is a sparse tensor"),
        (lambda one: one.to(torch.int8), "of int8, as quantised weights are"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_tensors_of_another_kind_are_called_what_they_are(
    tmp_path: Path, change: Callable[[Tensor], Tensor], said: str
):
    path = saved(tmp_path / "a.pth", with_first(small().state_dict(), change))
    with pytest.raises(gc.NetworkError, match=re.escape(said)):
        gc.register("Mine", "test_resnet", weights=path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95" + b"x" * 50,  # a frame of so many bytes
        b"\x80\x02\x8e" + b"\xff" * 8,  # bytes of such a length
        b"\x80\x02\x8d" + b"\x7f" * 8,
        b"\x80\x02r\xff\xff\xff\x7f",  # a place in the memo
        b"\x80\x02T\xff\xff\xff\x7f",
        b"PK\x03\x04" + b"x" * 5000,  # the begin of an archive
    ],
)
def test_a_damaged_pickle_that_asks_for_all_memory_is_a_sentence(tmp_path: Path, content: bytes):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(gc.NetworkError, match=r"damaged|not a file of weights"):
        gc.register("Mine", "test_resnet", weights=path)
