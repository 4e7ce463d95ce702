"""The requests that the page sends, and their validation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
)

from demo.compute.photo import PhotoFile
from demo.compute.service import service
from demo.examples import example_folder, example_path
from demo.gradio_internals import get_upload_folder
from demo.server.classes import all_classes
from gradcam_core.cam.methods.registry import DEFAULT_METHOD, METHODS
from gradcam_core.errors import ChoiceError, LabelError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.cover import MOST_COVERS, Cover, Fill, covers_of
from gradcam_core.images.decoded import Window, window_of
from gradcam_core.images.geometry import DETAILS, ViewName
from gradcam_core.images.remote.fetch import MAX_ADDRESS_LENGTH
from gradcam_core.images.rendering.render import COLORMAP, COLORMAPS, OPACITY
from gradcam_core.models.registry import classifiers

if TYPE_CHECKING:
    from demo.server.remote_pictures import RemotePictures

MAX_MAPS = 24


def _known(names: Callable[[], Iterable[str]]) -> AfterValidator:
    def check(name: str) -> str:
        known = list(names())
        if name not in known:
            raise ValueError(f"choose one of: {', '.join(known)}")
        return name

    return AfterValidator(check)


def _is_class(place: int) -> int:
    last = len(all_classes().labels) - 1
    if not 0 <= place <= last:
        raise ValueError(f"choose a class from 0 to {last}")
    return place


def _is_cover(text: str) -> str:
    return covers_of(text)[0].text


_CoverText = Annotated[str, Field(max_length=8000), AfterValidator(_is_cover)]
_ModelName = Annotated[str, _known(lambda: (info.name for info in classifiers()))]
_MethodName = Annotated[str, _known(lambda: METHODS)]
_Class = Annotated[int, AfterValidator(_is_class)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class MapRequest(_Strict):
    """One map. id: its name in the answer. contrast: whether to explain the class against the most
    probable other classes. trust: whether to run the trust checks. For the rest see
    `ExplanationRequest`. The aliases are the names of version 1.0, whose pages may still be open.
    """

    id: str = Field(max_length=80)
    model: _ModelName
    method: _MethodName = DEFAULT_METHOD
    detail: int = Field(1, ge=min(DETAILS), le=max(DETAILS))
    contrast: bool = Field(False, validation_alias=AliasChoices("contrast", "rivals"))
    layer: float = Field(1, ge=0, le=1, validation_alias=AliasChoices("layer", "depth"))
    signed: bool = False
    steps: bool = False
    trust: bool = False


class HottestPlace(_Strict):
    """A request to cover the hottest place, too. model: the network whose map tells it; None for
    all maps together."""

    model: _ModelName | None = None
    fill: Fill = "blur"


def open_upload(path: str, window: Window | None = None) -> PhotoFile:
    """The photo in an uploaded file. path: the one that the server gave it. window: the range of
    its values to show. Raises ImageError."""
    return service().photos.open(Path(path), Path(get_upload_folder()), window)


class PageRequest(_Strict):
    """A photo, a class and the maps to make.

    upload: the path that the server gave an uploaded file; example: the name of an example;
    address: the photo's web address; may_fetch: whether to fetch it from there, rather than use it
    only if it is still kept.
    target, contrast: the places of these classes in `all_classes`.
    window: the range of the photo's values to show, [low, high]; None takes the file's own.
    shown_photo_id: the id of the photo that the page already shows.
    compare: whether to end the answer with what the maps have in common.
    covers: the places to cover. hottest: also cover the hottest place of the maps that result from
    these covers. elsewhere: cover equally many and equally large cold places instead. With either,
    the answer begins with the places found.
    """

    upload: str | None = Field(None, max_length=1000)
    example: str | None = Field(None, max_length=100)
    address: str | None = Field(None, max_length=MAX_ADDRESS_LENGTH)
    may_fetch: bool = True
    window: Annotated[Window | None, PlainValidator(window_of)] = None
    shown_photo_id: str = Field("", max_length=64)
    view: ViewName = "crop"
    target: _Class | None = None
    contrast: _Class | None = Field(None, validation_alias=AliasChoices("contrast", "against"))
    maps: list[MapRequest] = Field(
        min_length=1, max_length=MAX_MAPS, validation_alias=AliasChoices("maps", "cells")
    )
    compare: bool = False
    covers: list[_CoverText] = Field(default=[], max_length=MOST_COVERS)
    hottest: HottestPlace | None = None
    elsewhere: bool = False

    async def open(self, pictures: RemotePictures) -> PhotoFile:
        """The photo without covers, fetched if it is given by its address. Raises ImageError if
        there is none."""
        if self.address is not None:
            data = await pictures.fetch(self.address, self.may_fetch)
            return await asyncio.to_thread(service().photos.from_bytes, data, self.window)
        return await asyncio.to_thread(self._open_file)

    def _open_file(self) -> PhotoFile:
        if self.example is not None:
            path, folder = example_path(self.example), example_folder(self.example)
            return service().photos.open(path, folder, self.window, is_example=True)
        return open_upload(self.upload or "", self.window)

    @property
    def given_covers(self) -> tuple[Cover, ...]:
        """The places to cover that the request itself specifies."""
        return covers_of(self.covers)

    @property
    def photo_name(self) -> str:
        """The photo's name for captions: the file name of an example. "" otherwise, because an
        upload's name or a picture's address is private."""
        return "" if self.example is None else f"{self.example}.jpg"

    @property
    def answerable(self) -> list[MapRequest]:
        """The maps whose network has the class, and whose method supports the request."""
        found = []
        for one in self.maps:
            with suppress(LabelError, ChoiceError):
                self.explanation_request(one)
                found.append(one)
        return found

    def explanation_request(self, one: MapRequest) -> ExplanationRequest:
        """The core's request for this map. Raises LabelError if the network lacks the class,
        ChoiceError if the method has no signed map or no steps."""
        target, contrast = (
            place if place is None else all_classes().index(one.model, place)
            for place in (self.target, self.contrast)
        )
        return ExplanationRequest(
            one.model,
            self.view,
            target,
            one.contrast if contrast is None else (contrast,),
            one.method,
            one.detail,
            one.layer,
            one.signed,
            one.steps,
        )


class LiveRequest(BaseModel):
    """The query parameters of a request to explain a camera frame, which is its body. visitor: a
    random name that the page has chosen. frame: the frame's number, which the answer repeats.
    target: see `PageRequest`."""

    model_config = ConfigDict(extra="forbid")

    visitor: str = Field(pattern=r"^[\w-]{8,64}$")
    frame: int = Field(0, ge=0, lt=2**53)
    models: list[_ModelName] = Field(min_length=1, max_length=MAX_MAPS)
    view: ViewName = "crop"
    target: _Class | None = None


class DownloadRequest(PageRequest):
    """A request for a file made of the maps. file: the file's name, in which a stand-in has the
    name of the network it replaces, or "everything.zip" for all files."""

    file: str = Field(pattern=r"^[\w.-]{1,120}$")
    theme: Literal["light", "dark"] = "light"
    colormap: Annotated[str, _known(lambda: COLORMAPS)] = COLORMAP
    opacity: float = Field(OPACITY, ge=0, le=1)
