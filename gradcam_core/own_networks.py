"""A person's own networks beside ours: any classifier of timm or torchvision, with weights of any
origin, registered in Python, on the command line or in a file."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gradcam_core.label_files import names_in, read_label_names
from gradcam_core.labels import LabelError, Labels, imagenet_labels, labels_of
from gradcam_core.models import ModelInfo, add_model, import_timm
from gradcam_core.view import Preprocessing
from gradcam_core.weights import HubFile, LocalFile, ReleaseFile, Source, WeightsError, fetch

if TYPE_CHECKING:
    from torch import nn

    from gradcam_core.architectures import Architecture
    from gradcam_core.checkpoint import Checkpoint

FILE = "networks.toml"
"""Read from the folder that a program is started in, if it is there."""

SPEC = '"TITLE=ARCHITECTURE[,KEY=VALUE …]"'

_HUB = "hf-hub:"
_LARGEST_SIZE = 2048  # pixels


class NetworkError(ValueError):
    """A network cannot be registered as it was described. The message is for whoever did that."""


@dataclass(frozen=True)
class Description:
    """What a person says of a network; None where it is read from the weights or looked up.

    architecture: a name of timm's or torchvision's, if need be with "timm:" or "torchvision:"
    before it; or "hf-hub:" and a timm repository of the Hugging Face Hub, or what stands before
    its config.json. weights: .safetensors or .pth; None are those published with the architecture.
    labels: a file (see `read_label_names`) or the names. name: as in the API and on the command
    line; None makes it from the title. classes, channels: numbers, the latter 1 or 3. size: side of
    the input, pixels. mean, std: of the channels, in [0, 1]. crop: share of the short side.
    interpolation: "bilinear", "bicubic", … layer: dotted name of the target layer. sigmoid: each
    class has a probability of its own; a single output always has.
    """

    title: str
    architecture: str
    weights: Path | None = None
    labels: Path | tuple[str, ...] | None = None
    name: str | None = None
    classes: int | None = None
    channels: int | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = None
    interpolation: str | None = None
    layer: str | None = None
    sigmoid: bool = False


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
    return register_described(_described(given | settings))


def register_described(described: Description) -> ModelInfo:
    """See `register`. Raises NetworkError."""
    from gradcam_core.architectures import MisfitError
    from gradcam_core.checkpoint import CheckpointError
    from gradcam_core.stages import CamError

    try:
        info = _info(described)
        add_model(info)
    except (MisfitError, CheckpointError, CamError, LabelError, WeightsError, ValueError) as error:
        raise NetworkError(f"network {described.title!r}: {_ended(str(error))}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise NetworkError(f"network {described.title!r}: {error.filename}: {reason}") from error
    return info


def described_in(spec: str) -> Description:
    """From a text such as "Chest X-ray=resnet18,weights=xray.safetensors,labels=labels.txt".

    Several numbers are separated by "/", as in "mean=0.5/0.5/0.5". Raises NetworkError.
    """
    title, has_title, rest = spec.partition("=")
    architecture, *settings = (part.strip() for part in rest.split(","))
    if not (has_title and title.strip() and architecture):
        raise NetworkError(f"{spec!r} is not of the form {SPEC}")
    given: dict[str, Any] = {"title": title.strip(), "architecture": architecture}
    for setting in settings:
        key, has_value, value = (part.strip() for part in setting.partition("="))
        if not has_value or not value:
            raise NetworkError(f"network {title!r}: {setting!r} is not of the form KEY=VALUE")
        given[key] = _number_or_text(value)
    return _described(given)


def described_in_file(path: Path) -> list[Description]:
    """Of each table in a TOML file, whose name is the title and whose keys are those of
    `Description`. Files are looked for from the folder that it lies in. Raises NetworkError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise NetworkError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise NetworkError(f"{path} is not TOML: {error}") from None
    for title, table in tables.items():
        if not isinstance(table, dict):
            raise NetworkError(f'{path}: {title!r} stands outside of a table ["TITLE"]')
    return [_described({"title": title, **table}, path.parent) for title, table in tables.items()]


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


def _number_or_text(value: str) -> Any:
    if re.fullmatch(r"[0-9.eE+-]+(/[0-9.eE+-]+)*", value):
        try:
            numbers = [int(part) if part.isdecimal() else float(part) for part in value.split("/")]
            return numbers[0] if len(numbers) == 1 else numbers
        except ValueError:
            return value
    return {"true": True, "false": False}.get(value.lower(), value)


