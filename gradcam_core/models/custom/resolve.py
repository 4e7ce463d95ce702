"""From the description of a network to what is known of it: architecture, weights, preprocessing,
labels and layer. Its weights are looked into, not loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gradcam_core.errors import CamError, LabelError, NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.description import Description, checked
from gradcam_core.models.custom.hub_folder import (
    Config,
    config_in,
    is_folder,
    needs_transformers,
    read_folder,
)
from gradcam_core.models.custom.label_files import NAMES_KEYS, names_in, read_label_names
from gradcam_core.models.fetch import fetch
from gradcam_core.models.labels import Labels, imagenet_labels, labels_of
from gradcam_core.models.registry import ModelInfo, Recipe
from gradcam_core.models.weights import HubFile, LocalFile, ReleaseFile, Source
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradcam_core.models.custom.architectures import Architecture
    from gradcam_core.models.custom.checkpoint import Checkpoint

_HUB = "hf-hub:"


@dataclass(frozen=True)
class _Recipe:
    """How the network is built and its file read. is_published: whether the file is timm's, which
    may have an older form."""

    architecture: Architecture
    classes: int
    preprocessing: Preprocessing
    is_published: bool
    prefix: str | None = None
    is_regression: bool = False

    def build(self) -> nn.Module:
        return self.architecture.build(self.classes, self.preprocessing.channels)

    @property
    def input_size(self) -> tuple[int, int, int]:
        size = self.preprocessing.size
        return self.preprocessing.channels, size, size

    def read(self, path: Path) -> nn.Module:
        from gradcam_core.models.custom.checkpoint import read_checkpoint
        from gradcam_core.models.custom.fit import fit
        from gradcam_core.models.optimise import own_network, read_network

        if self.is_published and self.architecture.library == "timm":
            return read_network(self.architecture.name, path)
        tensors = read_checkpoint(path).tensors
        found = fit([self.architecture], tensors, self.prefix)
        if self.is_regression:
            found = found.of_values()
        if (found.classes, found.channels) != (self.classes, self.preprocessing.channels):
            raise NetworkError(f"the file {path.name} has changed since it was registered")
        return own_network(self.build, found.tensors(tensors), self.input_size)


@dataclass(frozen=True)
class _Known:
    """What is known of a network before its weights are looked at. architectures: empty if the
    weights have to name it. names: of its classes."""

    architectures: Sequence[Architecture] = ()
    preprocessing: Preprocessing | None = None
    classes: int | None = None
    names: Sequence[str] | None = None
    source: Source | None = None


def resolve(described: Description) -> ModelInfo:
    """The network that is described.

    Raises NetworkError, LabelError or WeightsError where it is not available or does not fit, and
    OSError.
    """
    from gradcam_core.models.custom.architectures import architectures_named

    name, path = described.architecture, described.weights
    folder = next((Path(one).expanduser() for one in (name, path) if one and is_folder(one)), None)
    if folder is not None:
        config, path = read_folder(folder)
        if config.architecture is None:
            return _of_transformers(described, config, folder, path)
        known = _of_config(config)
        if path == described.weights or described.weights not in (None, folder):
            path = described.weights
    elif name is not None and name.startswith(_HUB):
        known = _on_the_hub(name.removeprefix(_HUB))
    else:
        known = _Known(architectures_named(name) if name is not None else ())
    if path is not None:
        return _of_file(described, known, path)
    return _published(described, known)


def _of_file(described: Description, known: _Known, path: Path) -> ModelInfo:
    from gradcam_core.models.custom.checkpoint import read_checkpoint
    from gradcam_core.models.custom.fit import fit
    from gradcam_core.models.custom.identify import identified

    if path.is_dir():
        raise NetworkError(f"{path.name} is a folder without a config.json: name the file in it")
    checkpoint = read_checkpoint(path)
    said = _normalisation_in(checkpoint)
    architectures: Sequence[Architecture] = known.architectures
    named = ""
    if not architectures:
        is_given = described.mean is not None or known.preprocessing is not None
        architectures, named = identified(
            checkpoint.tensors, checkpoint.metadata, described.prefix, is_given or said.is_found
        )
    architectures, transforming = _transforming(described, architectures, checkpoint)
    found = fit(architectures, checkpoint.tensors, described.prefix)
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
    recipe = _Recipe(
        found.architecture,
        found.classes,
        _preprocessing(described, usual, found.channels),
        is_published=False,
        prefix=described.prefix,
        is_regression=described.regression,
    )
    names = known.names or _names_in(checkpoint, found.outputs)
    labels = _labels(described, found.outputs, names)
    notes = (
        named,
        *found.notes,
        said.note if described.mean is None and known.preprocessing is None else "",
        transforming if found.architecture.may_transform and found.channels == 3 else "",
    )
    return _with_layer(described, recipe, labels, LocalFile(path.absolute()), notes)


def _transforming(
    described: Description, architectures: Sequence[Architecture], checkpoint: Checkpoint
) -> tuple[Sequence[Architecture], str]:
    """With torchvision's own normalisation, or without it: as is said by the person or the file
    (TorchScript does), or as published; and what is to be said of it."""
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
    if asked is not None or is_heads:  # torchvision's, where timm has the same name
        architectures = [one for one in architectures if one.may_transform]
    note = ""
    if asked is None:
        note = (
            "transform_input is taken to be on, as in torchvision's published weights: if it is "
            "off in yours, give transform_input=false"
        )
    on = asked is None or bool(asked)
    return [one.transforming(on) if one.may_transform else one for one in architectures], note


def _of_transformers(described: Description, config: Config, folder: Path, path: Path) -> ModelInfo:
    needs_transformers(config.kind, folder.name)
    from gradcam_core.models.custom.own_module import look_at

    if config.preprocessing is None and None in (described.size, described.mean, described.std):
        raise NetworkError(
            f"{folder.name} has no preprocessor_config.json: give size, mean and std"
        )
    usual = config.preprocessing or _imagenet()
    recipe = _TransformersRecipe(folder, _preprocessing(described, usual, usual.channels))
    seen = look_at(recipe.read(path), recipe.preprocessing, described.layer, None)
    labels = _labels(described, seen.outputs, config.names)
    source = LocalFile(path.absolute())
    return _info(described, recipe, labels, source, config.kind, seen.layer, (config.note,))


@dataclass(frozen=True)
class _TransformersRecipe:
    folder: Path
    preprocessing: Preprocessing

    def read(self, path: Path) -> nn.Module:
        from transformers import AutoModelForImageClassification  # type: ignore[import-not-found]

        module = AutoModelForImageClassification.from_pretrained(
            str(self.folder), local_files_only=True
        )
        module.eval().requires_grad_(False)
        return module


def of_module(
    described: Description,
    module: nn.Module,
    output: Callable[[Any], Tensor] | None = None,
) -> ModelInfo:
    """A module that a person has built. See `resolve`."""
    from torch import nn

    from gradcam_core.models.custom.own_module import (
        ModuleRecipe,
        ModuleSource,
        channels_of,
        look_at,
    )

    if not isinstance(module, nn.Module):
        raise NetworkError(f"module= is a {type(module).__name__} and must be a torch.nn.Module")
    if module.training:
        raise NetworkError("the module is in training mode: call its eval() first")
    for key in ("architecture", "weights", "prefix", "transform_input"):
        if getattr(described, key) is not None:
            raise NetworkError(f"{key}= does not go with module=, which is taken as it is")
    channels = described.channels or channels_of(module)
    if channels not in (1, 3):
        raise NetworkError(f"the module takes {channels} channels; 1 and 3 will do")
    usual, note = _usual_of(module)
    preprocessing = _preprocessing(described, usual, channels)
    if None not in (described.mean, described.std) or channels != usual.channels:
        note = ""
    seen = look_at(module, preprocessing, described.layer, output)
    if described.classes not in (None, seen.outputs):
        raise NetworkError(f"classes is {described.classes}, but the module gives {seen.outputs}")
    labels = _labels(described, seen.outputs, None)
    is_single = seen.outputs == 1 and not described.regression
    gives = "logits" if described.regression else seen.gives
    recipe = ModuleRecipe(module, preprocessing, output, is_single, gives)
    inside = ""
    if gives == "softmax":
        inside = (
            "a softmax is in the network, so its maps fade where it is sure; logits are better: "
            "leave it out"
        )
    name = type(module).__name__
    source = ModuleSource(name)
    info = _info(described, recipe, labels, source, name, seen.layer, (note, inside))
    is_each = described.sigmoid or (gives == "sigmoid" and seen.outputs > 1)
    return replace(info, independent=is_each)


def _usual_of(module: nn.Module) -> tuple[Preprocessing, str]:
    """What timm's networks say of themselves, or else ImageNet's usual, and that it is that."""
    settings = getattr(module, "pretrained_cfg", None)
    if isinstance(settings, Mapping) and settings.get("mean"):
        import_timm()
        from timm.data import resolve_data_config

        return Preprocessing.from_timm(resolve_data_config(dict(settings))), ""
    return _imagenet(), "mean and std are ImageNet's, because none were given"


def _imagenet() -> Preprocessing:
    import_timm()
    from timm.data import resolve_data_config

    return Preprocessing.from_timm(resolve_data_config({"input_size": (3, 224, 224)}))


def _published(described: Description, known: _Known) -> ModelInfo:
    architecture = known.architectures[0]
    if described.regression:
        raise NetworkError("the published weights tell classes apart: give your own, weights=…")
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
    recipe = _Recipe(
        architecture,
        max(classes, 2),
        _preprocessing(described, usual, usual.channels),
        is_published=known.source is None,
    )
    labels = _labels(described, classes, known.names)
    return _with_layer(described, recipe, labels, source)


def _with_layer(
    described: Description,
    recipe: _Recipe,
    labels: Labels,
    source: Source,
    notes: Sequence[str] = (),
) -> ModelInfo:
    import torch

    from gradcam_core.cam.layers import NeedsValuesError, layers
    from gradcam_core.models.optimise import layout

    layer = described.layer
    for has_values in (False, True):
        module = layout(recipe.build, recipe.input_size, has_values)
        batch = torch.zeros(1, *recipe.input_size, device=next(module.parameters()).device)
        try:
            stages = [stage.layer for stage in layers(module, batch)]
        except NeedsValuesError:
            continue
        except CamError as error:
            if layer is None:
                raise NetworkError(f"{recipe.architecture} cannot be explained: {error}") from None
            stages = []
        break
    layer = layer or stages[-1]
    if layer.partition("#")[0] not in dict(module.named_modules()):
        last = ", ".join(stages) or "not known"
        raise NetworkError(
            f"there is no layer {layer!r}; the last feature maps of each resolution are: {last}"
        )
    return _info(described, recipe, labels, source, recipe.architecture.name, layer, notes)


def _info(
    described: Description,
    recipe: Recipe,
    labels: Labels,
    source: Source,
    architecture: str,
    layer: str,
    notes: Sequence[str] = (),
) -> ModelInfo:
    said = "; ".join(filter(None, notes))
    return ModelInfo(
        described.api_name,
        described.title,
        architecture,
        layer,
        source,
        labels=labels,
        independent=described.sigmoid,
        recipe=recipe,
        notice=f"{described.title}: {said}." if said else "",
        unit=(described.unit or "") if described.regression else None,
    )


def _preprocessing(described: Description, usual: Preprocessing, channels: int) -> Preprocessing:
    """What was given, and the usual for the rest."""
    found = usual.for_channels(channels)
    given: dict[str, Any] = {
        "size": described.size,
        "crop_share": described.crop,
        "resample": described.interpolation and Image.Resampling[described.interpolation.upper()],
    }
    for key in ("mean", "std"):
        values = getattr(described, key)
        if values is not None and len(values) not in (1, channels):
            raise NetworkError(f"{key} has {len(values)} numbers for {channels} channels")
        given[key] = values and (values if len(values) == channels else values * channels)
    return replace(found, **{key: value for key, value in given.items() if value is not None})


def _labels(described: Description, outputs: int, names: Sequence[str] | None) -> Labels:
    """Raises LabelError if they are not as many as the network's outputs."""
    given: Sequence[str] | None = None
    if isinstance(described.labels, Path):
        given = read_label_names(described.labels)
    elif described.labels is not None:
        given = described.labels
    elif names is not None:
        given = names
    elif outputs == 1000 and not described.regression:
        return imagenet_labels()
    title = f"labels of {described.title}"
    if described.regression:
        usual = ["value"] if outputs == 1 else [f"value {n}" for n in range(outputs)]
        given = usual if given is None else given
        if len(given) != outputs:
            raise LabelError(f"{len(given)} labels are given for {outputs} values")
        return labels_of(given, title)
    if given is None:
        given = _imagenet_names(outputs) or [f"class {n}" for n in range(outputs)]
        if outputs == 1:
            given = ["positive"]
    if outputs == 1 and len(given) == 1:
        given = [f"not {given[0]}", given[0]]
    classes = max(outputs, 2)
    if len(given) != classes:
        raise LabelError(f"{len(given)} labels are given for {classes} classes")
    return labels_of(given, title)


