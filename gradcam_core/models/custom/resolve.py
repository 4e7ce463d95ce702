"""Turns the description of a network into what is registered: architecture, weights, preprocessing,
labels and layer. The weights are inspected, not loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_core.errors import NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.class_names import labels_for, names_of
from gradcam_core.models.custom.description import Description
from gradcam_core.models.custom.files.file_kinds import in_folder
from gradcam_core.models.custom.files.hub_folder import (
    Config,
    config_in,
    folder_of,
    is_folder,
    is_path,
    needs_transformers,
    read_folder,
)
from gradcam_core.models.custom.info import info_of, info_with_layer
from gradcam_core.models.custom.input_settings import imagenet_input, input_of, normalisation_in
from gradcam_core.models.custom.recipes import ArchitectureRecipe, TransformersRecipe
from gradcam_core.models.downloads.fetch import fetch
from gradcam_core.models.downloads.weights import HubFile, LocalFile, ReleaseFile, Source
from gradcam_core.models.registry import ModelInfo
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from gradcam_core.models.custom.architectures import Architecture
    from gradcam_core.models.custom.files.checkpoint import Checkpoint

_HUB = "hf-hub:"


@dataclass(frozen=True)
class _Known:
    """What is known about a network before its weights are inspected. architectures: empty if the
    weights have to name it. names: of its classes."""

    architectures: Sequence[Architecture] = ()
    preprocessing: Preprocessing | None = None
    classes: int | None = None
    names: Sequence[str] | None = None
    source: Source | None = None


def resolve(described: Description) -> ModelInfo:
    """What is registered for the network that is described.

    Raises NetworkError, LabelError or WeightsError if it is unavailable or does not fit, and
    OSError.
    """
    from gradcam_core.models.custom.architectures import architectures_named

    name, path = described.architecture, described.weights
    of_name = Path(os.path.expanduser(name)) if name and is_path(name) and is_folder(name) else None
    folder = of_name or folder_of(path)
    if folder is not None:
        config, in_folder = read_folder(folder)
        described = _as_in(config, described)
        if config.architecture is None and (of_name or name is None):
            return _of_transformers(described, config, folder, in_folder)
        path = in_folder if path in (None, folder) else path
        known = _of_config(config) if config.architecture else _Known()
        if name is not None and of_name is None:
            known = replace(known, architectures=architectures_named(name))
    elif name is not None and name.startswith(_HUB):
        known = _on_the_hub(name.removeprefix(_HUB))
    else:
        known = _Known(architectures_named(name) if name is not None else ())
    if path is not None:
        return _of_file(described, known, path)
    return _published(described, known)


def _as_in(config: Config, described: Description) -> Description:
    """The description, with the kind of outputs that the config states."""
    if config.outputs == "multi_label_classification":
        return replace(described, sigmoid=True)
    if config.outputs == "regression":
        return replace(described, regression=True)
    return described


def _of_file(described: Description, known: _Known, path: Path) -> ModelInfo:
    from gradcam_core.models.custom.architectures import architectures_named, built_for, built_with
    from gradcam_core.models.custom.files.checkpoint import read_checkpoint
    from gradcam_core.models.custom.fitting.fit import fit
    from gradcam_core.models.custom.fitting.identify_architecture import arguments_in, identified

    if path.is_dir():
        raise NetworkError(in_folder(path))
    checkpoint = read_checkpoint(path)
    said = normalisation_in(checkpoint)
    size = described.size or (known.preprocessing or said).size
    if said.sides and size is None:
        raise NetworkError(
            "the file says that pictures are {} pixels high and {} wide, which is too small or too "
            "large: give size=".format(*said.sides)
        )
    if said.is_bgr and described.mean is None and known.preprocessing is None:
        raise NetworkError(
            "the file says that its network takes pictures with blue first (BGR), and here it gets "
            "them with red first: save it with the channels of its first layer reversed, "
            "weight.flip(1), and mean and std, too; or give mean= and std= if it takes RGB"
        )
    architectures: Sequence[Architecture] = known.architectures
    named = ""
    if not architectures:
        is_given = described.mean is not None or known.preprocessing is not None
        architectures, named = identified(
            checkpoint.tensors,
            checkpoint.metadata,
            described.prefix,
            is_given or said.is_found,
            size,
        )
    unused = ""
    if known.preprocessing is None:
        arguments = arguments_in(checkpoint.metadata)
        architectures = built_with(arguments, architectures)
        if left := ", ".join(sorted(arguments.keys() - architectures[0].arguments.keys())):
            unused = f"the file gives {left}, which {architectures[0]} does not know: left out"
    if named and described.transform_input is not None:  # timm's of the same name lacks it
        architectures = architectures_named(f"torchvision:{architectures[0].name}")
    if any(".fc_norm." in f".{name}" for name in checkpoint.tensors):  # as fine-tuned from MAE
        architectures = [
            *architectures,
            *(one.averaging() for one in architectures if one.library == "timm"),
        ]
    architectures, transforming = _transforming(described, architectures, checkpoint)
    found = fit(built_for(size, architectures), checkpoint.tensors, described.prefix)
    if described.regression:
        found = found.of_values()
    outputs = described.classes
    if outputs not in (None, found.outputs):
        raise NetworkError(f"classes is {outputs}, but the weights have {found.outputs}")
    if described.channels not in (None, found.channels):
        raise NetworkError(
            f"channels is {described.channels}, but the weights have {found.channels}"
        )
    usual = known.preprocessing or said.preprocessing(
        found.architecture.preprocessing, found.channels
    )
    recipe = ArchitectureRecipe(
        found.architecture,
        found.classes,
        input_of(described, usual, found.channels),
        is_published=False,
        prefix=described.prefix,
        is_regression=described.regression,
    )
    names, of_names = names_of(checkpoint, found.outputs)
    labels = labels_for(described, found.outputs, known.names or names)
    notes = (
        named,
        unused,
        *found.notes,
        said.note if described.mean is None and known.preprocessing is None else "",
        "" if described.labels or known.names else of_names,
        _loss_note(described, checkpoint, found.outputs),
        transforming if found.architecture.may_transform and found.channels == 3 else "",
    )
    return info_with_layer(described, recipe, labels, LocalFile(path.absolute()), notes)


_OF_SIGMOIDS = re.compile(
    "BCE|(?i:(?<![a-z])bce|binary_?cross_?entropy|multi_?-?label|use_sigmoid=True|"
    "multilabel_?soft_?margin)"
)
_OF_VALUES = re.compile("mse_?loss|l1_?loss|huber|regression|^(mse|mae|l1|l2)$", re.I)
_OF_A_LOSS = re.compile("loss|criterion|task|objective|problem_type", re.I)


def _loss_note(described: Description, checkpoint: Checkpoint, outputs: int) -> str:
    """The notice that a file's loss or task suggests independent probabilities or values instead of
    exclusive classes; "" if it does not."""
    if described.sigmoid or described.regression:
        return ""
    if outputs > 1 and any(one.rpartition(".")[2] == "pos_weight" for one in checkpoint.tensors):
        return "pos_weight in the file means independent probabilities: give sigmoid=true"
    if outputs > 1 and (found := _said(checkpoint, _OF_SIGMOIDS)):
        return f"{found} in the file may mean independent probabilities: if so, give sigmoid=true"
    if found := _said(checkpoint, _OF_VALUES):
        return (
            f"{found} in the file may mean values instead of classes: if so, give regression=true"
        )
    return ""


def _said(checkpoint: Checkpoint, sought: re.Pattern[str]) -> str:
    """The first setting in a file that matches, as shown to people; "" if none does."""
    from gradcam_core.models.custom.files.checkpoint import settings_in

    for of_settings, settings in settings_in(checkpoint.metadata):
        for key, value in settings.items():
            text = value if isinstance(value, str) else str(getattr(value, "name", ""))
            if value is True and sought.search(str(key)):
                return key
            lines = text.splitlines()
            if not _OF_A_LOSS.search(f"{of_settings} {key}"):  # OpenMMLab's settings are one text
                lines = [line for line in lines[1:] and lines if _OF_A_LOSS.search(line)]
            for line in lines:
                if not re.search(r"[/\\]", line) and (found := sought.search(line)):  # no path
                    words = re.findall(r"[\w=-]+", line)
                    return f"{key} = {next(filter(sought.search, words), found[0])}"
    return ""


def _transforming(
    described: Description, architectures: Sequence[Architecture], checkpoint: Checkpoint
) -> tuple[Sequence[Architecture], str]:
    """The architectures with or without torchvision's own normalisation, as the person or the file
    says (TorchScript does), else as published; and the notice that this is assumed, or ""."""
    asked = described.transform_input
    if asked is not None and not any(one.may_transform for one in architectures):
        raise NetworkError(
            "transform_input belongs to torchvision:googlenet and torchvision:inception_v3"
        )
    if not any(one.may_transform for one in architectures):
        return architectures, ""
    if asked is None:
        values = checkpoint.metadata.items()
        of_file = {v for k, v in values if k.rpartition(".")[2] == "transform_input"}
        asked = next(iter(of_file)) if len(of_file) == 1 else None
    is_heads = any("AuxLogits." in name for name in checkpoint.tensors)
    if asked is not None or is_heads:  # torchvision's alone, where timm has the same name
        architectures = [one for one in architectures if one.may_transform]
    note = ""
    if asked is None:
        note = (
            "transform_input is assumed to be on, as in torchvision's published weights: if it "
            "is off in yours, give transform_input=false"
        )
    on = asked is None or bool(asked)
    return [one.transforming(on) if one.may_transform else one for one in architectures], note


def _of_transformers(described: Description, config: Config, folder: Path, path: Path) -> ModelInfo:
    needs_transformers(config.kind, folder.name)
    from gradcam_core.models.custom.modules.own_module import in_one_line, inspect_module

    if config.preprocessing is None and None in (described.size, described.mean, described.std):
        raise NetworkError(
            f"{folder.name} has no preprocessor_config.json: give size, mean and std"
        )
    usual = config.preprocessing or imagenet_input()
    recipe = TransformersRecipe(folder, input_of(described, usual, usual.channels))
    try:
        module = recipe.read(path)
    except Exception as error:  # such as for a package that is not installed
        raise NetworkError(
            f"transformers cannot load {folder.name} ({in_one_line(error)})"
        ) from error
    seen = inspect_module(module, recipe.preprocessing, described.layer, None)
    labels = labels_for(described, seen.outputs, config.names)
    source = LocalFile(path.absolute())
    return info_of(described, recipe, labels, source, config.kind, seen.layer, (config.note,))


def _published(described: Description, known: _Known) -> ModelInfo:
    architecture = known.architectures[0]
    if described.regression:
        raise NetworkError("the published weights predict classes: give your own, weights=…")
    if described.channels not in (None, 3):
        raise NetworkError("the published weights are for 3 channels; give your own for another")
    source, classes = known.source, known.classes
    if source is None and architecture.library == "timm":
        config = import_timm().get_pretrained_cfg(architecture.name)
        if config is None or not config.has_weights:
            raise NetworkError(f"{architecture} has no published weights; give your own: weights=…")
        source = HubFile(config.hf_hub_id) if config.hf_hub_id else ReleaseFile(config.url)
        classes = config.num_classes
    elif source is None:
        import torchvision.models

        weights = torchvision.models.get_model_weights(architecture.name).DEFAULT
        source, classes = ReleaseFile(weights.url), len(weights.meta["categories"])
    assert classes is not None
    if described.classes not in (None, classes):
        raise NetworkError(f"classes is {described.classes}, but the weights have {classes}")
    usual = known.preprocessing or architecture.preprocessing
    preprocessing = input_of(described, usual, usual.channels)
    recipe = ArchitectureRecipe(
        architecture, max(classes, 2), preprocessing, is_published=known.source is None
    )
    labels = labels_for(described, classes, known.names)
    try:
        return info_with_layer(described, recipe, labels, source)
    except NetworkError:
        sized = architecture.sized(preprocessing.size)
        if sized is architecture:
            raise
        return info_with_layer(described, replace(recipe, architecture=sized), labels, source)


def _on_the_hub(name: str) -> _Known:
    """What config.json in the Hub's timm repository says. Raises WeightsError or NetworkError."""
    file = HubFile(name, "config.json")
    config = config_in(file.cached() or fetch(file), name)
    if config.architecture is None:
        raise NetworkError(
            f"{name} holds a {config.kind} of transformers: download it, and give its folder as "
            "weights="
        )
    return _of_config(config, HubFile(name))


def _of_config(config: Config, source: Source | None = None) -> _Known:
    assert config.architecture is not None
    if config.classes is None and source is not None:
        raise NetworkError("config.json does not say num_classes")
    architectures = [config.architecture]
    return _Known(architectures, config.preprocessing, config.classes, config.names, source)