def _described(given: Mapping[str, Any], folder: Path = Path()) -> Description:
    """Checked. folder: where relative paths start. Raises NetworkError."""
    known = [one.name for one in fields(Description)]
    title = given["title"]

    def wrong(text: str) -> NetworkError:
        return NetworkError(f"network {title!r}: {text}")

    if not isinstance(title, str) or not title.strip():
        raise NetworkError("a network needs a title")
    if "architecture" not in given:
        raise wrong("the key architecture is missing, for instance architecture = 'resnet18'")
    checked: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise wrong(f"there is no key {key!r}; choose from: {', '.join(known[1:])}")
        if value is None:
            continue
        try:
            checked[key] = _CHECKS[key](value)
        except (TypeError, ValueError):
            raise wrong(f"{key} = {value!r} will not do; it has to be {_WANTED[key]}") from None
    for key in ("weights", "labels"):
        if isinstance(path := checked.get(key), Path):
            checked[key] = folder / path.expanduser()
    return Description(**checked)


def _text(value: Any) -> str:
    if (
        isinstance(value, bool)
        or not isinstance(value, str | int | float)
        or not str(value).strip()
    ):
        raise ValueError
    return str(value).strip()


def _whole(least: int, most: int) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return check


def _one_of_channels(value: Any) -> int:
    if isinstance(value, bool) or value not in (1, 3):
        raise ValueError
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError
    return float(value)


def _shares(least: float) -> Any:
    def check(value: Any) -> tuple[float, ...]:
        numbers = value if isinstance(value, list | tuple) else [value]
        if len(numbers) not in (1, 3):
            raise ValueError
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise ValueError
            if not least <= number <= 1:
                raise ValueError
        return tuple(map(float, numbers))

    return check


def _labels_given(value: Any) -> Path | tuple[str, ...]:
    if isinstance(value, str | Path):
        return Path(value)
    return tuple(names_in(value))


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _interpolation(value: Any) -> str:
    if str(value).upper() not in Image.Resampling.__members__:
        raise ValueError
    return str(value).lower()


_CHECKS: dict[str, Any] = {
    "title": _text,
    "architecture": _text,
    "weights": Path,
    "labels": _labels_given,
    "name": _text,
    "classes": _whole(1, 1_000_000),
    "channels": _one_of_channels,
    "size": _whole(8, _LARGEST_SIZE),
    "mean": _shares(0),
    "std": _shares(1e-6),
    "crop": _share,
    "interpolation": _interpolation,
    "layer": _text,
    "sigmoid": _yes_or_no,
}

_WANTED = {
    "title": "a text",
    "architecture": "a text",
    "weights": "the path of a file",
    "labels": "the path of a file or a list of names",
    "name": "a text",
    "classes": "a whole number from 1 on",
    "channels": "1 or 3",
    "size": f"a whole number of pixels from 8 to {_LARGEST_SIZE}",
    "mean": "one number or three, from 0 to 1",
    "std": "one number or three, above 0 and up to 1",
    "crop": "a number above 0 and up to 1",
    "interpolation": f"one of {', '.join(one.name.lower() for one in Image.Resampling)}",
    "layer": "a text",
    "sigmoid": "true or false",
}


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
        from gradcam_core.architectures import fit
        from gradcam_core.checkpoint import read_checkpoint
        from gradcam_core.network import own_network, read_network

        if self.is_published and self.architecture.library == "timm":
            return read_network(self.architecture.name, path)
        tensors = read_checkpoint(path).tensors
        found = fit([self.architecture], tensors)
        if (found.classes, found.channels) != (self.classes, self.preprocessing.channels):
            raise ValueError(f"the file {path.name} is another one than when it was registered")
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
    from gradcam_core.architectures import architectures_named

    if described.architecture.startswith(_HUB):
        known = _on_the_hub(described.architecture.removeprefix(_HUB))
    else:
        known = _Known(architectures_named(described.architecture))
    if described.weights is not None:
        return _of_file(described, known, described.weights)
    return _published(described, known)


