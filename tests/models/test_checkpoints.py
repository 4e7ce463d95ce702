"""A right file is taken however it was saved; what is not clear is refused in one sentence."""

from __future__ import annotations

import argparse
import collections
import copy
import dataclasses
import importlib.machinery
import json
import os
import pathlib
import re
import shutil
import sys
import types
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision.models
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torchvision.transforms import Compose, Normalize

import gradcam_core as gc
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.recipes import ArchitectureRecipe
from tests.support.networks import quickly_made, scattered

State = dict[str, Tensor]


def scrambled(module: nn.Module, seed: int = 0) -> nn.Module:
    """With values none of which are as they are made."""
    torch.manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.ndim < 2:
            tensor.add_(0.1 * torch.randn_like(tensor))
    return module.eval()


@cache
def small(classes: int = 3, seed: int = 0) -> nn.Module:
    """The same for all tests: whoever changes it copies it."""
    torch.manual_seed(seed)
    return scrambled(timm.create_model("test_resnet", num_classes=classes), seed)


def put(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def assert_same(name: str, module: nn.Module, size: int = 96, batch: Tensor | None = None) -> None:
    """The loaded network gives what the module gives."""
    batch = torch.rand(2, 3, size, size) if batch is None else batch
    with torch.no_grad():
        expected, got = module(batch), gc.load_model(name).module(batch)
    scale = float(expected.abs().max())
    torch.testing.assert_close(got, expected, atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["module._orig_mod.resnet.", "a.b.c.d.", "0.", "layer1."])
def test_whatever_stands_before_all_names_is_found(tmp_path: Path, prefix: str):
    module = small()
    path = saved(tmp_path / "a.pth", {"state_dict": put(module.state_dict(), prefix), "epoch": 3})
    named = gc.register("Mine", "test_resnet", weights=path)
    info = gc.register("Mine", weights=path)
    assert info.recipe == named.recipe
    assert info.architecture == "test_resnet"
    assert_same("mine", module)


def test_a_wrapper_around_single_modules_is_found(tmp_path: Path):
    module = small()
    state = {
        name.replace("layer1.", "layer1._orig_mod.").replace("2.0", "2.0._fsdp_wrapped_module"): t
        for name, t in module.state_dict().items()
    }
    gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", state))
    assert_same("mine", module)


class Settings(dict):
    """As of Lightning or OmegaConf: a class that the reader does not have."""


class Anything:
    def __init__(self) -> None:
        self.path = pathlib.PosixPath("/tmp")
        self.score = np.float64(0.9)


class Encoder:
    """As scikit-learn's LabelEncoder."""

    def __init__(self) -> None:
        self.classes_ = np.array(["cat", "a dog"], dtype=object)


def of_lightning(state: State) -> dict[str, Any]:
    loss = {"criterion.weight": torch.rand(3), "val_acc.tp": torch.zeros(3, dtype=torch.long)}
    return {
        "epoch": 4,
        "pytorch-lightning_version": "2.2",
        "state_dict": put(state, "model.") | loss | {"loss_fn.center": torch.rand(3, 64)},
        "hyper_parameters": Settings(lr=0.1, where=pathlib.PosixPath("/tmp")),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.rand(32, 3, 3, 3)}}}],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9)}},
    }


def of_timm(state: State) -> dict[str, Any]:
    return {
        "epoch": 4,
        "arch": "test_resnet",
        "state_dict": state,
        "optimizer": {"state": {0: {"momentum_buffer": torch.rand(3)}}},
        "args": argparse.Namespace(model="test_resnet", mean=None, std=None),
        "metric": np.float64(77.1),
        "amp_scaler": {"scale": 65536.0},
    }


def of_averaging(state: State) -> dict[str, Any]:
    return {"n_averaged": torch.tensor(7), **put(state, "module.")}


BESIDE: dict[str, Callable[[State], Any]] = {
    "Lightning": of_lightning,
    "timm": of_timm,
    "AveragedModel": of_averaging,
    "NumPy numbers": lambda state: {"model": state, "best": np.float32(0.5), "log": Anything()},
    "a list": lambda state: [state, {"lr": 0.1}],
    "a list of pairs": lambda state: {"model": list(state.items()), "epoch": 3},
    "deep": lambda state: {"a": {"b": {"c": put(state, "net.")}}},
    "a profiler's": lambda state: state | {"layer1.total_ops": torch.zeros(1)},
    "an ordered mapping of another class": lambda state: {
        "state_dict": collections.defaultdict(int, state)
    },
    "double precision": lambda state: {
        name: t.double() if t.is_floating_point() else t for name, t in state.items()
    },
}


@pytest.mark.parametrize("form", BESIDE)
def test_what_stands_beside_the_network_is_left_out(tmp_path: Path, form: str):
    module = small()
    path = saved(tmp_path / "a.pth", BESIDE[form](module.state_dict()))
    named = gc.register("Mine", "test_resnet", weights=path)
    assert gc.register("Mine", weights=path).recipe == named.recipe
    assert_same("mine", module)


