"""How a person describes a network of their own: in Python, in a text, or in a file.

Values are checked by hand: pydantic needs as many lines for the same messages (245 instead of 249),
and its import makes the command line start 0.1 s later.
"""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image

from gradcam_core.errors import LabelError, NetworkError
from gradcam_core.images.preprocessing import LEAST_SIDE_PX, MOST_SIDE_PX, InputSize
from gradcam_core.models.custom.files.label_files import names_in

FILE = "networks.toml"
"""Read from the working directory by default, if it exists."""

SPEC = "TITLE=ARCHITECTURE[,KEY=VALUE …]"
"""The form of a text that describes a network. Without ARCHITECTURE, the weights name it."""

_LONGEST = 64  # characters of a name, with which the names of files begin


@dataclass(frozen=True)
class Description:
    """A person's own network; None where a value is read from the weights or looked up.

    architecture: a name in timm or torchvision, optionally after "timm:" or "torchvision:"; or
    "hf-hub:" and a timm repository of the Hugging Face Hub; or a folder with a config.json; or
    None, if the weights name it. weights: .safetensors, .pth, TorchScript or such a folder; None is
    those published with the architecture. prefix: what the names of the network's tensors begin
    with in a file that holds several networks; "." for nothing. labels: a file (see
    `read_label_names`) or the names. name: for the API and the command line; None makes it from the
    title. classes, channels: numbers of them; channels is 1 or 3. size: of the input in pixels: the
    side of a square, or "256x128" or (256, 128), height first. mean, std: of the channels, in
    [0, 1]. crop: share of the photo's short side (see `Resizing` for inputs that are not square).
    interpolation: "bilinear", "bicubic", … layer: dotted name of the target layer. sigmoid: whether
    each class has a probability of its own; a single output always has. regression: whether the
    outputs are values, in the given unit, instead of classes. transform_input: whether
    torchvision's GoogLeNet or Inception v3 normalises its input once more, as the published do.
    """

    title: str
    architecture: str | None = None
    weights: Path | None = None
    labels: Path | tuple[str, ...] | None = None
    name: str | None = None
    classes: int | None = None
    channels: int | None = None
    size: InputSize | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = None
    interpolation: str | None = None
    layer: str | None = None
    sigmoid: bool = False
    regression: bool = False
    unit: str | None = None
    prefix: str | None = None
    transform_input: bool | None = None

    @property
    def api_name(self) -> str:
        """The name given, or one made from the title."""
        return self.name or re.sub(r"\W+", "_", self.title.casefold()).strip("_")[:_LONGEST]


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --network and --networks, the arguments of `register_all`."""
    keys = ", ".join(one.name for one in fields(Description)[2:])
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        metavar=SPEC,
        help=f"a network of your own (may be repeated); keys: {keys}",
    )
    parser.add_argument(
        "--networks",
        type=lambda file: Path(os.path.expanduser(file)),
        metavar="FILE",
        help=f"networks of your own, as TOML (default: {FILE}, if there is one)",
    )


def described_in(spec: str) -> Description:
    """Reads a text such as "Chest X-ray=resnet18,weights=xray.safetensors,labels=labels.txt".

    Several numbers are separated by "/", as in "mean=0.5/0.5/0.5". Raises NetworkError.
    """
    title, has_title, rest = spec.partition("=")
    architecture, *settings = (part.strip() for part in rest.split(","))
    if not (has_title and title.strip() and architecture):
        raise NetworkError(f"{spec!r} is not of the form {SPEC}")
    given: dict[str, Any] = {"title": title.strip()}
    if "=" in architecture:
        settings.insert(0, architecture)
    else:
        given["architecture"] = architecture
    for setting in settings:
        key, has_value, value = (part.strip() for part in setting.partition("="))
        if not has_value or not value:
            raise NetworkError(f"network {title!r}: {setting!r} is not of the form KEY=VALUE")
        given[key] = _number_or_text(value)
    return description_of(given)


def described_in_file(path: Path) -> list[Description]:
    """Reads a TOML file, in which each table describes a network: its name is the title, its keys
    are the fields of `Description`. Relative paths start at its folder. Raises NetworkError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise NetworkError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise NetworkError(f"{path} is not TOML: {error}") from None
    for title, table in tables.items():
        if not isinstance(table, dict):
            raise NetworkError(f'{path}: {title!r} is outside a table ["TITLE"]')
    return [
        description_of({"title": title, **table}, path.parent) for title, table in tables.items()
    ]


