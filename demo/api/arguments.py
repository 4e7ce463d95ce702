"""Validates the arguments of API calls, which can be any JSON value.

All functions raise InvalidArgumentError, whose message is for the author of the calling program.
"""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any, TypeGuard, get_args
from urllib.parse import unquote, urlsplit

import gradio as gr

from demo.api.records import Output
from demo.compute.photo import PhotoFile
from demo.compute.service import service
from demo.middleware.blocks import is_data
from demo.middleware.route_allow_list import FILES
from demo.server.requests import open_upload
from gradcam_core import imagenet_labels
from gradcam_core.cam.passes.smoothing import SMOOTHS, Smooth
from gradcam_core.errors import ChoiceError
from gradcam_core.explanation.request import AUTO
from gradcam_core.images.cover import Cover, covers_of
from gradcam_core.images.decoded import Window, window_of
from gradcam_core.images.geometry import DETAILS, VIEWS, ViewName
from gradcam_core.models.class_names.labels import Labels
from gradcam_core.models.model import LayerChoice
from gradcam_core.models.registry import classifier_info, classifiers, model_info

NO_PICTURE = 'Give a picture: handle_file("photo.jpg") with gradio_client.'
NO_ADDRESSES = (
    "The API does not fetch pictures from addresses. Save the picture and pass the file; an MCP "
    "client may also pass a data: URI."
)

MAX_DATA_BYTES = 20 * 2**20
"""The largest picture in a data: URI."""

NO_DATA = "A data: URI of a picture is data:image/jpeg;base64, and the picture's bytes in base64."
DATA_TOO_LARGE = f"The picture in the data: URI is larger than {MAX_DATA_BYTES // 2**20} MB."

MAX_LAYERS = 8
"""The most layers whose maps one request may fuse."""

_NUMBER = re.compile(r"\d+\.?\d*|\.\d+", re.ASCII)

_MAX_QUOTED = 80
"""Characters of a given text that are searched for, and repeated in an error."""


class InvalidArgumentError(gr.Error):
    """An argument cannot be used. Gradio does not log it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, print_exception=False)

    def __str__(self) -> str:  # MCP clients receive it; Gradio's is the message's `repr`
        return self.message


async def photo(image: object, window: Window | None = None) -> PhotoFile:
    """The photo in an uploaded file or a data: URI. Also raises ImageError if there is none."""
    path = _path_in(image)
    if not isinstance(path, str) or not path:
        raise InvalidArgumentError(NO_PICTURE)
    if is_data(path):
        return await asyncio.to_thread(_photo_in, path)
    if is_address(path):
        # Gradio's tool for MCP clients uploads a file to this app and passes its address.
        _, served, path = urlsplit(path).path.partition(FILES)
        if not served:
            raise InvalidArgumentError(NO_ADDRESSES)
        path = unquote(path)
    return await asyncio.to_thread(open_upload, path, window)


def is_address(path: str) -> bool:
    """Whether Gradio would fetch or decode this path."""
    return path.startswith(("http://", "https://")) or is_data(path)


def _path_in(image: object) -> object:
    """The path of a given file, or a data: URI, which clients pass in several ways."""
    if not isinstance(image, dict):
        return image if is_data(image) else None
    return image["url"] if is_data(image.get("url")) else image.get("path")


def _photo_in(address: str) -> PhotoFile:
    """The photo in a data: URI."""
    head, comma, content = address.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise InvalidArgumentError(NO_DATA)
    if len(content) > MAX_DATA_BYTES * 4 // 3 + 4:
        raise InvalidArgumentError(DATA_TOO_LARGE)
    try:
        data = base64.b64decode("".join(unquote(content).split()), validate=True)
    except ValueError:
        raise InvalidArgumentError(NO_DATA) from None
    return service().photos.from_bytes(data)


def models(names: object) -> list[str]:
    """The names of networks, without duplicates."""
    given = [names] if isinstance(names, str) else names
    if not isinstance(given, list) or not given:
        known = ", ".join(info.name for info in classifiers())
        raise InvalidArgumentError(f"models is a list of names: {known}.")
    try:
        return list(dict.fromkeys(classifier_info(quoted(name)).name for name in given))
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from error


def labels_of(model: object) -> Labels | Any:
    """The labels of a network; those of ImageNet if no name is given."""
    return imagenet_labels() if model == "" else model_info(models([model])[0]).labels


def detail(times: object) -> int:
    if not is_number(times) or times not in DETAILS:
        known = ", ".join(map(str, DETAILS))
        raise InvalidArgumentError(f"There is no detail {quoted(times)}. Choose one of: {known}.")
    return int(times)


def view(name: object) -> ViewName:
    for known in VIEWS:
        if name == known:
            return known
    raise InvalidArgumentError(
        f"There is no view {quoted(name)!r}. Choose one of: {', '.join(VIEWS)}."
    )


def layer(given: object) -> LayerChoice:
    if given is None or given == []:
        return 1.0
    if not isinstance(given, list):
        return _one_layer(given)
    if len(given) > MAX_LAYERS:
        raise InvalidArgumentError(f"layer is a list of at most {MAX_LAYERS} layers.")
    return tuple(map(_one_layer, given))


def depth(given: object) -> float | None:
    """The old form of `layer`: one number."""
    if given is not None and not is_number(given):
        raise InvalidArgumentError(
            "depth, the old name of layer, is a number from 0 (the first feature map) to 1 (the "
            "last)."
        )
    return given


def _one_layer(given: object) -> str | float:
    if isinstance(given, str) and given and not _NUMBER.fullmatch(given):
        return quoted(given)
    if isinstance(given, str) and given:  # clients without types pass numbers as text
        given = float(given)
    if not is_number(given) or not 0 <= given <= 1:
        raise InvalidArgumentError(
            "layer is a number from 0 (the first feature map) to 1 (the last), or a layer's "
            "name, or a list of these."
        )
    return float(given)


def smooth(given: object) -> Smooth | None:
    for known in SMOOTHS:
        if given == known:
            return known
    if given is None or given == "":
        return None
    raise InvalidArgumentError(
        f"There is no smooth {quoted(given)!r}. Choose one of: {', '.join(SMOOTHS)}."
    )


def contrast(given: object) -> bool | str:
    """The contrast in the form that `requests_for` takes."""
    if given is None:
        return False
    return True if given == AUTO else quoted(given)


def flag(name: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise InvalidArgumentError(f"{name} is true or false.")
    return given


def window(given: object) -> Window | None:
    """The window in a list [low, high] or a text "low,high"; None if none is given."""
    try:
        return window_of(None if given == [] else given)
    except ChoiceError as error:
        raise InvalidArgumentError(str(error)) from error


def covers(given: object) -> tuple[Cover, ...]:
    """The covers in a list of texts "left,top,right,bottom:fill", or of records."""
    try:
        return covers_of(given)  # type: ignore[arg-type]
    except ChoiceError as error:
        raise InvalidArgumentError(str(error)) from error


def outputs(names: object) -> list[str]:
    given = [names] if isinstance(names, str) else names
    known = get_args(Output)
    if not isinstance(given, list) or any(name not in known for name in given):
        raise InvalidArgumentError(f"outputs is a list of some of: {', '.join(known)}.")
    return given


def limit(count: object, most: int) -> int:
    if not is_number(count) or count not in range(1, most + 1):
        raise InvalidArgumentError(f"limit is a whole number from 1 to {most}.")
    return int(count)


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def quoted(value: object) -> str:
    """The value as a short text without control characters, for use in an error."""
    text = str(value)[:_MAX_QUOTED]
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
