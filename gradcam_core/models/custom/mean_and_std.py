"""Finds the mean and standard deviation in a file by which its network's input is normalised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from gradcam_core.models.custom.class_names import parsed
from gradcam_core.models.custom.description import checked

if TYPE_CHECKING:
    from torch import Tensor

    from gradcam_core.models.custom.files.checkpoint import Checkpoint

DEEPEST = 4  # levels of nested settings

OF_PICTURES = re.compile(
    "data|stat|norm|transform|process|augment|image|img|input|pipeline|pixel|rgb"
)
"""Words in the keys of settings about pictures."""


def short(value: Any) -> str:
    if isinstance(value, Mapping):  # objects of other libraries are read as mappings
        return "(an object, not a list)"
    return f"{value!r}" if len(repr(value)) < 40 else f"{repr(value)[:36]} …"


_USABLE = "one number for each channel, both for values from 0 to 1 or both for values up to 255"

_MOST = 255  # the highest value of a pixel, where it is not 1

_MEAN = re.compile(r"(.*?)mean(s?)")

_BGR = (0.406, 0.456, 0.485)
"""ImageNet's mean in the order of channels in which OpenCV reads pictures."""


BGR_IN_TEXT = re.compile(r"""to_rgb\s*=\s*False|[=:]\s*["']bgr["']""", re.IGNORECASE)


def says_bgr(settings: Mapping[Any, Any], depth: int = 0) -> bool:
    """Whether settings, or nested ones, say that pictures have blue first."""
    for key, value in settings.items():
        text = value.lower() if isinstance(value, str) else ""
        is_off = value is False or text == "false"
        if text == "bgr" or (str(key).lower().endswith("to_rgb") and is_off):
            return True
        if depth < DEEPEST:
            within = value if isinstance(value, list | tuple) else [value]
            if any(isinstance(one, Mapping) and says_bgr(one, depth + 1) for one in within):
                return True
    return False


def is_reversed(mean: Sequence[float]) -> bool:
    return len(mean) == 3 and all(
        abs(one - usual) < 1 / _MOST for one, usual in zip(mean, _BGR, strict=True)
    )


_Pair = tuple[tuple[float, ...], tuple[float, ...]]


def said_alone(metadata: Mapping[str, Any]) -> str:
    """The notice that a mean without a std, or a std without a mean, is ignored; else ""."""
    mean, std = parsed(metadata.get("mean")), parsed(metadata.get("std"))
    for key, held in metadata.items():
        if "stat" in key.lower() and isinstance(held, Mapping) and {"mean", "std"} <= held.keys():
            return unusable(held["mean"], held["std"])
    name, values, other = ("std", std, "mean") if mean is None else ("mean", mean, "std")
    is_one = isinstance(values, list | tuple) and len(values) in (1, 3)
    if not is_one or not all(isinstance(one, int | float) for one in values):
        return ""
    return f"{name} {short(values)} in the file is ignored, as no {other} is: give mean= and std="


def unusable(mean: Any, std: Any) -> str:
    return (
        f"mean {short(mean)} and std {short(std)} in the file are ignored, because they are not "
        f"{_USABLE}: give mean= and std="
    )


def normalising(of_pictures: Iterable[tuple[str, Mapping[Any, Any]]]) -> Iterator[_Pair]:
    """Yields each mean with the std beside it in settings about pictures, or whose own names are
    about pictures, such as "image_mean" and "image_std". The settings' names are in lower case."""
    for key, settings in of_pictures:
        if key and (pair := _pair_in(settings, key)):
            yield pair
        else:
            yield from _pairs(settings)
            yield from (
                (tuple(given[0]), tuple(given[1]))
                for name, given in settings.items()
                if isinstance(given, list | tuple) and len(given) == 2 and plausible(*given)
                if OF_PICTURES.search(name)
            )


def _pair_in(settings: Mapping[Any, Any], key: str) -> _Pair | None:
    mean, std = _listed(settings.get("mean"), settings.get("std"), key)
    return (tuple(mean), tuple(std)) if plausible(mean, std) else None


def _listed(mean: Any, std: Any, key: str) -> tuple[Any, Any]:
    """Puts a mean and std that are single numbers for all channels into lists, if `key` clearly is
    about pictures."""
    is_clear = set(OF_PICTURES.findall(key.lower())) - {"stat"}
    if is_clear and all(isinstance(one, int | float) for one in (mean, std)):
        return [mean], [std]
    return mean, std


def _pairs(settings: Mapping[Any, Any]) -> Iterator[_Pair]:
    for key in settings:
        named = _MEAN.fullmatch(key)
        if named is None or not OF_PICTURES.search(named[1]):
            continue
        other = f"{named[1]}std{named[2]}"
        mean, std = (parsed(settings.get(one)) for one in (key, other))
        mean, std = _listed(mean, std, named[1])
        if plausible(mean, std):
            yield tuple(mean), tuple(std)


def in_texts(texts: Sequence[str]) -> Iterator[_Pair]:
    """Yields each mean with each std that the texts of programs set as lists of numbers."""

    def lists(key: str) -> Iterator[tuple[float, ...]]:
        for text in texts:
            for one in re.findall(rf"\b{key}\s*=\s*(?:\w+\()?[\[(]([\d.,\s]*)[\])]", text):
                yield tuple(float(number) for number in one.replace(",", " ").split())

    yield from product(lists("mean"), lists("std"))


_LEAST_STD = 0.05  # of a channel, in [0, 1]; a data set with less would be nearly one colour


def plausible(mean: Any, std: Any) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and std in [0, 1] if they are plausible for channels from 0 to 1, or from 0 to 255, by
    which they are then divided; else None."""
    if not all(isinstance(one, list | tuple) for one in (mean, std)) or len(mean) != len(std):
        return None
    try:
        scale = _MOST if max(*mean, *std) > 1 else 1
        if scale > 1 and set(std) == {1}:  # as in Caffe's networks
            return checked("mean", [one / scale for one in mean]), (1 / scale,) * len(std)
        found = tuple(
            checked(key, [one / scale for one in given])
            for key, given in (("mean", mean), ("std", std))
        )
    except (TypeError, ValueError):
        return None
    return found if min(found[1]) >= _LEAST_STD else None


def layers_before(checkpoint: Checkpoint) -> list[tuple[list[float], list[float]]]:
    """Mean and std of layers that normalise pictures, which many people put before a network:
    buffers such as "mean" and "std", "pixel_mean" and "pixel_std"."""
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