class Calling:
    """Runs a function when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *given: Any) -> None:
        self.call = function, given

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_file_is_run(tmp_path: Path):
    module, made = small(), tmp_path / "made"
    hostile: list[tuple[Any, Any]] = [
        (os.system, (f"touch {made}",)),
        (eval, (f"open({str(made)!r}, 'w')",)),
        (shutil.copyfile, (__file__, made)),
    ]
    others: list[tuple[Any, Any]] = [
        (Path.touch, (made,)),
        (torch.save, (1, made)),
        (np.save, (made, 1)),
    ]
    for function, given in hostile:
        held = {"state_dict": module.state_dict(), "x": Calling(function, *given)}
        with pytest.raises(gc.NetworkError, match="could run code"):
            gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    for function, given in others:
        held = {"state_dict": module.state_dict(), "x": Calling(function, *given)}
        gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
        assert_same("mine", module)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth"]


def test_what_is_left_out_is_named(tmp_path: Path):
    path = saved(tmp_path / "a.pth", of_lightning(small().state_dict()))
    info = gc.register("Mine", "test_resnet", weights=path)
    assert "left out beside the network" in info.notice
    for name in ("criterion", "val_acc", "loss_fn"):
        assert name in info.notice
    assert gc.load_model("mine").notice == info.notice


def test_averaged_weights_go_before_raw_ones(tmp_path: Path):
    raw, averaged = small(seed=1), small(seed=2)
    both = {"state_dict": raw.state_dict(), "state_dict_ema": averaged.state_dict()}
    path = saved(tmp_path / "a.pth", both)
    info = gc.register("Mine", "test_resnet", weights=path)
    assert "EMA" in info.notice
    assert_same("mine", averaged)
    gc.register("Mine", "test_resnet", weights=path, prefix="state_dict")
    assert_same("mine", raw)
    of_torchvision = {"model": raw.state_dict(), "model_ema": of_averaging(averaged.state_dict())}
    info = gc.register("Mine", weights=saved(tmp_path / "c.pth", of_torchvision))
    assert info.notice.endswith("left out beside the network: model_ema.n_averaged.")
    of_callback = {
        "state_dict": put(raw.state_dict(), "model."),
        "callbacks": {
            "EMA": {"ema_state_dict": put(averaged.state_dict(), "model."), "decay": 0.9},
            "ModelCheckpoint": {"best_model_score": torch.tensor(0.9)},
        },
    }
    info = gc.register("Mine", weights=saved(tmp_path / "d.pth", of_callback))
    assert "averaged weights (EMA) are used, not state_dict.model" in info.notice
    assert_same("mine", averaged)
    inside = put(raw.state_dict(), "model.") | put(averaged.state_dict(), "ema_model.module.")
    gc.register("Mine", weights=saved(tmp_path / "b.pth", {"state_dict": inside}))
    assert_same("mine", averaged)


def test_of_two_networks_one_has_to_be_named(tmp_path: Path):
    student, teacher = small(seed=1), small(seed=2)
    both = put(student.state_dict(), "student.") | put(teacher.state_dict(), "teacher.")
    path = saved(tmp_path / "a.pth", both)
    for architecture in ("test_resnet", None):
        with pytest.raises(
            gc.NetworkError, match=r"2 networks .*'student', 'teacher': give prefix="
        ):
            gc.register("Mine", architecture, weights=path)
        gc.register("Mine", architecture, weights=path, prefix="teacher")
        assert_same("mine", teacher)
    with pytest.raises(gc.NetworkError, match=r"have the prefix=pupil; .*: student, teacher"):
        gc.register("Mine", "test_resnet", weights=path, prefix="pupil")
    same = put(student.state_dict(), "net.") | put(student.state_dict(), "model.")
    gc.register("Mine", weights=saved(tmp_path / "b.pth", same))
    assert_same("mine", student)


def test_a_teacher_of_another_architecture_is_left_out_if_the_network_is_named(tmp_path: Path):
    module = small()
    teacher = put(timm.create_model("test_efficientnet").state_dict(), "teacher.")
    path = saved(tmp_path / "a.pth", put(module.state_dict(), "student.") | teacher)
    with pytest.raises(gc.NetworkError, match=r"several networks, .* in it are: teacher, student"):
        gc.register("Mine", weights=path)
    gc.register("Mine", "test_resnet", weights=path)
    assert_same("mine", module)
    gc.register("Mine", weights=path, prefix="student")
    assert_same("mine", module)


def test_what_may_be_a_part_of_the_network_is_not_left_out(tmp_path: Path):
    module = small(classes=10)
    state = put(module.state_dict(), "net.") | {
        "last.weight": torch.rand(2, 10),
        "last.bias": torch.rand(2),
    }
    path = saved(tmp_path / "a.pth", state)  # fmt: skip
    with pytest.raises(gc.NetworkError, match=r"but last may be part of it, too: .*prefix=net;"):
        gc.register("Mine", "test_resnet", weights=path)
    info = gc.register("Mine", "test_resnet", weights=path, prefix="net")
    assert "left out beside the network: last" in info.notice
    assert_same("mine", module)
    larger = timm.create_model("seresnet18", num_classes=3)
    path = saved(tmp_path / "b.pth", put(larger.state_dict(), "net."))
    with pytest.raises(gc.NetworkError, match=r"layer1.0.se.fc1.weight .* is not in the network"):
        gc.register("Mine", "resnet18", weights=path)


# Heads.


def test_a_head_in_a_sequential_is_rebuilt(tmp_path: Path):
    module = copy.deepcopy(small())
    torch.manual_seed(3)
    features: int = module.get_submodule("fc").in_features  # type: ignore[assignment]
    for n, head in enumerate(
        (
            nn.Sequential(nn.Dropout(0.2), nn.Linear(features, 5)),
            nn.Sequential(nn.Linear(features, 4)),
            nn.Linear(features, 7),
            nn.Linear(features, 6, bias=False),
        )
    ):
        module.fc = head.eval()
        path = saved(tmp_path / f"{n}.pth", put(module.state_dict(), "net."))
        named = gc.register("Mine", "test_resnet", weights=path)
        assert gc.register("Mine", weights=path).recipe == named.recipe
        assert_same("mine", module)


def test_a_head_beside_the_network_is_taken(tmp_path: Path):
    module = small()
    head = module.get_submodule("fc")
    state = put({n: t for n, t in module.state_dict().items() if not n.startswith("fc.")}, "body.")
    state |= put(head.state_dict(), "classifier.1.")
    info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", state))
    assert "classifier.1 is used as fc" in info.notice
    assert_same("mine", module)
    cadene = {name.replace("fc.", "last_linear."): t for name, t in module.state_dict().items()}
    gc.register("Mine", weights=saved(tmp_path / "c.pth", cadene))
    assert_same("mine", module)
    state |= put(head.state_dict(), "other.")
    with pytest.raises(gc.NetworkError, match=r"no fc, and 2 layers that could be it: "):
        gc.register("Mine", "test_resnet", weights=saved(tmp_path / "b.pth", state))


@pytest.mark.parametrize("norm", [nn.ReLU(), nn.BatchNorm1d(8)])
def test_a_head_of_several_layers_is_refused(tmp_path: Path, norm: nn.Module):
    module = copy.deepcopy(small())
    features: int = module.get_submodule("fc").in_features  # type: ignore[assignment]
    module.fc = nn.Sequential(nn.Linear(features, 8), norm, nn.Linear(8, 3))
    path = saved(tmp_path / "a.pth", module.state_dict())
    for architecture in ("test_resnet", None):
        with pytest.raises(gc.NetworkError, match=r"head fc has several layers .*module=") as error:
            gc.register("Mine", architecture, weights=path)
        assert "fc.0.weight [8, " in str(error.value)


@pytest.mark.parametrize("name", ["mnasnet0_5", "squeezenet1_1"])
def test_torchvisions_head_is_found_where_people_put_theirs(tmp_path: Path, name: str):
    module: Any = scrambled(
        quickly_made(partial(torchvision.models.get_model, name, num_classes=6))
    )
    if name != "squeezenet1_1":
        module.classifier = nn.Linear(1280, 6)
    path = saved(tmp_path / "a.pth", put(module.state_dict(), "features_of."))
    gc.register("Mine", f"torchvision:{name}", weights=path)
    assert_same("mine", module)


def test_parts_in_a_sequential_are_known_by_their_order(tmp_path: Path):
    module = small()
    body = nn.Sequential(*list(module.children())[:-1])
    state = put(body.state_dict(), "features.") | put(
        module.get_submodule("fc").state_dict(), "fc."
    )
    gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", state))
    assert_same("mine", module)
    beside = {"state_dict": state | {"loss.weight": torch.rand(4)}}  # as Lightning has it
    info = gc.register("Mine", weights=saved(tmp_path / "c.pth", beside))
    assert "state_dict.fc is used as fc" in info.notice
    assert_same("mine", module)


def test_parts_between_which_more_is_done_are_not_known_by_their_order(tmp_path: Path):
    """Here a mean over all places stands before the head."""
    build = partial(torchvision.models.shufflenet_v2_x0_5, num_classes=4)
    body = nn.Sequential(*quickly_made(build).children())
    path = saved(tmp_path / "a.pth", body.state_dict())
    with pytest.raises(gc.NetworkError, match="do not fit"):
        gc.register("Mine", "torchvision:shufflenet_v2_x0_5", weights=path)


def of_detectron(name: str) -> str:
    stem = re.sub("^conv1", "stem.conv1", re.sub("^bn1", "stem.conv1.norm", name))
    return re.sub(r"^layer(\d)", r"res\1", re.sub(r"\.bn(\d)", r".conv\1.norm", stem))


def test_a_known_network_under_other_names_is_taken_by_order_and_shapes_if_a_person_names_it(
    tmp_path: Path,
):
    """Tensors do not show what a network computes with them; names that are its own nearly do."""
    module = quickly_made(partial(torchvision.models.resnet18, num_classes=4)).eval()
    state = {of_detectron(name): tensor for name, tensor in module.state_dict().items()}
    first = "stem.conv1.norm.weight is used as bn1.weight"
    path = saved(tmp_path / "a.pth", {"model": state, "loss.weight": torch.rand(4)})
    info = gc.register("Mine", "resnet18", weights=path)
    assert "left out beside the network: loss" in info.notice
    assert re.search(f"same shapes in the same order .*{first}.* something else", info.notice)
    assert_same("mine", module)
    with pytest.raises(gc.NetworkError, match=r"under other names .* give architecture=resnet18"):
        gc.register("Mine", weights=path)
    state["last"] = state.pop(next(iter(state)))  # the same in another order
    path = saved(tmp_path / "b.pth", {"model": state})
    for architecture in ("resnet18", None):
        with pytest.raises(gc.NetworkError, match=r"under other names .*conv1.weight"):
            gc.register("Mine", architecture, weights=path)


@pytest.mark.parametrize("before", [lambda _: "net/", lambda n: "ab"["layer" in n] + "."])
def test_names_that_end_as_those_of_the_network_are_other_names(
    tmp_path: Path, before: Callable[[str], str]
):
    module = small()
    state = {before(name) + name: tensor for name, tensor in module.state_dict().items()}
    info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", state))
    assert "conv1.0.weight is used as conv1.0.weight" in info.notice
    assert_same("mine", module)


ALTERED: dict[str, Callable[[nn.Module], Any]] = {
    "prune.remove": lambda module: prune.l1_unstructured(module.get_submodule("fc"), "weight", 0.5),
    "remove_parametrizations": lambda module: parametrizations.weight_norm(
        module.get_submodule("fc")
    ),
}


@pytest.mark.parametrize("how", ALTERED)
def test_altered_weights_are_refused_with_what_to_do(tmp_path: Path, how: str):
    module = copy.deepcopy(small())
    ALTERED[how](module)
    path = saved(tmp_path / "a.pth", module.state_dict())
    with pytest.raises(gc.NetworkError, match=f"{how} before they are saved"):
        gc.register("Mine", "test_resnet", weights=path)


def without_head(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}


def test_a_network_without_a_head_is_refused(tmp_path: Path):
    body = put(without_head(small().state_dict()), "encoder.")
    segmenting = body | {"decoder.0.weight": torch.rand(4, 64, 3, 3)}
    by_direction = body | {"head.weight": torch.rand(9, 64)}
    for n, state in enumerate((body, segmenting, by_direction)):
        path = saved(tmp_path / f"{n}.pth", state)
        with pytest.raises(gc.NetworkError, match=r"but those of its head \(fc.weight \[classes, "):
            gc.register("Mine", "test_resnet", weights=path)


def test_a_head_of_several_layers_beside_the_network_is_refused(tmp_path: Path):
    module = small()
    features: int = module.get_submodule("fc").in_features  # type: ignore[assignment]
    head = nn.Sequential(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, 3))
    state = put(without_head(module.state_dict()), "body.") | put(head.state_dict(), "head.")
    path = saved(tmp_path / "a.pth", state)
    with pytest.raises(gc.NetworkError, match=r"head fc has several layers .*head.2.weight \[3, 8"):
        gc.register("Mine", "test_resnet", weights=path)
    with pytest.raises(gc.NetworkError, match="but those of its head"):
        gc.register("Mine", "test_resnet", weights=path, prefix="body")


def test_a_temperature_is_not_left_out(tmp_path: Path):
    for name in ("temperature", "net.logit_scale"):
        state = put(small().state_dict(), "net.") | {name: torch.tensor(2.0)}
        path = saved(tmp_path / f"{name}.pth", state)
        with pytest.raises(
            gc.NetworkError, match=f"but {name.removeprefix('net.')} may be part of it"
        ):
            gc.register("Mine", "test_resnet", weights=path)


UNUSABLE: dict[str, tuple[Callable[[State], Any], str]] = {
    "NumPy": (
        lambda state: {"params": {n: state[n].numpy() for n in list(state)[:4]}},
        "holds NumPy arrays",
    ),
    "quantised": (
        lambda state: state | {"fc._packed_params.x": torch.rand(1)},
        "is quantised",
    ),
    "meta": (lambda state: {n: t.to("meta") for n, t in state.items()}, "has no values"),
    "no names": (lambda state: [*state.values()], "holds 92 tensors without names"),
    "one tensor": (lambda _: torch.rand(3, 3), "holds one tensor"),
    "numbers": (lambda _: {"epoch": 3}, "holds no tensors, but: epoch"),
    "an optimiser": (
        lambda state: {"state": {0: {"exp_avg": state["fc.weight"]}}, "param_groups": []},
        "holds no tensors, but: state, param_groups",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_holds_no_weights_is_said(tmp_path: Path, kind: str):
    make, reason = UNUSABLE[kind]
    path = saved(tmp_path / "a.pth", make(small().state_dict()))
    with pytest.raises(gc.NetworkError, match=reason):
        gc.register("Mine", "test_resnet", weights=path)


# Which architecture.


@pytest.mark.parametrize(
    "name",
    ["resnet18d", "torchvision:mnasnet0_5"],
)
def test_the_tensors_name_the_architecture(tmp_path: Path, name: str):
    library, _, plain = name.rpartition(":")
    torch.manual_seed(0)
    made = torchvision.models.get_model if library else timm.create_model
    module = scrambled(quickly_made(partial(made, plain, num_classes=3)))
    path = saved(tmp_path / "a.pth", {"model": put(module.state_dict(), f"module.{plain}.")})
    info = gc.register("Mine", weights=path)
    assert info.architecture == plain
    assert f"{plain}" in info.notice
    assert_same("mine", module)


def test_variants_with_the_same_tensors_have_to_be_named(tmp_path: Path):
    module = scrambled(timm.create_model("test_efficientnet_ln", num_classes=3))
    path = saved(tmp_path / "a.pth", module.state_dict())
    with pytest.raises(
        gc.NetworkError,
        match=r"test_efficientnet_gn, .*test_efficientnet_ln, which compute something else",
    ):
        gc.register("Mine", weights=path)
    told = saved(
        tmp_path / "b.pth", {"state_dict": module.state_dict(), "arch": "test_efficientnet_ln"}
    )
    gc.register("Mine", weights=told)
    assert_same("mine", module)


def test_a_plain_network_behind_a_prefix_is_recognised_in_the_error(tmp_path: Path):
    module = quickly_made(partial(timm.create_model, "resnet18", num_classes=3))
    state = put(module.state_dict(), "encoder.model.")
    path = saved(tmp_path / "a.pth", {"state_dict": state})
    with pytest.raises(gc.NetworkError) as refused:
        gc.register("Mine", "resnet34", weights=path)
    text = str(refused.value)
    assert "likeliest architecture is timm's resnet18: all of its tensors fit" in text
    assert "encoder.model" in text
    strange = nn.Sequential(nn.Conv2d(3, 9, 3), nn.Flatten(), nn.Linear(9, 2)).state_dict()
    with pytest.raises(gc.NetworkError, match=r"resembles what the file holds .*module="):
        gc.register("Mine", weights=saved(tmp_path / "b.pth", strange))


# torchvision's own normalisation and heads.


def test_torchvisions_own_normalisation_is_assumed_and_heads_of_training_are_left_out(
    tmp_path: Path,
):
    """Those heads may have other classes."""
    options = {"init_weights": False, "transform_input": True}
    module: Any = quickly_made(partial(torchvision.models.googlenet, **options))
    module.fc = nn.Linear(1024, 2)
    path = saved(tmp_path / "a.pth", scrambled(module).state_dict())
    info = gc.register("Mine", "torchvision:googlenet", weights=path)
    assert len(info.labels) == 2
    assert_same("mine", module)
    assert "transform_input is assumed to be on" in info.notice
    assert "aux" in info.notice.lower()
    assert gc.load_model("mine").preprocessing.mean == (0.485, 0.456, 0.406)


def test_torchvisions_own_normalisation_may_be_told(tmp_path: Path):
    options = {"aux_logits": False, "init_weights": False, "transform_input": False}
    build = partial(torchvision.models.googlenet, num_classes=3, **options)
    module: Any = scrambled(quickly_made(build))
    path = saved(tmp_path / "a.pth", module.state_dict())
    for architecture, on in ((None, True), ("torchvision:googlenet", False)):
        info = gc.register("Mine", architecture, weights=path, transform_input=on)
        assert isinstance(info.recipe, ArchitectureRecipe)
        assert info.recipe.architecture.arguments["transform_input"] == on
    assert_same("mine", module)
    assert "transform_input is assumed" not in info.notice
    assert "aux" not in info.notice.lower()
    with pytest.raises(gc.NetworkError, match="transform_input belongs to torchvision:googlenet"):
        gc.register(
            "Mine", "test_resnet", weights=saved(path, small().state_dict()), transform_input=True
        )
    torch.jit.script(module).save(tmp_path / "a.pt")  # it says so itself
    gc.register("Mine", weights=tmp_path / "a.pt")
    assert_same("mine", module, 128)


def test_published_weights_of_torchvision_are_normalised_as_published():
    info = gc.register("Mine", "torchvision:googlenet")
    assert info.recipe is not None
    built: Any = info.recipe.build()  # type: ignore[attr-defined]
    assert built.transform_input


# Other forms of files.


def test_torchscript_is_read(tmp_path: Path):
    module = small()
    made = torch.jit.script(module)
    made.save(tmp_path / "a.pt")
    for architecture in ("test_resnet", None):
        gc.register("Mine", architecture, weights=tmp_path / "a.pt")
        assert_same("mine", module)
    torch.jit.freeze(made).save(tmp_path / "frozen.pt")
    with pytest.raises(gc.NetworkError, match="frozen TorchScript, whose weights have no names"):
        gc.register("Mine", "test_resnet", weights=tmp_path / "frozen.pt")


@pytest.mark.parametrize("how", ["whole", "under model", "beside"])
def test_a_whole_module_is_refused_with_what_to_do(tmp_path: Path, how: str):
    module = small()
    held = {"whole": module, "under model": {"model": module, "epoch": 3}, "beside": [module]}[how]
    path = saved(tmp_path / "a.pth", held)
    with pytest.raises(
        gc.NetworkError, match=r"whole object \(timm.models.resnet.ResNet\).*module="
    ):
        gc.register("Mine", "test_resnet", weights=path)


OTHER: dict[str, tuple[bytes, str]] = {
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "it is HDF5, as Keras writes it"),
    "a.onnx": (b"\x08\x07\x12\x07pytorch", "it is ONNX"),
    "a.zip": (b"PK\x03\x04" + bytes(64), "not a file of weights, or it is damaged"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_file_of_another_kind_is_said_to_be_that(tmp_path: Path, name: str):
    content, reason = OTHER[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gc.NetworkError, match=reason):
        gc.register("Mine", "test_resnet", weights=tmp_path / name)


# What the file says of its input.

MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.25, 0.3]

OPENMMLAB = """data_preprocessor = dict(
    mean=[
        76.5,
        102.0,
        127.5,
    ],
    num_classes=3, std=[51.0, 63.75, 76.5], to_rgb=True)
