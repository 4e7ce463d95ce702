"""Finds how a network's input is prepared: as given, else as its file says, else as is usual."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from gradcam_core.errors import NetworkError
from gradcam_core.images.preprocessing import (
    CROP_MODES,
    InputSize,
    Preprocessing,
    Resizing,
    crop_from,
)
from gradcam_core.models.custom.class_names import parsed
from gradcam_core.models.custom.description import Description, checked
from gradcam_core.models.custom.mean_and_std import (
    BGR_IN_TEXT,
    DEEPEST,
    OF_PICTURES,
    in_texts,
    is_reversed,
    layers_before,
    normalising,
    plausible,
    said_alone,
    says_bgr,
    short,
    unusable,
)
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from gradcam_core.models.custom.files.checkpoint import Checkpoint


def imagenet_input() -> Preprocessing:
    import_timm()
    from timm.data import resolve_data_config

    return Preprocessing.from_timm(resolve_data_config({"input_size": (3, 224, 224)}))


def input_of(described: Description, usual: Preprocessing, channels: int) -> Preprocessing:
    """The usual preprocessing, with what the description gives instead. Raises NetworkError if it
    gives a wrong number of means or standard deviations."""
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


@dataclass(frozen=True)
class Normalisation:
    """What a file says about its network's input; None where it says nothing. sides: height and
    width, if they differ and are no valid size. note: a notice about its mean and std. is_bgr:
    whether the network takes pictures with blue first."""

    size: InputSize | None = None
    crop_share: float | None = None
    resample: Image.Resampling | None = None
    resizing: Resizing | None = None
    sides: tuple[int, ...] = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    note: str = ""
    is_bgr: bool = False

    @property
    def is_found(self) -> bool:
        return self.mean is not None

    def preprocessing(self, usual: Preprocessing, channels: int) -> Preprocessing:
        """The usual preprocessing, with what the file says instead."""
        plain = {
            "size": self.size,
            "crop_share": self.crop_share,
            "resample": self.resample,
            "resizing": self.resizing,
        }
        given: dict[str, Any] = {key: value for key, value in plain.items() if value is not None}
        if self.mean is not None and self.std is not None:
            usual = usual.for_channels(channels)
            given |= {"mean": _as_many(self.mean, channels), "std": _as_many(self.std, channels)}
        return replace(usual, **given)


def _as_many(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if len(values) == channels else (sum(values) / len(values),) * channels


_SIZES = ("input_size", "img_size", "image_size", "imgsz", "val_crop_size")
_SIDES = tuple((f"{one}_height", f"{one}_width") for one in ("img", "image", "input"))
"""Keys under which training scripts store the size of the input, or its two sides."""

_STEPS = re.compile(
    r"\b(CenterCrop|Resize)\(size=[\[(]?(\d+)(?:, (\d+))?"  # as torchvision's print themselves
    r"|dict\((?=[^()]*'(CenterCrop|ResizeEdge|Resize)')[^()]*\b(?:crop_size|scale|size)=\(?(\d+)"
)


def normalisation_in(checkpoint: Checkpoint) -> Normalisation:
    """The preprocessing stated by the settings in the file, or by a layer before the network.

    Mean and standard deviation are only used together, as lists of one number for each channel, and
    if they are plausible for values from 0 to 1, or to 255, because "mean" may be anything, such as
    that of a metric. OpenMMLab's files have them in the text of a Python program.
    """
    from gradcam_core.models.custom.files.checkpoint import attributes

    said = checkpoint.metadata
    under, over = (parsed(said.get(key)) for key in ("data_config", "pretrained_cfg"))  # timm's
    under = under if isinstance(under, Mapping) else {}  # its size, mean and std are nested ones
    under = {key: under[key] for key in ("crop_pct", "interpolation", "crop_mode") if key in under}
    said = {**under, **said, **(over if isinstance(over, Mapping) else {})}
    metadata = _in_lower_case(said)
    if not plausible(parsed(metadata.get("mean")), parsed(metadata.get("std"))):
        for key in {"mean", "std"} - said.keys():  # in capitals, such as those of a metric
            metadata.pop(key, None)
    of_pictures = list(_of_pictures(metadata, attributes))
    own, *nested = (list(_sizes_in(held)) for _, held in of_pictures)
    inner = [size for sizes in nested for size in sizes]
    size = next(iter(own or (inner if all(one == inner[0] for one in inner) else [])), None)
    sides: tuple[int, ...] = ()
    if isinstance(size, list | tuple) and len(set(size)) > 1:
        sides = tuple(size) if _known("size", size) is None else ()
    interpolation = _known("interpolation", metadata.get("interpolation"))
    texts = [
        text
        for key, text in metadata.items()
        if isinstance(text, str) and (key in ("cfg", "config") or "transform" in key)
    ]
    size = _known("size", size)
    crop = _known("crop", parsed(metadata.get("crop_pct")))
    resizing = CROP_MODES.get(str(metadata.get("crop_mode")))
    if crop is None and resizing is None:
        steps = _STEPS.findall("\n".join([*texts, *(text for text, _ in of_pictures)]))
        size, crop, resizing = _of_steps(size, metadata, steps)
    plain = Normalisation(
        size,
        crop,
        Image.Resampling[interpolation.upper()] if interpolation else None,
        resizing,
        sides,
        is_bgr=says_bgr(metadata) or any(map(BGR_IN_TEXT.search, texts)),
    )
    mean, std = parsed(metadata.get("mean")), parsed(metadata.get("std"))
    if mean is None or std is None:
        found_in = {*normalising(of_pictures), *in_texts(texts)}
        if len(found_in) > 1:
            shown = ", ".join(short(one) for one, _ in sorted(found_in))
            note = f"its settings have several means and stds ({shown}), none of which is taken"
            return replace(plain, note=note)
        mean, std = map(list, *found_in) if found_in else (None, None)
    if mean is None or std is None:
        before = layers_before(checkpoint)
        if len(before) != 1:
            return replace(plain, note=said_alone(metadata))
        ((mean, std),) = before
        note = "mean and std are those of tensors in the file"
    else:
        note = ""
    found = plausible(mean, std)
    if found and is_reversed(found[0]):
        return replace(plain, is_bgr=True)
    if found and max(*mean, *std) > 1:
        note = f"mean and std are those of values from 0 to 255 in the file, {short(mean)}"
    if found is None:
        return replace(plain, note=unusable(mean, std))
    return replace(plain, mean=found[0], std=found[1], note=note)


def _known(key: str, value: Any) -> Any:
    """The value as a `Description` has it; None if it is not valid there."""
    try:
        return checked(key, value)
    except (TypeError, ValueError):
        return None


def _of_pictures(
    settings: Mapping[Any, Any], attributes: Callable[[Any], Any], key: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yields (key, settings) for the settings themselves, and for nested ones under keys about
    pictures. The key of an object is followed by its kind, such as "CenterCrop(size=224"."""
    yield key, _in_lower_case(settings)
    for name, given in settings.items():
        if depth == DEEPEST or not OF_PICTURES.search(str(name).lower()):
            continue
        for one in given if isinstance(given, list | tuple) else [given]:
            held = attributes(one)
            if isinstance(held, Mapping):
                kind = getattr(one, "name", "") or str(held.get("__class_fullname__", ""))
                size = held.get("size") or [held.get("height"), held.get("width")]
                what = f"{kind.rpartition('.')[2]}(size={size}" if kind else ""
                if "ImageClassification" in kind:  # torchvision's transforms of published weights
                    sizes = held.get("resize_size"), held.get("crop_size")
                    what = "Resize(size={} CenterCrop(size={}".format(*sizes)
                yield from _of_pictures(held, attributes, f"{name} {what}", depth + 1)


