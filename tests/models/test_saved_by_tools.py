"""What training tools write beside the weights, and what it changes of the network or its input."""

from __future__ import annotations

import argparse
import importlib.machinery
import json
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.transforms import CenterCrop, Compose, RandomResizedCrop, Resize
from torchvision.transforms._presets import ImageClassification

import gradcam_core as gc
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.files.hub_folder import read_folder
from gradcam_core.models.custom.recipes import ArchitectureRecipe
from tests.support.networks import quickly_made

MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.25, 0.3]


def made(name: str = "test_resnet", seed: int = 0, **given: Any) -> nn.Module:
    torch.manual_seed(seed)
    return quickly_made(partial(timm.create_model, name, num_classes=3, **given))


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def prepared(tmp_path: Path, said: dict[str, Any]) -> Preprocessing:
    path = saved(tmp_path / "a.pth", {"state_dict": made().state_dict(), **said})
    recipe = gc.register("Mine", "test_resnet", weights=path).recipe
    assert isinstance(recipe, ArchitectureRecipe)
    return recipe.preprocessing


def assert_same(module: nn.Module) -> None:
    found = gc.load_model("mine")
    batch = torch.rand(2, 3, *found.preprocessing.size)
    with torch.no_grad():
        expected, got = module(batch), found.module(batch)
    torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "given", "args"),
    [
        ("test_resnet", {"act_layer": "gelu"}, {"model_kwargs": {"act_layer": "gelu"}}),
        ("test_resnet", {}, {"model_kwargs": {"num_classes": 3, "in_chans": 3, "drop_rate": 0.1}}),
        ("resnet18", {"global_pool": "max"}, {"gp": "max"}),  # which torchvision has, too
        ("test_resnet", {}, {"gp": "avg", "bn_eps": None}),
        ("test_efficientnet", {"bn_eps": 0.1}, {"bn_eps": 0.1}),
    ],
)  # fmt: skip
def test_a_network_is_built_with_the_arguments_of_its_training_script(
    tmp_path: Path, name: str, given: dict[str, Any], args: dict[str, Any]
):
    module = made(name, **given)
    held = {"state_dict": module.state_dict(), "args": argparse.Namespace(model=name, **args)}
    path = saved(tmp_path / "a.pth.tar", held)
    for architecture in (None, name):
        gc.register("Mine", architecture, weights=path)
        assert_same(module)


def test_arguments_that_cannot_be_followed_are_told(tmp_path: Path):
    for kwargs, said in (
        ({"act_layer": nn.GELU}, "act_layer=torch.nn"),
        ({"dropout": 0.2, "act_layer": nn.GELU}, "act_layer=torch.nn"),
    ):
        held = {"state_dict": made().state_dict(), "arch": "test_resnet", "model_kwargs": kwargs}
        with pytest.raises(gc.NetworkError, match=f"was built with {said}.*test_resnet cannot be"):
            gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    module = quickly_made(partial(torchvision.models.resnet18, num_classes=3))
    held = {"state_dict": module.state_dict(), "model_kwargs": {"global_pool": "max"}}
    with pytest.raises(gc.NetworkError, match=r"was built with global_pool='max'"):
        gc.register("M", "torchvision:resnet18", weights=saved(tmp_path / "a.pth", held))


@pytest.mark.parametrize(
    ("kwargs", "left"),
    [
        ({"pretrained": True, "checkpoint_path": "/none.pth", "pretrained_cfg": {},
          "model_name": "test_resnet", "cache_dir": "/none", "scriptable": True}, ""),
        ({"dropout": 0.2, "n_classes": 3}, "dropout, n_classes"),
        ({"bn_eps": 1e-3}, "bn_eps"),
    ],
)  # fmt: skip
def test_arguments_that_are_not_the_networks_are_left_out(
    tmp_path: Path, kwargs: dict[str, Any], left: str
):
    theirs = "shufflenet_v2_x0_5"
    of_torchvision = quickly_made(partial(torchvision.models.get_model, theirs, num_classes=3))
    for name, module in (("test_resnet", made()), (f"torchvision:{theirs}", of_torchvision)):
        held = {"state_dict": module.state_dict(), "model_kwargs": kwargs}
        info = gc.register("Mine", name, weights=saved(tmp_path / "a.pth", held))
        assert (f"gives {left}, which" in info.notice) if left else ("gives" not in info.notice)
        assert_same(module)