train = dict(type='Normalize', mean=[76.5, 102.0, 127.5], std=[51.0, 63.75, 76.5], to_rgb=True)
"""


def preprocessing_of(info: gc.ModelInfo) -> Preprocessing:
    """How the network's pictures are prepared, which needs none of its values."""
    assert isinstance(info.recipe, ArchitectureRecipe)
    return info.recipe.preprocessing


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Preprocessing:
    """Where the file says nothing."""
    path = saved(tmp_path_factory.mktemp("plain") / "a.pth", small().state_dict())
    return preprocessing_of(gc.register("Plain", "test_resnet", weights=path))


@pytest.mark.parametrize(
    ("said", "mean"),
    [
        ({"mean": MEAN, "std": STD}, MEAN),
        ({"mean": MEAN, "std": STD, "data_config": {"mean": [0.5] * 3, "std": STD}}, MEAN),
        ({"mean": MEAN, "std": STD, "data_config": {"mean": None, "std": STD}}, MEAN),
        ({"Mean": 0.7, "Std": 0.1, "transform": {"mean": MEAN, "std": STD}}, MEAN),
        ({"pretrained_cfg": {"mean": MEAN, "std": STD, "input_size": [3, 96, 96]}}, MEAN),
        ({"args": argparse.Namespace(mean=MEAN, std=STD)}, MEAN),
        ({"hyper_parameters": Settings(mean=MEAN, std=STD)}, MEAN),
        ({"mean": torch.tensor(MEAN), "std": torch.tensor(STD)}, MEAN),
        ({"mean": np.array(MEAN), "std": np.array(STD, dtype=">f4")}, MEAN),
        ({"mean": [np.float32(one) for one in MEAN], "std": tuple(map(np.float64, STD))}, MEAN),
        ({"transform": {"mean": np.array(MEAN, dtype="f2"), "std": np.array(STD)}}, MEAN),
        ({"config": json.dumps({"mean": MEAN, "std": STD})}, MEAN),
        ({"mean": np.array(0.91), "std": np.array(0.3)}, None),
        ({"mean": np.zeros(200_000), "std": np.ones(200_000)}, None),
        ({"normalize.mean": torch.tensor(MEAN)[:, None, None],
          "normalize.std": torch.tensor(STD)[:, None, None]}, MEAN),
        ({"pixel_mean": torch.tensor(MEAN), "pixel_std": torch.tensor(STD)}, MEAN),
        ({"mean": 0.91}, None),
        ({"mean": 0.91, "std": 0.02}, None),
        ({"mean": 0.91, "std": 0.1}, None),
        ({"mean": [76.5, 102.0, 127.5], "std": [51.0, 63.75, 76.5]}, MEAN),
        ({"mean": [76.5, 102.0, 127.5], "std": STD}, None),
        ({"mean": [0, 0, 0], "std": [255, 255, 255]}, [0, 0, 0]),
        ({"mean": [76.5, 102, 127.5], "std": [1, 1, 1]}, MEAN),
        ({"config": {"data": {"norm": {"mean": MEAN, "std": STD}}}}, MEAN),
        ({"meta": {"cfg": OPENMMLAB}}, MEAN),
        ({"meta": {"config": f"{OPENMMLAB}\nother = dict(mean=[1.0, 2.0, 3.0])"}}, None),
        ({"mean": [0.9, 0.8, 0.7], "std": [0.01, 0.02, 0.01]}, None),
        ({"mean": MEAN}, None),
        ({"mean": np.float64(0.5), "std": np.float64(0.5)}, None),
        ({"mean": torch.rand(64), "std": torch.rand(64)}, None),
        ({"metrics": {"mean": MEAN, "std": STD}}, None),
        ({"config": {"DATA": {"MEAN": MEAN, "STD": STD}}}, MEAN),
        ({"mean": tuple(np.array(MEAN, "f4")), "std": tuple(np.array(STD))}, MEAN),
        ({"mean": np.array(MEAN, object), "std": np.array([STD]).T[:, 0]}, MEAN),
        ({"image_mean": MEAN, "image_std": STD}, MEAN),
        ({"norm_means": MEAN, "norm_stds": STD}, MEAN),
        ({"cfg": {"MODEL": 1, "PIXEL_MEAN": MEAN, "PIXEL_STD": STD}}, MEAN),
        ({"transform": f"Compose(Normalize(mean={MEAN}, std={STD}))"}, MEAN),
        ({"val_transforms": f"mean=tensor({MEAN}), std=tensor({STD})"}, MEAN),
        ({"feature_mean": MEAN, "feature_std": STD}, None),
        ({"stats": {"mean": MEAN, "std": STD}}, MEAN),
        ({"stats": (MEAN, STD)}, MEAN),
        ({"stats": {"mean": 0.91, "std": 0.1}}, None),
        ({"transform": Compose([Normalize(MEAN, STD)])}, MEAN),
        ({"transform": [Normalize(torch.tensor(MEAN), torch.tensor(STD))]}, MEAN),
        ({"mean": np.ones((64, 64)), "std": np.ones((64, 64))}, None),
    ],
)  # fmt: skip
def test_only_a_normalisation_is_taken_for_one(
    tmp_path: Path, usual: Preprocessing, said: dict[str, Any], mean: list[float] | None
):
    path = saved(tmp_path / "a.pth", {"state_dict": small().state_dict(), **said})
    found = preprocessing_of(gc.register("Mine", "test_resnet", weights=path))
    if mean is None:
        assert found == usual
    else:
        assert found.mean == pytest.approx(mean, abs=1e-3)
        given: Any = said["std"] if isinstance(said.get("std"), list) else STD
        of_all = {1: 1 / 255, 255: 1}.get(given[0]) if isinstance(given, list) else None
        assert found.std == pytest.approx([of_all] * 3 if of_all else STD)


