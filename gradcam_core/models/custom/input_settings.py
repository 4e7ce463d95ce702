"""How a network's input is prepared: as is given, as its file says, or else as is usual."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from PIL import Image

from gradcam_core.errors import NetworkError
from gradcam_core.images.preprocessing import CROP_MODES, InputSize, Preprocessing, Resizing
from gradcam_core.models.custom.class_names import parsed
from gradcam_core.models.custom.description import Description, checked
from gradcam_core.upstream import import_timm

if TYPE_CHECKING:
    from torch import Tensor

    from gradcam_core.models.custom.files.checkpoint import Checkpoint


def imagenet_input() -> Preprocessing:
    import_timm()
    from timm.data import resolve_data_config

    return Preprocessing.from_timm(resolve_data_config({"input_size": (3, 224, 224)}))


def input_of(described: Description, usual: Preprocessing, channels: int) -> Preprocessing:
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


@dataclass(frozen=True)
class Normalisation:
    """What a file says of its input. sides: of one that is no square and cannot be taken. note:
    what it says that cannot be meant. is_bgr: whether it takes pictures with blue first."""

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
        """The usual, with what the file says."""
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


_SIZES = ("input_size", "img_size", "image_size")
"""Under which training scripts write the sides of the input."""


def normalisation_in(checkpoint: Checkpoint) -> Normalisation:
    """From the settings in the file, or from a layer of its own before the network.

    Mean and standard deviation are taken together, as lists of a number for each channel, and if
    they can be those of values from 0 to 1, or to 255: "mean" may be anything, such as that of a
    metric. OpenMMLab's files have them in the text of a Python program.
    """
    from gradcam_core.models.custom.files.checkpoint import attributes

    config = parsed(checkpoint.metadata.get("pretrained_cfg"))
    metadata = {**checkpoint.metadata, **(config if isinstance(config, Mapping) else {})}
    size = parsed(next(filter(None, map(metadata.get, _SIZES)), None))
    sides: tuple[int, ...] = ()
    if isinstance(size, list | tuple) and all(isinstance(side, int) for side in size):
        # The channels may stand before it or behind it.
        size = size[-3:-1] if len(size) > 2 and size[-1] in (1, 3) else size[-2:]
        if len(set(size)) > 1:
            sides = tuple(size) if _known("size", size) is None else ()
    interpolation = _known("interpolation", metadata.get("interpolation"))
    texts = [
        text
        for key, text in metadata.items()
        if isinstance(text, str) and (key in ("cfg", "config") or "transform" in key)
    ]
    plain = Normalisation(
        _known("size", size),
        _known("crop", parsed(metadata.get("crop_pct"))),
        Image.Resampling[interpolation.upper()] if interpolation else None,
        CROP_MODES.get(str(metadata.get("crop_mode"))),
        sides,
        is_bgr=_says_bgr(metadata) or any(map(_BGR_IN_TEXT.search, texts)),
    )
    mean, std = parsed(metadata.get("mean")), parsed(metadata.get("std"))
    if mean is None or std is None:
        found_in = {*_normalising(metadata, attributes), *_in_texts(texts)}
        if len(found_in) > 1:
            shown = ", ".join(_short(one) for one, _ in sorted(found_in))
            note = f"its settings have several means and stds ({shown}), none of which is taken"
            return replace(plain, note=note)
        mean, std = map(list, *found_in) if found_in else (None, None)
    if mean is None or std is None:
        before = _layers_before(checkpoint)
        if len(before) != 1:
            return replace(plain, note=_of_one_alone(metadata))
        ((mean, std),) = before
        note = "mean and std are those of tensors in the file"
    else:
        note = ""
    found = plausible(mean, std)
    if found and _is_reversed(found[0]):
        return replace(plain, is_bgr=True)
    if found and max(*mean, *std) > 1:
        note = f"mean and std are those of values from 0 to 255 in the file, {_short(mean)}"
    if found is None:
        return replace(plain, note=_unusable(mean, std))
    return replace(plain, mean=found[0], std=found[1], note=note)


def _of_one_alone(metadata: Mapping[str, Any]) -> str:
    """What is to be said of a mean without a std beside it, or the other way round."""
    mean, std = parsed(metadata.get("mean")), parsed(metadata.get("std"))
    for key, held in metadata.items():
        if "stat" in key.lower() and isinstance(held, Mapping) and {"mean", "std"} <= held.keys():
            return _unusable(held["mean"], held["std"])
    name, values, other = ("std", std, "mean") if mean is None else ("mean", mean, "std")
    is_one = isinstance(values, list | tuple) and len(values) in (1, 3)
    if not is_one or not all(isinstance(one, int | float) for one in values):
        return ""
    return f"{name} {_short(values)} in the file is ignored, as no {other} is: give mean= and std="


def _unusable(mean: Any, std: Any) -> str:
    return (
        f"mean {_short(mean)} and std {_short(std)} in the file are ignored, because they are not "
        f"{_USABLE}: give mean= and std="
    )


def _known(key: str, value: Any) -> Any:
    """The value as a description would have it; None if it is of another meaning."""
    try:
        return checked(key, value)
    except (TypeError, ValueError):
        return None


def _short(value: Any) -> str:
    if isinstance(value, Mapping):  # as objects of other libraries, such as NumPy's, are read
        return "(an object, not a list)"
    return f"{value!r}" if len(repr(value)) < 40 else f"{repr(value)[:36]} …"


_USABLE = "one number for each channel, both for values from 0 to 1 or both for values up to 255"

_MOST = 255  # of values that are not from 0 to 1

_DEEPEST = 4  # settings in settings
_OF_PICTURES = re.compile(
    "data|stat|norm|transform|process|augment|image|img|input|pipeline|pixel|rgb"
)
_MEAN = re.compile(r"(.*?)(mean)(s?)", re.IGNORECASE)

_BGR = (0.406, 0.456, 0.485)
"""ImageNet's mean, of pictures that were read by OpenCV."""


