"""Reads folders as on the Hugging Face Hub: config.json beside weights, in the format of timm or
transformers."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gradcam_core.errors import LabelError, NetworkError
from gradcam_core.images.preprocessing import InputSize, Preprocessing, crop_from
from gradcam_core.models.custom.files.file_kinds import JOIN
from gradcam_core.models.custom.files.label_files import names_in
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from gradcam_core.models.custom.architectures import Architecture

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "open_clip_pytorch_model.bin", "model.pth")
_BYTE = 1 / 255
_WARPED_PX = 384  # from this size on, transformers stretches pictures for ConvNext


@dataclass(frozen=True)
class Config:
    """What config.json says. architecture: None for transformers, whose class is `kind`. classes:
    their number. names: of the classes. note: how preprocessing differs here. outputs: the
    `problem_type` of transformers, else ""."""

    architecture: Architecture | None
    kind: str
    preprocessing: Preprocessing | None
    classes: int | None
    names: Sequence[str] | None
    note: str = ""
    outputs: str = ""


def is_folder(text: str | Path) -> bool:
    """Whether it is a folder with a config.json."""
    return Path(os.path.expanduser(text), "config.json").is_file()


def folder_of(path: Path | None) -> Path | None:
    """The folder with a config.json that a path is, or in which it is the file of weights; None for
    any other path."""
    if path is None or is_folder(path):
        return path
    with suppress(NetworkError, OSError):
        if path.name in _WEIGHTS and config_in(path.with_name("config.json"), path.parent.name):
            return path.parent
    return None


def is_path(text: str) -> bool:
    """Whether a text is written as a path, and not as the name of an architecture."""
    return "/" in text or "\\" in text or text.startswith((".", "~"))


def read_folder(folder: Path) -> tuple[Config, Path]:
    """What the folder's config.json and preprocessor_config.json say, and its file of weights.
    Raises NetworkError."""
    config = config_in(folder / "config.json", folder.name)
    settings = folder / "preprocessor_config.json"
    if config.architecture is None and settings.is_file():
        found, note = _of_processor(_json(settings), folder.name)
        config = replace(config, preprocessing=found, note=note)
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return config, folder / name
    files = [one for end in ("safetensors", "bin", "pth", "pt") for one in folder.glob(f"*.{end}")]
    if len(files) == 1:
        return config, files[0]
    if indices := list(folder.glob("*.index.json")):
        if config.architecture is None:  # transformers joins the files itself
            return config, indices[0]
        raise NetworkError(f"the weights in {folder.name} are in several files: {JOIN}")
    raise NetworkError(
        f"{folder.name} has {len(files) or 'no'} files of weights: one called model.safetensors "
        "is expected"
    )


def config_in(path: Path, name: str) -> Config:
    """Reads a config.json. name: says where it is from, in errors. Raises NetworkError."""
    config = _json(path)
    try:
        if isinstance(config.get("architecture"), str):
            return _of_timm(config)
        kinds = config.get("architectures")
        if isinstance(kinds, list) and kinds and isinstance(config.get("model_type"), str):
            names = config.get("id2label")
            found = Config(None, str(kinds[0]), None, None, names_in(names) if names else None)
            return replace(found, outputs=str(config.get("problem_type") or ""))
        raise KeyError("architecture")
    except (KeyError, TypeError, AttributeError, LabelError) as error:
        raise NetworkError(
            f"config.json of {name} is not that of a classifier of timm or transformers ({error}): "
            "give its file of weights"
        ) from None


def needs_transformers(kind: str, name: str) -> None:
    """Raises NetworkError if a folder of transformers cannot be read here."""
    if "ForImageClassification" not in kind:
        raise NetworkError(f"{name} holds a {kind}, not an image classifier")
    if importlib.util.find_spec("transformers") is None:
        raise NetworkError(
            f"{name} holds a {kind} of transformers, which is not installed: pip install "
            "transformers"
        )


def _of_timm(config: Mapping[str, Any]) -> Config:
    from gradcam_core.models.custom.architectures import Architecture

    arguments = dict(config.get("model_args") or {})
    if str(config.get("global_pool")).endswith("max"):
        arguments.setdefault("global_pool", config["global_pool"])
    architecture = Architecture("timm", config["architecture"], arguments)
    if not import_timm().is_model(architecture.name.partition(".")[0]):
        raise KeyError(f"timm has no {architecture.name}")
    settings = config.get("pretrained_cfg") or config
    from timm.data import resolve_data_config

    preprocessing = Preprocessing.from_timm(resolve_data_config(dict(settings)))
    try:
        names = names_in(config)
    except LabelError:
        names = None
    classes = config.get("num_classes", settings.get("num_classes"))
    return Config(architecture, "", preprocessing, classes and int(classes), names)


def _of_processor(settings: Mapping[str, Any], name: str) -> tuple[Preprocessing, str]:
    """The preprocessing in transformers' preprocessor_config.json, and a notice of what is done
    differently here, or "". Raises NetworkError."""

    def sides(value: Any) -> tuple[int, ...]:
        """(short side,), or (height, width) to which a picture is stretched."""
        if isinstance(value, int):
            return (value,)
        if "shortest_edge" in value:
            return (int(value["shortest_edge"]),)
        return int(value["height"]), int(value["width"])

    kind = str(settings.get("image_processor_type") or settings.get("feature_extractor_type"))
    try:
        if settings.get("do_flip_channel_order"):
            raise NetworkError(
                f"preprocessor_config.json of {name} has pictures with blue first (BGR), and here "
                "they have red first: load it with transformers, reverse the channels of its first "
                "layer, weight.flip(1), and give it as gc.register(…, module=…)"
            )
        cut = resized = sides(settings["size"])
        if kind.startswith("Levit") and len(resized) == 1:
            resized = (resized[0] * 256 // 224,)
        is_warped = kind.startswith("ConvNext") and cut[0] >= _WARPED_PX
        if settings.get("do_center_crop") and settings.get("crop_size"):
            cut = sides(settings["crop_size"])
        size = InputSize(cut[0], cut[-1])
        note = ""
        if size.is_square and resized[0] == resized[-1]:
            if cut is resized and (len(resized) == 2 or is_warped):
                note = (
                    "the centre of a picture is used, where transformers stretches the whole "
                    "picture to a square"
                )
            resized = resized[:1]
        crop, resizing = crop_from(size, resized)
        is_share = settings.get("crop_pct") and not is_warped
        if is_share and size.is_square and cut[0] == resized[0]:
            crop = float(settings["crop_pct"])
        scale = float(settings.get("rescale_factor") or _BYTE)
        if not settings.get("do_rescale", True):
            scale = 1.0
        if abs(scale - _BYTE) > 1e-5:
            raise NetworkError(
                f"preprocessor_config.json of {name} scales pictures by {scale:g}: only 1/255 is "
                "supported; give mean and std for values from 0 to 1"
            )
        is_normalised = settings.get("do_normalize", True)
        mean = tuple(map(float, settings["image_mean"])) if is_normalised else (0.0,) * 3
        std = tuple(map(float, settings["image_std"])) if is_normalised else (1.0,) * 3
        if settings.get("include_top", kind.startswith("EfficientNet")):  # divides by std twice
            std = tuple(one * one for one in std)
        resample = Image.Resampling(settings.get("resample", 2))
        return Preprocessing(size, min(crop, 1.0), resample, mean, std, resizing), note
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError(
            f"preprocessor_config.json of {name} does not say how pictures are prepared "
            f"({error}): give size, mean and std, and remove the file"
        ) from None


def _json(path: Path) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NetworkError(f"{path.name} is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise NetworkError(f"{path.name} is not an object of settings")
    return found