@pytest.mark.parametrize(
    ("said", "size", "share", "resizing"),
    [
        ({"args": argparse.Namespace(val_crop_size=96, val_resize_size=128)}, 96, 0.75, "cover"),
        ({"config": {"data": {"image_size": 96}}}, 96, 0.95, "cover"),
        ({"data": {"image_size": 96}, "augment": {"image_size": 64}}, 160, 0.95, "cover"),
        ({"imgsz": 96.0}, 96, 0.95, "cover"),
        ({"image_size": {"height": 96, "width": 96}}, 96, 0.95, "cover"),
        ({"image_size": {"longest_edge": 96}}, 160, 0.95, "cover"),
        ({"transform": Compose([Resize(128), CenterCrop(96)])}, 96, 0.75, "cover"),
        ({"transform": str(Compose([Resize(128), CenterCrop(96)]))}, 96, 0.75, "cover"),
        ({"transform": Compose([Resize((96, 96))])}, 96, 1, "stretch"),
        ({"transforms": ImageClassification(crop_size=96, resize_size=128)}, 96, 0.75, "cover"),
        ({"data_config": {"input_size": (3, 96, 96), "crop_pct": 0.8}}, 96, 0.8, "cover"),
        ({"img_size": 96, "data_config": {"input_size": (3, 64, 64)}}, 96, 0.95, "cover"),
        ({"size": {"shortest_edge": 64}, "data": {"img_size": 96}}, 96, 0.95, "cover"),
        ({"img_size": 96, "IMG_SIZE": 64}, 96, 0.95, "cover"),
        ({"IMG_HEIGHT": "96", "IMG_WIDTH": 96.0}, 96, 0.95, "cover"),
        ({"IMG_HEIGHT": [96], "IMG_WIDTH": [128]}, 160, 0.95, "cover"),
        ({"img_height": None, "img_width": 96}, 160, 0.95, "cover"),
        ({"input_shape": (None, 96, 96, 3)}, 96, 0.95, "cover"),
        ({"input_shape": [784]}, 160, 0.95, "cover"),
        ({"input_shape": [3, 32]}, 160, 0.95, "cover"),
        ({"processor": {"size": {"height": 128, "width": 128},
                        "crop_size": {"height": 96, "width": 96}}}, 96, 0.95, "cover"),
        ({"transform": {"transforms": [
            {"__class_fullname__": "albumentations.Resize", "height": 96, "width": 96}
        ]}}, 96, 1, "stretch"),
        ({"train_transform": Compose([RandomResizedCrop(64)]),
          "val_transform": Compose([Resize(128), CenterCrop(96)])}, 96, 0.75, "cover"),
        ({"transform": Compose([Resize(64), CenterCrop(96)])}, 96, 0.95, "cover"),
        ({"transforms": [Resize(128), Resize(140), CenterCrop(96)]}, 96, 0.95, "cover"),
        ({"transforms": [CenterCrop(64), CenterCrop(96)]}, 160, 0.95, "cover"),
        ({"config": "test = [dict(type='ResizeEdge', scale=128, edge='short'),\n"
                    "    dict(crop_size=96, type='CenterCrop')]"}, 96, 0.75, "cover"),
        ({"config": "a = [dict(type='RandomResizedCrop', size=64), dict(type='Resize', size=(128,"
                    " -1)), dict(type='CenterCrop', crop_size=96)]"}, 96, 0.75, "cover"),
    ],
)  # fmt: skip
def test_the_size_is_that_of_the_files_settings_where_they_say_one(
    tmp_path: Path, said: dict[str, Any], size: int, share: float, resizing: str
):
    found = prepared(tmp_path, said)
    assert (found.size, found.resizing) == ((size, size), resizing)
    assert found.crop_share == pytest.approx(share)


def test_text_as_python_prints_it_is_read(tmp_path: Path):
    for names, mean, size in (
        ("['cat', 'dog', 'fox']", "(0.3, 0.4, 0.5)", "(96, 96)"),
        ("{0: 'cat', 1: 'dog', 2: 'fox'}", "0.3, 0.4, 0.5", "96"),
        ("cat, dog,fox", "0.3,0.4,0.5", "[96, 96]"),
    ):
        said = {"classes": names, "mean": mean, "std": "(0.2, 0.25, 0.3)", "img_size": size}
        save_file(made().state_dict(), tmp_path / "a.safetensors", said)
        info = gc.register("Mine", "test_resnet", weights=tmp_path / "a.safetensors")
        assert [label.name for label in info.labels] == ["cat", "dog", "fox"]
        found = gc.load_model("mine").preprocessing
        assert (found.size, found.mean, found.std) == ((96, 96), tuple(MEAN), tuple(STD))


def test_names_in_two_orders_are_not_taken(tmp_path: Path):
    held = {"state_dict": made().state_dict(), "classes": ["cat", "dog", "fox"]}
    for indices, is_taken in (((0, 1, 2), True), ((2, 1, 0), False)):
        held["class_to_idx"] = dict(zip(held["classes"], indices, strict=True))
        info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
        assert (info.labels[0].name == "cat") == is_taken
        assert ("classes and class_to_idx have them in different" in info.notice) != is_taken


def test_lightnings_averaged_weights_go_before_raw_ones(tmp_path: Path):
    raw, averaged = (
        {f"model.{name}": tensor for name, tensor in made(seed=seed).state_dict().items()}
        for seed in (1, 2)
    )
    held = {"state_dict": averaged, "current_model_state": raw, "averaging_state": {}}
    path = saved(tmp_path / "a.ckpt", held)
    assert (
        "(EMA) are used, not current_model_state.model" in gc.register("Mine", weights=path).notice
    )
    assert_same(made(seed=2))
    gc.register("Mine", weights=path, prefix="current_model_state")
    assert_same(made(seed=1))