_BGR_IN_TEXT = re.compile(r"""to_rgb\s*=\s*False|[=:]\s*["']bgr["']""", re.IGNORECASE)


def _says_bgr(settings: Mapping[Any, Any], depth: int = 0) -> bool:
    """Whether settings, or those in them, say that pictures have blue first."""
    for key, value in settings.items():
        text = value.lower() if isinstance(value, str) else ""
        is_off = value is False or text == "false"
        if text == "bgr" or (str(key).lower().endswith("to_rgb") and is_off):
            return True
        if depth < _DEEPEST:
            within = value if isinstance(value, list | tuple) else [value]
            if any(isinstance(one, Mapping) and _says_bgr(one, depth + 1) for one in within):
                return True
    return False


def _is_reversed(mean: Sequence[float]) -> bool:
    return len(mean) == 3 and all(
        abs(one - usual) < 1 / _MOST for one, usual in zip(mean, _BGR, strict=True)
    )


_Pair = tuple[tuple[float, ...], tuple[float, ...]]


def _normalising(
    settings: Mapping[Any, Any], attributes: Callable[[Any], Any], depth: int = 0
) -> Iterator[_Pair]:
    """Every mean and std beside each other in settings that are of pictures, by their names, or
    that are so by their own, as "image_mean" and "image_std"."""
    yield from _pairs(settings)
    for key, given in settings.items():
        if depth == _DEEPEST or not _OF_PICTURES.search(str(key).lower()):
            continue
        if isinstance(given, list | tuple) and len(given) == 2 and plausible(*given):
            yield tuple(given[0]), tuple(given[1])
        for one in given if isinstance(given, list | tuple) else [given]:
            held = attributes(one)
            if isinstance(held, Mapping) and (pair := _pair_in(held, str(key))):
                yield pair
            elif isinstance(held, Mapping):
                yield from _normalising(held, attributes, depth + 1)


def _pair_in(settings: Mapping[Any, Any], key: str) -> _Pair | None:
    mean, std = _listed(settings.get("mean"), settings.get("std"), key)
    return (tuple(mean), tuple(std)) if plausible(mean, std) else None


def _listed(mean: Any, std: Any, key: str) -> tuple[Any, Any]:
    """Lists also of one number for all channels, where it is clear that it is of pictures."""
    is_clear = set(_OF_PICTURES.findall(key.lower())) - {"stat"}
    if is_clear and all(isinstance(one, int | float) for one in (mean, std)):
        return [mean], [std]
    return mean, std


def _pairs(settings: Mapping[Any, Any]) -> Iterator[_Pair]:
    for key in settings:
        named = _MEAN.fullmatch(str(key))
        if named is None or not _OF_PICTURES.search(named[1].lower()):
            continue
        other = f"{named[1]}{'STD' if named[2].isupper() else 'std'}{named[3]}"
        mean, std = (parsed(settings.get(one)) for one in (key, other))
        mean, std = _listed(mean, std, named[1])
        if plausible(mean, std):
            yield tuple(mean), tuple(std)


def _in_texts(texts: Sequence[str]) -> Iterator[_Pair]:
    """Every mean with every std that programs set, as lists of numbers."""

    def lists(key: str) -> Iterator[tuple[float, ...]]:
        for text in texts:
            for one in re.findall(rf"\b{key}\s*=\s*(?:\w+\()?[\[(]([\d.,\s]*)[\])]", text):
                yield tuple(float(number) for number in one.replace(",", " ").split())

    yield from product(lists("mean"), lists("std"))


_LEAST_STD = 0.05  # of a channel, in [0, 1]; a data set with less would be nearly one colour


def plausible(mean: Any, std: Any) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Both, if they can be those of channels from 0 to 1; else to 255, divided by that."""
    if not all(isinstance(one, list | tuple) for one in (mean, std)) or len(mean) != len(std):
        return None
    try:
        scale = _MOST if max(*mean, *std) > 1 else 1
        if scale > 1 and set(std) == {1}:  # what Caffe's networks are given
            return checked("mean", [one / scale for one in mean]), (1 / scale,) * len(std)
        found = tuple(
            checked(key, [one / scale for one in given])
            for key, given in (("mean", mean), ("std", std))
        )
    except (TypeError, ValueError):
        return None
    return found if min(found[1]) >= _LEAST_STD else None


def _layers_before(checkpoint: Checkpoint) -> list[tuple[list[float], list[float]]]:
    """Mean and standard deviation of the layers that normalise pictures, as many people put one
    before a network: buffers such as "mean" and "std", "pixel_mean" and "pixel_std"."""
    found = []
    for name, mean in checkpoint.tensors.items():
        stem, _, last = name.rpartition(".")
        before = last.removesuffix("mean")
        std = checkpoint.tensors.get(f"{stem}.{before}std" if stem else f"{before}std")
        if last != before and std is not None and mean.numel() == std.numel() in (1, 3):
            found.append((_numbers(mean), _numbers(std)))
    return found


def _numbers(tensor: Tensor) -> list[float]:
    return [round(value, 6) for value in tensor.flatten().tolist()]