def _imagenet_names(count: int) -> list[str] | None:
    """timm's of one of the larger ImageNets, if it has one of so many classes."""
    import_timm()
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return None
    known = ImageNetInfo(subset)
    return [known.index_to_description(n) for n in range(count)]


@dataclass(frozen=True)
class _Normalisation:
    """What a file says of its input. note: what it says that cannot be meant."""

    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    note: str = ""

    @property
    def is_found(self) -> bool:
        return self.mean is not None

    def preprocessing(self, usual: Preprocessing, channels: int) -> Preprocessing:
        """The usual, with what the file says."""
        given: dict[str, Any] = {} if self.size is None else {"size": self.size}
        if self.mean is not None and self.std is not None:
            usual = usual.for_channels(channels)
            given |= {"mean": _as_many(self.mean, channels), "std": _as_many(self.std, channels)}
        return replace(usual, **given)


def _as_many(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else (sum(values) / len(values),) * channels


def _normalisation_in(checkpoint: Checkpoint) -> _Normalisation:
    """From the settings in the file, or from a layer of its own before the network.

    Mean and standard deviation are taken together, as lists of a number for each channel, and if
    they can be those of values from 0 to 1: "mean" may be anything, such as that of a metric.
    """
    config = _parsed(checkpoint.metadata.get("pretrained_cfg"))
    metadata = {**checkpoint.metadata, **(config if isinstance(config, Mapping) else {})}
    size = _parsed(metadata.get("input_size") or metadata.get("img_size"))
    if isinstance(size, list | tuple) and size:
        size = size[-1] if len(set(size[-2:])) == 1 else None
    try:
        size = checked("size", size)
    except (TypeError, ValueError):
        size = None  # nothing, or of another meaning
    mean, std = _parsed(metadata.get("mean")), _parsed(metadata.get("std"))
    if mean is None or std is None:
        before = _layer_before(checkpoint)
        if before is not None:
            return _Normalisation(size, *before, "mean and std are those of a layer in the file")
        return _Normalisation(size)
    found = _plausible(mean, std)
    if found is None:
        shown = f"mean {_short(mean)} and std {_short(std)}"
        return _Normalisation(
            size, note=f"{shown} in the file are not those of channels from 0 to 1, and not taken"
        )
    return _Normalisation(size, *found)


def _parsed(value: Any) -> Any:
    if isinstance(value, str):  # in safetensors everything is text
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _short(value: Any) -> str:
    return f"{value!r}" if len(repr(value)) < 40 else f"{repr(value)[:36]} …"


_LEAST_STD = 0.05  # of a channel, in [0, 1]; a data set with less would be nearly one colour


def _plausible(mean: Any, std: Any) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if not all(isinstance(one, list | tuple) for one in (mean, std)) or len(mean) != len(std):
        return None
    try:
        found = checked("mean", mean), checked("std", std)
    except (TypeError, ValueError):
        return None
    return found if min(found[1]) >= _LEAST_STD else None


def _layer_before(
    checkpoint: Checkpoint,
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """The buffers of a layer that normalises pictures, as many people put before a network."""
    found = []
    for name, mean in checkpoint.tensors.items():
        stem, _, last = name.rpartition(".")
        std = checkpoint.tensors.get(f"{stem}.std" if stem else "std")
        if last == "mean" and std is not None and mean.numel() == std.numel() in (1, 3):
            found.append(_plausible(_numbers(mean), _numbers(std)))
    return found[0] if len(found) == 1 else None


def _numbers(tensor: Tensor) -> list[float]:
    return [round(value, 6) for value in tensor.flatten().tolist()]


def _names_in(checkpoint: Checkpoint, outputs: int) -> list[str] | None:
    """What the file calls the classes, if they are as many as the network has."""
    metadata = {key: _parsed(value) for key, value in checkpoint.metadata.items()}
    descriptions = metadata.get("label_descriptions")
    for key in (*NAMES_KEYS, "pretrained_cfg"):
        try:
            names = names_in({key: metadata.get(key), "label_descriptions": descriptions})
        except LabelError:
            continue
        if len(names) == outputs or (outputs == 1 and len(names) == 2):
            return names
    return None


def _on_the_hub(name: str) -> _Known:
    """What config.json in a timm repository says. Raises WeightsError or NetworkError."""
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