@pytest.mark.parametrize("said", [{"mean": MEAN}, {"std": np.array(MEAN)}])
def test_a_mean_without_a_std_is_said_to_be_ignored(tmp_path: Path, said: dict[str, Any]):
    path = saved(tmp_path / "a.pth", {"state_dict": small().state_dict(), **said})
    notice = gc.register("Mine", "test_resnet", weights=path).notice
    assert f"{next(iter(said))} {MEAN} in the file is ignored, as no " in notice


@pytest.mark.parametrize(
    "said",
    [
        {"classes": np.array(["cat", "a dog"])},
        {"classes": np.array(["cat", "a dog"], dtype=object)},
        {"class_to_idx": {"a dog": np.int64(1), "cat": np.int64(0)}},
        {"idx_to_class": {np.int64(1): np.str_("a dog"), np.int64(0): "cat"}},
        {"names": {0: "cat", 1: "a dog"}},
        {"label_encoder": Encoder()},
        {"run": {"data": {"class_names": ["cat", "a dog"]}, "metrics": {"names": ["f1", "auc"]}}},
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_names_that_numpy_holds_are_read(tmp_path: Path, said: dict[str, Any], protocol: int):
    path = tmp_path / "a.pth"
    held = {"state_dict": small(2).state_dict(), **said}
    torch.save(held, path, pickle_protocol=protocol)
    info = gc.register("Mine", "test_resnet", weights=path)
    assert [label.name for label in info.labels] == ["cat", "a dog"]


@pytest.mark.parametrize(
    "said",
    [
        {"meta": {"cfg": OPENMMLAB.replace("to_rgb=True", "to_rgb=False")}},
        {"mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395]},
        {"to_rgb": False},
        {"channel_order": "bgr", "mean": MEAN, "std": STD},
        {"config": {"data": {"pipeline": [{"type": "Normalize", "to_rgb": False}]}}},
        {"config": "input_format = 'BGR'"},
        {"cfg": {"INPUT": {"FORMAT": "BGR"}}},
        {"mean": [0.406, 0.456, 0.485], "std": [0.225, 0.224, 0.229]},
    ],
)
def test_a_network_of_pictures_with_blue_first_is_told(tmp_path: Path, said: dict[str, Any]):
    path = saved(tmp_path / "a.pth", {"state_dict": small().state_dict(), **said})
    with pytest.raises(gc.NetworkError, match=r"blue first \(BGR\).* weight.flip\(1\)"):
        gc.register("Mine", "test_resnet", weights=path)
    info = gc.register("Mine", "test_resnet", weights=path, mean=MEAN, std=STD)
    assert preprocessing_of(info).mean == tuple(MEAN)


def test_crop_and_interpolation_are_read_from_the_file(tmp_path: Path):
    said: dict[str, Any] = {"crop_pct": 0.8, "interpolation": "lanczos", "input_size": [3, 96, 96]}
    said["crop_mode"] = "squash"
    held = {"state_dict": small().state_dict(), "pretrained_cfg": said}
    gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    found = gc.load_model("mine").preprocessing
    assert (found.size, found.crop_share) == ((96, 96), 0.8)
    assert (found.resample, found.resizing) == (Image.Resampling.LANCZOS, "stretch")
    train = argparse.Namespace(crop_pct=None, interpolation="", img_size=None, mean=None, std=None)
    path = saved(tmp_path / "b.pth", {"state_dict": small().state_dict(), "args": train})
    gc.register("Plain", "test_resnet", weights=path)
    assert gc.load_model("plain").preprocessing.size == (160, 160)


@pytest.mark.parametrize(
    "said",
    [
        {"input_size": [3, 96, 128]},
        {"input_size": (96, 128, 3)},
        {"pretrained_cfg": {"input_size": [3, 96, 128]}},
        {"args": argparse.Namespace(img_size=[96, 128])},
        {"hyper_parameters": Settings(input_size=torch.Size((3, 96, 128)))},
        {"hyper_parameters": {"img_size": "96x128"}},
        {"config": {"DATA": {"IMG_SIZE": [96, 128]}}},
        {"IMG_HEIGHT": 96, "IMG_WIDTH": 128},
    ],
)
def test_an_input_that_is_no_square_is_read_from_the_file(tmp_path: Path, said: dict[str, Any]):
    path = saved(tmp_path / "a.pth", {"state_dict": small().state_dict(), **said})
    assert preprocessing_of(gc.register("Mine", "test_resnet", weights=path)).size == (96, 128)
    assert gc.load_model("mine").preprocessing.size == (96, 128)
    info = gc.register("Mine", "test_resnet", weights=path, size=64)
    assert preprocessing_of(info).size == (64, 64)


def test_a_size_in_the_file_that_cannot_be_taken_is_not_passed_over(tmp_path: Path):
    held = {"state_dict": small().state_dict(), "input_size": [3, 4096, 64]}
    path = saved(tmp_path / "a.pth", held)
    with pytest.raises(gc.NetworkError, match="are 4096 pixels high and 64 wide, which is too"):
        gc.register("Mine", "test_resnet", weights=path)
    gc.register("Mine", "test_resnet", weights=path, size=(128, 64))
    assert gc.load_model("mine").preprocessing.size == (128, 64)


@pytest.mark.parametrize(
    ("size", "is_said", "is_named"), [((96, 48), True, False), ((48, 96), False, True)]
)
def test_a_transformer_is_built_for_the_size_of_its_input(
    tmp_path: Path, cat: Image.Image, size: tuple[int, int], is_said: bool, is_named: bool
):
    module = scattered(timm.create_model("test_vit", num_classes=3, img_size=size)).eval()
    said: dict[str, Any] = {"input_size": [3, *size]} if is_said else {}
    if is_named:
        said["arch"] = "test_vit"
    path = saved(tmp_path / "a.pth", {"state_dict": module.state_dict(), **said})
    gc.register("Mine", weights=path, size=None if is_said else size)
    e = gc.explain(cat, "mine", 1)
    assert e.tokens
    assert e.feature_map.shape == (size[0] // 16, size[1] // 16)
    batch = gc.examine(cat, "mine").run.open_pass.batch
    assert batch.shape == (1, 3, *size)
    np.testing.assert_allclose(
        gc.forward(module, batch).cam(1)[0], e.feature_map, rtol=1e-3, atol=1e-7
    )


def test_a_transformer_that_takes_the_mean_of_its_tokens_is_built_so(tmp_path: Path):
    module = scrambled(timm.create_model("test_vit", num_classes=3, global_pool="avg"))
    path = saved(tmp_path / "a.pth", {"model": module.state_dict()})
    with pytest.raises(gc.NetworkError, match="mean of its tokens: give architecture=test_vit"):
        gc.register("Mine", weights=path)
    gc.register("Mine", "test_vit", weights=path)
    assert_same("mine", module, 160)


SETTINGS_AS_TEXT = "name = 'bce'\nhead = dict(\n    loss=dict(type='Any', use_sigmoid=True))"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"criterion": "BCEWithLogitsLoss"},
            "criterion = BCEWithLogitsLoss in the .* sigmoid=true",
        ),
        ({"hyper_parameters": {"loss": nn.BCELoss()}}, "loss = BCELoss in the .* sigmoid=true"),
        ({"args": argparse.Namespace(multi_label=True)}, "multi_label in the .* sigmoid=true"),
        ({"criterion": nn.MSELoss}, "criterion = MSELoss in the .* give regression=true"),
        ({"config": SETTINGS_AS_TEXT}, "config = use_sigmoid=True in the .* sigmoid=true"),
        ({"criterion": "CrossEntropyLoss", "args": {"multi_label": False}}, "^$"),
        ({"commit": "1f3abce9d0c", "args": argparse.Namespace(arch="mae", penalty="l1")}, "^$"),
        ({"output": "chest_multilabel", "best_loss": "runs/bce/best.pth"}, "^$"),
        ({"id2label": {0: "regression", 1: "progression", 2: "none"}}, "^$"),
    ],
)
def test_a_loss_that_is_none_of_classes_that_exclude_each_other_is_noticed(
    tmp_path: Path, said: dict[str, Any], reason: str
):
    path = saved(tmp_path / "a.pth", {"state_dict": small().state_dict(), **said})
    assert re.search(reason, gc.register("Mine", "test_resnet", weights=path).notice)