def _in_lower_case(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Settings by names in lower case, of which those that are so go before others, with lists for
    the tensors of one number for each channel that timm's transforms hold."""
    from torch import Tensor

    return {
        str(key).lower(): value.flatten().tolist()
        if isinstance(value, Tensor) and value.ndim and value.numel() in (1, 3)
        else value
        for key, value in sorted(settings.items(), key=lambda one: str(one[0]).islower())
    }


def _sizes_in(settings: Mapping[str, Any]) -> Iterator[Any]:
    given = {key: parsed(settings.get(key)) for key in (*_SIZES, "input_shape")}
    shape = given["input_shape"]  # of a vector or of anything else, if it is shorter
    if not isinstance(shape, list | tuple) or len(shape) < 3:
        del given["input_shape"]
    sizes = [_sides(size) for size in given.values()]
    sizes += (_sides([_sides(parsed(settings.get(one))) for one in both]) for both in _SIDES)
    yield from filter(None, sizes)
    of_processors = (settings.get(key) for key in ("crop_size", "size"))  # transformers'
    sizes = [_sides(size) for size in of_processors if isinstance(size, Mapping)]
    yield from list(filter(None, sizes))[:1]


def _sides(size: Any) -> Any:
    """A size in settings as one number, or height and width without the channels, which may come
    before or after them; None for anything else."""
    if isinstance(size, Mapping):
        size = [size.get("height"), size.get("width")]
    if isinstance(size, float) and size.is_integer():
        return int(size)
    if not isinstance(size, list | tuple):
        return size if isinstance(size, int) else _known("size", size)
    sides = size[-3:-1] if len(size) > 2 and size[-1] in (1, 3) else size[-2:]
    return sides if all(isinstance(side, int) for side in sides) else None


def _of_steps(
    size: InputSize | None, metadata: Mapping[str, Any], steps: Iterable[tuple[str, ...]]
) -> tuple[InputSize | None, float | None, Resizing | None]:
    """Size, crop share and kind of resizing, from the only crop and the only resizing in the
    transforms or in torchvision's training script; None for what does not follow from them."""
    found: dict[str, set[tuple[int, ...]]] = {"CenterCrop": set(), "Resize": set()}
    for of_torchvision, height, width, of_openmmlab, side in steps:
        kind = (of_torchvision or of_openmmlab).removesuffix("Edge")
        found[kind].add(tuple(int(one) for one in (height or side, width) if one))
    crops, resized = (list(found[kind]) for kind in ("CenterCrop", "Resize"))
    if isinstance(metadata.get("val_resize_size"), int) and "val_crop_size" in metadata:
        resized = [(metadata["val_resize_size"],)]
    if not crops and len(resized) == 1 and len(resized[0]) == 2:
        crops = resized
    if size is None and len(crops) == 1:
        size = _known("size", list(crops[0]))
    if size is not None and len(crops) < 2 and len(resized) == 1:
        with suppress(ValueError):
            share, resizing = crop_from(size, resized[0])
            if share <= 1:
                return size, share, resizing
    return size, None, None