def _of_file(described: Description, known: _Known, path: Path) -> ModelInfo:
    from gradcam_core.architectures import fit
    from gradcam_core.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(path)
    found = fit(known.architectures, checkpoint.tensors)
    outputs = described.classes
    if outputs not in (None, found.outputs):
        raise ValueError(f"classes is {outputs}, but the weights have {found.outputs}")
    if described.channels not in (None, found.channels):
        raise ValueError(f"channels is {described.channels}, but the weights have {found.channels}")
    usual = known.preprocessing or _said(checkpoint, found.architecture.preprocessing)
    recipe = _Recipe(
        found.architecture,
        found.classes,
        _preprocessing(described, usual, found.channels),
        is_published=False,
    )
    names = known.names or _names_said(checkpoint)
    labels = _labels(described, found.outputs, names)
    return _with_layer(described, recipe, labels, LocalFile(path.absolute()))


def _published(described: Description, known: _Known) -> ModelInfo:
    architecture = known.architectures[0]
    if described.channels not in (None, 3):
        raise ValueError("the published weights are for 3 channels; give your own for another")
    source, classes = known.source, known.classes
    if source is None and architecture.library == "timm":
        config = import_timm().get_pretrained_cfg(architecture.name)
        if config is None or not config.has_weights:
            raise ValueError(f"{architecture} has no published weights; give your own: weights=…")
        source = HubFile(config.hf_hub_id) if config.hf_hub_id else ReleaseFile(config.url)
        classes = config.num_classes
    elif source is None:
        import torchvision.models

        weights = torchvision.models.get_model_weights(architecture.name).DEFAULT
        source, classes = ReleaseFile(weights.url), len(weights.meta["categories"])
    assert classes is not None
    if described.classes not in (None, classes):
        raise ValueError(f"classes is {described.classes}, but the weights have {classes}")
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

    from gradcam_core.network import layout
    from gradcam_core.stages import layers

    module = layout(recipe.build, recipe.input_size)
    batch = torch.empty(1, *recipe.input_size, device=next(module.parameters()).device)
    stages = [stage.layer for stage in layers(module, batch)]
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    if described.layer is None and convolutions == 1:
        raise ValueError(
            f"{recipe.architecture} has no convolution but its first, as transformers have: "
            "there is no feature map for Grad-CAM; take a convolutional network"
        )
    layer = described.layer or stages[-1]
    if layer not in dict(module.named_modules()):
        last = ", ".join(stages)
        raise ValueError(
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
            raise ValueError(f"{key} has {len(values)} numbers for {channels} channels")
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
    wanted = max(outputs, 2)
    if len(given) != wanted:
        raise LabelError(f"{len(given)} labels are given for {wanted} classes")
    return labels_of(given, title)


def _imagenet_names(count: int) -> list[str] | None:
    """timm's of one of the larger ImageNets, if it has one of so many classes."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return None
    known = ImageNetInfo(subset)
    return [known.index_to_description(n) for n in range(count)]


def _said(checkpoint: Checkpoint, usual: Preprocessing) -> Preprocessing:
    """The usual, with what the file says of itself."""
    config = checkpoint.said.get("pretrained_cfg")
    said = {**checkpoint.said, **(config if isinstance(config, dict) else {})}
    given: dict[str, Any] = {}
    size = said.get("input_size") or said.get("img_size")
    size = size[-1] if isinstance(size, list | tuple) and size else size
    keys = {"size": size, "mean": said.get("mean"), "std": said.get("std")}
    for key, value in keys.items():
        try:
            given[key] = _CHECKS[key](value)
        except (TypeError, ValueError):
            continue  # nothing, or of another meaning
    channels = {len(given[key]) for key in ("mean", "std") if key in given}
    if len(channels) == 1:
        usual = usual.for_channels(channels.pop())
    elif channels:
        given = {key: value for key, value in given.items() if key == "size"}
    return replace(usual, **given)


def _names_said(checkpoint: Checkpoint) -> list[str] | None:
    for key in ("label_names", "class_names", "classes", "id2label", "class_to_idx"):
        found = checkpoint.said.get(key)
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
    """What config.json in a timm repository says. Raises WeightsError or ValueError."""
    from gradcam_core.architectures import Architecture

    file = HubFile(name, "config.json")
    path = file.cached() or fetch(file)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture = Architecture("timm", config["architecture"], config.get("model_args") or {})
        said = config.get("pretrained_cfg") or config
        from timm.data import resolve_data_config

        preprocessing = Preprocessing.from_timm(resolve_data_config(said))
        names = config.get("label_names")
        return _Known(
            [architecture],
            preprocessing,
            int(config["num_classes"]),
            names if names is None else names_in(names),
            HubFile(name),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"config.json of {name} is none of a timm classifier ({error})") from None