def _number_or_text(value: str) -> Any:
    if re.fullmatch(r"[0-9.eE+-]+(/[0-9.eE+-]+)*", value):
        try:
            numbers = [int(part) if part.isdecimal() else float(part) for part in value.split("/")]
            return numbers[0] if len(numbers) == 1 else numbers
        except ValueError:
            return value
    return {"true": True, "false": False}.get(value.lower(), value)


def description_of(
    given: Mapping[str, Any], folder: Path = Path(), *, has_module: bool = False
) -> Description:
    """Checks the fields that a person gave. folder: where relative paths start. has_module: whether
    a module is given, which needs no architecture. Raises NetworkError."""
    known = [one.name for one in fields(Description)]
    title = given["title"]

    def wrong(text: str) -> NetworkError:
        return NetworkError(f"network {title!r}: {text}")

    if not isinstance(title, str) or not title.strip():
        raise NetworkError("a network needs a title")
    is_named = given.get("architecture") is not None or given.get("weights") is not None
    if not is_named and not has_module:
        raise wrong(
            "the key architecture is missing, for instance architecture = 'resnet18'; or give "
            "weights that name it"
        )
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise wrong(f"there is no key {key!r}; choose from: {', '.join(known[1:])}")
        if value is None:
            continue
        if hasattr(value, "tolist"):  # values of NumPy and PyTorch
            value = value.tolist()
        try:
            found[key] = checked(key, value)
        except (TypeError, ValueError) as error:
            if isinstance(error, LabelError) and isinstance(value, Mapping):
                raise wrong(f"{key}: {error}") from None
            raise wrong(f"{key} = {value!r} is not valid; it must be {_KEYS[key][1]}") from None
    for key in ("weights", "labels"):
        if isinstance(path := found.get(key), Path):
            found[key] = folder / os.path.expanduser(path)
    if isinstance(names := found.get("labels"), tuple) and "" in map(str.strip, names):
        raise wrong("one of the labels is empty")
    if found.get("unit") and not found.get("regression"):
        raise wrong("unit belongs to a network that predicts values: add regression = true")
    if found.get("regression") and found.get("sigmoid"):
        raise wrong("a regression has no probabilities: leave out sigmoid")
    described = Description(**found)
    if not described.api_name:
        raise wrong("the title contains no characters for a name on the command line: give name=")
    return described


def _text(value: Any) -> str:
    if (
        isinstance(value, bool)
        or not isinstance(value, str | int | float)
        or not str(value).strip()
    ):
        raise ValueError
    return str(value).strip()


def _file(value: Any) -> Path:
    if "://" in str(value):
        raise ValueError
    return Path(value)


def _name(value: Any) -> str:
    if not re.fullmatch(r"[\w-]+", text := _text(value)):
        raise ValueError
    return text


def _whole(least: int, most: int) -> Any:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return check


def _one_or_three(value: Any) -> int:
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


_KEYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "title": (_text, "a text"),
    "architecture": (_text, "a text"),
    "weights": (_file, "the path of a file on this machine"),
    "labels": (_labels_given, "the path of a file or a list of names"),
    "name": (_name, "letters, digits, - and _"),
    "classes": (_whole(1, 1_000_000), "a whole number from 1 on"),
    "channels": (_one_or_three, "1 or 3"),
    "size": (
        InputSize.of,
        f"a whole number of pixels from {LEAST_SIDE_PX} to {MOST_SIDE_PX}, the side of a square, "
        "or two, the height and then the width, such as 256x128",
    ),
    "mean": (_shares(0), "one number or three, from 0 to 1"),
    "std": (_shares(1e-6), "one number or three, above 0 and up to 1"),
    "crop": (_share, "a number above 0 and up to 1"),
    "interpolation": (
        _interpolation,
        f"one of {', '.join(one.name.lower() for one in Image.Resampling)}",
    ),
    "layer": (_text, "a text"),
    "sigmoid": (_yes_or_no, "true or false"),
    "regression": (_yes_or_no, "true or false"),
    "unit": (_text, "a text"),
    "prefix": (_text, "a text"),
    "transform_input": (_yes_or_no, "true or false"),
}
"""For each key, the check of its value, and what the value must be."""


def checked(key: str, value: Any) -> Any:
    """The value as `Description` has it. Raises TypeError or ValueError if it is not valid."""
    return _KEYS[key][0](value)
