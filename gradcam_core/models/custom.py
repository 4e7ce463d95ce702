"""A person's own networks beside ours: any classifier of timm or torchvision, with weights of any
origin, registered in Python, on the command line or in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from gradcam_core.errors import GradcamError, LabelError, NetworkError
from gradcam_core.images.geometry import Preprocessing
from gradcam_core.models.description import (
    FILE,
    Description,
    checked,
    described_in,
    described_in_file,
    description_of,
)
from gradcam_core.models.fetch import fetch
from gradcam_core.models.label_files import names_in, read_label_names
from gradcam_core.models.labels import Labels, imagenet_labels, labels_of
from gradcam_core.models.registry import ModelInfo, add_model, list_models
from gradcam_core.models.weights import HubFile, LocalFile, ReleaseFile, Source
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from torch import nn

    from gradcam_core.models.architectures import Architecture
    from gradcam_core.models.checkpoint import Checkpoint

_Given = TypeVar("_Given")

_HUB = "hf-hub:"


def register(
    title: str,
    architecture: str,
    *,
    weights: str | Path | None = None,
    labels: str | Path | Sequence[str] | None = None,
    **settings: Any,
) -> ModelInfo:
    """Put a network of your own beside the others, for `explain`, `load_model` and all the rest.

        gc.register("Chest X-ray", "resnet18", weights="xray.safetensors", labels="labels.txt")

    See `Description` for the arguments. The file of weights is looked into at once, its values are
    read when they are first needed. One with the same name is replaced. Raises NetworkError.
    """
    given = {"title": title, "architecture": architecture, "weights": weights, "labels": labels}
    return register_described(description_of(given | settings))


def register_described(described: Description) -> ModelInfo:
    """See `register`. Raises NetworkError."""

    try:
        info = _info(described)
        add_model(info)
        _registered[info.name] = replace(
            described, weights=_absolute(described.weights), labels=_absolute(described.labels)
        )
    except (GradcamError, ValueError) as error:
        raise NetworkError(f"network {described.title!r}: {_ended(str(error))}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise NetworkError(f"network {described.title!r}: {error.filename}: {reason}") from error
    return info


def registered() -> list[Description]:
    """Of a person's own networks that there are, for another process that is to have them, too."""
    return [_registered[info.name] for info in list_models() if info.name in _registered]


_registered: dict[str, Description] = {}


def _absolute(given: _Given) -> _Given:
    return given.absolute() if isinstance(given, Path) else given


def register_all(specs: Iterable[str], file: Path | None = None) -> list[ModelInfo]:
    """What a file and then texts describe; without a file the usual one, if it is there. Raises
    NetworkError."""
    described = []
    if file is not None or Path(FILE).is_file():
        described += described_in_file(file or Path(FILE))
    described += [described_in(spec) for spec in specs]
    names = [_name(one) for one in described]
    for one, name in zip(described, names, strict=True):
        if names.count(name) > 1:
            raise NetworkError(f"network {one.title!r}: another one is called {name!r}, too")
    return [register_described(one) for one in described]


def _name(described: Description) -> str:
    return described.name or re.sub(r"\W+", "_", described.title.casefold()).strip("_")


def _ended(text: str) -> str:
    return text[0].lower() + text[1:].rstrip(".") if text[1:2].islower() else text.rstrip(".")


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
        from gradcam_core.models.architectures import fit
        from gradcam_core.models.checkpoint import read_checkpoint
        from gradcam_core.models.optimise import own_network, read_network

        if self.is_published and self.architecture.library == "timm":
            return read_network(self.architecture.name, path)
        tensors = read_checkpoint(path).tensors
        found = fit([self.architecture], tensors)
        if (found.classes, found.channels) != (self.classes, self.preprocessing.channels):
            raise NetworkError(f"the file {path.name} is another one than when it was registered")
        return own_network(self.build, found.tensors(tensors), self.input_size)


@dataclass(frozen=True)
class _Known:
    """What is known of a network before its weights are looked at. names: of its classes."""

    architectures: list[Architecture]
    preprocessing: Preprocessing | None = None
    classes: int | None = None
    names: Sequence[str] | None = None
    source: Source | None = None


def _info(described: Description) -> ModelInfo:
    from gradcam_core.models.architectures import architectures_named

    if described.architecture.startswith(_HUB):
        known = _on_the_hub(described.architecture.removeprefix(_HUB))
    else:
        known = _Known(architectures_named(described.architecture))
    if described.weights is not None:
        return _of_file(described, known, described.weights)
    return _published(described, known)


def _of_file(described: Description, known: _Known, path: Path) -> ModelInfo:
    from gradcam_core.models.architectures import fit
    from gradcam_core.models.checkpoint import read_checkpoint

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
    from torch import nn

    from gradcam_core.cam.layers import layers
    from gradcam_core.models.optimise import layout

    module = layout(recipe.build, recipe.input_size)
    batch = torch.empty(1, *recipe.input_size, device=next(module.parameters()).device)
    stages = [stage.layer for stage in layers(module, batch)]
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    if described.layer is None and convolutions == 1:
        raise NetworkError(
            f"{recipe.architecture} has no convolution but its first, as transformers have: "
            "there is no feature map for Grad-CAM; take a convolutional network"
        )
    layer = described.layer or stages[-1]
    if layer not in dict(module.named_modules()):
        last = ", ".join(stages)
        raise NetworkError(
            f"there is no layer {layer!r}; the last feature maps of each resolution are: {last}"
        )
    return ModelInfo(
        _name(described),
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
    from gradcam_core.models.architectures import Architecture

    file = HubFile(name, "config.json")
    path = file.cached() or fetch(file)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture = Architecture("timm", config["architecture"], config.get("model_args") or {})
        settings = config.get("pretrained_cfg") or config
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
            f"config.json of {name} is none of a timm classifier ({error})"
        ) from None