def test_a_head_beside_the_network_does_not_make_its_weights_altered_ones(tmp_path: Path):
    """DINO's files have a head with weight norm in them, and no classes."""
    state = {f"backbone.{n}": t for n, t in made().state_dict().items() if n[:3] != "fc."}
    state |= {
        "head.last_layer.weight_g": torch.rand(9, 1),
        "head.last_layer.weight_v": torch.rand(9, 4),
    }
    with pytest.raises(gc.NetworkError, match="all tensors of timm's test_resnet but those of its"):
        gc.register("Mine", weights=saved(tmp_path / "a.pth", {"teacher": state}))


# Folders.

CONFIG = {
    "architecture": "test_resnet",
    "num_classes": 3,
    "labels": ["cat", "dog", "fox"],
    "pretrained_cfg": {"input_size": [3, 96, 96], "mean": MEAN, "std": STD},
}
OF_TRANSFORMERS = {"architectures": ["ResNetForImageClassification"], "model_type": "resnet"}
PROCESSOR = {"size": {"shortest_edge": 64}, "image_mean": MEAN, "image_std": STD}


def folder_of(tmp_path: Path, module: nn.Module, config: dict[str, Any]) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def test_the_pooling_of_a_folder_of_timm_is_that_of_its_config(tmp_path: Path):
    module = made(global_pool="max")
    gc.register("Mine", weights=folder_of(tmp_path, module, CONFIG | {"global_pool": "max"}))
    assert_same(module)


def test_a_file_beside_its_config_is_as_its_folder(tmp_path: Path):
    module = made()
    folder = folder_of(tmp_path, module, CONFIG)
    info = gc.register("Mine", weights=folder / "model.safetensors")
    assert info.recipe == gc.register("Mine", weights=folder).recipe
    assert info.labels[0].name == "cat"
    (folder / "config.json").write_text('{"num_classes": 3}')  # of something else
    gc.register("Mine", weights=folder / "model.safetensors")
    assert_same(module)


@pytest.mark.parametrize(
    ("said", "std", "size", "share"),
    [
        ({}, STD, 64, 1),
        ({"image_processor_type": "EfficientNetImageProcessor"}, [s * s for s in STD], 64, 1),
        ({"include_top": True}, [s * s for s in STD], 64, 1),
        ({"image_processor_type": "EfficientNetImageProcessor", "include_top": False}, STD, 64, 1),
        ({"feature_extractor_type": "LevitFeatureExtractor"}, STD, 64, 64 / 73),
        ({"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875}, STD, 64, 0.875),
        ({"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875,
          "size": {"shortest_edge": 384}}, STD, 384, 1),
    ],
)  # fmt: skip
def test_a_processor_of_transformers_is_followed(
    tmp_path: Path, said: dict[str, Any], std: list[float], size: int, share: float
):
    folder = folder_of(tmp_path, made(), OF_TRANSFORMERS)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | said))
    config, _ = read_folder(folder)
    assert config.preprocessing is not None
    assert config.preprocessing.std == pytest.approx(std)
    assert config.preprocessing.size == (size, size)
    assert config.preprocessing.crop_share == pytest.approx(share)
    assert ("stretches the whole picture" in config.note) == (size == 384)


class OfTransformers(nn.Module):
    """In half precision, as the file has it; of one with a teacher, with several shards."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.net = made().half()
        shards = [load_file(one) for one in sorted(folder.glob("*.safetensors"))]
        self.net.load_state_dict({name: one for shard in shards for name, one in shard.items()})

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.net(pixel_values)

    @classmethod
    def from_pretrained(cls, folder: str, local_files_only: bool) -> nn.Module:
        if Path(folder, "quantised").exists():
            raise ImportError("Using this requires bitsandbytes\n\nInstall it")
        return cls(Path(folder))


def test_what_transformers_can_load_is_taken(tmp_path: Path, monkeypatch):
    library = types.ModuleType("transformers")
    library.AutoModelForImageClassification = OfTransformers  # type: ignore[attr-defined]
    library.__spec__ = importlib.machinery.ModuleSpec("transformers", None)
    monkeypatch.setitem(sys.modules, "transformers", library)
    module = made(seed=5).half()
    kind = {"architectures": ["DeiTForImageClassificationWithTeacher"]}
    folder = folder_of(tmp_path, module, OF_TRANSFORMERS | kind)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    gc.register("Mine", weights=folder)
    assert_same(module.float())
    tensors = list(load_file(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    for n, part in enumerate((tensors[:40], tensors[40:]), 1):
        save_file(dict(part), folder / f"model-0000{n}-of-00002.safetensors")
    (folder / "model.safetensors.index.json").touch()
    gc.register("Mine", weights=folder)
    assert_same(module)
    (folder / "quantised").touch()
    with pytest.raises(gc.NetworkError, match=r"cannot load .*\(ImportError: .* bitsandbytes\)$"):
        gc.register("Mine", weights=folder)