def test_a_loss_for_independent_classes_is_noticed(tmp_path: Path):
    held = put(small().state_dict(), "net.") | {"criterion.pos_weight": torch.rand(3)}
    path = saved(tmp_path / "a.pth", held)
    assert "give sigmoid=true" in gc.register("Mine", "test_resnet", weights=path).notice
    info = gc.register("Mine", "test_resnet", weights=path, sigmoid=True)
    assert "sigmoid" not in info.notice


def test_a_normalisation_of_another_scale_is_named(tmp_path: Path):
    held: dict[str, Any] = {
        "state_dict": small().state_dict(),
        "mean": [123.7, 1.0, 1.0],
        "std": [58.0, 1.0, 1.0],
    }
    info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    assert "mean [123.7, 1.0, 1.0] and std" in info.notice
    tensors = put(small().state_dict(), "model.")
    tensors["data_preprocessor.mean"] = torch.full((3, 1, 1), 123.5)
    tensors["data_preprocessor.std"] = torch.full((3, 1, 1), 58.5)
    held = {"state_dict": tensors}
    info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    assert "those of values from 0 to 255 in the file, [123.5, 123.5, 123.5]" in info.notice
    assert gc.load_model("mine").preprocessing.std == (58.5 / 255,) * 3
    held = {"state_dict": tensors, "config": OPENMMLAB}
    tensors.pop("data_preprocessor.mean")
    held["config"] += "other = dict(mean=[1.0, 2.0, 3.0])"
    info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    assert "several means and stds ((1.0, 2.0, 3.0), (76.5, 102.0, 127.5)), none" in info.notice
    held["config"] = {f"{of}_transform": {"mean": [of / 9] * 3, "std": STD} for of in (1, 2)}
    info = gc.register("Mine", "test_resnet", weights=saved(tmp_path / "a.pth", held))
    assert "its settings have several means and stds ((0.11" in info.notice
    gc.register("Mine", "test_resnet", weights=tmp_path / "a.pth", mean=0.5, std=0.5)
    assert gc.load_model("mine").preprocessing.mean == (0.5,) * 3


