"""From the description of a network to what is known of it: architecture, weights, preprocessing,
labels and layer. Its weights are looked into, not loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gradcam_core.errors import CamError, LabelError, NetworkError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.description import Description, checked
from gradcam_core.models.custom.label_files import names_in, read_label_names
from gradcam_core.models.fetch import fetch
from gradcam_core.models.labels import Labels, imagenet_labels, labels_of
from gradcam_core.models.registry import ModelInfo
from gradcam_core.models.weights import HubFile, LocalFile, ReleaseFile, Source
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from torch import nn

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
        found = fit([self.architecture], tensors)
        if (found.classes, found.channels) != (self.classes, self.preprocessing.channels):
            raise NetworkError(f"the file {path.name} has changed since it was registered")
        return own_network(self.build, found.tensors(tensors), self.input_size)


@dataclass(frozen=True)
class _Known:
    """What is known of a network before its weights are looked at. names: of its classes."""

    architectures: list[Architecture]
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

    if described.architecture.startswith(_HUB):
        known = _on_the_hub(described.architecture.removeprefix(_HUB))
    else:
        known = _Known(architectures_named(described.architecture))
    if described.weights is not None:
        return _of_file(described, known, described.weights)
    return _published(described, known)


def _of_file(described: Description, known: _Known, path: Path) -> ModelInfo:
    from gradcam_core.models.custom.checkpoint import read_checkpoint
    from gradcam_core.models.custom.fit import fit

    checkpoint = read_checkpoint(path)
    found = fit(known.architectures, checkpoint.tensors)
    outputs = described.classes
    if outputs not in (None, found.outputs):
        raise NetworkError(f"classes is {outputs}, but the weights have {found.outputs}")
    if described.channels not in (None, found.channels):
        raise NetworkError(
            f"channels is {described.channels}, but the weights have {found.channels}"
        )
    usual = known.preprocessing or _preprocessing_in(checkpoint, found.architecture.preprocessing)
    recipe = _Recipe(
        found.architecture,
        found.classes,
        _preprocessing(described, usual, found.channels),
        is_published=False,
    )
    names = known.names or _names_in(checkpoint)
    labels = _labels(described, found.outputs, names)
    return _with_layer(described, recipe, labels, LocalFile(path.absolute()))


def _published(described: Description, known: _Known) -> ModelInfo:
    architecture = known.architectures[0]
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
    described: Description, recipe: _Recipe, labels: Labels, source: Source
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
    return ModelInfo(
        described.api_name,
        described.title,
        recipe.architecture.name,
        layer,
        source,
        labels=labels,
        independent=described.sigmoid,
        recipe=recipe,
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
    elif outputs == 1000:
        return imagenet_labels()
    title = f"labels of {described.title}"
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


def _preprocessing_in(checkpoint: Checkpoint, usual: Preprocessing) -> Preprocessing:
    """The usual preprocessing, with what the file's metadata say."""
    config = checkpoint.metadata.get("pretrained_cfg")
    metadata = {**checkpoint.metadata, **(config if isinstance(config, dict) else {})}
    given: dict[str, Any] = {}
    size = metadata.get("input_size") or metadata.get("img_size")
    size = size[-1] if isinstance(size, list | tuple) and size else size
    keys = {"size": size, "mean": metadata.get("mean"), "std": metadata.get("std")}
    for key, value in keys.items():
        try:
            given[key] = checked(key, value)
        except (TypeError, ValueError):
            continue  # nothing, or of another meaning
    channels = {len(given[key]) for key in ("mean", "std") if key in given}
    if len(channels) == 1:
        usual = usual.for_channels(channels.pop())
    elif channels:
        given = {key: value for key, value in given.items() if key == "size"}
    return replace(usual, **given)


def _names_in(checkpoint: Checkpoint) -> list[str] | None:
    for key in ("label_names", "class_names", "classes", "id2label", "class_to_idx"):
        found = checkpoint.metadata.get(key)
        if isinstance(found, str):  # in safetensors everything is text
            try:
                found = json.loads(found)
            except ValueError:
                continue
        try:
            return names_in(found)
        except LabelError:
            continue
    return None


def _on_the_hub(name: str) -> _Known:
    """What config.json in a timm repository says. Raises WeightsError or NetworkError."""
    from gradcam_core.models.custom.architectures import Architecture

    file = HubFile(name, "config.json")
    path = file.cached() or fetch(file)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture = Architecture("timm", config["architecture"], config.get("model_args") or {})
        settings = config.get("pretrained_cfg") or config
        import_timm()
        from timm.data import resolve_data_config

        preprocessing = Preprocessing.from_timm(resolve_data_config(settings))
        names = config.get("label_names")
        return _Known(
            [architecture],
            preprocessing,
            int(config["num_classes"]),
            names if names is None else names_in(names),
            HubFile(name),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise NetworkError(
            f"config.json of {name} is not that of a timm classifier ({error})"
        ) from None