def test_text_in_safetensors_is_read(tmp_path: Path):
    module = small()
    said = {"mean": "[0.3, 0.4, 0.5]", "std": "[0.2, 0.25, 0.3]", "input_size": "[3, 96, 96]"}
    save_file(
        put(module.state_dict(), "net."), tmp_path / "a.safetensors", said | {"arch": "test_resnet"}
    )
    gc.register("Mine", weights=tmp_path / "a.safetensors")
    found = gc.load_model("mine").preprocessing
    assert (found.size, found.mean) == ((96, 96), tuple(MEAN))
    assert_same("mine", module)


def test_the_command_line_needs_no_architecture(tmp_path: Path):
    from gradcam_core.models.custom import register_all

    path = saved(tmp_path / "a.pth", small().state_dict())
    (info,) = register_all([f"Mine=weights={path},labels=a/b"[: -len(",labels=a/b")]])
    assert info.architecture == "test_resnet"


# Folders of the Hugging Face Hub.


def folder_of(
    path: Path, module: nn.Module, config: dict[str, Any], name: str = "model.safetensors"
) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    if name.endswith(".safetensors"):
        save_file(module.state_dict(), path / name)
    else:
        torch.save(module.state_dict(), path / name)
    return path


CONFIG = {
    "architecture": "test_resnet",
    "num_classes": 3,
    "label_names": ["n1", "n2", "n3"],
    "label_descriptions": {"n1": "tench", "n2": "goldfish", "n3": "shark"},
    "pretrained_cfg": {
        "input_size": [3, 96, 96], "mean": MEAN, "std": STD, "crop_pct": 1.0,
        "interpolation": "bilinear",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "as_weights"),
    [("model.safetensors", True), ("pytorch_model.bin", False), ("best.pth", True)],
)
def test_a_folder_of_timm_says_all(tmp_path: Path, file: str, as_weights: bool):
    module = small()
    folder = folder_of(tmp_path / "mine", module, CONFIG, file)
    info = gc.register("Mine", weights=folder) if as_weights else gc.register("Mine", str(folder))
    assert [label.name for label in info.labels] == ["tench", "goldfish", "shark"]
    found = gc.load_model("mine").preprocessing
    assert (found.size, found.mean, found.crop_share) == ((96, 96), tuple(MEAN), 1)
    assert_same("mine", module)


def test_a_folder_of_transformers_wrapper_of_timm_is_read(tmp_path: Path):
    module = small()
    config = {"architectures": ["TimmWrapperForImageClassification"], "model_type": "timm_wrapper"}
    folder = folder_of(tmp_path / "mine", module, CONFIG | config)
    save_file(put(module.state_dict(), "timm_model."), folder / "model.safetensors")
    gc.register("Mine", weights=folder)
    assert_same("mine", module)


OF_TRANSFORMERS = {
    "architectures": ["ResNetForImageClassification"],
    "model_type": "resnet",
    "id2label": {"0": "a", "1": "b", "2": "c"},
}
PROCESSOR = {
    "do_resize": True, "size": {"shortest_edge": 64}, "crop_pct": 0.875, "do_normalize": True,
    "image_mean": MEAN, "image_std": STD, "resample": 3,
}  # fmt: skip


def test_a_folder_of_transformers_needs_transformers(tmp_path: Path, monkeypatch):
    folder = folder_of(tmp_path / "mine", small(), OF_TRANSFORMERS)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(gc.NetworkError, match=r"ResNetForImageClassification of transformers, wh"):
        gc.register("Mine", weights=folder)
    (folder / "config.json").write_text(
        json.dumps(OF_TRANSFORMERS | {"architectures": ["BertModel"]})
    )
    with pytest.raises(gc.NetworkError, match="holds a BertModel, not an image classifier"):
        gc.register("Mine", weights=folder)


@dataclasses.dataclass
class Output:
    loss: None
    logits: Tensor


class OfTransformers(nn.Module):
    """As transformers has them: the output is an object with the logits in it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = copy.deepcopy(small())

    def forward(self, pixel_values: Tensor) -> Output:
        return Output(None, self.net(pixel_values))

    @classmethod
    def from_pretrained(cls, folder: str, local_files_only: bool) -> nn.Module:
        assert local_files_only
        made = cls()
        made.net.load_state_dict(load_file(Path(folder, "model.safetensors")))
        return made


def test_a_folder_of_transformers_is_read_by_it(tmp_path: Path, monkeypatch, cat: Image.Image):
    library = types.ModuleType("transformers")
    library.AutoModelForImageClassification = OfTransformers  # type: ignore[attr-defined]
    library.__spec__ = importlib.machinery.ModuleSpec("transformers", None)
    monkeypatch.setitem(sys.modules, "transformers", library)
    module = small(seed=5)
    folder = folder_of(tmp_path / "mine", module, OF_TRANSFORMERS)
    with pytest.raises(gc.NetworkError, match="no preprocessor_config"):
        gc.register("Mine", weights=folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    gc.register("Mine", weights=folder)
    found = gc.load_model("mine").preprocessing
    assert (found.size, found.crop_share, found.mean) == ((64, 64), 0.875, tuple(MEAN))
    held = gc.examine(cat, "mine")
    with torch.no_grad():
        expected = module(held.run.open_pass.batch)
    torch.testing.assert_close(held.run.logits, expected, atol=1e-5, rtol=1e-4)
    assert held.top[0].name in "abc"
    run = gc.forward(module, held.run.open_pass.batch)
    np.testing.assert_allclose(held.explain("b").feature_map, run.cam(1)[0], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    ("said", "resized", "size"),
    [
        ({"size": {"height": 64, "width": 96}}, (96, 64), (64, 96)),
        (
            {
                "size": {"height": 80, "width": 40}, "do_center_crop": True,
                "crop_size": {"height": 64, "width": 32},
            },
            (40, 80),
            (64, 32),
        ),
        (
            {
                "size": {"shortest_edge": 100}, "do_center_crop": True,
                "crop_size": {"height": 32, "width": 64},
            },
            (150, 100),
            (32, 64),
        ),
    ],
)  # fmt: skip
def test_a_picture_goes_in_as_transformers_prepares_it(
    tmp_path: Path,
    monkeypatch,
    cat: Image.Image,
    said: dict[str, Any],
    resized: tuple[int, int],
    size: tuple[int, int],
):
    library = types.ModuleType("transformers")
    library.AutoModelForImageClassification = OfTransformers  # type: ignore[attr-defined]
    library.__spec__ = importlib.machinery.ModuleSpec("transformers", None)
    monkeypatch.setitem(sys.modules, "transformers", library)
    folder = folder_of(tmp_path / "mine", small(), OF_TRANSFORMERS)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | said))
    info = gc.register("Mine", weights=folder)
    assert "stretch" not in info.notice
    photo = cat.resize((300, 200))
    batch = gc.examine(photo, "mine").run.open_pass.batch
    picture = photo.resize(resized, Image.Resampling.BICUBIC)
    left, top = ((a - b) // 2 for a, b in zip(resized, size[::-1], strict=True))
    picture = picture.crop((left, top, left + size[1], top + size[0]))
    expected = (np.asarray(picture, dtype=np.float32) / 255 - MEAN) / STD
    np.testing.assert_allclose(batch[0].permute(1, 2, 0), expected, atol=1e-5)
    e = gc.explain(photo, "mine", 1)
    assert ("stretched photo" in e.caption()) == (len(said["size"]) == 2)


def test_the_config_says_whether_classes_exclude_each_other(
    tmp_path: Path, monkeypatch, cat: Image.Image
):
    library = types.ModuleType("transformers")
    library.AutoModelForImageClassification = OfTransformers  # type: ignore[attr-defined]
    library.__spec__ = importlib.machinery.ModuleSpec("transformers", None)
    monkeypatch.setitem(sys.modules, "transformers", library)
    several = OF_TRANSFORMERS | {"problem_type": "multi_label_classification"}
    folder = folder_of(tmp_path / "mine", small(), several)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    assert gc.register("Mine", weights=folder).independent
    held = gc.examine(cat, "mine")
    expected = held.run.logits[0].sigmoid().numpy()
    np.testing.assert_allclose(held.probabilities, expected, atol=1e-6)


def test_a_named_architecture_goes_before_that_of_the_folder(tmp_path: Path):
    folder = folder_of(tmp_path / "mine", small(), CONFIG)
    with pytest.raises(gc.NetworkError, match="do not fit timm's resnet34"):
        gc.register("Mine", "resnet34", weights=folder)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            {"do_center_crop": True, "crop_size": {"height": 64, "width": 96}},
            r"\(a crop of 64x96 from a picture resized to 64 cannot be followed\): give size",
        ),
        ({"rescale_factor": 0.00784}, "only 1/255 is supported"),
        ({"do_rescale": False}, "scales pictures by 1: only 1/255"),
        ({"do_flip_channel_order": True}, r"blue first \(BGR\).* weight.flip\(1\)"),
        ({"image_mean": None}, "does not say how pictures are prepared"),
    ],
)
def test_a_preparation_that_cannot_be_followed_is_refused(
    tmp_path: Path, monkeypatch, said: dict[str, Any], reason: str
):
    folder = folder_of(tmp_path / "mine", small(), OF_TRANSFORMERS)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | said))
    with pytest.raises(gc.NetworkError, match=reason):
        gc.register("Mine", weights=folder)


def test_a_folder_without_what_is_needed_is_refused(tmp_path: Path):
    folder = folder_of(tmp_path / "mine", small(), CONFIG)
    (folder / "model.safetensors").unlink()
    with pytest.raises(gc.NetworkError, match=r"mine has no files of weights: one called model"):
        gc.register("Mine", weights=folder)
    (folder / "model.safetensors.index.json").touch()
    with pytest.raises(gc.NetworkError, match="in several files"):
        gc.register("Mine", weights=folder)
    (folder / "config.json").write_text('{"a": 1}')
    with pytest.raises(
        gc.NetworkError, match=r"config.json of mine is not that of a classifier of"
    ):
        gc.register("Mine", weights=folder)
    (folder / "config.json").unlink()
    with pytest.raises(gc.NetworkError, match=r"mine are in several files: load each, put"):
        gc.register("Mine", "test_resnet", weights=folder)
    (folder / "model.safetensors.index.json").unlink()
    for name, reason in (
        ("notes.md", "without a config.json, and no file of weights lies directly"),
        ("best.pth", r"without a config.json: name the file in it \(best.pth\)"),
        ("saved_model.pb", "is TensorFlow's"),
        (".metadata", "is a distributed checkpoint: make one file of it"),
    ):
        (folder / name).touch()
        with pytest.raises(gc.NetworkError, match=f"mine is .*{reason}|mine {reason}"):
            gc.register("Mine", "test_resnet", weights=folder)
